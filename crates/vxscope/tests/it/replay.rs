//! `replay`: what was made comes out again, counted the same.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{folder, json, vxscope};

#[test]
fn generated_traffic_is_accounted_to_the_last_byte() {
    let dir = folder();
    for options in [
        &["--scenario", "mixed"][..],
        &["--scenario", "mixed", "--one-vni", "--packet-length", "128"],
        &["--scenario", "elephant", "--gwlb"],
        &["--scenario", "overlap", "--ipv6", "0.5"],
        &["--scenario", "east-west", "--one-vni"],
        &["--scenario", "scan"],
    ] {
        let mut arguments = vec!["gen", "--pcap", "a.pcap", "--rate", "10000"];
        arguments.extend(options);
        let truth: Value = serde_json::from_str(&vxscope(dir.path(), &arguments).ok()).unwrap();
        let text = vxscope(dir.path(), &["replay", "a.pcap", "--out", "out"]).ok();
        assert!(text.ends_with("\nledger: balanced\n"), "{text}");
        let summary = json(&dir.path().join("out/summary.json"));
        assert_eq!(summary["packets"]["received"], truth["sent"]);
        assert_eq!(summary["packets"]["decapsulated"], truth["sent"]);
        assert_eq!(summary["sinks"]["decap"]["written"], truth["sent"]);
        check_sources(&truth, &json(&dir.path().join("out/sources.json")));
    }
}

#[test]
fn damaged_traffic_is_rejected_by_reason_and_balances() {
    let dir = folder();
    let made = [
        "gen",
        "--pcap",
        "a.pcap",
        "--scenario",
        "malformed",
        "--rate",
        "10000",
    ];
    let truth: Value = serde_json::from_str(&vxscope(dir.path(), &made).ok()).unwrap();
    let text = vxscope(dir.path(), &["replay", "a.pcap", "--out", "out"]).ok();
    assert!(text.ends_with("\nledger: balanced\n"), "{text}");
    let packets = json(&dir.path().join("out/summary.json"))["packets"].clone();
    let rejected: u64 = packets["rejected"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(packets["received"], truth["sent"]);
    assert_eq!(
        packets["decapsulated"].as_u64().unwrap() + rejected,
        truth["sent"].as_u64().unwrap()
    );
    assert!(
        rejected > 0 && rejected <= truth["malformed"].as_u64().unwrap(),
        "{packets}"
    );
}

#[test]
fn the_report_names_sources_reasons_and_outputs() {
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap", "--sources", "12"]).ok();
    let text = vxscope(
        dir.path(),
        &["replay", "a.pcap", "--out", "o", "--workers", "2"],
    )
    .ok();
    for part in [
        "10,000 packets, ",
        "\n10.0.0.16  ",
        "\nand 2 more in sources.json\n",
        "10,000 decapsulated\n",
        "rejected   none\n",
        "sink       decap: 10,000 written; shed: none\n",
        "outputs    o: summary.json, sources.json, eve.json, conn.log, decap.pcap\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[test]
fn only_the_outputs_that_were_asked_for_are_written() {
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap"]).ok();
    vxscope(
        dir.path(),
        &["replay", "a.pcap", "--out", "o", "--export", "eve"],
    )
    .ok();
    assert_eq!(
        names(&dir.path().join("o")),
        ["eve.json", "sources.json", "summary.json"]
    );
}

#[test]
fn a_flow_is_extracted_by_its_id() {
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap"]).ok();
    vxscope(dir.path(), &["replay", "a.pcap", "--out", "o"]).ok();
    let eve = fs::read_to_string(dir.path().join("o/eve.json")).unwrap();
    let flow: Value = serde_json::from_str(eve.lines().next().unwrap()).unwrap();
    let extract = |which: &str| {
        let arguments = ["replay", "a.pcap", "--out", "o", "--extract", which];
        vxscope(dir.path(), &arguments).ok()
    };
    let text = extract(&format!("flow={}", flow["flow_id"]));
    assert!(
        text.contains("extracted  flows found: 1, whole: 1\n"),
        "{text}"
    );
    let name = format!("extract-{}.pcap", flow["flow_id"]);
    assert!(text.contains(&format!("extract.json, {name}\n")), "{text}");
    assert!(names(&dir.path().join("o")).contains(&name));
    let text = extract("flow=1");
    assert!(
        text.contains("extracted  no flow that was asked for is in a ring\n"),
        "{text}"
    );
    assert!(!text.contains(&name), "{text}");
}

#[test]
fn a_capture_cut_short_fails_with_complete_outputs() {
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap"]).ok();
    let capture = fs::read(dir.path().join("a.pcap")).unwrap();
    fs::write(dir.path().join("cut.pcap"), &capture[..capture.len() - 5]).unwrap();
    let run = vxscope(dir.path(), &["replay", "cut.pcap", "--out", "o"]);
    assert!(run.stdout.ends_with("\nledger: balanced\n"), "{run:?}");
    let complaint = run.fails(1);
    let summary = json(&dir.path().join("o/summary.json"));
    let offset = summary["input"]["error"]["offset"].to_string();
    assert!(
        complaint.contains("cut.pcap") && complaint.contains(&offset),
        "{complaint}"
    );
    assert_eq!(summary["packets"]["received"], 9_999);
    assert_eq!(names(&dir.path().join("o")).len(), 5);
}

#[test]
fn an_input_that_is_not_there_fails_and_is_named() {
    let dir = folder();
    let complaint = vxscope(dir.path(), &["replay", "none.pcap", "--out", "o"]).fails(1);
    assert!(complaint.contains("none.pcap"), "{complaint}");
}

/// The truth's rows are those of `sources.json`.
fn check_sources(truth: &Value, sources: &Value) {
    let rows = |table: &Value, bytes: &str| {
        let rows = table.as_array().expect("a list of sources").iter();
        let mut rows: Vec<String> = rows
            .map(|row| {
                let [address, vni] = [&row["outer_ip"], &row["vni"]];
                format!(
                    "{address} {vni} {} {} {}",
                    row["packets"], row[bytes], row["flows"]
                )
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(
        rows(sources, "bytes"),
        rows(&truth["per_source"], "inner_bytes")
    );
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder of outputs");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
