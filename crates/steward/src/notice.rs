//! What was decided and what became of it, with reasons: a sentence, and one JSON object each.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use vxscope_control::guard::{Force, Refusal};
use vxscope_policy::{Decision, SCHEMA};
use vxscope_units::{Grade, MirrorSource, Timestamp};

/// What became of something.
#[derive(Clone, Debug, PartialEq)]
pub enum Decided {
    /// The policy wished a grade and the gate let it pass.
    Granted(Box<Decision>),
    /// The policy wished a grade and the gate did not let it pass.
    Refused(Box<Decision>, Refusal),
    /// The policy wished a grade in the shadow, where nothing is done.
    Imagined(Box<Decision>),
    /// The policy thought of lowering a source and did not.
    Kept(Box<Decision>),
    /// The gate brings a source back by itself.
    Forced {
        /// Why.
        force: Force,
        /// How long the first class has been hidden.
        blind: Duration,
    },
    /// A detector named the source, which is kept full.
    Alerted {
        /// Whether for the longer time.
        severe: bool,
        /// Who troubled it, or was troubled by it.
        peer: Option<IpAddr>,
        /// Why, in the detector's words; may be empty.
        reason: Box<str>,
    },
    /// The session has another grade now, because of this.
    Effective(&'static str),
}

/// Why a source has a session at all, as long as nobody was asked to change it.
pub(crate) const ENROLLED: &str = "enrolled";

/// One thing that somebody may want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// Who sends the copies.
    pub mirror: MirrorSource,
    /// The mirrored interface.
    pub interface: String,
    /// The grade before.
    pub from: Grade,
    /// The grade afterwards, or that was wished or considered.
    pub grade: Grade,
    /// What became of it.
    pub decided: Decided,
}

impl Notice {
    /// The word for what became of it.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self.decided {
            Decided::Granted(_) => "granted",
            Decided::Refused(..) => "refused",
            Decided::Imagined(_) => "imagined",
            Decided::Kept(_) => "kept",
            Decided::Forced { .. } => "forced",
            Decided::Alerted { .. } => "alerted",
            Decided::Effective(_) => "effective",
        }
    }

    /// Whether a source is mirrored now and was not before, though nobody was asked to change it.
    /// One whose session somebody removed goes the other way.
    #[must_use]
    pub fn is_enrolment(&self) -> bool {
        self.from == Grade::Off && self.decided == Decided::Effective(ENROLLED)
    }

    /// The reason in one word, by whoever had the last one.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.decided {
            Decided::Granted(one) | Decided::Imagined(one) | Decided::Kept(one) => one.reason,
            Decided::Refused(_, refusal) => refusal.name(),
            Decided::Forced { force, .. } => force.name(),
            Decided::Alerted { .. } => "alert",
            Decided::Effective(reason) => reason,
        }
    }

    /// All of it for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            mirror,
            from,
            grade,
            ..
        } = self;
        match &self.decided {
            Decided::Granted(one) | Decided::Imagined(one) | Decided::Kept(one) => {
                one.sentence.clone()
            }
            Decided::Refused(one, refusal) => {
                format!("{}; refused by the gate: {}", one.sentence, told(*refusal))
            }
            Decided::Forced { force, blind } => {
                let why = of_force(*force);
                let blind = blind.as_secs_f64();
                format!("{mirror} must go from {from} to {grade}: {why} (hidden for {blind:.1} s)")
            }
            Decided::Alerted {
                severe,
                peer,
                reason,
            } => alert_sentence(*mirror, *severe, *peer, reason),
            Decided::Effective(_) if self.is_enrolment() => {
                format!("{mirror} was enrolled: it is mirrored, and its grade is {grade}")
            }
            Decided::Effective(_) => format!("{mirror} went from {from} to {grade}"),
        }
    }

    /// One line of `decisions.ndjson`, without the newline.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let decision = match &self.decided {
            Decided::Granted(one) | Decided::Imagined(one) | Decided::Kept(one) => Some(one),
            Decided::Refused(one, _) => Some(one),
            Decided::Forced { .. } | Decided::Effective(_) | Decided::Alerted { .. } => None,
        };
        let mut line = match decision {
            Some(decision) => json!(decision),
            None => self.plain(),
        };
        if let Value::Object(fields) = &mut line {
            fields.insert("interface".to_owned(), json!(self.interface));
            fields.insert("outcome".to_owned(), json!(self.outcome()));
            fields.insert("sentence".to_owned(), json!(self.sentence()));
            if let Decided::Refused(_, refusal) = &self.decided {
                fields.insert("refusal".to_owned(), json!(refusal.name()));
            }
            if let Decided::Forced { blind, .. } = &self.decided {
                fields.insert("blind_seconds".to_owned(), json!(blind.as_secs_f64()));
            }
            if let Decided::Alerted {
                severe,
                peer,
                reason,
            } = &self.decided
            {
                let alert = json!({"severe": severe, "peer": peer, "reason": reason});
                fields.insert("alert".to_owned(), alert);
            }
        }
        line
    }

    /// The same for everybody: nothing in it says until when a source is lowered.
    #[must_use]
    pub fn to_public_json(&self) -> Value {
        let mut line = self.to_json();
        if let Value::Object(fields) = &mut line {
            fields.remove("until");
            fields.insert("sentence".to_owned(), json!(self.public_sentence()));
        }
        line
    }

    /// The sentence without until when.
    #[must_use]
    pub fn public_sentence(&self) -> String {
        let sentence = self.sentence();
        let ends = match &self.decided {
            Decided::Granted(one) | Decided::Imagined(one) | Decided::Refused(one, _) => {
                one.until.is_some()
            }
            Decided::Kept(_)
            | Decided::Forced { .. }
            | Decided::Effective(_)
            | Decided::Alerted { .. } => false,
        };
        // It stands between the grade and the colon before the reasons; the time itself has
        // colons, but no space after them.
        match (ends, sentence.find(" for "), sentence.find(": ")) {
            (true, Some(from), Some(to)) if from < to => {
                let (head, reasons) = (sentence.get(..from), sentence.get(to..));
                [head.unwrap_or_default(), reasons.unwrap_or_default()].concat()
            }
            (true, ..) => format!("{} goes from {} to {}", self.mirror, self.from, self.grade),
            (false, ..) => sentence,
        }
    }

    /// The fields of a [`Decision`], for what the policy did not decide.
    fn plain(&self) -> Value {
        let lowers = self.grade < self.from;
        json!({
            "schema": SCHEMA,
            "at": self.at.as_nanos() / 1_000,
            "outer_ip": self.mirror.address,
            "vni": self.mirror.vni.get(),
            "action": match self.decided {
                Decided::Alerted { .. } => "keep",
                _ if lowers => "lower",
                _ => "raise",
            },
            "from": self.from.name(),
            "to": self.grade.name(),
            "reason": self.reason(),
        })
    }
}

fn alert_sentence(
    mirror: MirrorSource,
    severe: bool,
    peer: Option<IpAddr>,
    reason: &str,
) -> String {
    let severity = if severe { "a severe alert" } else { "an alert" };
    let peer = peer.map(|peer| format!(", with {peer}"));
    let reason = if reason.is_empty() {
        "no reason given"
    } else {
        reason
    };
    let peer = peer.unwrap_or_default();
    format!("{mirror} stays full: {severity} names it{peer}: {reason}")
}

fn of_force(force: Force) -> &'static str {
    match force {
        Force::Deadline => "its time is over",
        Force::Recalled => "everything is called back",
        Force::Pinned => "it is pinned",
        Force::Floor => "the rules no longer allow the grade",
        Force::Unsafe => "off is not safe without journal and reaper",
        Force::GroupShare => "its group became smaller",
    }
}

fn told(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Unknown => "it is not enrolled",
        Refusal::Held => "all pausing is held",
        Refusal::Pinned => "it is pinned",
        Refusal::Floor => "the grade is below its floor",
        Refusal::Unsafe => "off is not safe without journal and reaper",
        Refusal::Bound => "something would be hidden for longer than it may",
        Refusal::OnTime => "it was not visible for long enough",
        Refusal::GroupShare => "too many of its group are below full",
        Refusal::GroupCycle => "too many of its group were lowered in this cycle",
        Refusal::Changes => "it was changed too often today",
        Refusal::PinBudget => "alerts pin so many sources that pausing has stopped",
        Refusal::Demand => "the API could not keep up with more pauses",
        Refusal::Backlog => "the API could not bring everybody back in time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_policy::{Cause, Importance, Numbers, SourceKey, Wish};
    use vxscope_units::Vni;

    #[test]
    fn nothing_public_says_when_a_pause_ends() {
        let mirror = MirrorSource {
            address: [10, 0, 0, 7].into(),
            vni: Vni::try_new(12).expect("small"),
        };
        let numbers = Numbers {
            events: 2,
            hours: 48.5,
            rate_upper: 0.1,
            blind_max: 4.0,
            ..Numbers::NONE
        };
        for (cause, lasts) in [
            (Cause::Quiet, 7_200),
            (Cause::Quiet, 30),
            (Cause::Manual, 90),
        ] {
            let wish = Wish {
                source: SourceKey::new(3),
                at: Timestamp::new(1_000, 0),
                from: Grade::Full,
                grade: Grade::Off,
                until: Some(Timestamp::new(1_000 + lasts, 0)),
                importance: Importance::Low,
                cause,
                numbers,
            };
            let decision = Box::new(Decision::of_wish(&wish, mirror));
            for decided in [
                Decided::Granted(decision.clone()),
                Decided::Imagined(decision.clone()),
                Decided::Refused(decision.clone(), Refusal::Pinned),
            ] {
                let notice = Notice {
                    at: wish.at,
                    mirror,
                    interface: "eni-1".to_owned(),
                    from: wish.from,
                    grade: wish.grade,
                    decided,
                };
                let (whole, public) = (notice.to_json(), notice.to_public_json());
                assert!(whole["until"].is_u64());
                let text = public.to_string();
                assert!(!text.contains("until"), "{text}");
                assert!(!text.contains(" for "), "{text}");
                let sentence = public["sentence"].as_str().unwrap();
                let start = "10.0.0.7 vni 12 goes from full to off: ";
                assert!(sentence.starts_with(start), "{sentence}");
            }
        }
    }

    #[test]
    fn a_session_that_somebody_removes_is_not_told_as_enrolled() {
        let mut notice = Notice {
            at: Timestamp::ZERO,
            mirror: MirrorSource {
                address: [10, 0, 0, 7].into(),
                vni: Vni::ZERO,
            },
            interface: String::new(),
            from: Grade::Off,
            grade: Grade::Full,
            decided: Decided::Effective(ENROLLED),
        };
        for (from, grade, decided, expected) in [
            (Grade::Off, Grade::Full, ENROLLED, "was enrolled"),
            (Grade::Full, Grade::Off, ENROLLED, "went from full to off"),
            (Grade::Off, Grade::Full, "deadline", "went from off to full"),
        ] {
            (notice.from, notice.grade) = (from, grade);
            notice.decided = Decided::Effective(decided);
            let sentence = notice.sentence();
            assert!(sentence.contains(expected), "{sentence}");
        }
    }
}
