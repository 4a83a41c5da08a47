//! What somebody types, if they do so in time.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

/// What a key asks for.
pub(super) enum Typed {
    Key(KeyCode),
    /// Ctrl-C, which a terminal that gives every key does not make a signal of.
    End,
    /// Nothing that matters, or nothing at all.
    Nothing,
}

/// Waits so long at most.
pub(super) fn next(patience: Duration) -> io::Result<Typed> {
    if !event::poll(patience)? {
        return Ok(Typed::Nothing);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Release => Typed::Nothing,
        Event::Key(key) if key.modifiers.contains(KeyModifiers::CONTROL) => match key.code {
            KeyCode::Char('c') => Typed::End,
            _ => Typed::Nothing,
        },
        Event::Key(key) => Typed::Key(key.code),
        _ => Typed::Nothing,
    })
}
