//! What the command line of a bench asks for.

use std::env;
use std::io;

/// Rows whose names contain words, how often, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    words: Vec<String>,
    /// Small and once: shows that it works, measures nothing.
    pub quick: bool,
    /// Rounds that count.
    pub rounds: usize,
}

impl Request {
    /// Of this process: words, `--quick` (also `--test`), `--rounds N`. Other flags are `cargo`'s.
    ///
    /// # Errors
    /// `--rounds` without a number above 0.
    pub fn from_command_line(usual_rounds: usize) -> io::Result<Self> {
        Self::from_arguments(env::args().skip(1), usual_rounds)
    }

    fn from_arguments(
        mut arguments: impl Iterator<Item = String>,
        usual_rounds: usize,
    ) -> io::Result<Self> {
        let (mut words, mut quick, mut rounds) = (Vec::new(), false, None);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" | "--test" => quick = true,
                "--rounds" => rounds = Some(number(arguments.next().as_deref())?),
                flag if flag.starts_with("--") => {}
                _ => words.push(argument),
            }
        }
        let rounds = rounds.unwrap_or(if quick { 1 } else { usual_rounds });
        Ok(Self {
            words,
            quick,
            rounds,
        })
    }

    /// Whether a name contains each of the words.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.words.iter().all(|word| name.contains(word.as_str()))
    }

    /// The verdict on a goal, if this run says anything about one.
    #[must_use]
    pub fn judged(&self, verdict: String) -> String {
        if self.quick { String::new() } else { verdict }
    }

    /// Whether this word is there; it is no longer looked for in names then.
    pub fn take_word(&mut self, word: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|it| it != word);
        self.words.len() < before
    }
}

fn number(argument: Option<&str>) -> io::Result<usize> {
    let number = argument.and_then(|it| it.parse().ok()).filter(|it| *it > 0);
    number.ok_or_else(|| io::Error::other("--rounds takes a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::Request;

    fn request(line: &str) -> Option<Request> {
        Request::from_arguments(line.split_whitespace().map(str::to_owned), 5).ok()
    }

    #[test]
    fn a_line_says_what_is_measured_and_how_often() {
        for (line, quick, rounds) in [
            ("--bench", false, 5),
            ("--test", true, 1),
            ("--quick --rounds 3", true, 3),
            ("64 --rounds 7 k", false, 7),
        ] {
            let request = request(line).unwrap();
            assert_eq!((request.quick, request.rounds), (quick, rounds), "{line}");
        }
        for line in ["--rounds", "--rounds no", "--rounds 0"] {
            assert_eq!(request(line), None, "{line}");
        }
    }

    #[test]
    fn words_choose_rows() {
        let mut request = request("look-back IMIX 100").unwrap();
        assert!(!request.wants("IMIX, 100 k flows"));
        assert!(request.take_word("look-back") && !request.take_word("look-back"));
        assert!(request.wants("IMIX, 100 k flows") && !request.wants("IMIX, 1 k flows"));
    }
}
