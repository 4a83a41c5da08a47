//! The screen, as lines of text that fit.

use std::fmt::Write;
use std::time::Duration;

use console::{Alignment, pad_str, style, truncate_str};
use indicatif::{HumanCount, HumanDuration};

use super::model::{Model, Row};

/// Lines above and below the rows.
const HEAD_LINES: usize = 6;
const HELP: &str = "q quit  s sort  / filter  g only lowered  ↑↓ choose  enter why";
/// Lines for the reason of the chosen one.
const WHY_LINES: usize = 4;

/// One column: head, width, and whether it is a number.
struct Column(&'static str, usize, Alignment);

const COLUMNS: [Column; 9] = [
    Column("source", 24, Alignment::Left),
    Column("address", 16, Alignment::Left),
    Column("vni", 8, Alignment::Right),
    Column("grade", 10, Alignment::Left),
    Column("bytes/s", 10, Alignment::Right),
    Column("packets/s", 10, Alignment::Right),
    Column("flows", 10, Alignment::Right),
    Column("events", 7, Alignment::Right),
    Column("hidden", 26, Alignment::Left),
];

/// What a screen that is too narrow gives up, one after the other: a column, and how wide it is
/// then; 0 leaves it out. What is hidden, and of whom, stays as long as it can.
const NARROWING: [(&str, usize); 5] = [
    ("events", 0),
    ("packets/s", 0),
    ("flows", 0),
    ("source", 12),
    ("vni", 0),
];

/// How wide each column is on a screen of so many.
fn widths(screen: usize) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.each_ref().map(|Column(_, width, _)| *width);
    for (narrowed, width) in NARROWING {
        let shown = widths.iter().filter(|it| **it > 0);
        let needed: usize = shown.map(|width| width + 1).sum();
        if needed <= screen + 1 {
            break;
        }
        for (Column(name, ..), place) in COLUMNS.iter().zip(&mut widths) {
            if *name == narrowed {
                *place = width;
            }
        }
    }
    widths
}

/// Everything, for a screen of this size. Each line ends where the screen does.
pub(super) fn screen(model: &Model, columns: usize, lines: usize) -> String {
    let mut text: Vec<String> = head(model);
    text.push(String::new());
    let rows = model.rows();
    let why = if model.shows_why { WHY_LINES } else { 0 };
    let room = lines.saturating_sub(HEAD_LINES + 2 + why).max(1);
    // The chosen one is always to be seen.
    let first = model.selected.saturating_sub(room - 1);
    let widths = widths(columns);
    text.push(style(table_head(&widths)).reverse().to_string());
    if rows.is_empty() {
        text.push(nothing(model).to_owned());
    }
    for (place, row) in rows.iter().enumerate().skip(first).take(room) {
        let line = line(row, &widths);
        text.push(match place == model.selected {
            true => style(line).bold().underlined().to_string(),
            false => line,
        });
    }
    if let Some(row) = rows.get(model.selected).filter(|_| model.shows_why) {
        let why = match row.why.as_str() {
            "" => "nothing has been decided about it",
            why => why,
        };
        text.push(String::new());
        text.push(format!("{}: {}", style(&row.name).bold(), row.grade));
        text.extend(wrapped(why, columns).into_iter().take(WHY_LINES - 2));
    }
    text.truncate(lines.saturating_sub(1));
    text.push(foot(model, rows.len()));
    let mut out = String::from("\x1b[H");
    for (number, line) in text.iter().enumerate() {
        let end = if number == 0 { "" } else { "\r\n" };
        let _ = write!(out, "{end}{}\x1b[K", truncate_str(line, columns, "…"));
    }
    out.push_str("\x1b[J");
    out
}

/// The same once, for a pipe.
pub(super) fn plain(model: &Model) -> String {
    let mut text = head(model);
    let widths = widths(usize::MAX - 1);
    text.push(table_head(&widths));
    text.extend(model.rows().into_iter().map(|row| line(row, &widths)));
    let lines = text.iter();
    let lines = lines.map(|line| console::strip_ansi_codes(line).trim_end().to_owned() + "\n");
    lines.collect()
}

fn head(model: &Model) -> Vec<String> {
    let status = &model.status;
    let health = match (&model.lost, &model.health) {
        (Some(why), _) => style(format!("NO ANSWER: {why}")).red().bold(),
        (None, Some(health)) if !health.healthy => {
            style(format!("STALLED for {:.0} s", health.heartbeat_seconds))
                .red()
                .bold()
        }
        (None, _) => style("healthy".to_owned()).green(),
    };
    let shed: u64 = status.sinks.values().flat_map(|it| it.shed.values()).sum();
    let dropped = status.packets.kernel_dropped;
    let drops = format!(
        "{} dropped by the kernel ({:.0}/s), {} shed by outputs",
        HumanCount(dropped),
        model.dropped_per_second,
        HumanCount(shed)
    );
    let drops = match dropped + shed {
        0 => style(drops),
        _ => style(drops).red(),
    };
    let seconds = |span: Option<f64>| span.map_or_else(|| "–".to_owned(), span_text);
    let mut lines = vec![
        format!(
            "vxscope top  {}  {} for {}  {health}",
            style(&status.sensor).bold(),
            status.state.name(),
            HumanDuration(Duration::from_secs_f64(status.elapsed_seconds)),
        ),
        format!(
            "received {}packets/s, {}bit/s; {} flows open; 99 % within {}",
            si(model.received_per_second),
            si(model.bits_per_second),
            HumanCount(status.flows.open),
            span_text(status.latency.p99),
        ),
        drops.to_string(),
        format!(
            "rings reach back {} (beginnings) and {} (the rest)",
            seconds(status.rings.head_seconds),
            seconds(status.rings.tail_seconds)
        ),
    ];
    let oversight = &model.oversight;
    lines.push(match oversight.mode.as_str() {
        "" => "mirrors: nobody looks after them".to_owned(),
        mode => format!(
            "mirrors: {mode}, {} of {} lowered; spent {}, saved {}",
            oversight.lowered,
            oversight.sources,
            dollars(oversight.spent_usd),
            dollars(oversight.saved_usd)
        ),
    });
    lines
}

/// Why there is no row.
const fn nothing(model: &Model) -> &'static str {
    match (model.only_lowered, model.filter.is_empty()) {
        (_, false) => "no source matches the filter",
        (true, true) => "no source is lowered now",
        (false, true) => "no source has been heard yet",
    }
}

fn table_head(widths: &[usize; COLUMNS.len()]) -> String {
    joined(COLUMNS.each_ref().map(|Column(head, ..)| *head), widths)
}

/// Cells side by side, but for those of columns that are left out.
fn joined(cells: [impl AsRef<str>; COLUMNS.len()], widths: &[usize; COLUMNS.len()]) -> String {
    let cells = COLUMNS.iter().zip(widths).zip(&cells);
    let shown = cells.filter(|((_, width), _)| **width > 0);
    let padded = shown.map(|((Column(.., side), width), cell)| pad(cell.as_ref(), *width, *side));
    padded.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn line(row: &Row, widths: &[usize; COLUMNS.len()]) -> String {
    let hidden = row.hidden.as_ref().map(|(class, seconds, bound)| {
        format!("{class} {} of {}", span_text(*seconds), span_text(*bound))
    });
    let grade = match row.pinned {
        true => format!("{} pin", row.grade),
        false => row.grade.clone(),
    };
    let cells = [
        row.name.clone(),
        row.address.to_string(),
        row.vni.to_string(),
        grade,
        si(row.bytes_per_second),
        si(row.packets_per_second),
        row.flows.to_string(),
        row.events.to_string(),
        hidden.unwrap_or_default(),
    ];
    joined(cells, widths)
}

fn foot(model: &Model, shown: usize) -> String {
    let filter = match (model.is_typing, model.filter.as_str()) {
        (true, filter) => format!("filter: {filter}_  (enter to keep, escape to drop)"),
        (false, "") => String::new(),
        (false, filter) => format!("filter: {filter}  "),
    };
    if model.is_typing {
        return filter;
    }
    let lowered = if model.only_lowered {
        "lowered only  "
    } else {
        ""
    };
    format!(
        "{filter}{lowered}{shown} sources by {}  {HELP}",
        model.order.name()
    )
}

fn pad(cell: &str, width: usize, side: Alignment) -> String {
    pad_str(cell, width, side, Some("…")).into_owned()
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() < columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn dollars((low, high): (f64, f64)) -> String {
    format!("${low:.4} to ${high:.4}")
}

/// A number with a prefix of powers of 1000, and the space before its unit.
fn si(number: f64) -> String {
    let steps = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let step = steps.iter().find(|(step, _)| number >= *step);
    step.map_or_else(
        || format!("{number:.0} "),
        |(step, prefix)| format!("{:.2} {prefix}", number / step),
    )
}

fn span_text(seconds: f64) -> String {
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
    fn no_line_is_wider_than_the_screen_and_the_chosen_row_is_there() {
        let mut model = Model::new(Order::Name);
        let sources: Vec<(u8, u64)> = (1..100).map(|number| (number, 1)).collect();
        model.read(reading(1, &sources));
        model.handle(console::Key::End);
        model.handle(console::Key::Enter);
        for (columns, lines) in [(40, 12), (80, 24), (200, 60), (1, 1)] {
            let text = screen(&model, columns, lines);
            let shown: Vec<&str> = text.split("\r\n").collect();
            assert!(shown.len() <= lines.max(1), "{} of {lines}", shown.len());
            for line in &shown {
                assert!(console::measure_text_width(line) <= columns, "{line:?}");
            }
            if lines >= 12 && columns >= 40 {
                assert!(text.contains("node-99"), "{text}");
                assert!(text.contains("nothing has been decided"), "{text}");
            }
        }
    }

    #[test]
    fn a_narrow_screen_keeps_what_is_hidden() {
        for (screen, shown, left_out) in [
            (130, 9, ""),
            (110, 7, "packets/s"),
            (80, 5, "vni"),
            (20, 5, "vni"),
        ] {
            let widths = widths(screen);
            let head = table_head(&widths);
            assert_eq!(widths.iter().filter(|it| **it > 0).count(), shown);
            for part in ["source", "grade", "hidden"] {
                assert!(head.contains(part), "{screen}: {head}");
            }
            assert!(left_out.is_empty() || !head.contains(left_out), "{head}");
        }
        let mut model = Model::new(Order::Rate);
        model.read(reading(1, &[(1, 10)]));
        model.handle(console::Key::Char('g'));
        assert!(screen(&model, 80, 24).contains("no source is lowered now"));
    }

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
