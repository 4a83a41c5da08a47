//! How long datagrams took from their arrival in the kernel to their entry in the ledger.

use hdrhistogram::Histogram;
use vxscope_report::{LATENCY_BOUNDS, Latency};

/// Half of it is not told apart: the stamp itself is no better.
const NANOS_MIN: u64 = 1_000;
/// Longer counts as this. A receive buffer holds less.
const NANOS_MAX: u64 = 60_000_000_000;
/// Two significant digits: within 1 % or half a microsecond, in 20 KiB.
const DIGITS: u8 = 2;

/// Latencies, one sample for each batch: its oldest datagram's, for all of it.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
    nanos: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(NANOS_MIN, NANOS_MAX, DIGITS);
        Self {
            histogram: histogram.expect("0 < 2 * NANOS_MIN <= NANOS_MAX, and at most 5 digits"),
            nanos: 0,
        }
    }

    /// So many datagrams took so long. Allocates nothing.
    #[inline]
    pub(crate) fn record(&mut self, nanos: u64, datagrams: u64) {
        self.histogram.saturating_record_n(nanos, datagrams);
        let all = nanos.min(NANOS_MAX).saturating_mul(datagrams);
        self.nanos = self.nanos.saturating_add(all);
    }

    /// Adds another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so what one holds fits the other.
        let _ = self.histogram.add(&other.histogram);
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
        self.nanos = 0;
    }

    /// In words.
    pub(crate) fn status(&self) -> Latency {
        let quantile = |quantile| seconds(self.histogram.value_at_quantile(quantile));
        let mut buckets = vec![0; LATENCY_BOUNDS.len()];
        for step in self.histogram.iter_recorded() {
            let reached = LATENCY_BOUNDS.iter().zip(&mut buckets);
            let reached = reached.filter(|((_, bound), _)| step.value_iterated_to() <= *bound);
            reached.for_each(|(_, count)| *count += step.count_at_value());
        }
        Latency {
            count: self.histogram.len(),
            sum: seconds(self.nanos),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: seconds(self.histogram.max()),
            buckets,
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_as_often_as_it_has_datagrams() {
        let mut latencies = Latencies::new();
        latencies.record(40_000, 90);
        latencies.record(3_000_000, 9);
        let mut other = Latencies::new();
        other.record(2_000_000_000, 1);
        latencies.merge(&other);
        let status = latencies.status();
        assert_eq!(status.count, 100);
        assert!((status.sum - 2.0306).abs() < 1e-9, "{}", status.sum);
        for (found, expected) in [
            (status.p50, 40e-6),
            (status.p90, 40e-6),
            (status.p99, 3e-3),
            (status.p999, 2.0),
            (status.max, 2.0),
        ] {
            let tolerance = f64::max(expected * 0.01, 0.5e-6);
            assert!((found - expected).abs() < tolerance, "{found} {expected}");
        }
        assert_eq!(
            status.buckets,
            [0, 0, 90, 90, 90, 90, 90, 90, 99, 99, 99, 99, 99, 99]
        );
    }

    #[test]
    fn no_value_is_too_small_or_too_large() {
        let mut latencies = Latencies::new();
        latencies.record(0, 1);
        latencies.record(u64::MAX, u64::MAX);
        latencies.clear();
        latencies.record(NANOS_MAX, 1);
        assert_eq!(latencies.status().count, 1);
    }
}
