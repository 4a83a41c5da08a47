//! `vxscope simulate`: what it prints for programs, and what it takes as a background.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{folder, json, vxscope};

#[test]
fn the_result_for_programs_has_what_is_promised() {
    let dir = folder();
    let result = simulate(
        dir.path(),
        &["--sources", "30", "--days", "6", "--seed", "3"],
    );
    check(&result);
    let policies = result["policies"].as_array().unwrap();
    let names: Vec<&str> = policies
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    for name in [
        "always-on",
        "always-truncated",
        "always-sentinel",
        "crown-jewels",
        "stratified-sample",
        "duty-cycle",
        "bytes-threshold",
        "oracle",
        "dynamic",
        "without-residual",
        "without-alerts",
        "without-wakeups",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let of = |name: &str| policies.iter().find(|it| it["name"] == name).unwrap();
    let (on, dynamic) = (of("always-on"), of("dynamic"));
    assert!(dynamic["usd"].as_f64() < on["usd"].as_f64());
    assert_eq!(on["blind_seconds"]["max"], 0.0);
    assert!(
        dynamic["blind_seconds"]["max"].as_f64() > Some(0.0),
        "nothing was ever paused"
    );
    let again = simulate(
        dir.path(),
        &["--sources", "30", "--days", "6", "--seed", "3"],
    );
    assert_eq!(result, again, "the same seed gives the same");
    let other = simulate(
        dir.path(),
        &["--sources", "30", "--days", "6", "--seed", "4"],
    );
    assert_ne!(result["policies"], other["policies"]);
}

#[test]
fn captures_are_a_background() {
    let dir = folder();
    for name in ["mixed.pcap", "two-tenants.pcap"] {
        let capture = pcaps().join(name);
        let result = simulate(dir.path(), &recorded(&capture));
        check(&result);
        let told = &result["trial"]["background"];
        assert_eq!(told["repeated_every_days"], 1, "{name}");
        assert!(told["conversations"].as_u64() > Some(0), "{name}");
    }
}

#[test]
fn what_the_sensor_wrote_is_the_same_background_as_its_capture() {
    let dir = folder();
    let capture = pcaps().join("mixed.pcap");
    let replay = ["replay", capture.to_str().unwrap(), "--out", "out"];
    vxscope(dir.path(), &replay).ok();
    let [one, other] = [&capture, &dir.path().join("out/eve.json")]
        .map(|file| simulate(dir.path(), &recorded(file)));
    assert_eq!(one, other);
    // As many conversations as the sensor counted, in as many sources.
    let summary = json(&dir.path().join("out/summary.json"));
    let told = &one["trial"]["background"];
    assert_eq!(told["conversations"], summary["flows"]["opened"]);
    assert_eq!(told["sources"], summary["sources"]);
}

#[test]
fn flow_logs_are_a_background() {
    let dir = folder();
    let file = dir.path().join("flows.log");
    let line = |machine: u32, hour: u64| {
        let start = 1_795_219_200 + hour * 3_600;
        format!(
            "2 123456789012 eni-{machine} 10.0.0.{machine} 198.51.100.7 4{hour:04} 443 6 40 9000 {start} {} ACCEPT OK\n",
            start + 60
        )
    };
    let text: String = (1..=4)
        .flat_map(|machine| (0..48).map(move |hour| line(machine, hour)))
        .collect();
    fs::write(&file, &text).unwrap();
    let result = simulate(dir.path(), &recorded(&file));
    check(&result);
    let told = &result["trial"]["background"];
    assert_eq!(
        (&told["sources"], &told["repeated_every_days"]),
        (&4.into(), &2.into())
    );
    assert_eq!(told["conversations"], 4 * 48);
    let table = vxscope(dir.path(), &[&["simulate"][..], &recorded(&file)].concat()).ok();
    let head = "background: 192 conversations of 4 sources over 47.0 h, again every 2 days\n";
    assert!(table.starts_with(head), "{table}");
}

#[test]
fn a_file_that_is_no_background_is_named() {
    let dir = folder();
    let refused = |name: &str, bytes: &[u8], part: &str| {
        let file = dir.path().join(name);
        fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        let complaint = vxscope(
            dir.path(),
            &["simulate", "--days", "1", "--background", file],
        )
        .fails(1);
        assert!(
            complaint.contains(name) && complaint.contains(part),
            "{complaint}"
        );
    };
    refused("empty", b"", "empty");
    refused("prose", b"Dear diary,\n", "neither a capture");
    refused("packed.gz", &[0x1f, 0x8b, 8, 0], "gunzip");
    refused(
        "eve.json",
        b"{\"event_type\":\"stats\"}\n{\"event_type\":\n",
        "line 2: not an EVE record",
    );
    refused(
        "stats.json",
        b"{\"event_type\":\"stats\"}\n",
        "no conversation",
    );
    refused(
        "flows.log",
        b"2 1 eni-1 10.0.0.1\n",
        "line 1: 4 fields, 14 are expected",
    );
    let public = b"{\"event_type\":\"flow\",\"src_ip\":\"1.1.1.1\",\"dest_ip\":\"8.8.8.8\",\"proto\":\"UDP\",\"flow\":{\"start\":\"2026-11-21T10:30:00.000000+0000\"}}\n";
    refused("public.json", public, "which end is mirrored");
    let mut capture = fs::read(pcaps().join("mixed.pcap")).unwrap();
    capture.truncate(capture.len() - 7);
    refused("cut.pcap", &capture, "at byte");
    let missing = ["simulate", "--days", "1", "--background", "nowhere"];
    let complaint = vxscope(dir.path(), &missing).fails(1);
    assert!(complaint.contains("nowhere"), "{complaint}");
    let both = ["simulate", "--background", "a", "--sources", "10"];
    vxscope(dir.path(), &both).fails(2);
}

fn pcaps() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps")
}

fn recorded(file: &Path) -> [&str; 5] {
    [
        "--days",
        "3",
        "--allow-off",
        "--background",
        file.to_str().expect("a path"),
    ]
}

fn simulate(dir: &Path, options: &[&str]) -> Value {
    let text = vxscope(dir, &[&["simulate", "--json"][..], options].concat()).ok();
    serde_json::from_str(&text).expect("JSON")
}

/// What holds of every result: the names, no miss over the bound, no blind time beyond what is
/// allowed.
fn check(result: &Value) {
    let policies = result["policies"].as_array().expect("policies");
    for policy in policies {
        let name = &policy["name"];
        for key in [
            "usd",
            "usd_low",
            "usd_high",
            "gib",
            "session_hours",
            "api_calls",
        ] {
            assert!(policy[key].is_number(), "{name} {key}");
        }
        let between = |low: &str, high: &str| policy[low].as_f64() <= policy[high].as_f64();
        assert!(
            between("usd_low", "usd") && between("usd", "usd_high"),
            "{name}"
        );
        let attacks = &policy["attacks"];
        let over = &attacks["at_or_over_bound"];
        for count in [attacks, over] {
            assert!(count["seen"].as_u64() <= count["total"].as_u64(), "{name}");
        }
        for key in ["bound", "max", "overrun_max"] {
            assert!(policy["blind_seconds"][key].is_number(), "{name} {key}");
        }
        assert!(policy["ci95"].is_object(), "{name}");
        if name == "dynamic" || name == "always-on" {
            assert!(over["total"].as_u64() > Some(0), "{name}");
            assert_eq!(over["seen"], over["total"], "{name}");
            assert!(
                policy["blind_seconds"]["overrun_max"].as_f64() <= Some(120.0),
                "{name}"
            );
        }
    }
}
