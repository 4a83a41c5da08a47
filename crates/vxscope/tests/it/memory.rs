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
/// Over so many floods memory may grow by a hundredth: some bytes kept of a conversation would show.
const LEVEL: usize = 3;
/// What waits for the disk on a busy machine comes and goes; what is kept comes with every flood.
const FLOODS_MAX: u64 = 12;

#[test]
fn a_flood_of_distinct_tuples_takes_no_memory_beyond_the_stores() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), SMALL);
    // The first fills whatever is filled lazily.
    flood(&sensor, 1);
    let mut resident = vec![resident_kib(sensor.pid())];
    while !is_level(&resident) {
        let seed = resident.len() as u64 + 1;
        assert!(
            seed <= FLOODS_MAX,
            "it grows with every flood: {resident:?} KiB"
        );
        flood(&sensor, seed);
        resident.push(resident_kib(sensor.pid()));
    }
    println!("resident: {resident:?} KiB, flood by flood");
    let summary = sensor.stop().summary();
    // It was a flood: the table was full, and full again many times over.
    let opened = number(&summary["flows"]["opened"]);
    assert!(opened > 7 * FLOWS_MAX, "{summary}");
}

/// Whether the last floods together left no more than a hundredth behind.
fn is_level(resident: &[u64]) -> bool {
    let last = resident.windows(LEVEL + 1).last();
    last.is_some_and(|last| last[LEVEL] <= last[0] + last[0] / 100)
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
