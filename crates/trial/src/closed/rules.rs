//! The product's rules for a fleet, and what the gate and the score make of them.

use vxscope_control::guard;
use vxscope_policy::Importance;
use vxscope_policy::rules::{Assign, Limits, Mode, Rules, Selector, Terms};
use vxscope_units::{EvidenceClass, Grade};

use super::Rate;
use crate::bound::{Bound, Bounds, milliseconds};
use crate::fleet::Spec;

/// The default rules, dynamic, with the importance that the fleet's file gives each role.
#[must_use]
pub fn fleet_rules(spec: &Spec, limits: Limits) -> Rules {
    Rules {
        mode: Mode::Dynamic,
        assigns: spec
            .roles
            .iter()
            .map(|role| Assign {
                selector: Selector::Group(role.name.clone(), None),
                importance: Importance::from_name(&role.importance).unwrap_or_default(),
                allow_off: role.allow_off.then_some(true),
            })
            .collect(),
        limits,
        ..Rules::default()
    }
}

/// What rules promise, as the score needs it.
#[must_use]
pub fn bounds_of(rules: &Rules) -> Bounds {
    Bounds {
        of: rules.terms.each_ref().map(|terms| Bound {
            blind: terms.blind_max.map(milliseconds),
            on: milliseconds(terms.on_min),
            always: EvidenceClass::ALL.map(|class| terms.floor.max(Grade::Sentinel).shows(class)),
        }),
        margin: milliseconds(guard::MARGIN),
    }
}

/// What the gate holds a source to.
pub(super) fn guard_bounds(terms: &Terms) -> guard::Bounds {
    guard::Bounds {
        floor: terms.lowest(),
        blind: terms.blind_max,
        on_time: terms.on_min,
    }
}

/// The gate's rules for all sources together.
pub(super) fn guard_rules(rules: &Rules) -> guard::Rules {
    let limits = &rules.limits;
    let share = rules
        .terms
        .iter()
        .map(|terms| terms.group_lowered_max)
        .fold(1.0, f64::min);
    guard::Rules {
        cycle: limits.cycle,
        cycle_percent: whole(100.0 * limits.group_change_max),
        group_percent: whole(100.0 * share),
        changes_per_day: limits.changes_max,
        rate_milli: u64::from(whole(1_000.0 * limits.api_rate)),
        burst: whole(limits.burst),
        sources_max: limits.sources_max,
        ..guard::Rules::default()
    }
}

/// What of the API the rules allow.
pub(super) fn rate(rules: &Rules) -> Rate {
    Rate {
        burst: whole(rules.limits.burst),
        milli: u64::from(whole(1_000.0 * rules.limits.api_rate)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}
