//! What was decided and what became of it, with reasons, as one JSON object each.

use std::time::Duration;

use serde_json::{Map, Value, json};
use vxscope_control::guard::{Force, Refusal};
use vxscope_policy::{Cause, Hindrance, Importance, Numbers};
use vxscope_units::{Grade, MirrorSource, Timestamp};

/// Whose mirror it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who sends the copies.
    pub mirror: MirrorSource,
    /// The mirrored interface.
    pub interface: String,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decided {
    /// The policy wished a grade and the gate let it pass.
    Granted {
        /// Why.
        cause: Cause,
        /// When the policy wants it back at the latest.
        until: Option<Timestamp>,
        /// In numbers.
        numbers: Numbers,
        /// What the source is worth.
        importance: Importance,
    },
    /// The policy wished a grade and the gate did not let it pass.
    Refused {
        /// Why the policy wished it.
        cause: Cause,
        /// Why the gate refused.
        refusal: Refusal,
        /// In numbers.
        numbers: Numbers,
        /// What the source is worth.
        importance: Importance,
    },
    /// The policy thought of lowering it and did not.
    Kept {
        /// Why not.
        hindrance: Hindrance,
        /// In numbers.
        numbers: Numbers,
        /// What the source is worth.
        importance: Importance,
    },
    /// The gate brings it back by itself.
    Forced {
        /// Why.
        force: Force,
        /// How long the first class has been hidden.
        blind: Duration,
    },
    /// The session has another grade now, whatever was wished.
    Effective,
}

/// One thing that somebody may want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// Whose mirror.
    pub subject: Subject,
    /// The grade before.
    pub from: Grade,
    /// The grade afterwards, or that was wished or considered.
    pub grade: Grade,
    /// What became of it.
    pub decided: Decided,
}

impl Notice {
    /// Whether the source's packets are mirrored otherwise from now on.
    #[must_use]
    pub const fn is_effect(&self) -> bool {
        matches!(self.decided, Decided::Effective)
    }

    /// The word for what happened.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.decided {
            Decided::Granted { .. } => "granted",
            Decided::Refused { .. } => "refused",
            Decided::Kept { .. } => "kept",
            Decided::Forced { .. } => "forced",
            Decided::Effective => "effective",
        }
    }

    /// The reason in one word, by whoever had the last one; empty for an effect.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.decided {
            Decided::Granted { cause, .. } => cause.name(),
            Decided::Refused { refusal, .. } => refusal.name(),
            Decided::Kept { hindrance, .. } => hindrance.name(),
            Decided::Forced { force, .. } => force.name(),
            Decided::Effective => "",
        }
    }

    /// One line of `decisions.ndjson`, without the newline.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Subject { mirror, interface } = &self.subject;
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| {
            fields.insert(key.to_owned(), value);
        };
        put("timestamp", json!(self.at.to_string()));
        put("outer_ip", json!(mirror.address));
        put("vni", json!(mirror.vni.get()));
        put("interface", json!(interface));
        put("action", json!(self.action()));
        put("from", json!(self.from.name()));
        put("grade", json!(self.grade.name()));
        if !self.reason().is_empty() {
            put("reason", json!(self.reason()));
        }
        match &self.decided {
            Decided::Granted {
                until,
                numbers,
                importance,
                ..
            } => {
                put("until", json!(until.map(|until| until.to_string())));
                put("importance", json!(importance.name()));
                put("numbers", numbers_json(numbers));
            }
            Decided::Refused {
                cause,
                numbers,
                importance,
                ..
            } => {
                put("wished_for", json!(cause.name()));
                put("importance", json!(importance.name()));
                put("numbers", numbers_json(numbers));
            }
            Decided::Kept {
                numbers,
                importance,
                ..
            } => {
                put("importance", json!(importance.name()));
                put("numbers", numbers_json(numbers));
            }
            Decided::Forced { blind, .. } => put("blind_seconds", json!(blind.as_secs_f64())),
            Decided::Effective => {}
        }
        Value::Object(fields)
    }
}

/// λ_U · b ≤ ε, and what else was weighed. An infinite rate is null.
fn numbers_json(numbers: &Numbers) -> Value {
    json!({
        "events": numbers.events,
        "hours": numbers.hours,
        "rate_upper_per_hour": numbers.rate_upper,
        "blind_max_hours": numbers.blind_max,
        "expected_missed": numbers.rate_upper * numbers.blind_max,
        "tolerance": numbers.tolerance,
        "saving_usd": numbers.saving.dollars(),
        "residual": numbers.residual,
        "refusal_probability": numbers.refusal,
    })
}
