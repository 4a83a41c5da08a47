//! Rules as they are written, before anybody has checked them.

use serde::Deserialize;

use super::{RuleErrors, Rules, check};

/// The rules of a policy file. Everything left out has its default; keys that nobody knows are
/// errors.
///
/// ```
/// use vxscope_policy::rules::{Mode, RawRules};
/// let raw: RawRules = serde_json::from_str(r#"{
///     "mode": "dynamic",
///     "importance": {"standard": {"allow_off": true, "blind_minutes": {"payload": 90}}},
///     "assign": [{"importance": "critical", "cidr": "10.0.1.0/24"}]
/// }"#).unwrap();
/// let rules = raw.check().unwrap();
/// assert_eq!(rules.mode, Mode::Dynamic);
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRules {
    /// `manual` (also when absent), `shadow` or `dynamic`.
    pub mode: Option<String>,
    /// What each importance allows.
    pub importance: RawImportances,
    /// Who has which importance; the first that fits holds, the others are standard.
    pub assign: Vec<RawAssign>,
    /// Sources that stay at a grade or above.
    pub pin: Vec<RawPin>,
    /// Limits.
    pub limits: RawLimits,
}

impl RawRules {
    /// The rules, or everything that is wrong with them.
    ///
    /// # Errors
    ///
    /// Every fault, each with its key.
    pub fn check(&self) -> Result<Rules, RuleErrors> {
        check::rules(self)
    }
}

/// What each importance allows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawImportances {
    /// See [`crate::Importance::Critical`].
    pub critical: RawImportance,
    /// See [`crate::Importance::Standard`].
    pub standard: RawImportance,
    /// See [`crate::Importance::Low`].
    pub low: RawImportance,
}

/// What one importance allows; see [`super::Terms`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawImportance {
    /// Name of the lowest grade.
    pub floor: Option<String>,
    /// Whether off is allowed although the floor is higher.
    pub allow_off: Option<bool>,
    /// Longest blind time by class.
    pub blind_minutes: RawMinutes,
    /// Least on-time.
    pub on_minutes: Option<f64>,
    /// ε.
    pub tolerance: Option<f64>,
    /// Share of a group that may be lowered at once.
    pub group_lowered_max: Option<f64>,
}

/// Minutes by class of evidence.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawMinutes {
    /// Whole packets.
    pub payload: Option<f64>,
    /// Flows.
    pub flow: Option<f64>,
    /// Management.
    pub management: Option<f64>,
    /// DNS and never-ports.
    pub dns_never: Option<f64>,
}

/// An assignment; exactly one of the selecting keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAssign {
    /// `critical`, `standard` or `low`.
    pub importance: String,
    /// Whether off is allowed.
    pub allow_off: Option<bool>,
    /// Source addresses.
    pub cidr: Option<String>,
    /// `key=value`.
    pub tag: Option<String>,
    /// `role` or `role/subnet`.
    pub group: Option<String>,
    /// Interface id.
    pub eni: Option<String>,
}

/// A pin; exactly one of the selecting keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPin {
    /// The least grade; full when absent.
    pub grade: Option<String>,
    /// Source addresses.
    pub cidr: Option<String>,
    /// `key=value`.
    pub tag: Option<String>,
    /// `role` or `role/subnet`.
    pub group: Option<String>,
    /// Interface id.
    pub eni: Option<String>,
}

/// Limits; see [`super::Limits`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the field of `Limits` of that name")]
pub struct RawLimits {
    pub sources_max: Option<u32>,
    pub group_change_max: Option<f64>,
    pub cycle_minutes: Option<f64>,
    pub changes_max: Option<u32>,
    pub saving_min: Option<f64>,
    pub api_rate: Option<f64>,
    pub burst: Option<f64>,
    pub demand_max: Option<f64>,
    pub resume_within_minutes: Option<f64>,
    pub refusal: Option<f64>,
    pub availability_min: Option<f64>,
    pub new_pin_minutes: Option<f64>,
    pub baseline_pin_minutes: Option<f64>,
    pub alert_pin_minutes: Option<f64>,
    pub severe_pin_minutes: Option<f64>,
    pub pins_max: Option<f64>,
    pub bulk_max: Option<f64>,
    pub hysteresis: Option<f64>,
    pub packet_length: Option<u32>,
    pub day_parts: Option<u32>,
    pub day_begins_minutes: Option<f64>,
}
