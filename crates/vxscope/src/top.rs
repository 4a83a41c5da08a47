//! `vxscope top`: what the page shows, at a terminal.
//!
//! Asks the sensor over its control socket once a second; a thread of its own reads keys. Without
//! a terminal it prints what is so now, once.

mod keys;
mod model;
mod text;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use console::Term;
use vxscope_api::{Client, ClientError};

use crate::arguments::TopArguments;
use crate::failure::Failure;
use crate::print;
use keys::Keys;
use model::{Model, Reading};

pub(crate) use model::Order;

/// How often the sensor is asked. It publishes once a second.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The other screen, and no cursor; what was there before comes back at the end.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Shows until somebody types `q`.
pub(crate) fn run(arguments: &TopArguments) -> Result<(), Failure> {
    let failed = |error: ClientError| Failure::Failed(error.to_string());
    let mut client = Client::connect(&arguments.socket).map_err(failed)?;
    let mut model = Model::new(arguments.sort);
    model.read(ask(&mut client).map_err(failed)?);
    if arguments.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        if arguments.once && arguments.seconds > 0 {
            std::thread::sleep(Duration::from_secs(arguments.seconds));
            model.read(ask(&mut client).map_err(failed)?);
        }
        return print(&text::plain(&model));
    }
    let keys = Keys::start().map_err(|error| Failure::Failed(format!("keys: {error}")))?;
    let term = Term::stdout();
    let _screen = Screen::enter();
    loop {
        let (lines, columns) = term.size();
        show(&text::screen(
            &model,
            usize::from(columns),
            usize::from(lines),
        ));
        match keys.next(ASK_EVERY) {
            Ok(key) => {
                if model.handle(key) {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout) => match ask(&mut client) {
                Ok(reading) => model.read(reading),
                Err(error) => {
                    model.lost(&error.to_string());
                    // Perhaps another sensor answers there by now.
                    if let Ok(again) = Client::connect(&arguments.socket) {
                        client = again;
                    }
                }
            },
            // Nobody can type any more.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn ask(client: &mut Client) -> Result<Reading, ClientError> {
    Ok(Reading {
        status: client.status()?,
        health: client.health()?,
        sources: client.sources()?,
        oversight: client.oversight()?,
    })
}

/// Leaves the other screen however this ends.
struct Screen;

impl Screen {
    fn enter() -> Self {
        show(ENTER);
        Self
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        show(LEAVE);
    }
}

/// Who cannot be shown anything is not.
fn show(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
