//! The live table: the busiest sources, how much they send, and how that went lately.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use console::style;
use indicatif::{HumanCount, HumanFloatCount};
use vxscope_account::{Row, Statement};
use vxscope_engine::Status;
use vxscope_units::{BindTable, MirrorSource};

/// Sources whose history is kept; the history of any beyond is blank.
const HISTORIES_MAX: usize = 1_024;
/// Seconds that are kept of each.
const HISTORY: usize = 60;
/// Seconds shown where there is little room.
const HISTORY_SHOWN_MIN: usize = 8;
/// The bars of a history, from little to much.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A source that never sends more packets a second than this has low bars.
const FULL_BAR_MIN: f64 = 20.0;
/// Lines of a table that are no sources: what goes on, heads, how many more there are, totals.
const OTHER_LINES: usize = 4;
const GAP: usize = 2;
/// Longest name of a source; the rest of a longer one is cut.
const NAME_MAX: usize = 24;

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) lines: usize,
}

/// What is remembered from second to second.
#[derive(Debug, Default)]
pub(crate) struct Table {
    names: Arc<BindTable>,
    before: Statement,
    elapsed: Duration,
    histories: BTreeMap<MirrorSource, VecDeque<f64>>,
}

/// One column: what stands above it, and a cell for each source.
struct Column {
    head: String,
    cells: Vec<String>,
    side: Side,
    /// Columns with the greatest number go first where there is too little room.
    rank: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What a source did in the last second.
struct Shown<'a> {
    source: MirrorSource,
    row: &'a Row,
    packets: f64,
    bits: f64,
}

impl Table {
    /// With what people call the sources.
    pub(crate) fn new(names: Arc<BindTable>) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// The table for now; it fits the room, and no line of it is broken.
    pub(crate) fn render(&mut self, status: &Status, room: Room) -> String {
        let seconds = status.elapsed.saturating_sub(self.elapsed).as_secs_f64();
        let mut shown: Vec<Shown<'_>> = status
            .statement
            .rows
            .iter()
            .map(|(source, row)| self.shown(*source, row, seconds.max(0.001)))
            .collect();
        for source in &shown {
            self.remember(source.source, source.packets);
        }
        shown.sort_by_key(|it| (Reverse(it.row.packets), it.source));
        let heading = heading(status, &shown);
        let lines = room.lines.saturating_sub(OTHER_LINES).max(1);
        let more = shown.len().saturating_sub(lines);
        shown.truncate(lines);
        let mut text = cut(&heading, room.columns, |line| style(line).bold());
        text.push_str(&self.layout(&shown, room.columns));
        if more > 0 {
            text.push_str(&cut(&format!("and {more} more"), room.columns, |line| {
                style(line).dim()
            }));
        }
        text.push_str(&cut(&totals(status), room.columns, |line| {
            if status.kernel_dropped > 0 {
                style(line).red()
            } else {
                style(line).dim()
            }
        }));
        self.before = status.statement.clone();
        self.elapsed = status.elapsed;
        text
    }

    fn shown<'a>(&self, source: MirrorSource, row: &'a Row, seconds: f64) -> Shown<'a> {
        let before = self.before.rows.get(&source);
        let (packets, bytes) = before.map_or((0, 0), |row| (row.packets, row.bytes));
        Shown {
            source,
            row,
            packets: row.packets.saturating_sub(packets) as f64 / seconds,
            bits: row.bytes.saturating_sub(bytes) as f64 * 8.0 / seconds,
        }
    }

    fn remember(&mut self, source: MirrorSource, packets: f64) {
        if !self.histories.contains_key(&source) && self.histories.len() >= HISTORIES_MAX {
            return;
        }
        let history = self.histories.entry(source).or_default();
        history.push_back(packets);
        if history.len() > HISTORY {
            history.pop_front();
        }
    }

    /// Heads and rows. The history takes the room that is left; less important columns go where
    /// it would have too little.
    fn layout(&self, shown: &[Shown<'_>], width: usize) -> String {
        let mut columns = self.columns(shown);
        let free = |columns: &[Column]| {
            let used: usize = columns.iter().map(|it| it.width() + GAP).sum();
            width.saturating_sub(used)
        };
        while free(&columns) < HISTORY_SHOWN_MIN {
            let Some(last) = (1..columns.len()).max_by_key(|at| columns[*at].rank) else {
                break;
            };
            columns.remove(last);
        }
        let length = free(&columns).min(HISTORY);
        let history = Column {
            head: format!("last {length} s"),
            cells: shown
                .iter()
                .map(|it| bars(self.histories.get(&it.source), length))
                .collect(),
            side: Side::Left,
            rank: 0,
        };
        let mut text = String::new();
        for line in 0..=shown.len() {
            let mut plain = String::new();
            for column in &columns {
                column.write(line, &mut plain);
                plain.extend(std::iter::repeat_n(' ', GAP));
            }
            let bars = history.cell(line);
            let bars: String = bars.chars().take(length).collect();
            text.push_str(&cut(&plain, width.saturating_sub(length), |it| {
                if line == 0 {
                    style(it).dim()
                } else {
                    style(it)
                }
            }));
            // The bars stand in the same line.
            text.pop();
            text.push_str(&cut(&bars, length, |it| {
                if line == 0 {
                    style(it).dim()
                } else {
                    style(it).cyan()
                }
            }));
        }
        text
    }

    fn columns(&self, shown: &[Shown<'_>]) -> Vec<Column> {
        let name = |it: &Shown<'_>| {
            let binding = self.names.find(it.source);
            binding.and_then(|binding| binding.name.clone())
        };
        let column = |head: &str, rank, side, cell: &dyn Fn(&Shown<'_>) -> String| Column {
            head: head.to_owned(),
            cells: shown.iter().map(cell).collect(),
            side,
            rank,
        };
        let rate = |rate: f64| HumanFloatCount(rate.round()).to_string();
        let count = |count: u64| HumanCount(count).to_string();
        let mut columns = Vec::new();
        if shown.iter().any(|it| name(it).is_some()) {
            columns.push(column("source", 0, Side::Left, &|it| {
                let name = name(it).unwrap_or_else(|| it.source.address.to_string());
                name.chars().take(NAME_MAX).collect()
            }));
            columns.push(column("address", 5, Side::Left, &|it| {
                it.source.address.to_string()
            }));
        } else {
            columns.push(column("source", 0, Side::Left, &|it| {
                it.source.address.to_string()
            }));
        }
        columns.extend([
            column("vni", 2, Side::Right, &|it| it.source.vni.to_string()),
            column("packets", 4, Side::Right, &|it| count(it.row.packets)),
            column("flows", 1, Side::Right, &|it| count(it.row.flows)),
            column("open", 3, Side::Right, &|it| {
                count(it.row.flows.saturating_sub(it.row.closed.sum()))
            }),
            column("packets/s", 0, Side::Right, &|it| rate(it.packets)),
            column("Mbit/s", 0, Side::Right, &|it| {
                format!("{:.1}", it.bits / 1e6)
            }),
        ]);
        columns
    }
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().chain([&self.head]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    /// Line 0 is the head.
    fn cell(&self, line: usize) -> &str {
        match line.checked_sub(1) {
            None => &self.head,
            Some(at) => self.cells.get(at).map_or("", String::as_str),
        }
    }

    fn write(&self, line: usize, text: &mut String) {
        let cell = self.cell(line);
        let padding = self.width().saturating_sub(cell.chars().count());
        let padding = std::iter::repeat_n(' ', padding);
        match self.side {
            Side::Left => {
                text.push_str(cell);
                text.extend(padding);
            }
            Side::Right => {
                text.extend(padding);
                text.push_str(cell);
            }
        }
    }
}

/// The last seconds as bars, the newest to the right, each source by its own scale.
fn bars(history: Option<&VecDeque<f64>>, length: usize) -> String {
    let Some(history) = history else {
        return String::new();
    };
    let shown = history.iter().skip(history.len().saturating_sub(length));
    let full = history.iter().copied().fold(FULL_BAR_MIN, f64::max);
    let blank = std::iter::repeat_n(' ', length.saturating_sub(history.len()));
    blank
        .chain(shown.map(|packets| bar(*packets / full)))
        .collect()
}

fn bar(part: f64) -> char {
    if part <= 0.0 {
        return ' ';
    }
    // Rounded up, so that little is not nothing.
    let steps = (1..BARS.len()).filter(|step| part > *step as f64 / BARS.len() as f64);
    BARS.get(steps.count()).copied().unwrap_or('█')
}

/// `00:07  8 sources  6,312 packets/s  21.4 Mbit/s`.
fn heading(status: &Status, shown: &[Shown<'_>]) -> String {
    let seconds = status.elapsed.as_secs();
    let clock = match seconds / 3_600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    };
    let packets: f64 = shown.iter().map(|it| it.packets).sum();
    let bits: f64 = shown.iter().map(|it| it.bits).sum();
    format!(
        "{clock}  {} sources  {} packets/s  {:.1} Mbit/s",
        HumanCount(shown.len() as u64),
        HumanFloatCount(packets.round()),
        bits / 1e6,
    )
}

fn totals(status: &Status) -> String {
    let statement = &status.statement;
    let quarantined: u64 = statement.quarantine.values().map(|row| row.packets).sum();
    let mut text = format!(
        "received {}  rejected {}  dropped by the kernel {}",
        HumanCount(statement.received),
        HumanCount(statement.rejected.sum()),
        HumanCount(status.kernel_dropped),
    );
    if quarantined > 0 {
        text.push_str(&format!("  quarantined {}", HumanCount(quarantined)));
    }
    text
}

/// A line that is not longer than `width`, in a style.
fn cut<'a>(
    line: &str,
    width: usize,
    styled: impl FnOnce(String) -> console::StyledObject<String> + 'a,
) -> String {
    let line: String = line.chars().take(width).collect();
    format!("{}\n", styled(line).for_stderr())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vxscope_units::{MirrorSource, Vni};

    use super::{BARS, Room, Status, Table, bar};

    #[test]
    fn a_bar_is_as_high_as_its_part_and_little_is_not_nothing() {
        for (part, expected) in [
            (0.0, ' '),
            (0.001, BARS[0]),
            (0.125, BARS[0]),
            (0.126, BARS[1]),
            (0.5, BARS[3]),
            (1.0, BARS[7]),
            (1.5, BARS[7]),
        ] {
            assert_eq!(bar(part), expected, "{part}");
        }
    }

    #[test]
    fn the_table_fits_any_room() {
        for columns in [1, 20, 40, 60, 80, 120, 200] {
            for lines in [1, 5, 24, 40] {
                for sources in [0, 1, 8, 300] {
                    check(Room { columns, lines }, sources);
                }
            }
        }
    }

    #[test]
    fn rates_are_those_of_the_last_second() {
        let mut table = Table::default();
        let room = Room {
            columns: 120,
            lines: 24,
        };
        table.render(&status(1, 1, 100), room);
        let text = table.render(&status(1, 3, 700), room);
        let row = plain(&text).lines().nth(2).unwrap().to_owned();
        let cells: Vec<&str> = row.split_whitespace().collect();
        // 600 packets of 1,000 bytes in two seconds.
        assert_eq!(cells[..4], ["10.0.0.0", "7", "700", "0"], "{row}");
        assert_eq!(cells[5..7], ["300", "2.4"], "{row}");
        assert!(row.ends_with("▃█"), "{row}");
    }

    fn check(room: Room, sources: u32) {
        let mut table = Table::default();
        for second in 1..70 {
            let text = table.render(&status(sources, second, second * second), room);
            let text = plain(&text);
            assert!(text.lines().count() <= room.lines.max(5), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= room.columns, "{room:?}: {line}");
            }
        }
    }

    fn plain(text: &str) -> String {
        console::strip_ansi_codes(text).into_owned()
    }

    fn status(sources: u32, seconds: u64, packets: u64) -> Status {
        let mut status = Status {
            elapsed: Duration::from_secs(seconds),
            statement: super::Statement::default(),
            kernel_dropped: 0,
        };
        for number in 0..sources {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
            let vni = Vni::try_new(7).unwrap();
            let source = MirrorSource { address, vni };
            let row = status.statement.rows.entry(source).or_default();
            row.packets = packets;
            row.bytes = packets * 1_000;
        }
        status
    }
}
