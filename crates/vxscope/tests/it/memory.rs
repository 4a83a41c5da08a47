//! How much memory a flood takes: what is reserved at the start, and no more.

use std::fs;

use crate::folder;
use crate::sensor::{Sensor, number};

/// Small stores, so that a flood of a few seconds fills each of them many times over.
const SMALL: &[&str] = &[
    "--set",
    "rings.memory=32MiB",
    "--set",
    "flow.flows_max=16384",
    "--set",
    "look_back.closed_flows=4096",
    "--set",
    "api.flows_max=4096",
    "--set",
    "signals.memory=4MiB",
    "--export",
    "eve",
];
const FLOWS_MAX: u64 = 16_384;
/// Distinct conversations of one flood, each of two packets.
const TUPLES: u64 = 100_000;

#[test]
fn a_flood_of_distinct_tuples_takes_no_memory_beyond_the_stores() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), SMALL);
    // These two fill whatever is filled lazily, and leave the allocator as it stays.
    flood(&sensor, 1);
    flood(&sensor, 2);
    let full = resident_kib(sensor.pid());
    for seed in 3..6 {
        flood(&sensor, seed);
        let now = resident_kib(sensor.pid());
        println!("resident: {full} KiB with full stores, {now} KiB after flood {seed}");
        assert!(
            now <= full + full / 100,
            "{now} KiB after flood {seed}, {full} KiB before"
        );
    }
    let summary = sensor.stop().summary();
    // It was a flood: the table was full, and full again many times over.
    let opened = number(&summary["flows"]["opened"]);
    assert!(opened > 7 * FLOWS_MAX, "{summary}");
}

fn flood(sensor: &Sensor, seed: u64) {
    let (flows, packets) = (TUPLES.to_string(), (2 * TUPLES).to_string());
    let seed = seed.to_string();
    let what = ["--flows", &flows, "--packets", &packets, "--seed", &seed];
    sensor.load(&[&what[..], &["--size", "64", "--rate", "100000"]].concat());
}

/// What of a process is in memory, as the kernel says.
fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that runs");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let words = line.and_then(|it| it.split_whitespace().next());
    words.and_then(|it| it.parse().ok()).expect("a number")
}
