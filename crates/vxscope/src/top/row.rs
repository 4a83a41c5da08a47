//! One source, of what the sensor and whoever looks after its mirror say.

use std::collections::VecDeque;
use std::net::IpAddr;

use vxscope_report::{BlindWindow, MirrorRow, SourceStatus};

/// Rates that are kept of each source, the latest last: two minutes, more than fits a screen.
const HISTORY: usize = 120;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) vni: u32,
    pub(super) grade: String,
    pub(super) bytes_per_second: f64,
    pub(super) packets_per_second: f64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) flows: u64,
    pub(super) events: u64,
    /// Bytes a second, reading by reading.
    pub(super) history: VecDeque<f64>,
    /// Classes of evidence that are hidden now, the nearest to its bound first.
    pub(super) hidden: Vec<BlindWindow>,
    pub(super) pinned: bool,
    /// Since when the grade is what it is, µs since 1970; 0 from the beginning.
    pub(super) since: u64,
    pub(super) why: String,
}

impl Row {
    /// A source without rates yet.
    pub(super) fn new(source: &SourceStatus, mirror: Option<&MirrorRow>) -> Self {
        let signals = &source.report.signals;
        let interface = mirror.map(|mirror| mirror.interface.clone());
        let name = source.name.clone().or_else(|| source.report.eni.clone());
        let name = name.or(interface);
        let blind = mirror.map_or(&[][..], |mirror| mirror.blind.as_slice());
        let mut hidden: Vec<BlindWindow> = blind
            .iter()
            .filter(|it| it.seconds > 0.0)
            .cloned()
            .collect();
        hidden.sort_by(|one, other| share(other).total_cmp(&share(one)));
        Self {
            name: name.unwrap_or_else(|| source.report.outer_ip.to_string()),
            address: source.report.outer_ip,
            vni: source.report.vni,
            grade: mirror.map_or("full", |mirror| &mirror.grade).to_owned(),
            bytes_per_second: 0.0,
            packets_per_second: 0.0,
            packets: signals.packets,
            bytes: source.bytes,
            flows: signals.flows,
            events: signals.events.iter().sum(),
            history: VecDeque::new(),
            hidden,
            pinned: mirror.is_some_and(|mirror| mirror.pinned),
            since: mirror.map_or(0, |mirror| mirror.since),
            why: mirror.map_or_else(String::new, |mirror| mirror.sentence.clone()),
        }
    }

    /// Address and VNI.
    pub(super) const fn key(&self) -> (IpAddr, u32) {
        (self.address, self.vni)
    }

    /// What came between the reading before and this one.
    pub(super) fn compare(&mut self, before: &Self, seconds: f64) {
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        self.bytes_per_second = rate(self.bytes, before.bytes);
        self.packets_per_second = rate(self.packets, before.packets);
        self.history.clone_from(&before.history);
        self.history.push_back(self.bytes_per_second);
        while self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// How much of its bound is used up by what is nearest to it.
    pub(super) fn hidden_share(&self) -> f64 {
        self.hidden.first().map_or(0.0, share)
    }

    /// Whether each word of the filter is in what tells the source from others.
    pub(super) fn answers(&self, filter: &str) -> bool {
        let text = format!(
            "{} {} vni:{} {}",
            self.name, self.address, self.vni, self.grade
        );
        let text = text.to_ascii_lowercase();
        filter.split_ascii_whitespace().all(|it| text.contains(it))
    }
}

/// How much of its bound is used up.
pub(super) fn share(window: &BlindWindow) -> f64 {
    window.seconds / window.bound_seconds.max(1e-9)
}
