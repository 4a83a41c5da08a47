//! More sources than slots: everybody has a turn, and nobody waits for longer than its bound.

use std::collections::BTreeSet;

use super::{BOUND, Trial};

/// What a handover may take beyond b: a reading, a deletion, another reading.
const MARGIN: u64 = 240;
/// Slots of the sensor.
const SLOTS: usize = 10;

#[test]
fn thirteen_share_ten_slots_and_all_are_seen_within_their_bound() {
    let mut trial = Trial::new(13);
    let all: Vec<String> = (0..13).map(|n| format!("eni-{n}")).collect();
    trial.until("ten have sessions", 600, |trial| {
        visible(trial).len() == SLOTS
    });
    let mut seen = BTreeSet::new();
    let mut dark_since = vec![trial.now.seconds(); all.len()];
    let mut longest = 0;
    for _ in 0..4 * BOUND / 60 {
        trial.pass(60);
        let now = trial.now.seconds();
        let visible = visible(&trial);
        assert!(visible.len() <= SLOTS, "{visible:?}");
        for (at, interface) in all.iter().enumerate() {
            if visible.contains(interface) {
                seen.insert(interface.clone());
                dark_since[at] = now;
            }
            longest = longest.max(now - dark_since[at]);
        }
    }
    assert_eq!(seen.len(), all.len(), "all had a turn");
    assert!(longest <= BOUND + MARGIN, "{longest}");
    eprintln!("longest without a turn: {longest} s of {BOUND} s");
    // Slots change hands one by one, and EC2 never had to refuse.
    let refused = trial.standin.log();
    let refused = refused
        .entries()
        .iter()
        .filter(|one| one.code.contains("Limit"));
    assert_eq!(refused.count(), 0);
    let state = trial.driver.as_ref().unwrap().state(trial.now);
    assert_eq!(state.waiting.len(), 3, "{state:?}");
    // Whoever waits has a crumb with the time at which it must be back.
    for interface in &state.waiting {
        let there = trial
            .standin
            .account(|account| account.interface(interface));
        assert!(
            there.unwrap().tags.contains_key("vxscope:resume"),
            "{interface}"
        );
    }
}

fn visible(trial: &Trial) -> Vec<String> {
    let all = (0..13).map(|n| format!("eni-{n}"));
    all.filter(|interface| trial.is_visible(interface))
        .collect()
}
