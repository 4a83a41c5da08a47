//! The columns of the table: what they show, how wide they are, and which ones a narrow screen
//! gives up.

use super::model::Order;
use super::row::Row;
use super::text::{si, span_text};

/// One column.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: usize,
    pub(super) is_number: bool,
    /// Whether it is a picture: a pipe does not get it, and a wide screen makes it wider.
    pub(super) is_drawn: bool,
    /// The order that it shows.
    pub(super) order: Option<Order>,
    pub(super) cell: fn(&Row) -> String,
}

impl Column {
    const fn text(head: &'static str, width: usize, cell: fn(&Row) -> String) -> Self {
        Self {
            head,
            width,
            is_number: false,
            is_drawn: false,
            order: None,
            cell,
        }
    }

    const fn number(head: &'static str, width: usize, cell: fn(&Row) -> String) -> Self {
        let text = Self::text(head, width, cell);
        Self {
            is_number: true,
            ..text
        }
    }

    const fn drawn(head: &'static str, width: usize, cell: fn(&Row) -> String) -> Self {
        let text = Self::text(head, width, cell);
        Self {
            is_drawn: true,
            ..text
        }
    }

    const fn by(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }
}

pub(super) const COLUMNS: [Column; 10] = [
    Column::text("source", 24, |row| row.name.clone()).by(Order::Name),
    Column::text("address", 16, |row| row.address.to_string()),
    Column::number("vni", 8, |row| row.vni.to_string()),
    Column::text("grade", 10, grade).by(Order::Grade),
    Column::number("bytes/s", 10, |row| si(row.bytes_per_second)).by(Order::Rate),
    Column::drawn("traffic", 20, traffic),
    Column::number("packets/s", 10, |row| si(row.packets_per_second)).by(Order::Packets),
    Column::number("flows", 10, |row| row.flows.to_string()),
    Column::number("events", 7, |row| row.events.to_string()),
    Column::text("hidden", 26, hidden).by(Order::Hidden),
];

/// What a screen that is too narrow gives up, one after the other: a column, and how wide it is
/// then; 0 leaves it out. What is hidden, and of whom, stays as long as it can.
const NARROWING: [(&str, usize); 13] = [
    ("events", 0),
    ("traffic", 10),
    ("flows", 0),
    ("traffic", 0),
    ("packets/s", 0),
    ("source", 18),
    ("vni", 0),
    ("address", 15),
    ("source", 14),
    ("address", 0),
    ("hidden", 20),
    ("source", 10),
    ("hidden", 8),
];
/// The widest that traffic is drawn: one reading a column, as many as are kept.
const TRAFFIC_MAX: usize = 120;
/// The widest that a name gets while there is room.
const NAME_MAX: usize = 40;
/// The narrowest: some letters of its beginning and its end.
const NAME_MIN: usize = 5;
/// The bars of traffic, from little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How wide each column is on a screen of so many, with one between each two; 0: left out.
pub(super) fn widths(screen: usize) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.each_ref().map(|column| column.width);
    for (narrowed, width) in NARROWING {
        if needed(&widths) <= screen {
            break;
        }
        set(&mut widths, narrowed, |_| width);
    }
    let excess = needed(&widths).saturating_sub(screen);
    set(&mut widths, "source", |width| {
        width.saturating_sub(excess).max(NAME_MIN)
    });
    let spare = screen.saturating_sub(needed(&widths));
    if spare > 0 && shown(&widths) == COLUMNS.len() {
        let for_names = (spare / 4).min(NAME_MAX - 24);
        set(&mut widths, "source", |width| width + for_names);
        let most = spare - for_names;
        set(&mut widths, "traffic", |width| {
            (width + most).min(TRAFFIC_MAX)
        });
    }
    widths
}

fn set(widths: &mut [usize], head: &str, to: impl Fn(usize) -> usize) {
    let columns = COLUMNS.iter().zip(widths);
    for (_, width) in columns.filter(|(column, _)| column.head == head) {
        *width = to(*width);
    }
}

fn shown(widths: &[usize]) -> usize {
    widths.iter().filter(|width| **width > 0).count()
}

fn needed(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + shown(widths).saturating_sub(1)
}

fn grade(row: &Row) -> String {
    match row.pinned {
        true => format!("{} pin", row.grade),
        false => row.grade.clone(),
    }
}

fn hidden(row: &Row) -> String {
    row.hidden.first().map_or_else(String::new, |window| {
        format!(
            "{} {} of {}",
            window.class,
            span_text(window.seconds),
            span_text(window.bound_seconds)
        )
    })
}

/// Each reading as a bar, as high as it is of the highest; nothing where nothing came.
fn traffic(row: &Row) -> String {
    let most = row.history.iter().copied().fold(1.0, f64::max);
    let bars = row.history.iter().map(|rate| {
        let eighths = (rate / most * 8.0).ceil();
        let place = (1..=8).rev().find(|it| f64::from(*it) <= eighths);
        place.map_or(' ', |place| {
            BARS.get(place as usize - 1).copied().unwrap_or(' ')
        })
    });
    bars.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_screen_keeps_what_is_hidden_and_a_wide_one_is_used() {
        for (screen, columns, left_out, kept) in [
            (200, 10, "", "traffic"),
            (150, 10, "", "traffic"),
            (110, 7, "flows", "packets/s"),
            (80, 5, "vni", "address"),
            (40, 4, "address", "bytes/s"),
            (20, 4, "address", "bytes/s"),
        ] {
            let widths = widths(screen);
            let heads: Vec<&str> = COLUMNS
                .iter()
                .zip(widths)
                .filter(|(_, width)| *width > 0)
                .map(|(column, _)| column.head)
                .collect();
            assert_eq!(heads.len(), columns, "{screen}: {heads:?}");
            for head in ["source", "grade", "hidden", kept] {
                assert!(heads.contains(&head), "{screen}: {heads:?}");
            }
            assert!(!heads.contains(&left_out), "{screen}: {heads:?}");
            if screen > 20 {
                assert!(needed(&widths) <= screen, "{screen}: {widths:?}");
            }
        }
        assert_eq!(needed(&widths(200)), 200);
    }

    #[test]
    fn the_highest_bar_is_the_most_that_came() {
        let source = super::super::model::tests::reading(1, &[(1, 0)]).sources;
        let mut row = Row::new(&source[0], None);
        assert_eq!(traffic(&row), "");
        row.history.extend([0.0, 1.0, 50.0, 100.0, 0.0]);
        assert_eq!(traffic(&row), " ▁▄█ ");
    }
}
