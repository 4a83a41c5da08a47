//! Interleaved rounds: everything that is compared runs in turn, several times, so that a change
//! of the machine's speed meets all of it; the ratio is taken round by round.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::usage::Cpu;

/// The middle of some figures, and the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Ratio {
    /// Of `work` to `ceiling`, round by round.
    #[must_use]
    pub fn of(work: &[Cpu], ceiling: &[Cpu]) -> Self {
        let seconds = |cpu: &Cpu| cpu.total().as_secs_f64();
        let rounds = work.iter().zip(ceiling);
        let mut ratios: Vec<f64> = rounds
            .map(|(work, ceiling)| seconds(work) / seconds(ceiling))
            .collect();
        ratios.sort_by(f64::total_cmp);
        Self {
            median: middle(&ratios),
            least: ratios.first().copied().unwrap_or(f64::NAN),
            greatest: ratios.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// As tables show it: the middle, then the least and the greatest.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            greatest,
        } = self;
        write!(f, "{median:.2} ({least:.2}–{greatest:.2})")
    }
}

/// The middle of some times, of which `part` is looked at.
#[must_use]
pub fn median(times: &[Cpu], part: fn(Cpu) -> Duration) -> Duration {
    let seconds = times.iter().map(|cpu| part(*cpu).as_secs_f64());
    let mut seconds: Vec<f64> = seconds.collect();
    seconds.sort_by(f64::total_cmp);
    Duration::from_secs_f64(middle(&seconds))
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.get(half), sorted.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(upper), _) => {
            let lower = sorted.get(half.wrapping_sub(1)).unwrap_or(upper);
            f64::midpoint(*lower, *upper)
        }
        (None, _) => 0.0,
    }
}

/// A piece of work: does it once and says how much CPU time it took.
pub type Work<'a> = dyn FnMut() -> io::Result<Cpu> + 'a;

/// Does every piece of work once a round, after one round that does not count. Returns the times
/// of each piece.
///
/// # Errors
/// The first that a piece of work gives.
pub fn interleave(rounds: usize, works: &mut [&mut Work<'_>]) -> io::Result<Vec<Vec<Cpu>>> {
    let mut times = vec![Vec::with_capacity(rounds); works.len()];
    for round in 0..=rounds {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let took = work()?;
            if round > 0 {
                times.push(took);
            }
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::{Cpu, Ratio, interleave, median};
    use std::time::Duration;

    #[test]
    fn the_ratio_is_taken_round_by_round() {
        let ratio = Ratio::of(&seconds(&[2, 40, 9]), &seconds(&[1, 10, 3]));
        assert_eq!((ratio.least, ratio.median, ratio.greatest), (2.0, 3.0, 4.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let middle = |numbers: &[u64]| median(&seconds(numbers), |cpu| cpu.user).as_secs();
        assert_eq!(middle(&[9, 1, 2, 4]), 3);
        assert_eq!(middle(&[5, 1, 2]), 2);
        assert_eq!(median(&[], Cpu::total), Duration::ZERO);
    }

    #[test]
    fn work_is_done_in_turn_and_the_first_round_does_not_count() {
        let log = std::cell::RefCell::new(Vec::new());
        let turn = |name: u64| {
            log.borrow_mut().push(name);
            Ok(used(name))
        };
        let times = interleave(2, &mut [&mut || turn(1), &mut || turn(7)]).unwrap();
        assert_eq!(*log.borrow(), [1, 7, 1, 7, 1, 7]);
        assert_eq!(times, [seconds(&[1, 1]), seconds(&[7, 7])]);
    }

    fn seconds(numbers: &[u64]) -> Vec<Cpu> {
        numbers.iter().copied().map(used).collect()
    }

    fn used(seconds: u64) -> Cpu {
        Cpu {
            user: Duration::from_secs(seconds),
            kernel: Duration::ZERO,
        }
    }
}
