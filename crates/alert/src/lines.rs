//! Bytes as they come, cut into lines; one that is too long is skipped to its end and told.

use crate::Malformed;

/// Longest line. Suricata's records with payload, packet and bodies are far below; a longer one
/// is counted and skipped.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What has come and is not a line yet: at most [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The rest of a line that was too long is still to come.
    skipping: bool,
}

impl Lines {
    /// Takes bytes, and hands over each line that is complete, without its end.
    pub fn take(&mut self, bytes: &[u8], mut line: impl FnMut(Result<&[u8], Malformed>)) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(at);
            rest = tail.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.pending.len() + head.len() > LINE_BYTES_MAX {
                line(Err(Malformed::TooLong));
            } else if self.pending.is_empty() {
                line(Ok(head));
            } else {
                self.pending.extend_from_slice(head);
                line(Ok(&self.pending));
            }
            self.pending.clear();
        }
        if self.skipping {
            return;
        }
        if self.pending.len() + rest.len() > LINE_BYTES_MAX {
            line(Err(Malformed::TooLong));
            self.pending = Vec::new();
            self.skipping = true;
        } else {
            self.pending.extend_from_slice(rest);
        }
    }

    /// Nothing follows what has come: whether that was the middle of a line, which is forgotten.
    pub fn end(&mut self) -> Result<(), Malformed> {
        let torn = !self.pending.is_empty();
        *self = Self::default();
        if torn { Err(Malformed::Torn) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = b"one\n\ntwo three\nfour";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.take(piece, |line| found.push(line.map(<[u8]>::to_vec)));
            }
            let expected = [&b"one"[..], b"", b"two three"].map(|it| Ok(it.to_vec()));
            assert_eq!(found, expected);
            assert_eq!(lines.end(), Err(Malformed::Torn));
            assert_eq!(lines.end(), Ok(()));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_costs_no_other() {
        let long = [&vec![b'a'; LINE_BYTES_MAX + 1][..], b"\nnext\n"].concat();
        for size in [1 << 16, LINE_BYTES_MAX, long.len()] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in long.chunks(size) {
                lines.take(piece, |line| found.push(line.map(<[u8]>::to_vec)));
                assert!(lines.pending.len() <= LINE_BYTES_MAX);
            }
            assert_eq!(found, [Err(Malformed::TooLong), Ok(b"next".to_vec())]);
        }
    }
}
