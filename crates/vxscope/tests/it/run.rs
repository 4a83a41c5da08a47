//! `run`: what was sent is received or dropped by the kernel, exactly, and the outputs are whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::sensor::{Sensor, received_and_dropped, sent};
use crate::{Run, folder, vxscope};

#[test]
fn what_was_sent_was_received_with_any_number_of_workers() {
    for workers in ["1", "2", "4"] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &["--workers", workers]);
        let truth = sensor.load(&["--packets", "20000", "--rate", "40000"]);
        let summary = sensor.stop().summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth), "{workers} workers");
        assert_eq!(summary["packets"]["decapsulated"], received);
        // A user without the right to a large buffer may lose some on a busy machine.
        if dropped == 0 {
            let rows = per_source(&sources(dir.path()));
            assert_eq!(rows, per_source(&truth["per_source"]));
        }
    }
}

#[test]
fn what_does_not_fit_the_receive_buffer_is_counted_to_the_last_datagram() {
    for workers in ["1", "2", "4"] {
        let dir = folder();
        let small = [
            "--set",
            "capture.receive_buffer=16KiB",
            "--workers",
            workers,
        ];
        let sensor = Sensor::start(dir.path(), &small);
        let truth = sensor.load(&["--packets", "60000", "--rate", "2000000"]);
        let summary = sensor.stop().summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth), "{workers} workers");
    }
}

#[test]
fn live_flows_are_those_of_a_replay_of_the_same_traffic() {
    let summary = check_flows("mixed", "2");
    assert_eq!(summary.get("strays"), None);
}

#[test]
fn fragments_find_their_flow_at_whatever_worker_it_is() {
    for workers in ["1", "2", "4"] {
        let summary = check_flows("fragments", workers);
        assert!(
            summary["frames"]["fragments"].as_u64() > Some(5_000),
            "{summary}"
        );
        assert_eq!(summary["packets"]["untracked"], serde_json::json!({}));
        if workers == "1" {
            assert_eq!(summary.get("strays"), None);
            continue;
        }
        // Between half and three quarters of them arrive where their flow is not.
        let strays = &summary["strays"];
        assert!(strays["sent"].as_u64() > Some(2_000), "{strays}");
        assert_eq!(
            (&strays["received"], &strays["shed"]),
            (&strays["sent"], &0.into())
        );
    }
}

#[test]
fn the_demo_ends_with_a_balanced_ledger_for_any_user_in_any_folder() {
    let dir = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(["demo", "--seconds", "1"])
        .current_dir("/")
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let run = Run::from(output);
    assert_eq!(run.code, Some(0), "{run:?}");
    for shown in [
        "What you saw",
        "12 mirrored interfaces",
        "\nsent ",
        "quarantined",
    ] {
        assert!(run.stdout.contains(shown), "{shown}: {run:?}");
    }
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
}

fn sources(dir: &Path) -> Value {
    crate::json(&dir.join("out/sources.json"))
}

fn per_source(rows: &Value) -> BTreeMap<String, u64> {
    let rows = rows.as_array().expect("as the test arranged it").iter();
    rows.map(|row| {
        (
            format!("{} {}", row["outer_ip"], row["vni"]),
            row["packets"].as_u64().expect("as the test arranged it"),
        )
    })
    .collect()
}

/// Every flow without its times, ids and addresses (a live source is a loopback address): VNI,
/// protocol, ports, packets and bytes of both ways, state.
fn flows(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("eve.json")).expect("as the test arranged it");
    let mut flows: Vec<String> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("as the test arranged it");
            let flow = &record["flow"];
            format!(
                "{} {} {} {} {} {} {} {} {}",
                record["vni"],
                record["proto"],
                record["src_port"],
                record["dest_port"],
                record["tcp"]["tcp_flags"],
                flow["pkts_toserver"],
                flow["pkts_toclient"],
                flow["bytes_toserver"],
                flow["bytes_toclient"]
            )
        })
        .collect();
    flows.sort();
    flows
}

/// While one worker waits for another's strays, the writer must not wait for it.
#[test]
fn a_backlog_at_the_stop_is_handled_whole() {
    for scenario in ["mixed", "fragments"] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &["--workers", "3"]);
        let load = ["--packets", "60000", "--rate", "1000000", "--size", "1400"];
        let truth = sensor.load(&[&load[..], &["--scenario", scenario]].concat());
        let summary = sensor.stop().summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth));
        assert_eq!(summary["packets"]["rejected"], serde_json::json!({}));
    }
}

/// How often a run that lost something because the machine was busy is made again.
const ATTEMPTS: usize = 5;

/// Sends traffic to a sensor, replays the same from a capture, and compares every flow; the live
/// summary.
fn check_flows(scenario: &str, workers: &str) -> Value {
    let dir = folder();
    let load = [
        "--packets",
        "20000",
        "--flows",
        "300",
        "--sources",
        "3",
        "--seed",
        "9",
        "--ipv6",
        "0.4",
        "--scenario",
        scenario,
    ];
    let runs = (0..ATTEMPTS).map(|_| {
        let sensor = Sensor::start(dir.path(), &["--workers", workers]);
        sensor.load(&[&load[..], &["--rate", "20000"]].concat());
        sensor.stop().summary()
    });
    let whole = |summary: &Value| {
        let shed = summary.pointer("/strays/shed").and_then(Value::as_u64);
        summary["packets"]["kernel_dropped"] == 0 && shed.unwrap_or(0) == 0
    };
    let summary = { runs }.find(whole).expect("a run without loss");
    let capture = [&["gen", "--pcap", "a.pcap"][..], &load].concat();
    vxscope(dir.path(), &capture).ok();
    vxscope(dir.path(), &["replay", "a.pcap", "--out", "replayed"]).ok();
    let [live, replayed] = ["out", "replayed"].map(|out| flows(&dir.path().join(out)));
    assert_eq!((live.len(), replayed.len()), (300, 300), "{scenario}");
    let mut pairs = live.iter().zip(&replayed);
    let differing = pairs.find(|(live, replayed)| live != replayed);
    assert_eq!(differing, None, "{scenario}, {workers} workers");
    summary
}
