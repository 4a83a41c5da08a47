//! Known sources: forged packets change nothing but their own counters.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{folder, json, vxscope};

/// What must not depend on forged packets.
const FLOW_OUTPUTS: [&str; 4] = ["eve.json", "conn.log", "decap.pcap", "sources.json"];

#[test]
fn forged_packets_leave_every_output_as_it_is_and_are_counted_exactly() {
    let dir = folder();
    for scenario in ["mixed", "fragments"] {
        let made = [
            "--scenario",
            scenario,
            "--packets",
            "20000",
            "--sources",
            "5",
        ];
        let generate = |name: &str, more: &[&str]| -> Value {
            let arguments = [&["gen", "--pcap", name][..], &made, more].concat();
            serde_json::from_str(&vxscope(dir.path(), &arguments).ok()).unwrap()
        };
        let truth = generate("clean.pcap", &[]);
        let forged = generate("forged.pcap", &["--faults", "forged=0.1"]);
        let count = forged["faults"]["forged"].as_u64().unwrap();
        assert!(count > 1_500, "{forged}");
        for (unknown, reason) in [("quarantine", "quarantined"), ("drop", "unknown_source")] {
            let config = known(&truth, unknown);
            fs::write(dir.path().join("known.toml"), config).unwrap();
            replay(dir.path(), "clean.pcap", "clean", "1");
            for workers in ["1", "2", "4"] {
                replay(dir.path(), "forged.pcap", "forged", workers);
                for name in FLOW_OUTPUTS {
                    let [clean, forged] = ["clean", "forged"]
                        .map(|out| fs::read(dir.path().join(out).join(name)).unwrap());
                    assert!(clean == forged, "{name}, {workers} workers, {scenario}");
                }
                let summary = json(&dir.path().join("forged/summary.json"));
                assert_eq!(summary["packets"]["rejected"][reason], count, "{summary}");
                assert_eq!(summary["packets"]["received"], forged["sent"]);
                let expected = match unknown {
                    "quarantine" => rows(&forged["forged_sources"]),
                    _ => Vec::new(),
                };
                assert_eq!(quarantined(dir.path()), expected);
            }
        }
    }
}

#[test]
fn known_sources_have_their_names_and_an_expected_one_that_is_silent_a_warning() {
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap", "--sources", "2"]).ok();
    let config = r#"
        sources.unknown = "accept"
        [[source]]
        address = "10.0.0.16"
        name = "web-1"
        eni = "eni-0123456789abcdef0"
        expected = true
        [[source]]
        address = "10.9.0.0/16"
        name = "broker"
        expected = true
    "#;
    fs::write(dir.path().join("known.toml"), config).unwrap();
    let text = replay(dir.path(), "a.pcap", "out", "1");
    let warning = "Source broker (10.9.0.0/16) is expected, and nothing came from it.";
    assert!(text.contains(warning), "{text}");
    let summary = json(&dir.path().join("out/summary.json"));
    assert_eq!(summary["warnings"], serde_json::json!([warning]));
    let sources = json(&dir.path().join("out/sources.json"));
    assert_eq!(
        (&sources[0]["name"], &sources[0]["eni"]),
        (&"web-1".into(), &"eni-0123456789abcdef0".into())
    );
    assert!(sources[1].get("name").is_none() && sources[1].get("eni").is_none());
}

#[test]
fn sources_that_contradict_each_other_are_wrong_usage() {
    let dir = folder();
    let config = "[[source]]\naddress = '10.0.0.1'\n[[source]]\naddress = '10.0.0.1'\n";
    fs::write(dir.path().join("known.toml"), config).unwrap();
    let complaint = vxscope(dir.path(), &["check-config", "known.toml"]).fails(2);
    let expected = "line 4: source.address: the same as 10.0.0.1 of line 2; keep one of them";
    assert!(complaint.contains(expected), "{complaint}");
}

fn replay(dir: &Path, capture: &str, out: &str, workers: &str) -> String {
    let arguments = [
        "replay",
        capture,
        "--out",
        out,
        "--workers",
        workers,
        "--config",
        "known.toml",
    ];
    vxscope(dir, &arguments).ok()
}

/// A configuration that knows the sources of the truth.
fn known(truth: &Value, unknown: &str) -> String {
    let mut config = format!("sources.unknown = \"{unknown}\"\n");
    for source in truth["per_source"].as_array().expect("a list of sources") {
        let _ = writeln!(
            config,
            "[[source]]\naddress = {}\nvni = {}",
            source["outer_ip"], source["vni"]
        );
    }
    config
}

/// The rows of `quarantine.json`, if it is there.
fn quarantined(dir: &Path) -> Vec<String> {
    let file = dir.join("forged/quarantine.json");
    if file.exists() {
        rows(&json(&file))
    } else {
        Vec::new()
    }
}

/// Who sent how much, in one order.
fn rows(table: &Value) -> Vec<String> {
    let rows = table.as_array().expect("a list of sources").iter();
    let mut rows: Vec<String> = rows
        .map(|row| format!("{} {} {}", row["outer_ip"], row["vni"], row["packets"]))
        .collect();
    rows.sort();
    rows
}
