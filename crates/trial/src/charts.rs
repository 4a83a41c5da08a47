//! What a trial found, as charts: cost against sight, grades over time, blind times.

use vxscope_plot::{Axis, Chart, Color, Series, Shape};
use vxscope_units::Grade;

use crate::policies::{ALWAYS_ON, CLOSED, DYNAMIC};
use crate::summary::Summary;
use crate::tally::Tally;
use crate::time::{self, MINUTE};

/// Every chart with the name of its file; `dynamic` is the policy's tally of one seed.
#[must_use]
pub fn charts(summary: &Summary, dynamic: Option<&Tally>) -> Vec<(&'static str, Chart)> {
    let mut charts = vec![("cost", cost(summary))];
    if let Some(tally) = dynamic {
        charts.push(("grades", grades(tally)));
        charts.push(("blind", blind(tally)));
    }
    charts
}

/// Each policy's cost beside the share of short attacks with signs that it shows.
fn cost(summary: &Summary) -> Chart {
    let always = summary.policy(ALWAYS_ON).map_or(1.0, |one| one.usd_high);
    // What the policy is without one of its senses would hide it here.
    let alone = |name: &str| name == DYNAMIC || !CLOSED.contains(&name);
    let policies = summary.policies.iter().filter(|one| alone(&one.name));
    let series = policies.enumerate().map(|(index, policy)| {
        let [low, high] = policy
            .ci95
            .get("short_prepared")
            .copied()
            .unwrap_or([0.0, 1.0]);
        let count = policy.attacks.short_prepared;
        let share = count.seen as f64 / count.total.max(1) as f64;
        let color = if policy.name == DYNAMIC {
            Color::RED
        } else {
            Color::SERIES[index % Color::SERIES.len()]
        };
        Series {
            name: policy.name.clone(),
            color,
            shape: Shape::Point {
                x: 100.0 * policy.usd_high / always.max(f64::MIN_POSITIVE),
                y: 100.0 * share,
                low: 100.0 * low,
                high: 100.0 * high,
            },
        }
    });
    Chart {
        title: "What each policy costs, and which prepared attacks it shows".to_owned(),
        x: Axis::new("cost, % of always-on (worst billing)", 0.0, 105.0),
        y: Axis::new("short attacks with signs seen, %", 0.0, 100.0),
        series: series.collect(),
        notes: vec!["bars: 95 %".to_owned()],
    }
}

/// Shares of the sources at each grade, hour by hour.
fn grades(tally: &Tally) -> Chart {
    const SHADES: [f64; Grade::ALL.len()] = [1.0, 0.8, 0.6, 0.4, 0.15];
    let days = tally.grades.len() as f64 / 24.0;
    let series = Grade::ALL.iter().map(|grade| {
        let band = tally.grades.iter().enumerate().map(|(hour, shares)| {
            let below: f64 = shares.iter().take(grade.index()).sum();
            let own = shares[grade.index()];
            [hour as f64 / 24.0, 100.0 * below, 100.0 * (below + own)]
        });
        Series {
            name: grade.name().to_owned(),
            color: Color::BLUE.tint(SHADES[grade.index()]),
            shape: Shape::Band(band.collect()),
        }
    });
    Chart {
        title: "Sources by grade under the policy".to_owned(),
        x: Axis::new("day", 0.0, days),
        y: Axis::new("sources, %", 0.0, 100.0),
        series: series.collect(),
        notes: Vec::new(),
    }
}

/// How long flows were hidden at a time, up to the longest bound.
fn blind(tally: &Tally) -> Chart {
    const CELLS: usize = 44;
    const CELLS_BELOW: f64 = 40.0;
    let bound = tally.blindness.bound.max(MINUTE) as f64;
    let cell = bound / CELLS_BELOW;
    let mut counts = [0.0_f64; CELLS];
    for length in &tally.blindness.flow {
        let index = time::index(*length as f64 / cell).min(CELLS - 1);
        counts[index] += 1.0;
    }
    let minutes = |edge: usize| edge as f64 * cell / MINUTE as f64;
    let steps = counts.iter().enumerate().flat_map(|(index, count)| {
        [minutes(index), minutes(index + 1)].map(|at| [at, 0.0, *count])
    });
    let most = counts.iter().copied().fold(1.0, f64::max);
    let limit = bound / MINUTE as f64;
    Chart {
        title: "How long flows of a source were hidden at a time".to_owned(),
        x: Axis::new("minutes", 0.0, minutes(CELLS)),
        y: Axis::new("pauses", 0.0, 1.05 * most),
        series: vec![
            Series {
                name: "pauses".to_owned(),
                color: Color::BLUE.tint(0.7),
                shape: Shape::Band(steps.collect()),
            },
            Series {
                name: "longest bound".to_owned(),
                color: Color::RED,
                shape: Shape::Line(vec![[limit, 0.0], [limit, 1.05 * most]]),
            },
        ],
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome;
    use crate::world::testing;

    #[test]
    fn every_chart_can_be_drawn() {
        let world = testing::world(30, 2, 1);
        let on = outcome::fixed(ALWAYS_ON, &world);
        let mut outcome = outcome::matched("duty-cycle", &world, 0.8 * on.cost.usd);
        outcome.name = DYNAMIC;
        let tallies = [on, outcome].map(|one| Tally::new(&world, &one, None));
        let shares = &tallies[1].grades;
        assert_eq!(shares.len(), 48);
        assert!(
            shares
                .iter()
                .all(|one| (one.iter().sum::<f64>() - 1.0).abs() < 1e-9)
        );
        assert!(shares.iter().any(|one| one[Grade::Off.index()] > 0.2));
        let dynamic = tallies[1].clone();
        let summary = Summary::new(world.trial(0.5), &[tallies.into()], &[]);
        let charts = charts(&summary, Some(&dynamic));
        assert_eq!(charts.len(), 3);
        for (name, chart) in charts {
            let drawing = chart.draw(960.0, 480.0);
            assert!(drawing.svg().contains(&chart.title), "{name}");
            assert!(drawing.png().len() > 1_000, "{name}");
        }
    }
}
