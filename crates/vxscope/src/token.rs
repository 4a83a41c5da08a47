//! `vxscope token`: a line for the file that `api.tokens` names.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;

use crate::arguments::TokenArguments;
use crate::failure::Failure;
use crate::print;

/// Random bytes of a token: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

/// Prints a line with a token that nobody has seen before.
pub(crate) fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    let unknown = |error| Failure::Failed(format!("/dev/urandom: cannot be read: {error}"));
    let mut random = [0_u8; TOKEN_BYTES];
    let mut source = File::open("/dev/urandom").map_err(unknown)?;
    source.read_exact(&mut random).map_err(unknown)?;
    let mut token = String::with_capacity(2 * TOKEN_BYTES);
    for byte in random {
        let _ = write!(token, "{byte:02x}");
    }
    let scopes = arguments.scopes.join(",");
    print(&format!("{} {scopes} {token}\n", arguments.name))
}

/// A name without spaces, which separate the parts of a line.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && text.chars().all(|it| it.is_ascii_graphic() && it != '#');
    match is_word {
        true => Ok(text.to_owned()),
        false => Err("one word, without spaces or #".to_owned()),
    }
}
