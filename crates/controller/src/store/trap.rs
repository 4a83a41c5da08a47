//! A kill or a full disk at a write of a test's choice: for this thread's stores.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// How much of a write reached the disk when the process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Nothing,
    Half,
    /// All of it, but not what follows: a file that is to be replaced is not yet.
    All,
}

#[derive(Debug, Default)]
struct Trap {
    /// The writes so far, by file.
    writes: Vec<String>,
    kill: Option<(usize, Part)>,
    full: bool,
}

/// What unwinds instead of a kill.
#[derive(Debug)]
pub(crate) struct Killed;

thread_local! {
    static TRAP: RefCell<Trap> = RefCell::default();
}

/// Counts from here.
pub(crate) fn clear() {
    TRAP.with_borrow_mut(|trap| *trap = Trap::default());
}

/// The process dies at the write of this place.
pub(crate) fn kill_at(place: usize, part: Part) {
    TRAP.with_borrow_mut(|trap| trap.kill = Some((place, part)));
}

/// The disk is full from now on, or has room again.
pub(crate) fn set_full(full: bool) {
    TRAP.with_borrow_mut(|trap| trap.full = full);
}

/// The files that were written, in order.
pub(crate) fn writes() -> Vec<String> {
    TRAP.with_borrow(|trap| trap.writes.clone())
}

/// Something is to be appended.
pub(super) fn append(file: &mut File, name: &str, bytes: &[u8]) -> io::Result<()> {
    spring(name, |part| drop(file.write_all(&bytes[..part.of(bytes)])))
}

/// A file is to be replaced; `hidden` is written first.
pub(super) fn replace(hidden: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = hidden.file_stem().unwrap_or_default().to_string_lossy();
    spring(&name, |part| {
        if part != Part::Nothing {
            drop(std::fs::write(hidden, &bytes[..part.of(bytes)]));
        }
    })
}

fn spring(name: &str, write: impl FnOnce(Part)) -> io::Result<()> {
    let (kill, full) = TRAP.with_borrow_mut(|trap| {
        trap.writes.push(name.to_owned());
        let place = trap.writes.len() - 1;
        let due = trap.kill.filter(|(at, _)| *at == place);
        (due.map(|(_, part)| part), trap.full)
    });
    if let Some(part) = kill {
        write(part);
        std::panic::resume_unwind(Box::new(Killed));
    }
    match full {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    }
}

impl Part {
    fn of(self, bytes: &[u8]) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Half => bytes.len() / 2,
            Self::All => bytes.len(),
        }
    }
}
