//! A decision as it is written down: one line of `decisions.ndjson`, and a sentence for people.

use std::fmt;

use serde::Serialize;
use vxscope_units::{MirrorSource, Timestamp};

use crate::{Cause, Hindrance, Kept, Numbers, Wish};

/// Version of the format of [`Decision`].
pub const SCHEMA: u32 = 1;

/// What was decided about one source, with its reasons in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When, µs since 1970.
    pub at: u64,
    /// Address of the source.
    pub outer_ip: std::net::IpAddr,
    /// Network identifier of its mirror session.
    pub vni: u32,
    /// `lower`, `raise` or `keep`.
    pub action: &'static str,
    /// The grade before; of a source that is kept, the one that it keeps.
    pub from: &'static str,
    /// The grade after; of a source that is kept, the one that came closest.
    pub to: &'static str,
    /// When a lower grade ends at the latest, µs since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What the source is worth by the rules.
    pub importance: &'static str,
    /// Name of the [`Cause`] or [`Hindrance`].
    pub reason: &'static str,
    /// The numbers, if any played a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Figures>,
    /// All of it as a sentence.
    pub sentence: String,
}

/// The numbers of a decision: [`Numbers`] as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each is the field of `Numbers` of that name")]
pub struct Figures {
    pub events: u32,
    pub hours: f64,
    /// Absent without any hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_upper: Option<f64>,
    pub blind_max_hours: f64,
    /// λ_U · b; absent without any hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_upper: Option<f64>,
    pub tolerance: f64,
    pub saving_usd: f64,
    pub residual: f64,
    pub refusal: f64,
}

impl Figures {
    fn of(numbers: &Numbers) -> Option<Self> {
        if *numbers == Numbers::NONE {
            return None;
        }
        let rate_upper = Some(numbers.rate_upper).filter(|rate| rate.is_finite());
        Some(Self {
            events: numbers.events,
            hours: numbers.hours,
            rate_upper,
            blind_max_hours: numbers.blind_max,
            expected_upper: rate_upper.map(|rate| rate * numbers.blind_max),
            tolerance: numbers.tolerance,
            saving_usd: numbers.saving.dollars(),
            residual: numbers.residual,
            refusal: numbers.refusal,
        })
    }
}

impl Decision {
    /// A wish, as it is written.
    #[must_use]
    pub fn of_wish(wish: &Wish, mirror: MirrorSource) -> Self {
        let sentence = format!("{mirror} {}", Sentence(wish));
        let until = wish.until.map(micros);
        Self {
            action: if wish.lowers() { "lower" } else { "raise" },
            from: wish.from.name(),
            to: wish.grade.name(),
            until,
            importance: wish.importance.name(),
            reason: wish.cause.name(),
            numbers: Figures::of(&wish.numbers),
            ..Self::nothing(wish.at, mirror, sentence)
        }
    }

    /// A source that stays as it is, as that is written.
    #[must_use]
    pub fn of_kept(kept: &Kept, mirror: MirrorSource) -> Self {
        let sentence = format!("{mirror} stays full: {}", KeptSentence(kept));
        Self {
            to: kept.grade.name(),
            importance: kept.importance.name(),
            reason: kept.hindrance.name(),
            numbers: Figures::of(&kept.numbers),
            ..Self::nothing(kept.at, mirror, sentence)
        }
    }

    fn nothing(at: Timestamp, mirror: MirrorSource, sentence: String) -> Self {
        Self {
            schema: SCHEMA,
            at: micros(at),
            outer_ip: mirror.address,
            vni: mirror.vni.get(),
            action: "keep",
            from: "full",
            to: "full",
            until: None,
            importance: "",
            reason: "",
            numbers: None,
            sentence,
        }
    }
}

fn micros(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000
}

/// The sentence of a wish, without its subject.
struct Sentence<'a>(&'a Wish);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wish = self.0;
        write!(f, "goes from {} to {}", wish.from, wish.grade)?;
        if let Some(until) = wish.until {
            let seconds = until.nanos_since(wish.at) / 1_000_000_000;
            match seconds / 60 {
                0 => write!(f, " for {seconds} s, until {until}")?,
                minutes => write!(f, " for {minutes} min, until {until}")?,
            }
        }
        match wish.cause {
            Cause::Quiet => {
                write!(f, ": {}", Evidence(&wish.numbers))?;
                let residual = wish.numbers.residual * 100.0;
                write!(
                    f,
                    "; it saves {}, and others still show {residual:.0} % of its edges",
                    wish.numbers.saving
                )
            }
            cause => write!(f, ": {}", of_cause(cause)),
        }
    }
}

/// The rule of relevance with its numbers.
struct Evidence<'a>(&'a Numbers);

impl fmt::Display for Evidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.0;
        write!(
            f,
            "{} relevant events that nobody else would show in {} comparable hours",
            numbers.events,
            Hours(numbers.hours)
        )?;
        if numbers.rate_upper.is_finite() {
            write!(
                f,
                ", so at most {:.3} an hour (95 %) and {:.2} in {} h",
                numbers.rate_upper,
                numbers.rate_upper * numbers.blind_max,
                Hours(numbers.blind_max)
            )?;
        }
        write!(f, ", where {} is tolerated", numbers.tolerance)
    }
}

/// To six minutes; less than that, as demonstrations have it, to a second.
struct Hours(f64);

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 < 0.1 { 4 } else { 1 };
        write!(f, "{:.digits$}", self.0)
    }
}

fn of_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Quiet => "nothing relevant is expected to be missed",
        Cause::Deadline => "its time below is over",
        Cause::PeerSighting => "another source saw it do something relevant",
        Cause::Alert => "a detector named it",
        Cause::NeverHit => "it used a port that its role should never use",
        Cause::ConfigChanged => "its configuration was changed",
        Cause::CountersMoved => "its own counters moved while it was hidden",
        Cause::Relevant => "it shows too much to be lowered",
        Cause::Residual => "an edge of it would have two hidden ends",
        Cause::Pinned => "somebody pinned it",
        Cause::Rules => "the rules no longer allow the grade",
        Cause::Manual => "mirrors are managed by hand, or the operator asked so",
        Cause::Unplanned => "it is lower than anybody wished",
    }
}

/// Why a source is kept.
struct KeptSentence<'a>(&'a Kept);

impl fmt::Display for KeptSentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = &self.0.numbers;
        match self.0.hindrance {
            Hindrance::Relevant => write!(f, "it shows too much: {}", Evidence(numbers)),
            Hindrance::Hours => write!(f, "too little was watched: {}", Evidence(numbers)),
            Hindrance::Residual => write!(
                f,
                "only {:.0} % of its edges are shown by their other ends",
                numbers.residual * 100.0
            ),
            Hindrance::Saving => {
                write!(f, "going {} would save {}", self.0.grade, numbers.saving)
            }
            Hindrance::Honesty => write!(
                f,
                "refused at random ({:.0} %) to learn what pauses hide; {}",
                numbers.refusal * 100.0,
                Evidence(numbers)
            ),
            other => f.write_str(of_hindrance(other)),
        }
    }
}

fn of_hindrance(hindrance: Hindrance) -> &'static str {
    match hindrance {
        Hindrance::Manual => "mirrors are managed by hand",
        Hindrance::Held => "the operator holds all pauses",
        Hindrance::Floor => "its floor is full",
        Hindrance::Settling => "its last change is not yet done",
        Hindrance::Pinned => "it is new, had an alert, or was pinned by the operator",
        Hindrance::PinBudget => "alerts pin so many sources that pausing has stopped",
        Hindrance::OnTime => "its on-time is not over",
        Hindrance::PaidHour => "the hour that is paid already is not over",
        Hindrance::Unavailable => "its sensor is silent, or lost too much",
        Hindrance::Silent => "nothing came, and nobody has confirmed that nothing was sent",
        Hindrance::OneWay => "only one direction of its traffic is seen",
        Hindrance::Changes => "it was changed too often today",
        Hindrance::GroupShare => "as many of its group are lowered as may be",
        Hindrance::GroupCycle => "as many of its group were lowered in this cycle as may be",
        Hindrance::Admission => "control could not bring everybody back in time",
        Hindrance::Hours => "too little was watched",
        Hindrance::Relevant => "it shows too much",
        Hindrance::Residual => "somebody it speaks with does not show it",
        Hindrance::Saving => "it would not pay",
        Hindrance::Honesty => "refused at random",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Importance, SourceKey, Usd};
    use std::net::IpAddr;
    use vxscope_units::{Grade, Vni};

    fn numbers() -> Numbers {
        Numbers {
            events: 2,
            hours: 48.5,
            rate_upper: 0.1298,
            blind_max: 4.0,
            tolerance: 1.0,
            saving: Usd::from_dollars(0.044),
            residual: 1.0,
            refusal: 0.05,
        }
    }

    fn mirror() -> MirrorSource {
        MirrorSource {
            address: IpAddr::from([10, 0, 0, 7]),
            vni: Vni::try_new(12).expect("small"),
        }
    }

    #[test]
    fn a_wish_explains_itself_in_its_numbers() {
        let wish = Wish {
            source: SourceKey::new(3),
            at: Timestamp::new(1_000, 0),
            from: Grade::Full,
            grade: Grade::Off,
            until: Some(Timestamp::new(1_000 + 7_200, 0)),
            importance: Importance::Low,
            cause: Cause::Quiet,
            numbers: numbers(),
        };
        let decision = Decision::of_wish(&wish, mirror());
        assert_eq!(
            decision.sentence,
            "10.0.0.7 vni 12 goes from full to off for 120 min, until \
             1970-01-01T02:16:40.000000+0000: 2 relevant events that nobody else would show in \
             48.5 comparable hours, so at most 0.130 an hour (95 %) and 0.52 in 4.0 h, where 1 is \
             tolerated; it saves $0.0440, and others still show 100 % of its edges"
        );
        let json = serde_json::to_value(&decision).unwrap();
        assert_eq!(json["action"], "lower");
        assert_eq!(json["reason"], "quiet");
        assert_eq!(json["until"], 8_200_000_000_u64);
        assert_eq!(json["numbers"]["events"], 2);
        assert_eq!(json["numbers"]["saving_usd"], 0.044);
        let expected = json["numbers"]["expected_upper"].as_f64().unwrap();
        assert!((expected - 0.5192).abs() < 1e-9);
    }

    #[test]
    fn a_raise_needs_no_numbers() {
        let wish = Wish {
            source: SourceKey::new(3),
            at: Timestamp::ZERO,
            from: Grade::Off,
            grade: Grade::Full,
            until: None,
            importance: Importance::Low,
            cause: Cause::NeverHit,
            numbers: Numbers::NONE,
        };
        let decision = Decision::of_wish(&wish, mirror());
        assert_eq!(
            decision.sentence,
            "10.0.0.7 vni 12 goes from off to full: it used a port that its role should never use"
        );
        let json = serde_json::to_string(&decision).unwrap();
        assert!(
            !json.contains("numbers") && !json.contains("until"),
            "{json}"
        );
    }

    #[test]
    fn every_hindrance_says_what_stands_in_the_way() {
        for hindrance in Hindrance::ALL {
            let kept = Kept {
                source: SourceKey::new(3),
                at: Timestamp::ZERO,
                grade: Grade::Off,
                importance: Importance::Standard,
                hindrance: *hindrance,
                numbers: numbers(),
            };
            let decision = Decision::of_kept(&kept, mirror());
            let start = "10.0.0.7 vni 12 stays full: ";
            assert!(decision.sentence.len() > start.len() + 10, "{hindrance:?}");
            assert!(decision.sentence.starts_with(start));
        }
    }

    #[test]
    fn a_rate_without_hours_is_left_out_and_not_written_as_infinity() {
        let kept = Kept {
            source: SourceKey::new(3),
            at: Timestamp::ZERO,
            grade: Grade::Off,
            importance: Importance::Standard,
            hindrance: Hindrance::Hours,
            numbers: Numbers {
                hours: 0.0,
                rate_upper: f64::INFINITY,
                ..numbers()
            },
        };
        let json = serde_json::to_string(&Decision::of_kept(&kept, mirror())).unwrap();
        assert!(
            !json.contains("rate_upper") && !json.contains("null"),
            "{json}"
        );
    }
}
