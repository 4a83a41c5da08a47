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

/// Ratio of sums over clusters and its interval by the jackknife: shares of attacks are not
/// independent within one seed, seeds are.
#[must_use]
pub fn ratio(clusters: &[Seen]) -> (f64, Option<[f64; 2]>) {
    let pairs: Vec<[Seen; 2]> = clusters.iter().map(|one| [*one, Seen::default()]).collect();
    difference(&pairs)
}

/// Difference of two such ratios over the same clusters, and its interval.
#[must_use]
pub fn difference(clusters: &[[Seen; 2]]) -> (f64, Option<[f64; 2]>) {
    let all = clusters.iter().fold([Seen::default(); 2], |sum, one| {
        [sum[0].plus(one[0]), sum[1].plus(one[1])]
    });
    let of = |[one, other]: [Seen; 2]| one.share() - other.share();
    let n = clusters.len() as f64;
    if clusters.len() < 2 {
        return (of(all), None);
    }
    let without = |sum: Seen, one: Seen| Seen {
        total: sum.total - one.total,
        seen: sum.seen - one.seen,
    };
    let left_out = clusters
        .iter()
        .map(|one| of([without(all[0], one[0]), without(all[1], one[1])]));
    let values: Vec<f64> = left_out.collect();
    let mean = values.iter().sum::<f64>() / n;
    let spread = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    let half = Z * (spread * (n - 1.0) / n).sqrt();
    (of(all), Some([of(all) - half, of(all) + half]))
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
    fn ratios_and_differences_hold_their_interval() {
        let clusters = [Seen { total: 10, seen: 5 }; 20];
        let (share, interval) = ratio(&clusters);
        assert!((share - 0.5).abs() < 1e-12);
        assert!(interval.unwrap().iter().all(|end| (end - 0.5).abs() < 1e-9));
        assert_eq!(ratio(&clusters[..1]).1, None);
        // Of equal clusters the jackknife of a ratio is the usual error of the mean.
        let spread: Vec<Seen> = (0..40_u64)
            .map(|k| Seen {
                total: 10,
                seen: 4 + k % 3,
            })
            .collect();
        let (share, interval) = ratio(&spread);
        let mean = spread.iter().map(|one| one.share()).sum::<f64>() / 40.0;
        let squares: f64 = spread.iter().map(|one| (one.share() - mean).powi(2)).sum();
        let half = Z * (squares / 39.0 / 40.0).sqrt();
        assert!((share - mean).abs() < 1e-12);
        assert!((interval.unwrap()[1] - mean - half).abs() < 1e-9);
        // What both have in common is no uncertainty.
        let pairs: Vec<[Seen; 2]> = spread.iter().map(|one| [*one, *one]).collect();
        let (zero, interval) = difference(&pairs);
        assert_eq!((zero, interval), (0.0, Some([0.0, 0.0])));
        assert!((rule_of_three(10_000) - 3e-4).abs() < 1e-12);
    }
}
