//! The `sta.conf` of Coralogix STA deployments: JSON, of which we read what we know.
//!
//! Whoever comes from there keeps the file. What we do not know is kept and reported, never an
//! error: the file has readers beside us. What we know and cannot read is an error, all at once,
//! and then nothing of the file holds.

use serde_json::{Map, Value};

use crate::field::choice;
use crate::place::{Place, Problem};

choice! {
    /// Who decides about mirrors.
    pub enum HandlingMode {
        /// Nobody but the operator: everything is mirrored in full. Also where nothing is said.
        Manual = "MANUAL",
        /// The policy, within its bounds.
        Dynamic = "DYNAMIC",
    }
}

/// What a `sta.conf` says.
///
/// ```
/// use vxscope_config::{HandlingMode, StaConf};
///
/// let text = r#"{"automations": {"vpc-mirroring-auto-handler": {"mirror_handling_mode": "DYNAMIC"}},
///                "suricata": {}}"#;
/// let conf = StaConf::parse(text).unwrap();
/// assert_eq!(conf.mode, HandlingMode::Dynamic);
/// assert_eq!(conf.unknown(), ["suricata"]);
/// assert_eq!(StaConf::parse("{}").unwrap().mode, HandlingMode::Manual);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StaConf {
    /// `automations.vpc-mirroring-auto-handler.mirror_handling_mode`.
    pub mode: HandlingMode,
    /// `….mirror_filter_tagname`: the tag of an instance whose value names its filter.
    pub tag_key: Option<String>,
    /// `….mirror_filter_indicator_tagname`: the tag of a sensor whose value is that key.
    pub indicator_key: Option<String>,
    /// `….role_tagname`: the tag that says what a machine is for.
    pub role_key: Option<String>,
    /// All of it, as it was.
    whole: Map<String, Value>,
}

const AUTOMATIONS: &str = "automations";
const HANDLER: &str = "vpc-mirroring-auto-handler";
const MODE: &str = "mirror_handling_mode";
const TAG: &str = "mirror_filter_tagname";
const INDICATOR: &str = "mirror_filter_indicator_tagname";
const ROLE: &str = "role_tagname";
/// What we read of the handler.
const KNOWN: [&str; 4] = [MODE, TAG, INDICATOR, ROLE];
/// Characters of a tag's key at most (EC2).
const KEY_MAX: usize = 128;

impl Default for StaConf {
    /// As an empty file says.
    fn default() -> Self {
        Self {
            mode: HandlingMode::Manual,
            tag_key: None,
            indicator_key: None,
            role_key: None,
            whole: Map::new(),
        }
    }
}

impl StaConf {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Every problem: a place where it is not JSON, known keys of another type, unknown modes.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let whole = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(whole)) => whole,
            Ok(_) => return Err(vec![problem("", "must be a JSON object, like {}")]),
            Err(error) => {
                let place = Place::Line {
                    line: error.line().max(1),
                    column: error.column().max(1),
                };
                let message = format!("not JSON: {error}");
                let key = String::new();
                return Err(vec![Problem {
                    place,
                    key,
                    message,
                }]);
            }
        };
        let mut problems = Vec::new();
        let handler = handler(&whole, &mut problems);
        let mode = mode(handler, &mut problems);
        let filter_key = tag_key(handler, TAG, &mut problems);
        let indicator_key = tag_key(handler, INDICATOR, &mut problems);
        let role_key = tag_key(handler, ROLE, &mut problems);
        if problems.is_empty() {
            Ok(Self {
                mode,
                tag_key: filter_key,
                indicator_key,
                role_key,
                whole,
            })
        } else {
            Err(problems)
        }
    }

    /// Takes another text over, whole or not at all. True if it says anything else than before.
    ///
    /// # Errors
    /// As [`Self::parse`]; what was said before holds on.
    pub fn reload(&mut self, text: &str) -> Result<bool, Vec<Problem>> {
        let new = Self::parse(text)?;
        let changed = new != *self;
        *self = new;
        Ok(changed)
    }

    /// Paths of what we do not read, in the order of the file's keys.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        let mut unknown = others(&self.whole, &[AUTOMATIONS], "");
        if let Some(automations) = object(&self.whole, AUTOMATIONS) {
            unknown.extend(others(automations, &[HANDLER], "automations."));
            if let Some(handler) = object(automations, HANDLER) {
                let path = format!("{AUTOMATIONS}.{HANDLER}.");
                unknown.extend(others(handler, &KNOWN, &path));
            }
        }
        unknown
    }

    /// The whole file, with what we do not read.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.whole.clone())
    }
}

/// The object that has our keys, if it is there.
fn handler<'a>(
    whole: &'a Map<String, Value>,
    problems: &mut Vec<Problem>,
) -> Option<&'a Map<String, Value>> {
    let mut path = String::new();
    let mut at = whole;
    for key in [AUTOMATIONS, HANDLER] {
        path.push_str(key);
        match at.get(key)? {
            Value::Object(inner) => at = inner,
            _ => {
                problems.push(problem(&path, "must be an object"));
                return None;
            }
        }
        path.push('.');
    }
    Some(at)
}

fn mode(handler: Option<&Map<String, Value>>, problems: &mut Vec<Problem>) -> HandlingMode {
    let Some(value) = handler.and_then(|handler| handler.get(MODE)) else {
        return HandlingMode::Manual;
    };
    let known = value
        .as_str()
        .and_then(<HandlingMode as crate::field::Choice>::from_name);
    known.unwrap_or_else(|| {
        let message = format!("{value} is neither \"MANUAL\" nor \"DYNAMIC\"");
        problems.push(problem(&path(MODE), &message));
        HandlingMode::Manual
    })
}

/// The key of a tag, or nothing where nothing is said.
fn tag_key(
    handler: Option<&Map<String, Value>>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let value = handler?.get(key)?;
    let text = value.as_str().filter(|text| {
        let length = text.chars().count();
        (1..=KEY_MAX).contains(&length) && !text.starts_with("aws:")
    });
    if text.is_none() {
        let message = format!("{value} is no key of a tag: 1 to {KEY_MAX} characters, not `aws:…`");
        problems.push(problem(&path(key), &message));
    }
    text.map(ToOwned::to_owned)
}

fn path(key: &str) -> String {
    format!("{AUTOMATIONS}.{HANDLER}.{key}")
}

fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    map.get(key).and_then(Value::as_object)
}

fn others(map: &Map<String, Value>, known: &[&str], path: &str) -> Vec<String> {
    let keys = map.keys().filter(|key| !known.contains(&key.as_str()));
    keys.map(|key| format!("{path}{key}")).collect()
}

fn problem(key: &str, message: &str) -> Problem {
    Problem {
        place: Place::Default,
        key: key.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_mode_is_manual() {
        let handler = r#"{"automations": {"vpc-mirroring-auto-handler": {}}}"#;
        for text in ["{}", r#"{"automations": {}}"#, handler] {
            check(text, Ok(HandlingMode::Manual));
        }
    }

    #[test]
    fn both_modes_are_read_as_they_are_written_there() {
        check(&with(r#""DYNAMIC""#), Ok(HandlingMode::Dynamic));
        check(&with(r#""MANUAL""#), Ok(HandlingMode::Manual));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        check("[]", Err("must be a JSON object"));
        check("{\n  \"a\": }", Err("line 2: not JSON"));
        check(
            r#"{"automations": 1}"#,
            Err("automations: must be an object"),
        );
        let path = "automations.vpc-mirroring-auto-handler.mirror_handling_mode: ";
        check(&with("true"), Err(path));
        check(&with(r#""dynamic""#), Err(path));
    }

    #[test]
    fn a_bad_file_leaves_the_old_one() {
        let mut conf = StaConf::parse(&with(r#""DYNAMIC""#)).unwrap();
        let before = conf.clone();
        assert!(conf.reload(&with("7")).is_err());
        assert_eq!(conf, before);
        assert_eq!(conf.reload(&with(r#""DYNAMIC""#)), Ok(false));
        assert_eq!(conf.reload("{}"), Ok(true));
        assert_eq!(conf.mode, HandlingMode::Manual);
    }

    #[test]
    fn unknown_keys_are_kept_and_reported() {
        let text = r#"{"b": 1, "automations": {"x": {}, "vpc-mirroring-auto-handler":
            {"mirror_handling_mode": "DYNAMIC", "y": []}}}"#;
        let conf = StaConf::parse(text).unwrap();
        let expected = [
            "b",
            "automations.x",
            "automations.vpc-mirroring-auto-handler.y",
        ];
        assert_eq!(conf.unknown(), expected);
        let whole: Value = serde_json::from_str(text).unwrap();
        assert_eq!(conf.to_json(), whole);
    }

    #[test]
    fn tags_have_the_names_that_the_file_gives_them() {
        let text = |keys: &str| {
            format!(r#"{{"automations": {{"vpc-mirroring-auto-handler": {{{keys}}}}}}}"#)
        };
        let all = r#""mirror_filter_tagname": "Mirror", "role_tagname": "app",
            "mirror_filter_indicator_tagname": "look-for", "other": 1"#;
        let conf = StaConf::parse(&text(all)).unwrap();
        assert_eq!(conf.tag_key.as_deref(), Some("Mirror"));
        assert_eq!(conf.indicator_key.as_deref(), Some("look-for"));
        assert_eq!(conf.role_key.as_deref(), Some("app"));
        assert_eq!(
            conf.unknown(),
            ["automations.vpc-mirroring-auto-handler.other"]
        );
        for wrong in ["7", "\"\"", "\"aws:name\"", "null"] {
            let keys = format!(r#""mirror_filter_tagname": {wrong}, "role_tagname": []"#);
            let problems = StaConf::parse(&text(&keys)).unwrap_err();
            assert_eq!(problems.len(), 2, "{wrong}");
        }
        assert_eq!(StaConf::default().tag_key, None);
    }

    fn with(mode: &str) -> String {
        format!(
            r#"{{"automations": {{"vpc-mirroring-auto-handler": {{"mirror_handling_mode": {mode}}}}}}}"#
        )
    }

    fn check(text: &str, expected: Result<HandlingMode, &str>) {
        match (StaConf::parse(text), expected) {
            (Ok(conf), Ok(mode)) => assert_eq!(conf.mode, mode, "{text}"),
            (Err(problems), Err(part)) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert!(all.iter().any(|one| one.contains(part)), "{all:?}");
            }
            (other, _) => panic!("{text}: {other:?}"),
        }
    }
}
