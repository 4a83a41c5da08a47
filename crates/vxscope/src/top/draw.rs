//! The screen: a head, the sources, why the chosen one is as it is, and what can be typed.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};

use super::column::{COLUMNS, Column, widths};
use super::model::{Model, Order};
use super::row::{Row, share};
use super::text::{Head, span_text};

const HELP: &str = "q quit  s sort  / filter  g only lowered  ↑↓ choose  enter why";
/// Of the head: title, received, lost, rings, mirrors.
const HEAD_LINES: u16 = 5;
/// Of the reason: its title, and what two long sentences and their numbers take.
const WHY_LINES: u16 = 8;
/// From here on the reason stands beside the table.
const WIDE: u16 = 150;
const WHY_COLUMNS: u16 = 46;
/// A screen so low shows the table first.
const LOW: u16 = 12;

/// How it looks. Colours say again what the words say: without them nothing is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    has_colours: bool,
}

impl Look {
    /// By <https://no-color.org>.
    pub(super) fn of_environment() -> Self {
        let asked = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
        Self {
            has_colours: !asked,
        }
    }

    fn colour(self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn grade(self, row: &Row) -> Style {
        match row.grade.as_str() {
            "full" => Style::new(),
            _ => self.colour(Color::Yellow),
        }
    }

    fn hidden(self, row: &Row) -> Style {
        match row.hidden_share() {
            1.0.. => self.bad(),
            0.8.. => self.colour(Color::Yellow),
            _ => Style::new(),
        }
    }
}

/// See the module. The state remembers which rows were to be seen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, state: &mut TableState, look: Look) {
    let area = frame.area();
    let head_lines = if area.height < LOW { 1 } else { HEAD_LINES };
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(head_lines),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head_text(model, area.width, look)), head);
    let chosen = model.chosen().filter(|_| model.shows_why);
    let (table, why) = match (chosen, area.width) {
        (None, _) => (body, None),
        (Some(row), WIDE..) => {
            let [table, why] =
                Layout::horizontal([Constraint::Min(1), Constraint::Length(WHY_COLUMNS)])
                    .spacing(2)
                    .areas(body);
            (table, Some((row, why)))
        }
        (Some(row), _) => {
            let lines = WHY_LINES.min(body.height / 2);
            let [table, why] =
                Layout::vertical([Constraint::Min(1), Constraint::Length(lines)]).areas(body);
            (table, Some((row, why)))
        }
    };
    draw_table(frame, table, model, state, look);
    if let Some((row, area)) = why {
        draw_why(frame, area, row, look);
    }
    frame.render_widget(foot_line(model), foot);
}

fn head_text(model: &Model, columns: u16, look: Look) -> Text<'static> {
    let head = Head::new(model);
    let (mark, style) = match head.is_well {
        true => ("● ", look.good()),
        false => ("▲ ", look.bad()),
    };
    let mut title = vec!["vxscope top".bold(), "  ".into(), head.title.into()];
    let used: usize = title.iter().map(Span::width).sum();
    let health = Span::styled(format!("{mark}{}", head.health), style);
    let gap = usize::from(columns).saturating_sub(used + health.width());
    // How it is stays where there is no room for its name.
    match gap {
        0 | 1 => title.truncate(2),
        gap => title.push(" ".repeat(gap).into()),
    }
    title.push(health);
    let lost = match head.has_dropped {
        true => look.bad(),
        false => Style::new(),
    };
    let line = |label: &'static str, text: String, style: Style| {
        Line::from(vec![
            Span::from(format!("{label:9}")).dim(),
            Span::styled(text, style),
        ])
    };
    Text::from(vec![
        Line::from(title),
        line("received", head.received, Style::new()),
        line("lost", head.drops, lost),
        line("rings", head.rings, Style::new()),
        line("mirrors:", head.mirrors, Style::new()),
    ])
}

fn draw_table(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    state: &mut TableState,
    look: Look,
) {
    let rows = model.rows();
    let lowered = if model.only_lowered { " lowered" } else { "" };
    let title = format!(
        " {}{lowered} sources by {} ",
        rows.len(),
        model.order.name()
    );
    let block = Block::new().borders(Borders::TOP).title(title);
    if rows.is_empty() {
        let nothing = Paragraph::new(nothing(model)).dim().block(block);
        return frame.render_widget(nothing, area);
    }
    let widths = widths(usize::from(area.width));
    let columns = COLUMNS.iter().zip(widths).filter(|(_, width)| *width > 0);
    let columns: Vec<(&Column, usize)> = columns.collect();
    let constraints = columns
        .iter()
        .map(|(_, width)| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
    let heads = columns.iter().map(|(column, _)| {
        let mark = match column.order == Some(model.order) {
            true => "▾",
            false => "",
        };
        cell(column, format!("{}{mark}", column.head), usize::MAX)
    });
    let lines = rows.iter().map(|row| {
        let cells = columns.iter().map(|(column, width)| {
            let style = match column.head {
                "grade" => look.grade(row),
                "hidden" => look.hidden(row),
                _ => Style::new(),
            };
            cell(column, (column.cell)(row), *width).style(style)
        });
        TableRow::new(cells)
    });
    state.select(Some(model.selected));
    let table = Table::new(lines, constraints)
        .header(TableRow::new(heads).bold())
        .row_highlight_style(Style::new().reversed())
        .block(block);
    frame.render_stateful_widget(table, area, state);
    let (first, last) = (state.offset() + 1, state.offset() + visible(area));
    if first <= last && (first > 1 || last < rows.len()) {
        let place = format!(" {first} to {} of {} ", last.min(rows.len()), rows.len());
        let place = Line::from(place).alignment(Alignment::Right);
        frame.render_widget(place, Rect { height: 1, ..area });
    }
}

/// How many rows fit below title and heads.
fn visible(area: Rect) -> usize {
    usize::from(area.height).saturating_sub(2)
}

/// Text that is cut says so. Of a picture the end is what is new, and of a name both ends: what
/// interfaces, instances and scaling groups are called begins alike.
fn cell(column: &Column, text: String, width: usize) -> Cell<'static> {
    let count = text.chars().count();
    let ends = |tail: usize| {
        let head = width.saturating_sub(1 + tail);
        let kept = text.chars().take(head).chain(['…']);
        kept.chain(text.chars().skip(count - tail)).collect()
    };
    let text = match (count > width, column.is_drawn, column.order) {
        (false, _, _) => text,
        (true, true, _) => text.chars().skip(count - width).collect(),
        (true, false, Some(Order::Name)) => ends(width.saturating_sub(1) / 2),
        (true, false, _) => ends(0),
    };
    let side = match column.is_number || column.is_drawn && width < usize::MAX {
        true => Alignment::Right,
        false => Alignment::Left,
    };
    Cell::from(Text::from(text).alignment(side))
}

/// What somebody sees of a whole fleet on its first day.
const PINNED: &str = "pinned, so it stays full: it is new, had an alert, or \
                      somebody pinned it; `vxscope mirrors` says until when";

fn draw_why(frame: &mut Frame<'_>, area: Rect, row: &Row, look: Look) {
    let title = Line::from(vec![
        Span::from(format!(" {}: ", row.name)).bold(),
        Span::styled(row.grade.clone(), look.grade(row)),
        Span::from(if row.pinned { " (pinned) " } else { " " }),
    ]);
    let block = Block::new().borders(Borders::TOP).title(title);
    let why = match row.why.as_str() {
        "" => "nothing has been decided about it",
        why => why,
    };
    let mut lines = vec![Line::from(why.to_owned())];
    if row.pinned {
        lines.push(Line::from(PINNED));
    }
    lines.extend(row.hidden.iter().map(|window| {
        let bar = bar(share(window));
        let (seconds, bound) = (span_text(window.seconds), span_text(window.bound_seconds));
        Line::styled(
            format!("{bar} {} hidden for {seconds} of {bound}", window.class),
            look.hidden(row),
        )
    }));
    lines.push(Line::from(format!(
        "{}, VNI {}: {} packets, {} flows, {} events so far",
        row.address, row.vni, row.packets, row.flows, row.events
    )));
    let text = Paragraph::new(lines).wrap(Wrap { trim: true }).block(block);
    frame.render_widget(text, area);
}

/// Ten places, filled as far as the bound is used up.
fn bar(share: f64) -> String {
    let filled = (1..=10).filter(|it| f64::from(*it) <= share * 10.0).count();
    format!("{}{}", "█".repeat(filled), "░".repeat(10 - filled))
}

/// Why there is no row.
const fn nothing(model: &Model) -> &'static str {
    match (model.only_lowered, model.filter.is_empty()) {
        (_, false) => "no source matches the filter",
        (true, true) => "no source is lowered now",
        (false, true) => "no source has been heard yet",
    }
}

fn foot_line(model: &Model) -> Line<'static> {
    if model.is_typing {
        let typed = format!("filter: {}_", model.filter).bold();
        return Line::from(vec![typed, "  (enter to keep, escape to drop)".dim()]);
    }
    let mut parts = Vec::new();
    if !model.filter.is_empty() {
        parts.push(format!("filter: {}  ", model.filter).bold());
    }
    parts.push(HELP.dim());
    Line::from(parts)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::crossterm::event::KeyCode;
    use vxscope_report::{BlindWindow, MirrorRow, SourceStatus};

    use super::super::model::Order;
    use super::super::model::tests::reading;
    use super::*;

    #[test]
    fn the_chosen_source_and_its_reason_are_on_screens_of_every_size() {
        let model = lowered(99, &[KeyCode::End, KeyCode::Enter]);
        for (columns, lines) in [(40, 12), (80, 24), (110, 30), (200, 60)] {
            let shown = text(&drawn(&model, columns, lines, true));
            assert!(shown.contains("99 sources by name"), "{shown}");
            let table = shown.lines().any(|line| line.starts_with("node-99"));
            let why = shown.contains("node-99: essential") && shown.contains("quiet for");
            assert!(table && why && shown.contains("healthy"), "{shown}");
        }
        // Too small for anything, and still no panic.
        for (columns, lines) in [(1, 1), (3, 2), (10, 5)] {
            drawn(&model, columns, lines, true);
        }
    }

    #[test]
    fn names_that_begin_alike_are_told_apart_and_a_pin_says_where_it_may_come_from() {
        let mut reading = reading(1, &[(1, 1), (2, 1)]);
        for (source, number) in reading.sources.iter_mut().zip(1..) {
            source.name = Some(format!(
                "production-autoscaling-group-of-web-servers-{number}"
            ));
        }
        let pinned = |source| MirrorRow {
            pinned: true,
            ..mirror(source)
        };
        reading.oversight.mirrors = reading.sources.iter().map(pinned).collect();
        let mut model = Model::new(Order::Name);
        model.read(reading);
        model.handle(KeyCode::Enter);
        for (columns, lines) in [(40, 24), (80, 24), (110, 30)] {
            let shown = text(&drawn(&model, columns, lines, true));
            for number in 1..=2 {
                let is_told = |line: &str| {
                    let name = line.split_whitespace().next().unwrap_or_default();
                    let (head, tail) = name.split_once('…').unwrap_or_default();
                    head.starts_with("prod") && tail.ends_with(&format!("s-{number}"))
                };
                assert!(shown.lines().any(is_told), "{number}: {shown}");
            }
            let words: Vec<&str> = shown.split_whitespace().collect();
            assert!(words.join(" ").contains(PINNED), "{shown}");
        }
    }

    #[test]
    fn a_terminal_of_80_by_24_cuts_off_nothing_that_is_told_of_the_sensor() {
        let shown = text(&drawn(&lowered(3, &[]), 80, 24, true));
        for whole in [
            "0 flows open; 99 % within 0 µs",
            "shed by outputs",
            "(the rest)",
            "$12.0000–34.0000 saved",
            "flow 90 s of 30 min",
        ] {
            assert!(shown.contains(whole), "{whole}: {shown}");
        }
    }

    #[test]
    fn colours_are_few_and_gone_when_nobody_wants_them() {
        let model = lowered(3, &[KeyCode::Enter]);
        let colours = |has_colours| {
            let buffer = drawn(&model, 110, 30, has_colours);
            let cells = buffer.content.iter();
            let mut colours: Vec<Color> = cells.flat_map(|it| [it.fg, it.bg]).collect();
            colours.sort_by_key(|it| format!("{it:?}"));
            colours.dedup();
            colours
        };
        assert_eq!(colours(true), [Color::Green, Color::Reset, Color::Yellow]);
        assert_eq!(colours(false), [Color::Reset]);
    }

    #[test]
    fn why_there_is_nothing_is_said() {
        let mut model = Model::new(Order::Rate);
        let shown = |model: &Model| text(&drawn(model, 80, 24, true));
        assert!(shown(&model).contains("no source has been heard yet"));
        model.read(reading(1, &[(1, 10)]));
        model.handle(KeyCode::Char('g'));
        assert!(shown(&model).contains("no source is lowered now"));
        for key in "/zzz".chars() {
            model.handle(KeyCode::Char(key));
        }
        let screen = shown(&model);
        assert!(screen.contains("no source matches the filter"), "{screen}");
        assert!(screen.contains("filter: zzz_"), "{screen}");
        model.lost("it is gone");
        assert!(shown(&model).contains("NO ANSWER: it is gone"));
    }

    /// So many sources by name, all of them lowered.
    fn lowered(sources: u8, keys: &[KeyCode]) -> Model {
        let mut model = Model::new(Order::Name);
        let sources: Vec<(u8, u64)> = (1..=sources).map(|number| (number, 1)).collect();
        let mut reading = reading(1, &sources);
        reading.oversight.mode = "dynamic".to_owned();
        reading.oversight.saved_usd = (12.0, 34.0);
        let rows = reading.sources.iter().map(mirror);
        reading.oversight.mirrors = rows.collect();
        model.read(reading);
        for key in keys {
            model.handle(*key);
        }
        model
    }

    fn mirror(source: &SourceStatus) -> MirrorRow {
        MirrorRow {
            outer_ip: source.report.outer_ip,
            vni: source.report.vni,
            interface: "eni-1".to_owned(),
            grade: "essential".to_owned(),
            since: 0,
            pinned: false,
            reason: "quiet".to_owned(),
            sentence: "quiet for 20 minutes".to_owned(),
            until: None,
            blind: vec![BlindWindow {
                class: "flow".to_owned(),
                seconds: 89.9,
                bound_seconds: 1_800.0,
            }],
        }
    }

    fn drawn(model: &Model, columns: u16, lines: u16, has_colours: bool) -> Buffer {
        let look = Look { has_colours };
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).expect("no device");
        let mut state = TableState::new();
        terminal
            .draw(|frame| draw(frame, model, &mut state, look))
            .expect("no device");
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> String {
        let columns = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(columns).map(|line| {
            let line: String = line.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }
}
