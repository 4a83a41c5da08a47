//! What CloudWatch counted against what sensors received.

use super::{POLICY, Trial};

/// A quarter of a day's budget in an hour, for eight instances.
const PER_HOUR: u32 = 720;
const BUDGET: &str = "[assurance]\nmetrics_per_hour = 720\n";
/// CloudWatch's period.
const PERIOD: u64 = 300;

#[test]
fn silence_is_told_apart_within_the_budget() {
    let mut trial = Trial::with(5, "", BUDGET);
    let silent = ["eni-1", "eni-2", "eni-3"];
    trial.silent.extend(silent.map(str::to_owned));
    trial.until("enrolled", 600, |trial| trial.sources().len() == 5);
    // What one of them sends in a period, by the trial's reports: every ten seconds 6,200 bytes.
    let sent = 6_200 * 30;
    for (instance, mirrored, skipped, all) in [
        ("i-0", sent, 0, 2 * sent),
        ("i-1", 0, 0, 0),
        ("i-2", 1_000_000, 0, 1_000_000),
        ("i-4", sent, 5 * sent, 6 * sent),
    ] {
        put(&trial, instance, [mirrored, skipped, all]);
    }
    trial.pass(12 * PERIOD);
    let fares = |trial: &Trial| -> Vec<String> {
        let state = trial.driver.as_ref().unwrap().state(trial.now);
        let sources = state.sources.into_iter();
        sources.map(|one| one.fares.unwrap_or_default()).collect()
    };
    let expected = [
        "arrives",
        "idle",
        "lost_on_the_way",
        "unknown",
        "dropped_at_source",
    ];
    assert_eq!(fares(&trial), expected);
    let hours = (trial.now.seconds() - trial.began).div_ceil(3_600);
    let asked = trial
        .driver
        .as_ref()
        .unwrap()
        .state(trial.now)
        .metrics_asked;
    assert!(
        asked > 0 && asked <= (hours + 1) * u64::from(PER_HOUR),
        "{asked}"
    );
    // Its sensor is stopped: copies go nowhere.
    trial.standin.account(|account| {
        account.change_instance("i-sensor", |one| "stopped".clone_into(&mut one.state));
    });
    let everybody = (0..5).map(|n| format!("eni-{n}"));
    trial.silent.extend(everybody);
    trial.pass(6 * PERIOD);
    assert_eq!(fares(&trial)[2..3], ["dead_target"]);
    assert_eq!(fares(&trial)[1], "idle");
}

/// Without CloudWatch, which costs money.
#[test]
fn a_canary_that_does_not_come_back_tells_a_broken_mirror_from_an_idle_source() {
    let mut trial = Trial::manual(2);
    trial.silent.insert("eni-1".to_owned());
    trial.until("enrolled", 600, |trial| trial.sources().len() == 2);
    let fares = |trial: &Trial| {
        let sources = trial.state().sources.into_iter();
        let fares: Vec<String> = sources.filter_map(|one| one.fares).collect();
        fares.join(" ")
    };
    trial.pass(120);
    assert!(fares(&trial).ends_with(" unknown"), "{}", fares(&trial));
    trial.missed.insert("eni-1".to_owned());
    trial.pass(60);
    assert!(
        fares(&trial).ends_with(" lost_on_the_way"),
        "{}",
        fares(&trial)
    );
    trial.missed.clear();
    trial.pass(60);
    assert!(fares(&trial).ends_with(" unknown"), "{}", fares(&trial));
}

#[test]
fn a_paused_source_that_begins_to_speak_is_brought_back_by_its_counters() {
    let mut trial = Trial::with(4, POLICY, BUDGET);
    trial.until("a pause", 12 * 3_600, |trial| !trial.paused().is_empty());
    let away = trial.paused()[0].clone();
    let instance = away.replacen("eni-", "i-", 1);
    let state = trial.driver.as_ref().unwrap().state(trial.now);
    let source = state.sources.iter().find(|one| one.interface == away);
    assert_eq!(source.unwrap().fares.as_deref(), Some("paused"));
    put(&trial, &instance, [0, 0, 4_000_000_000]);
    trial.until("brought back", 1_800, |trial| trial.is_visible(&away));
    let mut notices = trial.notices.iter().rev();
    let woken = notices.any(|one| one.interface == away && one.reason() == "counters_moved");
    assert!(woken, "{}", trial.told());
}

/// Counters of an instance for some hours: mirrored, skipped, and all bytes of each period.
fn put(trial: &Trial, instance: &str, [mirrored, skipped, all]: [u64; 3]) {
    let begin = trial.now.seconds() / PERIOD - 4;
    let names = ["NetworkMirrorOut", "NetworkSkipMirrorIn", "NetworkOut"];
    trial.standin.account(|account| {
        for period in begin..begin + 60 {
            for (name, sum) in names.iter().zip([mirrored, skipped, all]) {
                account.put_metric(instance, name, period * PERIOD, sum);
            }
        }
    });
}
