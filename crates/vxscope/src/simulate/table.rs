//! The result of a trial as a table.

use vxscope_trial::policies::ALWAYS_ON;
use vxscope_trial::summary::{Compared, Count, PolicySummary, RunSummary, Summary};

use crate::report::align;

/// One row for each policy, then what else there is to know.
pub(super) fn table(summary: &Summary) -> String {
    let trial = &summary.trial;
    let mut text = format!(
        "{} sources ({} over time), {} days, {} from seed {}: {} attacks with signs and {} without, a seed\n\n",
        trial.sources,
        trial.sources_ever,
        trial.days,
        if trial.seeds == 1 {
            "one seed".to_owned()
        } else {
            format!("{} seeds", trial.seeds)
        },
        trial.seed,
        trial.attacks[0],
        trial.attacks[1],
    );
    if let Some(told) = trial.background {
        let days = match told.repeated_every_days {
            1 => "every day".to_owned(),
            days => format!("every {days} days"),
        };
        text.insert_str(
            0,
            &format!(
                "background: {} conversations of {} sources over {:.1} h, again {days}\n",
                told.conversations, told.sources, told.hours
            ),
        );
    }
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
        "strike",
        "idle",
        "overrun s",
    ];
    let always = summary
        .policy(ALWAYS_ON)
        .map_or(0.0, |policy| policy.usd_high);
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(summary.policies.iter().map(|policy| row(policy, always)));
    text.push_str(&align(&rows));
    text.push_str(LEGEND);
    for compared in &summary.compared {
        text.push_str(&line(compared));
    }
    if let Some(policy) = summary.policy("dynamic") {
        text.push_str(&bounds(policy));
        text.push_str(&policy.run.as_ref().map_or_else(String::new, reasons));
    }
    text.push_str(&ceilings(summary));
    text
}

const LEGEND: &str = "
usd by started hours, low and high over all billing models; of always-on: of the worst ones.
Shares of attacks seen by the evidence that a detector needs: over bound d >= b + 2e + M (all must
be); short, signs: shorter, with signs beforehand; no signs: nothing that a policy could react to;
strike: begun with a pause; idle: no signs, on the tenth of the sources that is hidden most.
overrun: longest blind time beyond its own bound.

";

fn line(compared: &Compared) -> String {
    let points = |share: f64| format!("{:+.1}", 100.0 * share);
    let interval = |interval: &Option<[f64; 2]>| match interval {
        Some([low, high]) => format!(" ({} to {})", points(*low), points(*high)),
        None => String::new(),
    };
    format!(
        "dynamic against {} at {:.1} % of its cost: short attacks with signs {}{} points, without {}{}\n",
        compared.baseline,
        100.0 * compared.usd_ratio,
        points(compared.short_prepared),
        interval(&compared.short_prepared_ci95),
        points(compared.placebo),
        interval(&compared.placebo_ci95),
    )
}

fn bounds(policy: &PolicySummary) -> String {
    let attacks = &policy.attacks;
    let pausable = attacks.at_or_over_bound_pausable;
    let chance = attacks.at_or_over_bound_miss_max.map_or_else(
        || format!("{} MISSED", pausable.total - pausable.seen),
        |most| format!("none missed, chance of a miss below {most:.5}"),
    );
    format!(
        "over the bound on sources that may be blind: {} seen of {}: {chance}\n\
         placebo {} against the same at another time {}\n",
        pausable.seen,
        pausable.total,
        share(attacks.placebo),
        share(attacks.placebo_control),
    )
}

/// Why sources were full, the most frequent first.
fn reasons(run: &RunSummary) -> String {
    let all: u64 = run.kept_hours.values().sum();
    let mut kept: Vec<_> = run.kept_hours.iter().collect();
    kept.sort_by_key(|(name, hours)| (std::cmp::Reverse(**hours), **name));
    let listed: Vec<String> = kept
        .iter()
        .map(|(name, hours)| format!("{name} {}", percent(**hours as f64, all as f64)))
        .collect();
    format!("why sources were full, by hours: {}\n", listed.join(", "))
}

fn ceilings(summary: &Summary) -> String {
    let worst = summary
        .formulas
        .iter()
        .map(|check| (check.found - check.expected).abs());
    format!(
        "ceiling of what pausing can save: {:.0} % of the session-hours, {:.0} % with the cap on \
         groups\nchances by trial and by formula differ by at most {:.3}\n",
        100.0 * summary.trial.saving_ceiling,
        100.0 * summary.trial.saving_ceiling_groups,
        worst.fold(0.0, f64::max),
    )
}

fn row(policy: &PolicySummary, always: f64) -> [String; 14] {
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
        share(attacks.at_or_over_bound),
        share(attacks.short_prepared),
        share(attacks.placebo),
        share(attacks.strike),
        share(attacks.mimic_idle),
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
