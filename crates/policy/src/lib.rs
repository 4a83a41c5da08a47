//! Dynamic mirroring, decided: which source's mirror is worth its price right now.
//!
//! Pure: reports, rules and the time are arguments, wishes with their reasons are results. The only
//! randomness is a generator that the caller seeds, in production from the operating system. What
//! becomes of a wish is not known here: an independent gate may refuse it, and the caller tells
//! what is really so.
//!
//! ```
//! use std::net::IpAddr;
//! use vxscope_policy::money::{Ledger, Path, PriceTable};
//! use vxscope_policy::rules::{RawRules, SourceFacts};
//! use vxscope_policy::{Bytes, Event, Observation, Policy, SensorKey, Wish};
//! use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};
//!
//! let raw: RawRules = toml::from_str("mode = 'dynamic'").unwrap();
//! let mut policy = Policy::new(raw.check().unwrap(), 7);
//! let mut ledger = Ledger::new(PriceTable::published().unwrap());
//! let mirror = MirrorSource { address: IpAddr::from([10, 0, 0, 7]), vni: Vni::ZERO };
//! let start = Timestamp::new(1_800_000_000, 0);
//! let source = policy.enroll(&SourceFacts::bare(mirror), Grade::Full, start).unwrap();
//! ledger.enroll(source, "us-east-1", Path::SameAz, start);
//!
//! // Each tick: what the sensor received without loss, and what each source showed.
//! let end = start.plus_nanos(60_000_000_000);
//! policy.handle_tick(SensorKey::default(), start, end, true);
//! let bytes = Bytes { other: 4_000, ..Bytes::default() };
//! let seen = Observation { packets: 9, bytes, egress_bytes: 4_000, ..Observation::default() };
//! policy.observe(source, &seen);
//! policy.handle_event(Event::Alert { source, severe: true }, end);
//!
//! let mut wishes = Vec::new();
//! policy.decide(end, &ledger, &mut |wish: &Wish| wishes.push(*wish));
//! assert!(wishes.is_empty(), "new sources stay full");
//! assert_eq!(policy.planned(source), Some(Grade::Full));
//! ```

mod admission;
mod agenda;
pub mod bound;
mod decide;
mod decision;
mod edges;
mod event;
mod evidence;
mod group;
mod honesty;
mod importance;
mod intake;
mod judge;
pub mod money;
mod observation;
pub mod poisson;
mod policy;
mod relevance;
mod residual;
mod review;
pub mod rules;
mod seeded;
mod sensor;
mod shadow;
mod source;
pub mod strategy;
mod wake;
mod watch;
mod window;
mod wish;

pub use decision::{Decision, Figures, SCHEMA};
pub use event::Event;
pub use evidence::{Evidence, KeptEdge};
pub use honesty::{Honesty, Unseen};
pub use importance::Importance;
pub use intake::{Intake, IntakeCounts, Observer, SENSORS_MAX};
pub use money::Usd;
pub use observation::{Bytes, Observation, Sighted, class_of};
pub use policy::{Counts, Policy};
pub use sensor::SensorKey;
pub use shadow::{ALERTS_KEPT, Missed, MissedAlert, Shadow};
pub use window::Cells;
pub use wish::{Cause, Decisions, Hindrance, Kept, Numbers, SourceKey, Wish};
