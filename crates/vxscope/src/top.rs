//! `vxscope top`: what the page shows, at a terminal.
//!
//! Asks the sensor over its control socket once a second. Without a terminal it prints what is so
//! now, once.

mod column;
mod draw;
mod keys;
mod model;
mod row;
mod text;

use std::io::{self, IsTerminal};
use std::panic;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::widgets::TableState;
use vxscope_api::{Client, ClientError};

use crate::arguments::TopArguments;
use crate::failure::Failure;
use crate::{print, signal};
use draw::Look;
use keys::Typed;
use model::{Model, Reading};

pub(crate) use model::Order;

/// How often the sensor is asked. It publishes once a second.
const ASK_EVERY: Duration = Duration::from_secs(1);
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
    let mut screen = Screen::enter()?;
    signal::before_end(leave)?;
    let shown = show(&mut screen.0, arguments, &mut model, &mut client);
    shown.map_err(|error| Failure::Failed(format!("terminal: {error}")))
}

/// Until a key ends it.
fn show(
    terminal: &mut DefaultTerminal,
    arguments: &TopArguments,
    model: &mut Model,
    client: &mut Client,
) -> io::Result<()> {
    let look = Look::of_environment();
    let mut state = TableState::new();
    let mut asked = now();
    loop {
        terminal.draw(|frame| draw::draw(frame, model, &mut state, look))?;
        match keys::next(ASK_EVERY.saturating_sub(asked.elapsed()))? {
            Typed::Key(key) => {
                if model.handle(key) {
                    return Ok(());
                }
            }
            Typed::End => return Ok(()),
            Typed::Nothing => {}
        }
        if asked.elapsed() >= ASK_EVERY {
            asked = now();
            match ask(client) {
                Ok(reading) => model.read(reading),
                Err(error) => {
                    model.lost(&error.to_string());
                    // Perhaps another sensor answers there by now.
                    if let Ok(again) = Client::connect(&arguments.socket) {
                        *client = again;
                    }
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a person waits here, no packet")]
fn now() -> Instant {
    Instant::now()
}

fn ask(client: &mut Client) -> Result<Reading, ClientError> {
    Ok(Reading {
        status: client.status()?,
        health: client.health()?,
        sources: client.sources()?,
        oversight: client.oversight()?,
    })
}

/// The other screen, and every key as it is typed; what was there before comes back however this
/// ends, by a panic too.
struct Screen(DefaultTerminal);

impl Screen {
    fn enter() -> Result<Self, Failure> {
        let entered = ratatui::try_init().map(Self);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
        entered.map_err(|error| Failure::Failed(format!("terminal: {error}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// A terminal that is gone needs nothing back.
fn leave() {
    let _ = ratatui::try_restore();
    let _ = execute!(io::stdout(), Show);
}
