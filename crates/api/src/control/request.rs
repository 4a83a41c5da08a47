//! What can be asked on the control socket, and the shape of the answers.

use serde::Deserialize;
use vxscope_report::Oversight;

use crate::command::{Alert, Bind, Command, MirrorOrder};
use crate::look_back::{Extract, LookBackRequest, NewPin, Selection};

/// Longest request, its newline included. A longer one is answered with an error, and the client
/// disconnected: where the next begins is not known.
pub const REQUEST_BYTES_MAX: usize = 8 << 20;

/// From this length on a request is large: only two clients may send one at a time, because it
/// is kept until it is complete.
pub const LARGE_REQUEST_BYTES: usize = 64 << 10;

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// `{"get":…}`: one answer.
    Get(Subject),
    /// `{"get":"mirrors"}`: one answer, which the sensor itself gives.
    Mirrors,
    /// `{"follow":"reports"}`: one line for each report, until somebody hangs up.
    FollowReports,
    /// `{"set":…}`, `{"alert":…}`: something is done, and then answered.
    Set(Command),
    /// `{"extract":…}`, `{"pin":…}`, `{"unpin":…}`, `{"get":"pins"}`: see [`LookBackRequest`].
    LookBack(LookBackRequest),
}

/// What can be got of the latest snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// How the sensor stands.
    Status,
    /// All sources.
    Sources,
    /// Whether its workers work.
    Health,
    /// How dynamic mirroring stands, with every mirror.
    Oversight,
}

/// The word after `get`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Status,
    Sources,
    Health,
    Oversight,
    Mirrors,
    Pins,
}

/// What can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    Reports,
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Setting {
    BindTable,
    Mirrors,
    Oversight,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    get: Option<Wanted>,
    follow: Option<Stream>,
    set: Option<Setting>,
    sources: Option<Vec<Bind>>,
    order: Option<MirrorOrder>,
    oversight: Option<Box<Oversight>>,
    alert: Option<Alert>,
    extract: Option<Selection>,
    pin: Option<Selection>,
    unpin: Option<u32>,
    /// Of an extraction.
    format: Option<String>,
    /// Of a pin.
    seconds: Option<u64>,
    /// Of an extraction or a pin.
    reason: Option<String>,
}

const NO_REQUEST: &str = "not a request: write one of {\"get\":\"status\"}, \
    {\"get\":\"sources\"}, {\"get\":\"health\"}, {\"follow\":\"reports\"}, \
    {\"set\":\"bind_table\",\"sources\":[{\"address\":…}]}, \
    {\"get\":\"mirrors\"}, {\"set\":\"mirrors\",\"order\":\"hold\"}, \
    {\"set\":\"oversight\",\"oversight\":{…}}, \
    {\"alert\":{\"address\":…,\"vni\":…}}, {\"extract\":{\"flow_id\":…}}, \
    {\"pin\":{\"flow_id\":…}}, {\"unpin\":…}, {\"get\":\"pins\"}";

impl Request {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        // An array would be taken as the fields in their order.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(NO_REQUEST.to_owned());
        }
        let written: Written =
            serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))?;
        let Written {
            get,
            follow,
            set,
            sources,
            order,
            oversight,
            alert,
            extract,
            pin,
            unpin,
            format,
            seconds,
            reason,
        } = written;
        let look_back = match (extract, pin, unpin, format, seconds) {
            (Some(selection), None, None, format, None) => {
                Some(LookBackRequest::Extract(Extract {
                    selection,
                    format,
                    reason: reason.unwrap_or_default(),
                    merge: false,
                }))
            }
            (None, Some(selection), None, None, seconds) => Some(LookBackRequest::Pin(NewPin {
                selection,
                seconds,
                reason: reason.unwrap_or_default(),
            })),
            (None, None, Some(pin), None, None) if reason.is_none() => {
                Some(LookBackRequest::Unpin(pin))
            }
            (None, None, None, None, None) if reason.is_none() => None,
            _ => return Err(NO_REQUEST.to_owned()),
        };
        let alone = [
            get.is_some(),
            follow.is_some(),
            set.is_some() || sources.is_some() || order.is_some() || oversight.is_some(),
            alert.is_some(),
            look_back.is_some(),
        ];
        if alone.iter().filter(|it| **it).count() != 1 {
            return Err(NO_REQUEST.to_owned());
        }
        if let Some(look_back) = look_back {
            return Ok(Self::LookBack(look_back));
        }
        if let Some(alert) = alert {
            return Ok(Self::Set(Command::Alert(alert)));
        }
        if let Some(oversight) = oversight {
            return match (set, sources, order) {
                (Some(Setting::Oversight), None, None) => {
                    Ok(Self::Set(Command::Oversight(oversight)))
                }
                _ => Err(NO_REQUEST.to_owned()),
            };
        }
        match (get, follow, set, sources, order) {
            (Some(wanted), None, None, None, None) => Ok(match wanted {
                Wanted::Status => Self::Get(Subject::Status),
                Wanted::Sources => Self::Get(Subject::Sources),
                Wanted::Oversight => Self::Get(Subject::Oversight),
                Wanted::Health => Self::Get(Subject::Health),
                Wanted::Mirrors => Self::Mirrors,
                Wanted::Pins => Self::LookBack(LookBackRequest::Pins),
            }),
            (None, Some(Stream::Reports), None, None, None) => Ok(Self::FollowReports),
            (None, None, Some(Setting::BindTable), Some(sources), None) => {
                Ok(Self::Set(Command::BindTable(sources)))
            }
            (None, None, Some(Setting::Mirrors), None, Some(order)) => {
                Ok(Self::Set(Command::Mirrors(order)))
            }
            _ => Err(NO_REQUEST.to_owned()),
        }
    }
}

/// `{"error":{"message":…}}` as a line.
pub(super) fn error(message: &str) -> Vec<u8> {
    let answer = serde_json::json!({"error": {"message": message}});
    format!("{answer}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{MirrorMode, Severity};

    #[test]
    fn requests_are_understood() {
        check(r#"{"get":"status"}"#, Ok(Request::Get(Subject::Status)));
        check(
            r#" { "get" : "sources" } "#,
            Ok(Request::Get(Subject::Sources)),
        );
        check(r#"{"follow":"reports"}"#, Ok(Request::FollowReports));
        check(
            r#"{"set":"bind_table","sources":[{"address":"10.0.0.0/8","vni":7}]}"#,
            Ok(Request::Set(Command::BindTable(vec![Bind {
                address: "10.0.0.0/8".to_owned(),
                vni: Some(7),
                ..Bind::default()
            }]))),
        );
    }

    #[test]
    fn orders_about_mirrors_are_understood() {
        let set = |order| Ok(Request::Set(Command::Mirrors(order)));
        check(
            r#"{"set":"mirrors","order":"hold"}"#,
            set(MirrorOrder::Hold),
        );
        check(
            r#"{"set":"mirrors","order":"resume_all"}"#,
            set(MirrorOrder::ResumeAll),
        );
        check(
            r#"{"set":"mirrors","order":{"pin":{"address":"10.0.0.7","vni":3,"seconds":60}}}"#,
            set(MirrorOrder::Pin {
                address: "10.0.0.7".parse().unwrap(),
                vni: 3,
                seconds: Some(60),
            }),
        );
        check(
            r#"{"set":"mirrors","order":{"mode":"configured"}}"#,
            set(MirrorOrder::Mode(MirrorMode::Configured)),
        );
        check(r#"{"get":"mirrors"}"#, Ok(Request::Mirrors));
        check(r#"{"set":"mirrors"}"#, Err("write one of"));
        check(r#"{"set":"mirrors","order":"off"}"#, Err("unknown variant"));
    }

    #[test]
    fn how_mirrors_stand_can_be_told() {
        let told = Oversight {
            mode: "dynamic".to_owned(),
            ..Oversight::default()
        };
        let line = serde_json::json!({"set": "oversight", "oversight": told}).to_string();
        check(&line, Ok(Request::Set(Command::Oversight(Box::new(told)))));
        check(r#"{"set":"oversight"}"#, Err("write one of"));
        let wrong = line.replace(r#""set":"oversight""#, r#""set":"mirrors""#);
        check(&wrong, Err("write one of"));
        check(
            r#"{"set":"oversight","oversight":{"mode":"dynamic"}}"#,
            Err("missing field"),
        );
    }

    #[test]
    fn alerts_are_understood() {
        let alert = Alert {
            address: "10.0.0.7".parse().unwrap(),
            vni: 3,
            severity: Severity::Severe,
            reason: "ET SCAN".to_owned(),
            peer: Some("203.0.113.9".parse().unwrap()),
        };
        check(
            r#"{"alert":{"address":"10.0.0.7","vni":3,"severity":"severe","reason":"ET SCAN","peer":"203.0.113.9"}}"#,
            Ok(Request::Set(Command::Alert(alert.clone()))),
        );
        let short = Alert {
            severity: Severity::Normal,
            reason: String::new(),
            peer: None,
            ..alert
        };
        check(
            r#"{"alert":{"address":"10.0.0.7","vni":3}}"#,
            Ok(Request::Set(Command::Alert(short))),
        );
        let two = r#"{"get":"status","alert":{"address":"10.0.0.7","vni":3}}"#;
        check(two, Err("write one of"));
        check(
            r#"{"alert":{"address":"10.0.0.7"}}"#,
            Err("missing field `vni`"),
        );
    }

    #[test]
    fn packets_of_the_past_can_be_asked_for() {
        let look_back = |request| Ok(Request::LookBack(request));
        let selection = Selection {
            flow_id: Some(7),
            ..Selection::default()
        };
        check(
            r#"{"extract":{"flow_id":7},"format":"pcapng","reason":"case 5"}"#,
            look_back(LookBackRequest::Extract(Extract {
                selection: selection.clone(),
                format: Some("pcapng".to_owned()),
                reason: "case 5".to_owned(),
                merge: false,
            })),
        );
        check(
            r#"{"pin":{"flow_id":7},"seconds":60}"#,
            look_back(LookBackRequest::Pin(NewPin {
                selection,
                seconds: Some(60),
                reason: String::new(),
            })),
        );
        check(r#"{"unpin":3}"#, look_back(LookBackRequest::Unpin(3)));
        check(r#"{"get":"pins"}"#, look_back(LookBackRequest::Pins));
        check(r#"{"extract":{"flow":7}}"#, Err("unknown field `flow`"));
        check(r#"{"extract":{},"seconds":1}"#, Err("write one of"));
        check(r#"{"unpin":3,"reason":"x"}"#, Err("write one of"));
        check(r#"{"get":"status","reason":"x"}"#, Err("write one of"));
        check(r#"{"pin":{},"get":"status"}"#, Err("write one of"));
    }

    #[test]
    fn anything_else_is_answered_with_what_is_wrong() {
        check("", Err("write one of"));
        check("status", Err("write one of"));
        check("{", Err("EOF while parsing"));
        check("{}", Err("write one of"));
        check("[]", Err("write one of"));
        check(r#"{"set":"bind_table"}"#, Err("write one of"));
        check(
            r#"{"set":"bind_table","sources":[{"vni":7}]}"#,
            Err("missing field `address`"),
        );
        check(r#"{"get":"packets"}"#, Err("unknown variant `packets`"));
        check(r#"{"got":"status"}"#, Err("unknown field `got`"));
        check(
            r#"{"get":"status","follow":"reports"}"#,
            Err("write one of"),
        );
        check(&format!("{{\"get\":{}", "[".repeat(9_999)), Err("expected"));
        check("{\"get\":\"\u{0}\"}", Err("control character"));
    }

    #[test]
    fn an_error_is_one_line_whatever_it_says() {
        let line = error("a \"quoted\"\nline");
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let answer: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(answer["error"]["message"], "a \"quoted\"\nline");
    }

    fn check(line: &str, expected: Result<Request, &str>) {
        match (Request::parse(line.as_bytes()), expected) {
            (Ok(request), Ok(expected)) => assert_eq!(request, expected, "{line}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{line}: {message}"),
            (found, _) => panic!("{line}: {found:?}"),
        }
    }
}
