//! Zeek's `history`: what happened, a letter an event.

use std::fmt;

/// Letters a history may have; later ones are left out, so a hostile peer cannot grow it.
pub const HISTORY_MAX: usize = 23;

/// Zeek's `history`: a letter for each kind of event, upper case from the originator.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct History {
    letters: [u8; HISTORY_MAX],
    length: u8,
}

impl History {
    /// Adds an ASCII letter, unless it is full.
    pub fn push(&mut self, letter: u8) {
        debug_assert!(letter.is_ascii_graphic());
        if let Some(free) = self.letters.get_mut(usize::from(self.length)) {
            *free = letter;
            self.length += 1;
        }
    }

    /// The letters, oldest first; empty if there are none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let letters = self
            .letters
            .get(..usize::from(self.length))
            .unwrap_or_default();
        str::from_utf8(letters).unwrap_or_default()
    }

    /// Whether there are no letters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{HISTORY_MAX, History};

    #[test]
    fn keeps_the_first_letters_and_drops_the_rest() {
        let mut history = History::default();
        assert!(history.is_empty());
        for letter in b"ShADadFf".iter().cycle().take(3 * HISTORY_MAX) {
            history.push(*letter);
        }
        assert_eq!(history.as_str(), "ShADadFfShADadFfShADadF");
        assert_eq!(history.to_string().len(), HISTORY_MAX);
    }
}
