//! Policies and seeds side by side, on as many cores as there are; the result does not depend on
//! how many.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vxscope_policy::rules::Rules;
use vxscope_trial::closed::NoWatch;
use vxscope_trial::outcome;
use vxscope_trial::policies::{self, ALWAYS_ON, CLOSED, DYNAMIC, FIXED, MATCHED};
use vxscope_trial::tally::Tally;
use vxscope_trial::world::{Setup, World};

use crate::progress::Progress;

const BAR: &str = "{bar:40} {pos} of {len} {msg}";

/// The tallies of every seed. With several seeds only the policy, what it is compared with and
/// always-on are run.
pub(super) fn run(setup: &Setup, rules: &Rules, seeds: u32) -> Vec<Vec<Tally>> {
    if seeds == 1 {
        return vec![one_seed(setup, rules)];
    }
    let all: Vec<u64> = (0..u64::from(seeds)).collect();
    side_by_side("seeds", &all, |offset| {
        let world = World::new(&Setup {
            seed: setup.seed + offset,
            ..setup.clone()
        });
        let mut tallies: Vec<Tally> = [ALWAYS_ON, DYNAMIC]
            .iter()
            .map(|name| tally(name, &world, rules))
            .collect();
        let budget = tallies[1].cost.usd;
        tallies.extend(MATCHED.iter().map(|name| matched(name, &world, budget)));
        tallies
    })
}

fn one_seed(setup: &Setup, rules: &Rules) -> Vec<Tally> {
    let world = World::new(setup);
    // The longest ones first.
    let names: Vec<&'static str> = CLOSED.into_iter().chain(FIXED).collect();
    let mut tallies = side_by_side("policies", &names, |name| tally(name, &world, rules));
    let budget = tallies[0].cost.usd;
    tallies.extend(side_by_side("baselines of equal cost", &MATCHED, |name| {
        matched(name, &world, budget)
    }));
    tallies.sort_by_key(|tally| (tally.name != ALWAYS_ON, tally.name != DYNAMIC));
    tallies
}

fn tally(name: &&'static str, world: &World, rules: &Rules) -> Tally {
    let (outcome, run) = policies::run(name, world, rules, &mut NoWatch);
    Tally::new(world, &outcome, run)
}

fn matched(name: &&'static str, world: &World, usd: f64) -> Tally {
    Tally::new(world, &outcome::matched(name, world, usd), None)
}

/// Results in the order of the jobs.
fn side_by_side<J: Sync, R: Send>(what: &str, jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let bar = Progress::new(BAR, Some(jobs.len() as u64));
    bar.say(what.to_owned());
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    let result = work(job);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                        bar.set(results.len() as u64);
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
