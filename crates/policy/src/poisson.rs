//! Exact bounds of a Poisson mean from one count (Garwood, Biometrika 28, 1936).

/// Confidence of [`upper`] when a decision is made from it, one-sided.
pub const CONFIDENCE: f64 = 0.95;

/// The greatest mean under which a count of at most `events` is not rarer than `1 - confidence`:
/// the mean m with P(X ≤ events; m) = 1 − confidence.
///
/// ```
/// assert!((vxscope_policy::poisson::upper(0, 0.95) - 2.9957).abs() < 1e-4);
/// ```
#[must_use]
pub fn upper(events: u32, confidence: f64) -> f64 {
    let count = f64::from(events);
    let top = count + 10.0 * (count + 1.0).sqrt() + 20.0;
    root(0.0, top, |mean| at_most(events, mean) > 1.0 - confidence)
}

/// The least mean under which a count of at least `events` is not rarer than `1 - confidence`;
/// 0 for no events.
#[must_use]
pub fn lower(events: u32, confidence: f64) -> f64 {
    let Some(below) = events.checked_sub(1) else {
        return 0.0;
    };
    root(0.0, f64::from(events), |mean| {
        1.0 - at_most(below, mean) < 1.0 - confidence
    })
}

/// P(X ≤ `events`) for a mean, summed from the greatest term down.
fn at_most(events: u32, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let count = f64::from(events);
    if mean <= count {
        // The complement has the small terms, and they fall by at least a constant factor.
        return 1.0 - above(count, mean);
    }
    let mut term = (count * mean.ln() - mean - ln_factorial(count)).exp();
    let (mut sum, mut k) = (0.0, count);
    while k >= 0.0 && term > sum * f64::EPSILON * 1e-2 {
        sum += term;
        term *= k / mean;
        k -= 1.0;
    }
    sum
}

/// P(X > `count`) for a mean of at most `count`.
fn above(count: f64, mean: f64) -> f64 {
    let mut k = count + 1.0;
    let mut term = (k * mean.ln() - mean - ln_factorial(k)).exp();
    let mut sum = 0.0;
    while term > sum * f64::EPSILON * 1e-2 {
        sum += term;
        k += 1.0;
        term *= mean / k;
    }
    sum
}

/// ln n! by Stirling's series, by the product below 16 where the series is not exact enough.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        let mut product = 1.0;
        let mut k = 2.0;
        while k <= n {
            product *= k;
            k += 1.0;
        }
        return f64::ln(product);
    }
    let x = n + 1.0;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1_260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

/// The point in [`low`, `high`] where `is_below` turns false, by halving.
fn root(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// How many bounds a [`Uppers`] keeps at hand.
const KEPT: usize = 128;

/// The bounds of small counts, computed once: decisions ask for them all the time.
#[derive(Clone, Debug)]
pub(crate) struct Uppers([f64; KEPT]);

impl Uppers {
    pub(crate) fn new() -> Self {
        let mut events = 0;
        Self(std::array::from_fn(|_| {
            let bound = upper(events, CONFIDENCE);
            events += 1;
            bound
        }))
    }

    /// [`upper`] at [`CONFIDENCE`].
    pub(crate) fn of(&self, events: u32) -> f64 {
        match self.0.get(events as usize) {
            Some(bound) => *bound,
            None => upper(events, CONFIDENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upper_bounds_are_those_of_the_tables() {
        // Half of the 95 % points of χ² with 2(x + 1) degrees of freedom.
        let table = [
            (0, 2.996),
            (1, 4.744),
            (2, 6.296),
            (3, 7.754),
            (4, 9.154),
            (5, 10.513),
            (10, 16.962),
            (20, 29.062),
            (50, 63.287),
            (100, 118.079),
        ];
        for (events, bound) in table {
            check(upper(events, 0.95), bound);
            check(Uppers::new().of(events), bound);
        }
        check(Uppers::new().of(128), upper(128, 0.95));
    }

    #[test]
    fn lower_bounds_are_those_of_the_tables() {
        for (events, bound) in [
            (0, 0.0),
            (1, 0.0253),
            (2, 0.2422),
            (5, 1.6235),
            (10, 4.7954),
        ] {
            check(lower(events, 0.975), bound);
        }
    }

    proptest! {
        #[test]
        fn a_bound_solves_its_equation(events in 0_u32..3_000, confidence in 0.5_f64..0.999) {
            let tail = by_plain_sum(events, upper(events, confidence));
            prop_assert!((tail - (1.0 - confidence)).abs() < 1e-6, "{}", tail);
        }

        #[test]
        fn more_events_mean_a_higher_bound(events in 0_u32..1_000) {
            prop_assert!(upper(events + 1, 0.95) > upper(events, 0.95));
            prop_assert!(upper(events, 0.95) > f64::from(events));
            prop_assert!(lower(events, 0.95) <= f64::from(events));
        }
    }

    /// P(X ≤ events) from the first term up, each in logarithms.
    fn by_plain_sum(events: u32, mean: f64) -> f64 {
        let (mut ln_factorial, mut sum) = (0.0, 0.0);
        for k in 0..=events {
            if k > 0 {
                ln_factorial += f64::from(k).ln();
            }
            sum += (f64::from(k) * mean.ln() - mean - ln_factorial).exp();
        }
        sum
    }

    fn check(value: f64, expected: f64) {
        assert!((value - expected).abs() < 6e-4, "{value}, not {expected}");
    }
}
