//! Files of flow records in series: every flow in exactly one of them, over kills and restarts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sensor::{Sensor, number, sent, until};
use crate::{folder, json, vxscope};

const ROTATED: [&str; 10] = [
    "--set",
    "export.files.rotate_seconds=1",
    "--set",
    "flow.timeouts.udp={new=1,established=1}",
    "--set",
    "flow.timeouts.tcp={new=1,established=1,closed=1}",
    "--export",
    "eve",
    "--export",
    "conn-json",
];

#[test]
fn rotated_files_have_every_flow_once_over_a_kill_and_a_restart() {
    let dir = folder();
    let out = dir.path().join("out");
    let sensor = Sensor::start(dir.path(), &ROTATED);
    sensor.load(&["--packets", "3000", "--rate", "3000", "--flows", "500"]);
    // Files appear while the sensor goes on.
    let before = until("finished files", || {
        let flows = flows(&out);
        (flows.len() > 100).then_some(flows)
    });
    sensor.signal("KILL");
    sensor.end();
    let sensor = Sensor::start(dir.path(), &ROTATED);
    let truth = sensor.load(&["--packets", "2000", "--rate", "4000", "--flows", "300"]);
    let summary = sensor.stop().summary();
    assert_eq!(number(&summary["packets"]["received"]), sent(&truth));
    let after = flows(&out);
    assert!(before.is_subset(&after));
    let written = number(&summary["sinks"]["eve"]["written"]);
    assert_eq!(written, number(&summary["sinks"]["eve"]["offered"]));
    assert!(after.len() as u64 >= before.len() as u64 + written);
    assert!(!out.join("eve.json").exists());
    let hidden = names(&out).into_iter().filter(|it| it.starts_with(".eve"));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn rotated_files_of_a_replay_are_the_same_for_any_number_of_workers() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");
    let mut first = None;
    for workers in ["1", "2", "4"] {
        let dir = folder();
        let replay = [
            "replay",
            capture,
            "--out",
            "out",
            "--workers",
            workers,
            "--export",
            "eve",
            "--export",
            "conn-log",
            "--set",
            "export.files.rotate_bytes=2KiB",
        ];
        vxscope(dir.path(), &replay).ok();
        let out = dir.path().join("out");
        let read = |name: String| {
            let text = fs::read_to_string(out.join(&name)).expect("text");
            (name, text)
        };
        let ours = names(&out).into_iter();
        let ours = ours.filter(|it| it.starts_with("eve-") || it.starts_with("conn-"));
        let files: Vec<(String, String)> = ours.map(read).collect();
        assert!(files.len() > 4, "{}", files.len());
        let summary = json(&out.join("summary.json"));
        let written = number(&summary["sinks"]["eve"]["written"]);
        assert_eq!(flows(&out).len() as u64, written);
        assert_eq!(*first.get_or_insert_with(|| files.clone()), files);
    }
}

#[test]
fn a_file_that_is_not_rotated_is_kept_by_the_next_live_run() {
    let dir = folder();
    let out = dir.path().join("out");
    let mut flows_before = 0;
    for run in 1..=3 {
        let sensor = Sensor::start(dir.path(), &["--export", "eve"]);
        sensor.load(&["--packets", "200", "--rate", "4000", "--flows", "20"]);
        let summary = sensor.stop().summary();
        flows_before += number(&summary["sinks"]["eve"]["written"]);
        assert_eq!(flows(&out).len() as u64, flows_before, "run {run}");
        let series = names(&out).into_iter().filter(|it| it.starts_with("eve-0"));
        assert_eq!(series.count(), run - 1);
        assert!(out.join("eve.json").exists());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Flows in all finished `eve` files, by id and start; none is there twice.
fn flows(folder: &Path) -> BTreeSet<(u64, String)> {
    let mut flows = BTreeSet::new();
    for name in names(folder).iter().filter(|it| it.starts_with("eve")) {
        let text = fs::read_to_string(folder.join(name)).expect("text");
        for line in text.lines() {
            // The last line of a file that a crash left may be half of one.
            let Ok(record) = serde_json::from_str::<Value>(line) else {
                assert!(name.ends_with("-crashed.json"), "{name}: {line}");
                continue;
            };
            let start = record["flow"]["start"].as_str().unwrap_or_default();
            let flow = (number(&record["flow_id"]), start.to_owned());
            assert!(flows.insert(flow), "{name}: {line} twice");
        }
    }
    flows
}
