//! The parameters of a request: each is known, there once, and of the right kind, or the request
//! is refused.

use std::borrow::Cow;
use std::str::FromStr;

/// Most parameters of a request.
const PARAMETERS_MAX: usize = 16;

/// What stands after the `?`.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads it; only these names may occur.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(super) fn parse(text: Option<&'a str>, known: &[&str]) -> Result<Self, String> {
        let mut query = Self::default();
        for pair in text.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&&*name) {
                let known = match known {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                };
                return Err(format!("{name:?}: no such parameter; there are: {known}"));
            }
            if query.0.iter().any(|(there, _)| *there == name) {
                return Err(format!("{name}: given twice"));
            }
            if query.0.len() == PARAMETERS_MAX {
                return Err("too many parameters".to_owned());
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    /// The text of a parameter, if it is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(there, _)| there == name);
        found.map(|(_, value)| &**value).filter(|it| !it.is_empty())
    }

    /// A parameter of some kind, if it is there.
    ///
    /// # Errors
    /// It is not of that kind.
    pub(super) fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let found = self.0.iter().find(|(there, _)| there == name);
        let read = |value: &str| {
            let wrong = || format!("{name}={value:?}: not what {name} takes");
            value.parse().map_err(|_| wrong())
        };
        found.map(|(_, value)| read(value)).transpose()
    }

    /// How many are wanted: from 1 to `most`.
    ///
    /// # Errors
    /// It is not such a number.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize, String> {
        let limit = self.get("limit")?.unwrap_or(usual);
        match limit {
            1.. if limit <= most => Ok(limit),
            _ => Err(format!("limit={limit}: from 1 to {most}")),
        }
    }

    /// One of these words.
    ///
    /// # Errors
    /// It is another.
    pub(super) fn choice<'c>(
        &self,
        name: &str,
        words: &[&'c str],
    ) -> Result<Option<&'c str>, String> {
        let found = self.0.iter().find(|(there, _)| there == name);
        let Some((_, value)) = found else {
            return Ok(None);
        };
        let word = words.iter().find(|word| **word == *value);
        let wrong = || format!("{name}={value:?}: one of {}", words.join(", "));
        word.copied().map(Some).ok_or_else(wrong)
    }
}

/// Percent signs and pluses undone (the URL standard's `application/x-www-form-urlencoded`).
fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains(['%', '+']) {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next(), rest.next()];
                let [Some(high), Some(low)] = digits.map(|digit| digit.and_then(nibble)) else {
                    return Err("a % is not followed by two hexadecimal digits".to_owned());
                };
                bytes.push(high << 4 | low);
            }
            other => bytes.push(other),
        }
    }
    let decoded = String::from_utf8(bytes);
    decoded
        .map(Cow::Owned)
        .map_err(|_| "a parameter is not UTF-8".to_owned())
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_typed() {
        let query = Query::parse(Some("a=10.0.0.5+443%20tcp&n=7&e="), &["a", "n", "e"]).unwrap();
        assert_eq!(query.text("a"), Some("10.0.0.5 443 tcp"));
        assert_eq!(query.get::<u64>("n"), Ok(Some(7)));
        assert_eq!(query.text("e"), None);
        assert_eq!(query.get::<u64>("missing"), Ok(None));
        assert!(query.get::<u64>("a").is_err());
        assert_eq!(query.limit(50, 100), Ok(50));
        assert_eq!(query.choice("n", &["7", "8"]), Ok(Some("7")));
        assert!(query.choice("n", &["8"]).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["b=1", "a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Query::parse(Some(text), &["a"]).is_err(), "{text}");
        }
        for limit in ["limit=0", "limit=101", "limit=-1", "limit=x", "limit="] {
            let query = Query::parse(Some(limit), &["limit"]).unwrap();
            assert!(query.limit(50, 100).is_err(), "{limit}");
        }
        assert!(Query::parse(None, &[]).is_ok());
    }
}
