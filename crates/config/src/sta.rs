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
    /// All of it, as it was.
    whole: Map<String, Value>,
}

const AUTOMATIONS: &str = "automations";
const HANDLER: &str = "vpc-mirroring-auto-handler";
const MODE: &str = "mirror_handling_mode";

impl Default for StaConf {
    /// As an empty file says.
    fn default() -> Self {
        Self {
            mode: HandlingMode::Manual,
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
        let mode = mode(&whole, &mut problems);
        if problems.is_empty() {
            Ok(Self { mode, whole })
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
        let mut unknown = others(&self.whole, AUTOMATIONS, "");
        if let Some(automations) = object(&self.whole, AUTOMATIONS) {
            unknown.extend(others(automations, HANDLER, "automations."));
            if let Some(handler) = object(automations, HANDLER) {
                let path = format!("{AUTOMATIONS}.{HANDLER}.");
                unknown.extend(others(handler, MODE, &path));
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

fn mode(whole: &Map<String, Value>, problems: &mut Vec<Problem>) -> HandlingMode {
    let mut path = String::new();
    let mut at = whole;
    for key in [AUTOMATIONS, HANDLER] {
        path.push_str(key);
        match at.get(key) {
            None => return HandlingMode::Manual,
            Some(Value::Object(inner)) => at = inner,
            Some(_) => {
                problems.push(problem(&path, "must be an object"));
                return HandlingMode::Manual;
            }
        }
        path.push('.');
    }
    path.push_str(MODE);
    let Some(value) = at.get(MODE) else {
        return HandlingMode::Manual;
    };
    let known = value
        .as_str()
        .and_then(<HandlingMode as crate::field::Choice>::from_name);
    known.unwrap_or_else(|| {
        let message = format!("{value} is neither \"MANUAL\" nor \"DYNAMIC\"");
        problems.push(problem(&path, &message));
        HandlingMode::Manual
    })
}

fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    map.get(key).and_then(Value::as_object)
}

fn others(map: &Map<String, Value>, known: &str, path: &str) -> Vec<String> {
    let keys = map.keys().filter(|key| *key != known);
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
