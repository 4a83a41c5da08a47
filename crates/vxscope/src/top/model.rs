//! What is looked at: rows made of two readings, in an order, through a filter.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::ValueEnum;
use console::Key;
use vxscope_api::Health;
use vxscope_report::{MirrorRow, Oversight, SourceStatus, Status};

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

/// One source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) vni: u32,
    pub(super) grade: String,
    pub(super) bytes_per_second: f64,
    pub(super) packets_per_second: f64,
    pub(super) packets: u64,
    pub(super) flows: u64,
    pub(super) events: u64,
    /// Class, seconds and bound of what is nearest to its bound.
    pub(super) hidden: Option<(String, f64, f64)>,
    pub(super) pinned: bool,
    pub(super) why: String,
}

impl Row {
    /// How much of its bound is used up.
    pub(super) fn hidden_share(&self) -> f64 {
        let hidden = self.hidden.as_ref();
        hidden.map_or(0.0, |(_, seconds, bound)| seconds / bound.max(1e-9))
    }

    fn answers(&self, filter: &str) -> bool {
        let text = format!(
            "{} {} vni:{} {}",
            self.name, self.address, self.vni, self.grade
        );
        let text = text.to_ascii_lowercase();
        filter.split_ascii_whitespace().all(|it| text.contains(it))
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
    before: BTreeMap<(IpAddr, u32), (u64, u64)>,
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
        self.all.clear();
        for source in &sources {
            let before = self.before.get(&source.key()).copied();
            let (bytes, packets) = before.unwrap_or_default();
            let signals = &source.report.signals;
            let mirror = mirrors.get(&source.key()).copied();
            let mut row = row(source, mirror);
            row.bytes_per_second = rate(source.bytes, bytes);
            row.packets_per_second = rate(signals.packets, packets);
            self.all.push(row);
        }
        self.before = sources
            .iter()
            .map(|it| (it.key(), (it.bytes, it.report.signals.packets)))
            .collect();
        (self.status, self.health, self.oversight) = (status, Some(health), oversight);
        self.lost = None;
    }

    /// The rows to be seen, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let filter = self.filter.to_ascii_lowercase();
        let rows = self.all.iter();
        let mut rows: Vec<&Row> = rows
            .filter(|row| row.answers(&filter) && (!self.only_lowered || row.grade != "full"))
            .collect();
        let key = |row: &Row| (row.address, row.vni);
        rows.sort_by(|one, other| {
            let order = match self.order {
                Order::Rate => other.bytes_per_second.total_cmp(&one.bytes_per_second),
                Order::Packets => Reverse(one.packets).cmp(&Reverse(other.packets)),
                Order::Grade => rank(&one.grade).cmp(&rank(&other.grade)),
                Order::Hidden => other.hidden_share().total_cmp(&one.hidden_share()),
                Order::Name => one.name.cmp(&other.name),
            };
            order.then_with(|| key(one).cmp(&key(other)))
        });
        rows
    }

    /// Somebody typed. Whether that was enough.
    pub(super) fn handle(&mut self, key: Key) -> bool {
        if self.is_typing {
            match key {
                Key::Enter => self.is_typing = false,
                Key::Escape => {
                    self.is_typing = false;
                    self.filter.clear();
                }
                Key::Backspace => {
                    self.filter.pop();
                }
                Key::CtrlC => return true,
                Key::Char(typed) if !typed.is_control() => self.filter.push(typed),
                _ => {}
            }
            self.selected = 0;
            return false;
        }
        let last = self.rows().len().saturating_sub(1);
        match key {
            Key::Char('q') | Key::CtrlC => return true,
            Key::Char('s') => self.order = self.order.next(),
            Key::Char('g') => self.only_lowered = !self.only_lowered,
            Key::Char('/') => self.is_typing = true,
            Key::Escape => {
                self.filter.clear();
                (self.only_lowered, self.shows_why) = (false, false);
            }
            Key::Char('j') | Key::ArrowDown => self.selected = (self.selected + 1).min(last),
            Key::Char('k') | Key::ArrowUp => self.selected = self.selected.saturating_sub(1),
            Key::PageDown => self.selected = (self.selected + 10).min(last),
            Key::PageUp => self.selected = self.selected.saturating_sub(10),
            Key::Home => self.selected = 0,
            Key::End => self.selected = last,
            Key::Enter => self.shows_why = !self.shows_why,
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

fn row(source: &SourceStatus, mirror: Option<&MirrorRow>) -> Row {
    let signals = &source.report.signals;
    let interface = mirror.map(|mirror| mirror.interface.clone());
    let name = source.name.clone().or_else(|| source.report.eni.clone());
    let name = name.or(interface);
    let blind = mirror.map(|mirror| mirror.blind.as_slice());
    let hidden = blind
        .unwrap_or_default()
        .iter()
        .filter(|it| it.seconds > 0.0);
    let hidden = hidden.max_by(|one, other| {
        let share = |it: &vxscope_report::BlindWindow| it.seconds / it.bound_seconds.max(1e-9);
        share(one).total_cmp(&share(other))
    });
    Row {
        name: name.unwrap_or_else(|| source.report.outer_ip.to_string()),
        address: source.report.outer_ip,
        vni: source.report.vni,
        grade: mirror.map_or("full", |mirror| &mirror.grade).to_owned(),
        bytes_per_second: 0.0,
        packets_per_second: 0.0,
        packets: signals.packets,
        flows: signals.flows,
        events: signals.events.iter().sum(),
        hidden: hidden.map(|it| (it.class.clone(), it.seconds, it.bound_seconds)),
        pinned: mirror.is_some_and(|mirror| mirror.pinned),
        why: mirror.map_or_else(String::new, |mirror| mirror.sentence.clone()),
    }
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
            assert!(!model.handle(Key::Char(key)));
        }
        assert_eq!(model.order, Order::Grade);
        for key in "/NODE-2".chars() {
            model.handle(Key::Char(key));
        }
        // While somebody types, q is a letter.
        model.handle(Key::Char('q'));
        assert!(model.rows().is_empty());
        model.handle(Key::Backspace);
        model.handle(Key::Enter);
        let names: Vec<&str> = model.rows().iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["node-2"]);
        model.handle(Key::Escape);
        for _ in 0..9 {
            model.handle(Key::ArrowDown);
        }
        assert_eq!((model.rows().len(), model.selected), (3, 2));
        model.handle(Key::Char('g'));
        assert!(model.rows().is_empty());
        assert!(model.handle(Key::Char('q')));
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
