//! What a sensor learned is there after a restart, however the run before ended.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sensor::{Sensor, until};
use crate::{folder, vxscope};

const FILE: &str = "out/learned.ndjson";

#[test]
fn a_restart_knows_what_was_seen_and_does_not_pin_anew() {
    let dir = folder();
    let (sensor, first) = learned(dir.path());
    assert!(events(&sensor.stop().summary()) > 0);
    assert!(dir.path().join(FILE).exists());
    assert!(!dir.path().join("out/.learned.ndjson.tmp").exists());
    // The same traffic again: nothing of it is new, and no source either.
    let (sensor, second) = learned(dir.path());
    assert_eq!(seconds(&second), seconds(&first));
    assert_eq!(events(&sensor.stop().summary()), 0);
}

#[test]
fn a_killed_sensor_leaves_what_it_wrote_last() {
    let dir = folder();
    let (sensor, first) = learned(dir.path());
    let file = dir.path().join(FILE);
    until("both sources are in the file", || {
        let text = fs::read_to_string(&file).ok()?;
        (text.matches("\"policy\"").count() == 2 && text.matches("\"seen\"").count() == 2)
            .then_some(())
    });
    sensor.signal("KILL");
    sensor.end();
    let (sensor, second) = learned(dir.path());
    assert_eq!(seconds(&second), seconds(&first));
    assert_eq!(events(&sensor.stop().summary()), 0);
}

#[test]
fn a_damaged_file_is_said_put_aside_and_everything_is_new() {
    let dir = folder();
    let (sensor, first) = learned(dir.path());
    sensor.stop();
    let file = dir.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&file, bytes).unwrap();
    let (sensor, second) = learned(dir.path());
    assert!(
        sensor.banner.contains("learned.ndjson"),
        "{}",
        sensor.banner
    );
    assert!(
        sensor.banner.contains("every source is new again"),
        "{}",
        sensor.banner
    );
    assert!(
        second.iter().zip(&first).all(|(new, old)| new > old),
        "pinned anew"
    );
    assert!(dir.path().join("out/learned.unreadable").exists());
    assert!(events(&sensor.stop().summary()) > 0);
}

/// A sensor that has seen two sources, and until when these are pinned, in µs.
fn learned(dir: &Path) -> (Sensor, Vec<u64>) {
    let options = [
        "report.interval_milliseconds=100",
        "policy.mode=dynamic",
        "signals.keep_seconds=1",
    ];
    let options: Vec<&str> = options.iter().flat_map(|it| ["--set", it]).collect();
    let sensor = Sensor::start(dir, &options);
    sensor.load(&[
        "--packets",
        "4000",
        "--rate",
        "20000",
        "--sources",
        "2",
        "--seed",
        "9",
    ]);
    let pinned = until("both sources are looked after", || {
        let words = ["mirrors", "--json", "--socket", "out/control.sock"];
        let shown: Value = serde_json::from_str(&vxscope(dir, &words).ok()).expect("JSON");
        let all = shown["mirrors"].as_array().expect("a list").iter();
        let pinned: Option<Vec<u64>> = all.map(|one| one["pinned_until"].as_u64()).collect();
        pinned.filter(|all| all.len() == 2)
    });
    (sensor, pinned)
}

/// The file has whole ones.
fn seconds(micros: &[u64]) -> Vec<u64> {
    micros.iter().map(|it| it / 1_000_000).collect()
}

/// First-seen edges and services.
fn events(summary: &Value) -> u64 {
    let events = &summary["signals"]["events"];
    let count = |name: &str| events[name].as_u64().unwrap_or(0);
    count("first_edge") + count("new_service")
}
