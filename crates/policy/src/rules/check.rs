//! From written rules to valid ones, with every fault at once.

use std::fmt;
use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade};

use super::raw::{RawImportance, RawLimits, RawRules};
use super::{Assign, Cidr, Limits, Mode, Pin, Rules, Selector, Terms};
use crate::Importance;

/// One fault of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct RuleError {
    /// Where, as a path of keys.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Every fault of a policy file; none of it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<RuleError>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

/// Longest time that any rule may name: a policy that hides a source for longer is a mistake.
const MINUTES_MAX: f64 = 14.0 * 24.0 * 60.0;
/// Longest deadline.
const BLIND_MINUTES_MAX: f64 = 24.0 * 60.0;
/// Shortest on-time: for trials, in which pauses last seconds. What a pause costs is in its saving,
/// and how often a source may change in a limit of its own.
const ON_MINUTES_MIN: f64 = 0.1;
/// Parts of a day, at most; see the window of evidence.
pub(crate) const DAY_PARTS_MAX: u32 = 4;

pub(super) fn rules(raw: &RawRules) -> Result<Rules, RuleErrors> {
    let mut check = Check(Vec::new());
    let rules = Rules {
        mode: check.mode(raw.mode.as_deref()),
        terms: [
            check.terms(Importance::Low, &raw.importance.low),
            check.terms(Importance::Standard, &raw.importance.standard),
            check.terms(Importance::Critical, &raw.importance.critical),
        ],
        assigns: (raw.assign.iter().enumerate())
            .filter_map(|(index, one)| {
                let at = format!("assign[{index}]");
                let selector = check.selector(&at, [&one.cidr, &one.tag, &one.group, &one.eni]);
                Some(Assign {
                    importance: check.importance(&at, &one.importance)?,
                    selector: selector?,
                    allow_off: one.allow_off,
                })
            })
            .collect(),
        pins: (raw.pin.iter().enumerate())
            .filter_map(|(index, one)| {
                let at = format!("pin[{index}]");
                let selector = check.selector(&at, [&one.cidr, &one.tag, &one.group, &one.eni]);
                Some(Pin {
                    grade: check.grade(&at, one.grade.as_deref(), Grade::Full),
                    selector: selector?,
                })
            })
            .collect(),
        limits: check.limits(&raw.limits),
    };
    if check.0.is_empty() {
        Ok(rules)
    } else {
        Err(RuleErrors(check.0))
    }
}

/// Collects faults; every method returns a value that lets the others go on.
struct Check(Vec<RuleError>);

impl Check {
    fn fault(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(RuleError {
            key: key.into(),
            message: message.into(),
        });
    }

    fn mode(&mut self, name: Option<&str>) -> Mode {
        let Some(name) = name else {
            return Mode::Manual;
        };
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == name);
        if found.is_none() {
            self.fault(
                "mode",
                format!("{name:?} is none of manual, shadow, dynamic"),
            );
        }
        found.unwrap_or_default()
    }

    fn grade(&mut self, key: &str, name: Option<&str>, default: Grade) -> Grade {
        let Some(name) = name else {
            return default;
        };
        let found = Grade::from_name(name);
        if found.is_none() {
            let all = Grade::ALL.map(Grade::name).join(", ");
            self.fault(key, format!("{name:?} is none of {all}"));
        }
        found.unwrap_or(default)
    }

    fn importance(&mut self, at: &str, name: &str) -> Option<Importance> {
        let found = Importance::from_name(name);
        if found.is_none() {
            let message = format!("{name:?} is none of critical, standard, low");
            self.fault(format!("{at}.importance"), message);
        }
        found
    }

    fn selector(&mut self, at: &str, keys: [&Option<String>; 4]) -> Option<Selector> {
        let mut given = keys.iter().enumerate().filter_map(|(kind, text)| {
            let text = text.as_deref()?;
            Some((kind, text))
        });
        let (Some((kind, text)), None) = (given.next(), given.next()) else {
            self.fault(at, "needs exactly one of cidr, tag, group, eni");
            return None;
        };
        match kind {
            0 => {
                let cidr = Cidr::parse(text);
                if cidr.is_none() {
                    let message =
                        format!("{text:?} is no network such as 10.0.0.0/8, nor an address");
                    self.fault(format!("{at}.cidr"), message);
                }
                cidr.map(Selector::Cidr)
            }
            1 => {
                let Some((key, value)) = text.split_once('=') else {
                    self.fault(format!("{at}.tag"), format!("{text:?} is not key=value"));
                    return None;
                };
                Some(Selector::Tag(key.to_owned(), value.to_owned()))
            }
            2 => Some(match text.split_once('/') {
                Some((role, subnet)) => Selector::Group(role.to_owned(), Some(subnet.to_owned())),
                None => Selector::Group(text.to_owned(), None),
            }),
            _ => Some(Selector::Eni(text.to_owned())),
        }
    }

    /// A number of `low..=high`, or the default.
    fn number(&mut self, key: &str, value: Option<f64>, range: [f64; 2], default: f64) -> f64 {
        let Some(value) = value else {
            return default;
        };
        let [low, high] = range;
        if value >= low && value <= high {
            return value;
        }
        self.fault(key, format!("{value} is not between {low} and {high}"));
        default
    }

    fn minutes(
        &mut self,
        key: &str,
        value: Option<f64>,
        range: [f64; 2],
        default: Duration,
    ) -> Duration {
        match value {
            None => default,
            Some(_) => {
                let minutes = self.number(key, value, range, default.as_secs_f64() / 60.0);
                Duration::from_secs_f64(minutes * 60.0)
            }
        }
    }

    fn terms(&mut self, importance: Importance, raw: &RawImportance) -> Terms {
        let at = format!("importance.{importance}");
        let defaults = Terms::of(importance);
        let mut terms = Terms {
            floor: self.grade(&format!("{at}.floor"), raw.floor.as_deref(), defaults.floor),
            allow_off: raw.allow_off.unwrap_or(defaults.allow_off),
            tolerance: self.number(
                &format!("{at}.tolerance"),
                raw.tolerance,
                [0.0, 10.0],
                defaults.tolerance,
            ),
            on_min: self.minutes(
                &format!("{at}.on_minutes"),
                raw.on_minutes,
                [ON_MINUTES_MIN, BLIND_MINUTES_MAX],
                defaults.on_min,
            ),
            group_lowered_max: self.number(
                &format!("{at}.group_lowered_max"),
                raw.group_lowered_max,
                [0.0, 1.0],
                defaults.group_lowered_max,
            ),
            ..defaults
        };
        let minutes = &raw.blind_minutes;
        for (class, value) in EvidenceClass::ALL.into_iter().zip([
            minutes.payload,
            minutes.flow,
            minutes.management,
            minutes.dns_never,
        ]) {
            let key = format!("{at}.blind_minutes.{class}");
            let blind_max = &mut terms.blind_max[class.index()];
            *blind_max = self.minutes(&key, value, [0.0, BLIND_MINUTES_MAX], *blind_max);
        }
        if importance == Importance::Critical && terms.lowest() < Grade::Full {
            self.fault(at, "critical sources are never lowered: use standard");
        } else if raw.allow_off == Some(false) && terms.floor == Grade::Off {
            // Forbidding off lifts a floor that nobody wrote; one that was written contradicts it.
            if raw.floor.is_some() {
                self.fault(at, "floor is off, but allow_off is false: choose one");
            }
            terms.floor = Grade::Sentinel;
        }
        terms
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        let d = Limits::default();
        let shares = [0.0, 1.0];
        let times = [0.0, MINUTES_MAX];
        let mut share = |key: &str, value, default| {
            self.number(&format!("limits.{key}"), value, shares, default)
        };
        let group_change_max = share("group_change_max", raw.group_change_max, d.group_change_max);
        let demand_max = share("demand_max", raw.demand_max, d.demand_max);
        let refusal = share("refusal", raw.refusal, d.refusal);
        let availability_min = share("availability_min", raw.availability_min, d.availability_min);
        let pins_max = share("pins_max", raw.pins_max, d.pins_max);
        let bulk_max = share("bulk_max", raw.bulk_max, d.bulk_max);
        let hysteresis = share("hysteresis", raw.hysteresis, d.hysteresis);
        let mut time = |key: &str, value, range, default| {
            self.minutes(&format!("limits.{key}"), value, range, default)
        };
        let cycle = time("cycle_minutes", raw.cycle_minutes, [0.1, 1_440.0], d.cycle);
        let resume_within = time(
            "resume_within_minutes",
            raw.resume_within_minutes,
            times,
            d.resume_within,
        );
        let new_pin = time("new_pin_minutes", raw.new_pin_minutes, times, d.new_pin);
        let baseline_pin = time(
            "baseline_pin_minutes",
            raw.baseline_pin_minutes,
            times,
            d.baseline_pin,
        );
        let alert_pin = time(
            "alert_pin_minutes",
            raw.alert_pin_minutes,
            times,
            d.alert_pin,
        );
        let severe_pin = time(
            "severe_pin_minutes",
            raw.severe_pin_minutes,
            times,
            d.severe_pin,
        );
        let day_begins = time(
            "day_begins_minutes",
            raw.day_begins_minutes,
            [0.0, 1_440.0],
            d.day_begins,
        );
        Limits {
            group_change_max,
            cycle,
            demand_max,
            resume_within,
            refusal,
            availability_min,
            new_pin,
            baseline_pin,
            alert_pin,
            severe_pin,
            pins_max,
            bulk_max,
            hysteresis,
            day_begins,
            saving_min: self.number(
                "limits.saving_min",
                raw.saving_min,
                [0.0, 1e3],
                d.saving_min,
            ),
            api_rate: self.number("limits.api_rate", raw.api_rate, [0.0, 1e3], d.api_rate),
            burst: self.number("limits.burst", raw.burst, [0.0, 1e4], d.burst),
            sources_max: self.count("sources_max", raw.sources_max, [1, 1 << 20], d.sources_max),
            changes_max: self.count("changes_max", raw.changes_max, [2, 24], d.changes_max),
            packet_length: self.count(
                "packet_length",
                raw.packet_length,
                [64, 8_500],
                d.packet_length,
            ),
            day_parts: self.count("day_parts", raw.day_parts, [1, DAY_PARTS_MAX], d.day_parts),
        }
    }

    fn count(&mut self, key: &str, value: Option<u32>, range: [u32; 2], default: u32) -> u32 {
        let [low, high] = range;
        let value = value.unwrap_or(default);
        if (low..=high).contains(&value) {
            return value;
        }
        let message = format!("{value} is not between {low} and {high}");
        self.fault(format!("limits.{key}"), message);
        default
    }
}
