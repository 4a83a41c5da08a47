//! What is shown as text: cells, heads and numbers, and all of it once for a pipe.

use std::time::Duration;

use console::{Alignment, pad_str};
use indicatif::{HumanCount, HumanDuration};

use super::column::{COLUMNS, Column};
use super::model::Model;

/// Lines of the head: what they are about, and what there is to say.
pub(super) struct Head {
    pub(super) title: String,
    pub(super) health: String,
    pub(super) is_well: bool,
    pub(super) received: String,
    pub(super) drops: String,
    pub(super) has_dropped: bool,
    pub(super) rings: String,
    pub(super) mirrors: String,
}

impl Head {
    pub(super) fn new(model: &Model) -> Self {
        let status = &model.status;
        let health = match (&model.lost, &model.health) {
            (Some(why), _) => Err(format!("NO ANSWER: {why}")),
            (None, Some(health)) if !health.healthy => {
                Err(format!("STALLED for {:.0} s", health.heartbeat_seconds))
            }
            (None, _) => Ok("healthy".to_owned()),
        };
        let shed: u64 = status.sinks.values().flat_map(|it| it.shed.values()).sum();
        let dropped = status.packets.kernel_dropped;
        let reach = |span: Option<f64>| span.map_or_else(|| "–".to_owned(), span_text);
        Self {
            title: format!(
                "{} {} for {}",
                status.sensor,
                status.state.name(),
                HumanDuration(Duration::from_secs_f64(status.elapsed_seconds)),
            ),
            is_well: health.is_ok(),
            health: health.unwrap_or_else(|why| why),
            received: format!(
                "{}packets/s, {}bit/s; {} flows open; 99 % within {}",
                si(model.received_per_second),
                si(model.bits_per_second),
                HumanCount(status.flows.open),
                span_text(status.latency.p99),
            ),
            drops: format!(
                "{} dropped by the kernel ({:.0}/s), {} shed by outputs",
                HumanCount(dropped),
                model.dropped_per_second,
                HumanCount(shed)
            ),
            has_dropped: dropped + shed > 0,
            rings: format!(
                "reach back {} (beginnings) and {} (the rest)",
                reach(status.rings.head_seconds),
                reach(status.rings.tail_seconds)
            ),
            mirrors: mirrors(model),
        }
    }
}

fn mirrors(model: &Model) -> String {
    let oversight = &model.oversight;
    match oversight.mode.as_str() {
        "" => "nobody looks after them".to_owned(),
        mode => format!(
            "{mode}, {} of {} lowered; {} spent, {} saved",
            oversight.lowered,
            oversight.sources,
            dollars(oversight.spent_usd),
            dollars(oversight.saved_usd)
        ),
    }
}

/// What a pipe gets: the head and every source, once.
pub(super) fn plain(model: &Model) -> String {
    let head = Head::new(model);
    let mut lines = vec![
        format!("vxscope top  {}  {}", head.title, head.health),
        format!("received {}", head.received),
        head.drops,
        format!("rings {}", head.rings),
        format!("mirrors: {}", head.mirrors),
    ];
    let columns = COLUMNS.iter().filter(|it| !it.is_drawn);
    let columns: Vec<&Column> = columns.collect();
    let cells = |cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().map(|column| {
            let side = match column.is_number {
                true => Alignment::Right,
                false => Alignment::Left,
            };
            pad_str(&cell(column), column.width, side, Some("…")).into_owned()
        });
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    lines.push(cells(&|column| column.head.to_owned()));
    for row in model.rows() {
        lines.push(cells(&|column| (column.cell)(row)));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn dollars((low, high): (f64, f64)) -> String {
    match low < 0.0 {
        false => format!("${low:.4}–{high:.4}"),
        true => format!("${low:.4} to ${high:.4}").replace("$-", "-$"),
    }
}

/// A number with a prefix of powers of 1000, and the space before its unit.
pub(super) fn si(number: f64) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let step = steps.iter().find(|(step, _)| number >= *step);
    step.map_or_else(
        || format!("{number:.0} "),
        |(step, prefix)| format!("{:.2} {prefix}", number / step),
    )
}

pub(super) fn span_text(seconds: f64) -> String {
    match seconds {
        5_400.0.. => format!("{:.1} h", seconds / 3_600.0),
        90.0.. => format!("{:.0} min", seconds / 60.0),
        1.0.. => format!("{seconds:.0} s"),
        0.001.. => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::reading;
    use super::super::model::{Model, Order};
    use super::*;

    #[test]
    fn a_pipe_gets_plain_lines() {
        let mut model = Model::new(Order::Rate);
        model.read(reading(1, &[(1, 10)]));
        let text = plain(&model);
        assert!(!text.contains('\x1b'), "{text}");
        assert!(
            text.lines().any(|line| line.starts_with("node-1 ")),
            "{text}"
        );
    }
}
