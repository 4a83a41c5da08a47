//! What is looked at: rows made of two readings, in an order, through a filter.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::ValueEnum;
use ratatui::crossterm::event::KeyCode;
use vxscope_api::Health;
use vxscope_report::{MirrorRow, Oversight, SourceStatus, Status};

use super::row::Row;

/// What the sensor said.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) status: Status,
    pub(super) health: Health,
    pub(super) sources: Vec<SourceStatus>,
    pub(super) oversight: Oversight,
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Bytes a second, most first.
    #[default]
    Rate,
    /// Packets so far, most first.
    Packets,
    /// The lowest grade first.
    Grade,
    /// Who is nearest to its bound first.
    Hidden,
    /// By name.
    Name,
}

impl Order {
    const ALL: [Self; 5] = [
        Self::Rate,
        Self::Packets,
        Self::Grade,
        Self::Hidden,
        Self::Name,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Packets => "packets",
            Self::Grade => "grade",
            Self::Hidden => "hidden",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        let next = Self::ALL.get(place + 1);
        next.copied().unwrap_or_default()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) status: Status,
    pub(super) health: Option<Health>,
    pub(super) oversight: Oversight,
    pub(super) received_per_second: f64,
    pub(super) bits_per_second: f64,
    pub(super) dropped_per_second: f64,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Whether what is typed is the filter.
    pub(super) is_typing: bool,
    pub(super) only_lowered: bool,
    pub(super) shows_why: bool,
    pub(super) selected: usize,
    /// Why nobody answers.
    pub(super) lost: Option<String>,
    all: Vec<Row>,
}

impl Model {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            ..Self::default()
        }
    }

    /// Nobody answers; what was read before stays.
    pub(super) fn lost(&mut self, why: &str) {
        self.lost = Some(why.to_owned());
    }

    /// The sensor answered.
    pub(super) fn read(&mut self, reading: Reading) {
        let Reading {
            status,
            health,
            sources,
            oversight,
        } = reading;
        let is_same = self.status.epoch == status.epoch && self.status.time > 0;
        let micros = status.time.saturating_sub(self.status.time);
        if is_same && micros == 0 {
            // No tick passed: rates stay as they are.
            self.health = Some(health);
            return;
        }
        let seconds = if is_same {
            micros as f64 / 1e6
        } else {
            f64::INFINITY
        };
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let old = &self.status.packets;
        self.received_per_second = rate(status.packets.received, old.received);
        self.bits_per_second = 8.0 * rate(status.packets.received_bytes, old.received_bytes);
        self.dropped_per_second = rate(status.packets.kernel_dropped, old.kernel_dropped);
        let mirrors: BTreeMap<(IpAddr, u32), &MirrorRow> =
            oversight.mirrors.iter().map(|it| (it.key(), it)).collect();
        // A reason that somebody reads stays with its source, wherever that moves to.
        let read = self.chosen().filter(|_| self.shows_why).map(Row::key);
        let before: BTreeMap<(IpAddr, u32), Row> =
            self.all.drain(..).map(|row| (row.key(), row)).collect();
        for source in &sources {
            let mut row = Row::new(source, mirrors.get(&source.key()).copied());
            if let Some(before) = before.get(&row.key()).filter(|_| is_same) {
                row.compare(before, seconds);
            }
            self.all.push(row);
        }
        (self.status, self.health, self.oversight) = (status, Some(health), oversight);
        self.lost = None;
        let rows = self.rows();
        let place = rows.iter().position(|row| Some(row.key()) == read);
        self.selected = place
            .unwrap_or(self.selected)
            .min(rows.len().saturating_sub(1));
    }

    /// The source that is chosen, if any is to be seen.
    pub(super) fn chosen(&self) -> Option<&Row> {
        self.rows().get(self.selected).copied()
    }

    /// The rows to be seen, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let filter = self.filter.to_ascii_lowercase();
        let rows = self.all.iter();
        let mut rows: Vec<&Row> = rows
            .filter(|row| row.answers(&filter) && (!self.only_lowered || row.grade != "full"))
            .collect();
        rows.sort_by(|one, other| {
            let order = match self.order {
                Order::Rate => other.bytes_per_second.total_cmp(&one.bytes_per_second),
                Order::Packets => Reverse(one.packets).cmp(&Reverse(other.packets)),
                Order::Grade => rank(&one.grade).cmp(&rank(&other.grade)),
                Order::Hidden => other.hidden_share().total_cmp(&one.hidden_share()),
                Order::Name => one.name.cmp(&other.name),
            };
            order.then_with(|| one.key().cmp(&other.key()))
        });
        rows
    }

    /// Somebody typed. Whether that was enough.
    pub(super) fn handle(&mut self, key: KeyCode) -> bool {
        if self.is_typing {
            match key {
                KeyCode::Enter => self.is_typing = false,
                KeyCode::Esc => {
                    self.is_typing = false;
                    self.filter.clear();
                }
                KeyCode::Backspace => {
                    self.filter.pop();
                }
                KeyCode::Char(typed) if !typed.is_control() => self.filter.push(typed),
                _ => {}
            }
            self.selected = 0;
            return false;
        }
        let last = self.rows().len().saturating_sub(1);
        match key {
            KeyCode::Char('q') => return true,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('g') => self.only_lowered = !self.only_lowered,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => {
                self.filter.clear();
                (self.only_lowered, self.shows_why) = (false, false);
            }
            KeyCode::Char('j') | KeyCode::Down => self.selected = (self.selected + 1).min(last),
            KeyCode::Char('k') | KeyCode::Up => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + 10).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(10),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Enter => self.shows_why = !self.shows_why,
            _ => {}
        }
        false
    }
}

/// The lowest grade first.
fn rank(grade: &str) -> usize {
    let order = ["off", "sentinel", "essential", "truncated", "full"];
    let place = order.iter().position(|it| *it == grade);
    place.unwrap_or(order.len())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use vxscope_report::{Signals, SourceReport};

    #[test]
    fn rates_are_what_came_between_two_readings() {
        let mut model = Model::new(Order::Rate);
        model.read(reading(1, &[(1, 1_000), (2, 9_000)]));
        assert!(model.rows().iter().all(|row| row.bytes_per_second == 0.0));
        model.read(reading(3, &[(1, 5_000), (2, 10_000)]));
        let rows = model.rows();
        let rates: Vec<f64> = rows.iter().map(|row| row.bytes_per_second).collect();
        assert_eq!(rates, [2_000.0, 500.0]);
        assert_eq!(rows[0].name, "node-1");
    }

    #[test]
    fn a_sensor_that_began_anew_has_no_rate_yet() {
        let mut model = Model::new(Order::Rate);
        model.read(reading(1, &[(1, 1_000)]));
        let mut anew = reading(2, &[(1, 9_000)]);
        anew.status.epoch = 77;
        model.read(anew);
        assert!(model.rows().iter().all(|row| row.bytes_per_second == 0.0));
    }

    #[test]
    fn keys_sort_filter_and_end() {
        let mut model = Model::new(Order::Rate);
        model.read(reading(1, &[(1, 10), (2, 20), (3, 30)]));
        for key in ['s', 's'] {
            assert!(!model.handle(KeyCode::Char(key)));
        }
        assert_eq!(model.order, Order::Grade);
        for key in "/NODE-2".chars() {
            model.handle(KeyCode::Char(key));
        }
        // While somebody types, q is a letter.
        model.handle(KeyCode::Char('q'));
        assert!(model.rows().is_empty());
        model.handle(KeyCode::Backspace);
        model.handle(KeyCode::Enter);
        let names: Vec<&str> = model.rows().iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["node-2"]);
        model.handle(KeyCode::Esc);
        for _ in 0..9 {
            model.handle(KeyCode::Down);
        }
        assert_eq!((model.rows().len(), model.selected), (3, 2));
        model.handle(KeyCode::Char('g'));
        assert!(model.rows().is_empty());
        assert!(model.handle(KeyCode::Char('q')));
    }

    #[test]
    fn a_reason_that_is_read_stays_with_its_source() {
        for (is_read, chosen) in [(true, "node-2"), (false, "node-1")] {
            let mut model = Model::new(Order::Rate);
            model.read(reading(1, &[(1, 0), (2, 0)]));
            model.read(reading(2, &[(1, 10), (2, 20)]));
            if is_read {
                model.handle(KeyCode::Enter);
            }
            model.read(reading(3, &[(1, 90), (2, 30)]));
            assert_eq!(model.chosen().map(|row| row.name.as_str()), Some(chosen));
        }
    }

    pub(in crate::top) fn reading(second: u64, sources: &[(u8, u64)]) -> Reading {
        let mut status = Status::new("test".to_owned(), "1".to_owned(), 5);
        status.time = second * 1_000_000;
        let sources = sources.iter().map(|(number, bytes)| SourceStatus {
            report: SourceReport {
                outer_ip: [10, 0, 0, *number].into(),
                vni: 7,
                eni: None,
                signals: Signals::default(),
            },
            name: Some(format!("node-{number}")),
            instance: None,
            vpc: None,
            account: None,
            bytes: *bytes,
            ip_bytes: 0,
            ingress_bytes: 0,
            egress_bytes: 0,
            unknown_direction_bytes: 0,
            first_seen: 0,
            last_seen: 0,
        });
        Reading {
            status,
            health: Health {
                healthy: true,
                heartbeat_seconds: 0.01,
            },
            sources: sources.collect(),
            oversight: Oversight::default(),
        }
    }
}
