//! Two controllers, a reaper, a store and EC2 in virtual time, with everything going wrong.
//!
//! `SEEDS=10000 cargo test --release -p vxscope-enrolment --test sim -- --nocapture` runs ten
//! thousand; without `SEEDS` some dozens. `FIRST` is where they begin.

mod actor;
mod judge;
mod reaper;
mod store;
mod trouble;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use judge::Verdict;
use world::World;

/// Seeds where nobody says how many.
const SEEDS: u64 = 40;

#[test]
fn whatever_fails_blindness_is_bounded_and_one_acts() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: u64 = number("SEEDS").unwrap_or(SEEDS);
    let first: u64 = number("FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let all = Mutex::new(Verdict::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let verdict = World::live(seed);
                    all.lock().expect("nobody panics with it").add(verdict);
                }
            };
            let builder = std::thread::Builder::new().name("seeds".to_owned());
            builder.spawn_scoped(scope, work).expect("a thread");
        }
    });
    let all = all.into_inner().expect("nobody panics with it");
    println!("{seeds} seeds: {all}");
    assert!(all.problems.is_empty(), "{:#?}", all.problems);
    assert!(
        all.pauses > seeds && all.takeovers * 4 > seeds,
        "nothing happened: {all}"
    );
    assert!(all.overrun_max <= Duration::from_secs(120));
}
