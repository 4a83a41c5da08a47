//! Where a problem is, and what it says.

use std::fmt;

/// Where the text of a problem stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the configuration file; both count from 1, the column in characters.
    Line {
        /// Line of the key or value.
        line: usize,
        /// Column of the key or value.
        column: usize,
    },
    /// In an assignment of the command line, given as it was written.
    Set(String),
    /// Nowhere: the value is the default of a key that was not set.
    Default,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where to look.
    pub place: Place,
    /// Full path of the key, like `flow.flows_max`; empty where the text is not TOML.
    pub key: String,
    /// What was found and what is allowed.
    pub message: String,
}

impl Problem {
    /// The line in the file, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.place {
            Place::Line { line, .. } => Some(line),
            Place::Set(_) | Place::Default => None,
        }
    }
}

/// `line 12: flow.flows_max: …`, on one line whatever the file contains.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { line, .. } => write!(f, "line {line}: ")?,
            Place::Set(text) => write!(f, "--set {}: ", printable(text))?,
            Place::Default => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", printable(&self.key))?;
        }
        f.write_str(&self.message)
    }
}

/// How many characters of somebody's text a message repeats.
const SHOWN_MAX: usize = 60;

/// Text for a terminal: control characters escaped, no longer than [`SHOWN_MAX`].
pub(crate) fn printable(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters
        .by_ref()
        .take(SHOWN_MAX)
        .flat_map(escaped)
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let control = character.is_control();
    let plain = (!control).then_some(character);
    control
        .then(|| character.escape_default())
        .into_iter()
        .flatten()
        .chain(plain)
}

/// Line and column of byte offsets in one text.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    pub(crate) fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // A byte that continues a UTF-8 character is not a character of its own.
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        Place::Line { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Place, Problem, printable};

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let lines = Lines::new("a = 1\nßß = 2\n");
        assert_eq!(lines.place(0), Place::Line { line: 1, column: 1 });
        assert_eq!(lines.place(6), Place::Line { line: 2, column: 1 });
        assert_eq!(lines.place(11), Place::Line { line: 2, column: 4 });
        assert_eq!(lines.place(15), Place::Line { line: 3, column: 1 });
    }

    #[test]
    fn a_message_is_one_line_whatever_the_file_contains() {
        assert_eq!(printable("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(100)).chars().count(), 61);
        let problem = Problem {
            place: Place::Set("a=\n".to_owned()),
            key: "a\n".to_owned(),
            message: "no".to_owned(),
        };
        assert_eq!(problem.to_string(), "--set a=\\n: a\\n: no");
    }
}
