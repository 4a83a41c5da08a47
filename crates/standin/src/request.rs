//! A call: the form that a client sent.

use std::collections::BTreeMap;

use crate::answer::Refusal;

/// Fields by name, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) fields: BTreeMap<String, String>,
}

/// Fields that say how a call is made, not what it asks for.
const ENVELOPE: [&str; 4] = ["Action", "Version", "ClientToken", "DryRun"];

impl Request {
    /// From `a=b&c=d`.
    pub(crate) fn parse(body: &str) -> Self {
        let fields = body.split('&').filter(|pair| !pair.is_empty());
        let fields = fields.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self {
            fields: fields.collect(),
        }
    }

    pub(crate) fn action(&self) -> &str {
        self.text("Action").unwrap_or_default()
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.text("DryRun") == Some("true")
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number in a range, if it is there.
    pub(crate) fn number(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse::<i64>().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| Refusal::value(name, text))
    }

    /// `Name.1`, `Name.2` …
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        (1..)
            .map_while(|at| self.text(&format!("{name}.{at}")))
            .collect()
    }

    /// `Filter.1.Name`, `Filter.1.Value.1` …
    pub(crate) fn filters(&self) -> Vec<(&str, Vec<&str>)> {
        let names = (1..).map_while(|at| {
            let name = self.text(&format!("Filter.{at}.Name"))?;
            Some((name, self.list(&format!("Filter.{at}.Value"))))
        });
        names.collect()
    }

    /// `PREFIX.1.Key`, `PREFIX.1.Value` …
    pub(crate) fn pairs(&self, prefix: &str) -> BTreeMap<String, String> {
        let pairs = (1..).map_while(|at| {
            let key = self.text(&format!("{prefix}.{at}.Key"))?;
            let value = self.text(&format!("{prefix}.{at}.Value"));
            Some((key.to_owned(), value.unwrap_or_default().to_owned()))
        });
        pairs.collect()
    }

    /// Tags to be set at creation, of things of one kind only.
    pub(crate) fn tags(&self, kind: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let mut tags = BTreeMap::new();
        for at in 1.. {
            let prefix = format!("TagSpecification.{at}");
            let Some(found) = self.text(&format!("{prefix}.ResourceType")) else {
                break;
            };
            if found != kind {
                return Err(Refusal::new(
                    "InvalidParameterValue",
                    format!("'{found}' is not a valid taggable resource type for this operation."),
                ));
            }
            tags.extend(self.pairs(&format!("{prefix}.Tag")));
        }
        check_tags(&tags)?;
        Ok(tags)
    }

    /// What it asks for, to compare with another of the same token.
    pub(crate) fn substance(&self) -> String {
        let fields = self
            .fields
            .iter()
            .filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
        fields
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }
}

/// EC2's limits of tags.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.len() > 50 {
        return Err(Refusal::new(
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ));
    }
    for (key, value) in tags {
        let is_ours = key.to_ascii_lowercase().starts_with("aws:");
        if key.is_empty() || key.chars().count() > 127 || is_ours {
            return Err(Refusal::value("Tag.Key", key));
        }
        if value.chars().count() > 255 {
            return Err(Refusal::value("Tag.Value", value));
        }
    }
    Ok(())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair: Vec<u8> = rest.by_ref().take(2).collect();
                let text = std::str::from_utf8(&pair).unwrap_or_default();
                bytes.extend(u8::from_str_radix(text, 16).ok());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_lists_pairs_and_filters() {
        let request = Request::parse(
            "Action=Do&Filter.1.Name=tag%3Aa&Filter.1.Value.1=x+y&Filter.1.Value.2=z\
             &TagSpecification.1.ResourceType=k&TagSpecification.1.Tag.1.Key=a\
             &TagSpecification.1.Tag.1.Value=%C3%A9&N=7",
        );
        assert_eq!(request.action(), "Do");
        assert_eq!(request.filters(), [("tag:a", vec!["x y", "z"])]);
        assert_eq!(
            request.tags("k").unwrap(),
            [("a".into(), "é".into())].into()
        );
        assert!(request.tags("other").is_err());
        assert_eq!(request.number("N", 1, 7), Ok(Some(7)));
        assert!(request.number("N", 1, 6).is_err());
    }
}
