//! The result of a trial as a table.

use std::fmt::Write;

use vxscope_trial::summary::{Count, PolicySummary, Summary};

use crate::report::align;

/// One row for each policy, then what the columns mean.
pub(super) fn table(summary: &Summary) -> String {
    let trial = &summary.trial;
    let mut text = format!(
        "{} sources ({} over time), {} days, seed {}: {} attacks with signs, {} without\n\n",
        trial.sources,
        trial.sources_ever,
        trial.days,
        trial.seed,
        trial.attacks[0],
        trial.attacks[1],
    );
    let heads = [
        "policy",
        "usd",
        "low",
        "high",
        "of always-on",
        "GiB",
        "hours",
        "calls",
        "over bound",
        "short, signs",
        "no signs",
        "overrun s",
    ];
    let always = summary
        .policies
        .iter()
        .find(|policy| policy.name == "always-on")
        .map_or(0.0, |policy| policy.usd_high);
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(summary.policies.iter().map(|policy| row(policy, always)));
    text.push_str(&align(&rows));
    let _ = writeln!(
        text,
        "\nThe ceiling of what pausing within these bounds can save is {:.0} % of the session-hours.",
        100.0 * trial.saving_ceiling
    );
    text
}

fn row(policy: &PolicySummary, always: f64) -> [String; 12] {
    let attacks = &policy.attacks;
    [
        policy.name.clone(),
        format!("{:.0}", policy.usd),
        format!("{:.0}", policy.usd_low),
        format!("{:.0}", policy.usd_high),
        percent(policy.usd_high, always),
        format!("{:.0}", policy.gib),
        format!("{:.0}", policy.session_hours),
        policy.api_calls.to_string(),
        format!(
            "{}/{}",
            attacks.at_or_over_bound.seen, attacks.at_or_over_bound.total
        ),
        share(attacks.short_prepared),
        share(attacks.placebo),
        format!("{:.0}", policy.blind_seconds.overrun_max),
    ]
}

fn share(count: Count) -> String {
    percent(count.seen as f64, count.total as f64)
}

fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 {
        format!("{:.1} %", 100.0 * part / whole)
    } else {
        "-".to_owned()
    }
}
