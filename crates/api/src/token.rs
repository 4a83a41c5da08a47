//! Who may ask over HTTP for what: bearer tokens with scopes, from a file that only its owner
//! reads.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Shortest token: what cannot be guessed in the time that anybody has. `vxscope token` makes
/// longer ones.
const TOKEN_BYTES_MIN: usize = 32;
/// Longest token.
const TOKEN_BYTES_MAX: usize = 256;
/// Tokens in a file.
const TOKENS_MAX: usize = 256;
/// Longest file.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Read counters, sources, flows, decisions, and until when somebody is paused.
    pub metadata: bool,
    /// Read packets.
    pub packets: bool,
    /// Command.
    pub control: bool,
}

impl Scopes {
    fn parse(text: &str) -> Option<Self> {
        let mut scopes = Self::default();
        for name in text.split(',') {
            match name {
                "metadata" => scopes.metadata = true,
                "packets" => scopes.packets = true,
                "control" => scopes.control = true,
                _ => return None,
            }
        }
        Some(scopes)
    }
}

/// All that are known.
#[derive(Clone, Debug)]
pub struct Tokens(Vec<Token>);

#[derive(Clone, Debug)]
struct Token {
    scopes: Scopes,
    secret: Secret,
}

/// Never printed.
#[derive(Clone)]
struct Secret(Box<[u8; TOKEN_BYTES_MAX]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why there are no tokens. No message holds a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Others could read them.
    #[error("{}: others may read it (mode {mode:03o}); chmod 600", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A line is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// It has none, or too many.
    #[error("{}: has {count} tokens; there must be 1 to {TOKENS_MAX}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

impl Tokens {
    /// Reads a file of lines `NAME SCOPE[,SCOPE…] TOKEN`; what follows a `#` at the beginning of
    /// a line is for people.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unread = |cause| TokenError::Read {
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(unread)?;
        let mode = file.metadata().map_err(unread)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Mode {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(unread)?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, TokenError> {
        let mut tokens = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let token = token(line).map_err(|problem| TokenError::Line {
                path: path.to_owned(),
                line: number,
                problem,
            })?;
            tokens.push(token);
        }
        match tokens.len() {
            1..=TOKENS_MAX => Ok(Self(tokens)),
            count => Err(TokenError::Count {
                path: path.to_owned(),
                count,
            }),
        }
    }

    /// What the bearer of this may do; `None` if nobody knows it. Takes the same time whatever it
    /// is: every token is compared, to its end.
    #[must_use]
    pub(crate) fn scopes(&self, offered: &[u8]) -> Option<Scopes> {
        let offered = padded(offered)?;
        let mut found = None;
        for token in &self.0 {
            let pairs = token.secret.0.iter().zip(offered.iter());
            let differs = pairs.fold(0, |differs, (one, other)| differs | (one ^ other));
            if std::hint::black_box(differs) == 0 {
                found = Some(token.scopes);
            }
        }
        found
    }
}

fn token(line: &str) -> Result<Token, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(_), Some(scopes), Some(secret), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("write NAME SCOPE[,SCOPE] TOKEN");
    };
    let scopes = Scopes::parse(scopes).ok_or("a scope is metadata, packets or control")?;
    if secret.len() < TOKEN_BYTES_MIN {
        return Err("the token is too short to be secret; make one with vxscope token");
    }
    let secret = padded(secret.as_bytes()).ok_or("the token is too long")?;
    Ok(Token {
        scopes,
        secret: Secret(secret),
    })
}

/// Zero is no character of a token, so that no other becomes the same.
fn padded(bytes: &[u8]) -> Option<Box<[u8; TOKEN_BYTES_MAX]>> {
    let mut padded = Box::new([0; TOKEN_BYTES_MAX]);
    if bytes.contains(&0) {
        return None;
    }
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ONE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_opens_its_scopes_and_no_other_does() {
        let text = format!("# people\n\nops metadata,control {ONE}\nids packets {ONE}x\n");
        let tokens = Tokens::parse(&text, Path::new("tokens")).unwrap();
        let ops = tokens.scopes(ONE.as_bytes()).unwrap();
        assert!(ops.metadata && ops.control && !ops.packets);
        assert!(tokens.scopes(format!("{ONE}x").as_bytes()).unwrap().packets);
        let long = "x".repeat(10_000);
        for other in [
            "",
            "ops",
            &ONE[1..],
            "0123456789ABCDEF0123456789ABCDEF",
            &long,
        ] {
            assert!(tokens.scopes(other.as_bytes()).is_none(), "{other}");
        }
        assert!(tokens.scopes(format!("{ONE}\0").as_bytes()).is_none());
    }

    #[test]
    fn wrong_files_are_refused_without_showing_what_they_hold() {
        for (text, part) in [
            (String::new(), "has 0 tokens"),
            (format!("ops {ONE}"), ":1: write NAME"),
            (format!("#\nops root {ONE}"), ":2: a scope is"),
            ("ops metadata hunter2hunter2".to_owned(), "too short"),
            (format!("ops metadata {}", "x".repeat(257)), "too long"),
        ] {
            let error = Tokens::parse(&text, Path::new("tokens")).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(part), "{said}");
            assert!(!said.contains(ONE) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, format!("ops metadata {ONE}\n")).unwrap();
        for (mode, is_taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::read(&path).is_ok(), is_taken, "{mode:o}");
        }
    }

    #[test]
    fn no_token_is_printed() {
        let tokens = Tokens::parse(&format!("ops metadata {ONE}"), Path::new("t")).unwrap();
        assert!(!format!("{tokens:?}").contains("0123"));
    }
}
