//! The distributions that fleets and attacks are drawn from.

use vxscope_sim::random::{Random, hash};

/// A stream of its own for one purpose and one thing, so that more draws for one never move those
/// of another.
pub(crate) fn stream(seed: u64, purpose: u64, thing: u64) -> Random {
    Random::new(hash(hash(seed, purpose), thing))
}

/// At least 0, less than 1, with 53 bits.
pub(crate) fn share(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Even between two bounds.
pub(crate) fn uniform(random: &mut Random, low: f64, high: f64) -> f64 {
    low + (high - low) * share(random)
}

/// Even between the logarithms of two bounds above 0.
pub(crate) fn log_uniform(random: &mut Random, low: f64, high: f64) -> f64 {
    uniform(random, low.ln(), high.ln()).exp()
}

/// The wait for the next event of that rate; infinite if the rate is 0.
pub(crate) fn exponential(random: &mut Random, rate: f64) -> f64 {
    if rate <= 0.0 {
        return f64::INFINITY;
    }
    -(1.0 - share(random)).ln() / rate
}

/// Pareto with that median and tail index, cut at 10,000 medians.
pub(crate) fn pareto(random: &mut Random, median: f64, tail: f64) -> f64 {
    let scale = median / 2_f64.powf(1.0 / tail);
    (scale * (1.0 - share(random)).powf(-1.0 / tail)).min(median * 1e4)
}

/// A rank below `count`, the k-th with a weight of (k+1)^-exponent.
pub(crate) fn zipf(random: &mut Random, count: usize, exponent: f64) -> usize {
    let weight = |rank: usize| ((rank + 1) as f64).powf(-exponent);
    let total: f64 = (0..count).map(weight).sum();
    let mut rest = share(random) * total;
    for rank in 0..count {
        rest -= weight(rank);
        if rest < 0.0 {
            return rank;
        }
    }
    count.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    #[test]
    fn distributions_have_their_moments() {
        check(|r| exponential(r, 0.5), 2.0, 0.03);
        check(|r| uniform(r, 2.0, 4.0), 3.0, 0.02);
        check(|r| log_uniform(r, 1.0, 100.0).ln(), 10_f64.ln(), 0.03);
        check(
            |r| f64::from(u8::from(pareto(r, 5.0, 1.2) > 5.0)),
            0.5,
            0.01,
        );
        let first = |rank| f64::from(u8::from(rank == 0));
        check(move |r| first(zipf(r, 3, 1.0)), 6.0 / 11.0, 0.01);
    }

    #[test]
    fn a_rate_of_nothing_never_comes() {
        assert!(exponential(&mut Random::new(1), 0.0).is_infinite());
        assert_eq!(zipf(&mut Random::new(1), 0, 1.0), 0);
    }

    fn check(mut draw: impl FnMut(&mut Random) -> f64, expected: f64, tolerance: f64) {
        let mut random = Random::new(7);
        let mean = (0..DRAWS).map(|_| draw(&mut random)).sum::<f64>() / DRAWS as f64;
        assert!((mean - expected).abs() < tolerance, "{mean} {expected}");
    }
}
