//! 95 % intervals of shares, means and things that never happened.

use crate::score::Seen;

/// Quantile of the normal distribution that leaves 2.5 % above it.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's interval of a share.
#[must_use]
pub fn wilson(seen: Seen) -> [f64; 2] {
    if seen.total == 0 {
        return [0.0, 1.0];
    }
    let n = seen.total as f64;
    let share = seen.share();
    let denominator = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// Mean of independent values and its interval; for a single value there is none.
#[must_use]
pub fn mean(values: &[f64]) -> (f64, Option<[f64; 2]>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (0.0, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0);
    let half = Z * (variance / n).sqrt();
    (mean, Some([mean - half, mean + half]))
}

/// Ratio of sums over clusters and its interval by the jackknife: shares of attacks are not
/// independent within one seed, seeds are.
#[must_use]
pub fn ratio(clusters: &[Seen]) -> (f64, Option<[f64; 2]>) {
    let all = clusters
        .iter()
        .fold(Seen::default(), |sum, one| sum.plus(*one));
    let n = clusters.len() as f64;
    if clusters.len() < 2 {
        return (all.share(), None);
    }
    let left_out = clusters.iter().map(|one| {
        Seen {
            total: all.total - one.total,
            seen: all.seen - one.seen,
        }
        .share()
    });
    let values: Vec<f64> = left_out.collect();
    let mean = values.iter().sum::<f64>() / n;
    let spread = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    let half = Z * (spread * (n - 1.0) / n).sqrt();
    (all.share(), Some([all.share() - half, all.share() + half]))
}

/// If none of so many happened: the largest chance that fits at 95 %, `3/n`.
#[must_use]
pub fn rule_of_three(trials: u64) -> f64 {
    if trials == 0 {
        1.0
    } else {
        3.0 / trials as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_is_as_in_the_textbook() {
        let [low, high] = wilson(Seen { total: 10, seen: 8 });
        assert!(
            (low - 0.4902).abs() < 1e-3 && (high - 0.9433).abs() < 1e-3,
            "{low} {high}"
        );
        assert_eq!(wilson(Seen::default()), [0.0, 1.0]);
        assert!(wilson(Seen { total: 5, seen: 0 })[0] <= 1e-12);
    }

    #[test]
    fn means_and_ratios_hold_their_interval() {
        let (mean, interval) = mean(&[1.0, 2.0, 3.0, 4.0]);
        let [low, high] = interval.unwrap();
        assert!(
            (mean - 2.5).abs() < 1e-12 && (high - low - 2.53).abs() < 0.01,
            "{low} {high}"
        );
        let clusters = [Seen { total: 10, seen: 5 }; 20];
        let (share, interval) = ratio(&clusters);
        assert!((share - 0.5).abs() < 1e-12);
        assert!(interval.unwrap().iter().all(|end| (end - 0.5).abs() < 1e-9));
        assert!((rule_of_three(10_000) - 3e-4).abs() < 1e-12);
    }
}
