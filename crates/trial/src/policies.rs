//! The policies of a trial by name, and how to run one.

use vxscope_policy::rules::Rules;

use crate::closed::{self, Run, Senses, Watch};
use crate::outcome::{self, Outcome};
use crate::world::World;

/// The product's policy.
pub const DYNAMIC: &str = "dynamic";
/// Nothing is ever lowered: what everything is compared with.
pub const ALWAYS_ON: &str = "always-on";

/// Everything that runs in the closed loop: the policy, what it is without one of its senses, and
/// what it does in a storm of alerts.
pub const CLOSED: [&str; 5] = [
    DYNAMIC,
    "without-residual",
    "without-alerts",
    "without-wakeups",
    "alert-storm",
];
/// The baselines that need no budget.
pub const FIXED: [&str; 5] = [
    ALWAYS_ON,
    "always-truncated",
    "always-sentinel",
    "crown-jewels",
    "oracle",
];
/// The baselines that are given what the policy costs.
pub const MATCHED: [&str; 3] = ["stratified-sample", "duty-cycle", "bytes-threshold"];

/// Alerts an hour and source in a storm: enough to use up the pins within hours.
const STORM: f64 = 0.1;

/// What the policy of that name senses; `None` if it is none that runs in the closed loop.
#[must_use]
pub fn senses(name: &str, world: &World) -> Option<Senses> {
    let all = Senses::ALL;
    Some(match name {
        DYNAMIC => all,
        "without-residual" => Senses {
            residual: false,
            ..all
        },
        "without-alerts" => Senses {
            alerts: false,
            ..all
        },
        "without-wakeups" => Senses {
            wakeups: false,
            ..all
        },
        "alert-storm" => Senses {
            storm: STORM * world.fleet.slots.len() as f64,
            ..all
        },
        _ => return None,
    })
}

/// Runs a policy of [`CLOSED`] or [`FIXED`].
pub fn run(
    name: &'static str,
    world: &World,
    rules: &Rules,
    watch: &mut dyn Watch,
) -> (Outcome, Option<Run>) {
    match senses(name, world) {
        Some(senses) => {
            let (timeline, run) = closed::run(world, rules, senses, watch);
            (Outcome::new(name, world, timeline), Some(run))
        }
        None => (outcome::fixed(name, world), None),
    }
}
