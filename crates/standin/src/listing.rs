//! Describe: filters by name, pages, ids that must exist.

use crate::account::Account;
use crate::answer::Refusal;
use crate::request::Request;

/// What a thing says of itself to filters: the values of an attribute; `None` if there is no such
/// attribute.
pub(crate) trait Described {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>>;
}

/// How one action describes things.
pub(crate) struct Listing<'a> {
    /// Of the list of ids in the request.
    pub(crate) ids: &'a str,
    /// The code for an id that does not exist.
    pub(crate) unknown: &'a str,
    /// Filters that there are; a `:` at the end is a prefix.
    pub(crate) filters: &'a [&'a str],
}

/// One page: whatever fits the request, in the order of ids, and where the next begins.
pub(crate) type Page<T> = (Vec<(String, T)>, Option<String>);

impl Listing<'_> {
    pub(crate) fn page<T: Described + Clone>(
        &self,
        account: &Account,
        request: &Request,
        things: Vec<(String, T)>,
    ) -> Result<Page<T>, Refusal> {
        let ids = request.list(self.ids);
        let asked = request.number("MaxResults", 5, 1_000)?;
        if asked.is_some() && !ids.is_empty() {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "The parameter MaxResults cannot be used with a list of IDs.",
            ));
        }
        for id in &ids {
            if !things.iter().any(|(there, _)| there == id) {
                return Err(Refusal::unknown(self.unknown, id));
            }
        }
        let filters = request.filters();
        self.check(&filters)?;
        let after = match request.text("NextToken") {
            None => String::new(),
            Some(token) => token
                .strip_prefix("after:")
                .ok_or_else(|| Refusal::new("InvalidNextToken", "The token is not valid."))?
                .to_owned(),
        };
        let fits = |id: &String, thing: &T| {
            let listed = ids.is_empty() || ids.contains(&id.as_str());
            listed && *id > after && filters.iter().all(|one| matches(id, thing, one))
        };
        let size = usize::try_from(asked.unwrap_or(1_000)).unwrap_or(1_000);
        let size = size.min(account.page_max);
        let mut found: Vec<(String, T)> = things
            .into_iter()
            .filter(|(id, thing)| fits(id, thing))
            .take(size + 1)
            .collect();
        let mut next = None;
        if found.len() > size {
            found.truncate(size);
            next = found.last().map(|(id, _)| format!("after:{id}"));
        }
        Ok((found, next))
    }

    fn check(&self, filters: &[(&str, Vec<&str>)]) -> Result<(), Refusal> {
        for (name, values) in filters {
            let known = self
                .filters
                .iter()
                .any(|known| known == name || (known.ends_with(':') && name.starts_with(known)));
            if !known || values.is_empty() {
                return Err(Refusal::new(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            }
        }
        Ok(())
    }
}

/// Any of the values, each of which may have `*` and `?`.
fn matches<T: Described>(id: &str, thing: &T, (name, values): &(&str, Vec<&str>)) -> bool {
    let there = thing.attribute(id, name).unwrap_or_default();
    there
        .iter()
        .any(|there| values.iter().any(|value| glob(value, there)))
}

fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = &pattern[1..];
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| glob(rest, &text[at..]))
        }
        (Some(wanted), Some(there)) if wanted == '?' || wanted == there => {
            glob(&pattern[wanted.len_utf8()..], &text[there.len_utf8()..])
        }
        _ => false,
    }
}

/// The values of `tag:KEY` and `tag-key`.
pub(crate) fn tag_attribute(
    tags: &std::collections::BTreeMap<String, String>,
    name: &str,
) -> Option<Vec<String>> {
    if name == "tag-key" {
        return Some(tags.keys().cloned().collect());
    }
    let key = name.strip_prefix("tag:")?;
    Some(tags.get(key).cloned().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("vxscope*", "vxscope: x", true),
            ("vxscope*", "other", false),
            ("*end", "the end", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
