//! What sensors received of each source, in CloudWatch's periods: counters of reports are
//! cumulative, and CloudWatch tells of a period minutes after it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use vxscope_enrolment::assurance::PERIOD;
use vxscope_report::Report;
use vxscope_units::MirrorSource;

/// Periods that are remembered: CloudWatch's answer is about the third last.
const PERIODS: usize = 6;

/// A sensor, and an address and VNI that it saw.
type Seen = (String, IpAddr, u32);

/// Bytes by address and VNI.
type Bytes = BTreeMap<(IpAddr, u32), u64>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Epoch of the sensor's run and the counter as it was last.
    last: BTreeMap<Seen, (u64, u64)>,
    /// The run of each sensor of which a report had all sources: who is new since then began at
    /// zero.
    heard: BTreeMap<String, u64>,
    /// Periods by their begin in seconds, newest last, and what came in each.
    periods: VecDeque<(u64, Bytes)>,
    /// Since when reports came, seconds since 1970.
    since: Option<u64>,
}

impl Received {
    pub(crate) fn handle_report(&mut self, report: &Report) {
        let seconds = report.to / 1_000_000;
        self.since.get_or_insert(seconds);
        let begin = begin_of(seconds);
        let all_were_told = self.heard.get(&report.sensor) == Some(&report.epoch);
        for source in &report.sources {
            let total: u64 = source.signals.bytes.iter().flatten().sum();
            let total = total.saturating_add(source.signals.undecided);
            let key = (report.sensor.clone(), source.outer_ip, source.vni);
            let before = self.last.insert(key, (report.epoch, total));
            let grown = match before {
                Some((epoch, before)) if epoch == report.epoch => total.saturating_sub(before),
                // Another run of the sensor.
                Some(_) => total,
                None if all_were_told => total,
                // It may have been there before us.
                None => 0,
            };
            if grown > 0 {
                let period = self.period(begin);
                *period.entry((source.outer_ip, source.vni)).or_insert(0) += grown;
            }
        }
        if report.full {
            self.heard.insert(report.sensor.clone(), report.epoch);
        }
    }

    /// Bytes of a source in the period that began then; `None` if nobody listened all the time.
    pub(crate) fn of(&self, mirror: MirrorSource, begin: u64) -> Option<u64> {
        self.since.filter(|since| *since <= begin)?;
        let periods = self.periods.iter();
        let period = periods.rev().find(|(since, _)| *since == begin);
        let bytes = period.and_then(|(_, all)| all.get(&(mirror.address, mirror.vni.get())));
        Some(bytes.copied().unwrap_or(0))
    }

    /// Sources that are gone need not be remembered.
    pub(crate) fn retain(&mut self, is_there: impl Fn(IpAddr, u32) -> bool) {
        self.last
            .retain(|(_, address, vni), _| is_there(*address, *vni));
    }

    fn period(&mut self, begin: u64) -> &mut Bytes {
        let at = self.periods.iter().position(|(since, _)| *since == begin);
        let at = at.unwrap_or_else(|| {
            while self.periods.len() >= PERIODS {
                self.periods.pop_front();
            }
            self.periods.push_back((begin, BTreeMap::new()));
            self.periods.len() - 1
        });
        &mut self.periods[at].1
    }
}

/// The begin of the period that a time is in.
pub(crate) fn begin_of(seconds: u64) -> u64 {
    seconds - seconds % PERIOD.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_report::{SCHEMA, Signals, SourceReport};
    use vxscope_units::Vni;

    #[test]
    fn bytes_are_those_of_their_period_and_a_restart_counts_anew() {
        let mut received = Received::default();
        let mirror = MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(7).unwrap(),
        };
        for (epoch, at, total) in [
            (1, 290, 1_000),
            (1, 310, 1_500),
            (1, 590, 1_700),
            (1, 610, 2_000),
            (2, 620, 40),
        ] {
            received.handle_report(&report(epoch, at, total));
        }
        let of = |begin| received.of(mirror, begin);
        assert_eq!((of(0), of(300), of(600)), (None, Some(700), Some(340)));
        assert_eq!(of(900), Some(0));
    }

    #[test]
    fn who_comes_after_all_were_told_began_at_zero() {
        for (full, first) in [(true, 5_000), (false, 0)] {
            let mut received = Received::default();
            let mut before = report(1, 300, 0);
            (before.sources, before.full) = (Vec::new(), full);
            received.handle_report(&before);
            received.handle_report(&report(1, 301, 5_000));
            let mirror = MirrorSource {
                address: [10, 0, 0, 1].into(),
                vni: Vni::try_new(7).unwrap(),
            };
            assert_eq!(received.of(mirror, 300), Some(first));
        }
    }

    fn report(epoch: u64, at: u64, total: u64) -> Report {
        let mut signals = Signals::default();
        signals.bytes[0][0] = total;
        Report {
            schema: SCHEMA,
            sensor: "one".to_owned(),
            epoch,
            seq: 0,
            from: 0,
            to: at * 1_000_000,
            received: 0,
            kernel_dropped: 0,
            sources: vec![SourceReport {
                outer_ip: [10, 0, 0, 1].into(),
                vni: 7,
                eni: None,
                signals,
            }],
            full: true,
        }
    }
}
