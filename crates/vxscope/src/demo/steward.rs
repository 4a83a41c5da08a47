//! Dynamic mirroring on the scale of a demonstration: an hour is a few seconds.

use std::time::Duration;

use vxscope_control::simulated::Faults;
use vxscope_engine::{Mirrors, Orders, Stewardship};
use vxscope_policy::Importance;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Mode, Rules, Terms};
use vxscope_steward::EmbeddedSetup;
use vxscope_units::{EvidenceClass, Grade};

use crate::failure::Failure;

/// b, instead of one to four hours.
pub(super) const BLIND_MAX: Duration = Duration::from_secs(5);
/// a, instead of an hour.
pub(super) const ON_MIN: Duration = Duration::from_secs(2);

/// Who looks after the mirrors of the demonstration.
pub(super) fn stewardship(mirrors: Mirrors) -> Result<Stewardship, Failure> {
    // A session is paid by the second here, and a second costs what an hour does, so that seconds
    // save something; and so do bytes, at what a Network Load Balancer asks for them.
    let scaled = "billing = ['second']\n[region.us-east-1]\nsession_hour = \"54\"\n\
                  same_az = \"21.6\"\n";
    let prices = PriceTable::published().and_then(|table| table.with(scaled));
    let wrong = |problems: Vec<String>| Failure::Failed(problems.join("; "));
    let setup = EmbeddedSetup {
        rules: rules(),
        prices: prices.map_err(wrong)?,
        faults: Faults {
            lag: (Duration::ZERO, Duration::from_millis(300)),
            ..Faults::default()
        },
        describe_every: Duration::from_millis(500),
        learn: Duration::from_secs(2),
        seed: 7,
    };
    Ok(Stewardship {
        setup,
        mirrors,
        orders: Orders::default(),
        text: String::new(),
    })
}

fn rules() -> Rules {
    let mut rules = Rules {
        mode: Mode::Dynamic,
        ..Rules::default()
    };
    rules.terms[Importance::Standard.index()] = Terms {
        floor: Grade::Off,
        allow_off: true,
        blind_max: [BLIND_MAX; EvidenceClass::COUNT],
        on_min: ON_MIN,
        // Seconds of watching cannot show what days do; the rule is the same.
        tolerance: 10.0,
        ..Terms::of(Importance::Standard)
    };
    let limits = &mut rules.limits;
    limits.cycle = Duration::from_secs(1);
    limits.new_pin = Duration::from_secs(3);
    limits.baseline_pin = Duration::from_secs(3);
    limits.alert_pin = Duration::from_secs(10);
    // The least that is not shown as nothing.
    limits.saving_min = 0.000_1;
    limits.refusal = 0.0;
    rules
}
