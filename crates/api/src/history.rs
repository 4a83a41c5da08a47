//! How much each source sent lately: two short series per source, for whoever looks.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use vxscope_report::SourceStatus;

/// Points of each series; the oldest is forgotten. With all 16,384 sources that is 8 MiB.
pub(crate) const POINTS: usize = 60;
/// What a point of the coarse series stands for.
const MINUTE_MICROS: u64 = 60_000_000;

/// Rates in bytes a second, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Series {
    /// One point a tick.
    pub(crate) ticks: Vec<f32>,
    /// One point a minute.
    pub(crate) minutes: Vec<f32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct History {
    tracks: BTreeMap<(IpAddr, u32), Track>,
    /// When the last tick was, µs since 1970.
    time: Option<u64>,
}

#[derive(Debug, Default)]
struct Track {
    bytes: u64,
    ticks: VecDeque<f32>,
    minutes: VecDeque<f32>,
    /// Bytes and time since the last point of `minutes`.
    minute: (u64, u64),
}

impl History {
    /// A tick passed at `time`, and sources stand so.
    pub(crate) fn record(&mut self, time: u64, sources: &[Arc<SourceStatus>]) {
        let micros = self.time.map(|before| time.saturating_sub(before));
        self.time = Some(time);
        for source in sources {
            let track = self.tracks.entry(source.key()).or_default();
            let more = source.bytes.saturating_sub(track.bytes);
            track.bytes = source.bytes;
            // What came before the first tick came in a time that nobody measured.
            if let Some(micros) = micros.filter(|micros| *micros > 0) {
                track.push(more, micros);
            }
        }
    }

    /// What is known of one source.
    pub(crate) fn series(&self, source: (IpAddr, u32)) -> Series {
        let Some(track) = self.tracks.get(&source) else {
            return Series::default();
        };
        Series {
            ticks: track.ticks.iter().copied().collect(),
            minutes: track.minutes.iter().copied().collect(),
        }
    }

    /// The last tick's rate of one source.
    pub(crate) fn rate(&self, source: (IpAddr, u32)) -> f32 {
        let track = self.tracks.get(&source);
        let last = track.and_then(|track| track.ticks.back());
        last.copied().unwrap_or(0.0)
    }
}

impl Track {
    fn push(&mut self, bytes: u64, micros: u64) {
        push(&mut self.ticks, rate(bytes, micros));
        self.minute.0 += bytes;
        self.minute.1 += micros;
        if self.minute.1 >= MINUTE_MICROS {
            push(&mut self.minutes, rate(self.minute.0, self.minute.1));
            self.minute = (0, 0);
        }
    }
}

fn push(series: &mut VecDeque<f32>, point: f32) {
    if series.len() == POINTS {
        series.pop_front();
    }
    series.push_back(point);
}

/// Rounded to whole bytes: nobody reads more, and it is shorter to send.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a chart shows no more than six digits"
)]
fn rate(bytes: u64, micros: u64) -> f32 {
    (bytes as f64 * 1e6 / micros as f64).round() as f32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use vxscope_report::{Signals, SourceReport};

    #[test]
    fn rates_are_what_came_between_ticks() {
        let mut history = History::default();
        for (second, bytes) in [(1, 9_000), (2, 9_500), (4, 9_500), (5, 19_500)] {
            history.record(second * 1_000_000, &[source(7, bytes)]);
        }
        let key = source(7, 0).key();
        assert_eq!(history.series(key).ticks, [500.0, 0.0, 10_000.0]);
        assert_eq!(history.rate(key).to_bits(), 10_000_f32.to_bits());
        assert_eq!(history.series(source(8, 0).key()), Series::default());
    }

    #[test]
    fn a_series_keeps_its_length_and_minutes_are_means() {
        let mut history = History::default();
        for second in 0..=7_200 {
            history.record(second * 1_000_000, &[source(7, second * 100)]);
        }
        let series = history.series(source(7, 0).key());
        assert_eq!(series.ticks, vec![100.0; POINTS]);
        assert_eq!(series.minutes, vec![100.0; POINTS]);
    }

    pub(crate) fn source(number: u8, bytes: u64) -> Arc<SourceStatus> {
        Arc::new(SourceStatus {
            report: SourceReport {
                outer_ip: [10, 0, 0, number].into(),
                vni: number.into(),
                eni: None,
                signals: Signals::default(),
            },
            name: None,
            instance: None,
            vpc: None,
            account: None,
            bytes,
            ip_bytes: 0,
            ingress_bytes: 0,
            egress_bytes: 0,
            unknown_direction_bytes: 0,
            first_seen: 0,
            last_seen: 0,
        })
    }
}
