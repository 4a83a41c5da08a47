//! What a steward is made from, and how the user's rules become the gate's.

use vxscope_control::guard::{self, Bounds};
use vxscope_control::keeper::Setup;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Rules, Terms};

/// What a steward is made from.
#[derive(Clone, Debug)]
pub struct StewardSetup {
    /// What the user allows.
    pub rules: Rules,
    /// What things cost.
    pub prices: PriceTable,
    /// Of the keeper; its rules are those of [`guard_rules`].
    pub keeper: Setup,
    /// For the policy's draws. Whoever guesses it knows when a source is not watched: in
    /// production it comes from the operating system.
    pub seed: u64,
}

/// What the gate holds a source of these terms to.
#[must_use]
pub fn bounds_of(terms: &Terms) -> Bounds {
    Bounds {
        floor: terms.lowest(),
        blind: terms.blind_max,
        on_time: terms.on_min,
    }
}

/// What the gate holds everybody to. Where the user allows an importance more of its group than
/// another, the gate lets pass what any of them may; the policy obeys the strictest.
#[must_use]
pub fn guard_rules(rules: &Rules) -> guard::Rules {
    let limits = &rules.limits;
    let share = rules.terms.iter().map(|terms| terms.group_lowered_max);
    guard::Rules {
        cycle: limits.cycle,
        cycle_percent: percent(limits.group_change_max),
        group_percent: percent(share.fold(0.0, f64::max)),
        changes_per_day: limits.changes_max,
        pins_max: whole(limits.pins_max * f64::from(limits.sources_max)),
        rate_milli: u64::from(whole(limits.api_rate * 1_000.0)),
        burst: whole(limits.burst),
        sources_max: limits.sources_max,
    }
}

fn percent(share: f64) -> u32 {
    whole(share * 100.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and nothing here is negative"
)]
fn whole(number: f64) -> u32 {
    number.max(0.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_policy::Importance;

    #[test]
    fn the_defaults_of_the_policy_are_those_of_the_gate() {
        let rules = Rules::default();
        let expected = guard::Rules {
            pins_max: 3_277,
            sources_max: 16_384,
            ..guard::Rules::default()
        };
        assert_eq!(guard_rules(&rules), expected);
        let on_time = rules.terms[0].on_min;
        for (importance, bounds) in [
            (Importance::Critical, Bounds::CRITICAL),
            (Importance::Standard, Bounds::STANDARD),
            (Importance::Low, Bounds::LOW),
        ] {
            let expected = Bounds { on_time, ..bounds };
            assert_eq!(bounds_of(&rules.terms[importance.index()]), expected);
        }
    }
}
