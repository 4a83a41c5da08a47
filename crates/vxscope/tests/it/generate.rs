//! `gen`: the capture holds what the printed truth says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use vxscope_pcap::{Reader, Step};

use crate::{folder, json, vxscope};

#[test]
fn the_truth_is_what_the_capture_holds() {
    let dir = folder();
    for options in [
        &["--scenario", "mixed"][..],
        &["--gwlb", "--one-vni"],
        &["--packet-length", "96"],
        &["--scenario", "scan"],
    ] {
        let mut arguments = vec![
            "gen",
            "--packets",
            "3000",
            "--sources",
            "3",
            "--pcap",
            "a.pcap",
        ];
        arguments.extend(options);
        let truth: Value = serde_json::from_str(&vxscope(dir.path(), &arguments).ok()).unwrap();
        let gwlb = options.contains(&"--gwlb");
        let counted = count(&fs::read(dir.path().join("a.pcap")).unwrap(), gwlb);
        let told: BTreeMap<String, (u64, u64)> = truth["per_source"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let name = format!("{} {}", row["outer_ip"].as_str().unwrap(), row["vni"]);
                (
                    name,
                    (
                        row["packets"].as_u64().unwrap(),
                        row["bytes"].as_u64().unwrap(),
                    ),
                )
            })
            .collect();
        assert_eq!(counted, told, "{options:?}");
        let sums = told
            .values()
            .fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        assert_eq!(
            (truth["sent"].as_u64(), truth["bytes"].as_u64()),
            (Some(sums.0), Some(sums.1))
        );
    }
}

#[test]
fn the_same_command_writes_the_same_bytes() {
    let dir = folder();
    let write = |name: &str, seed: &str| {
        let truth = vxscope(dir.path(), &["gen", "--pcap", name, "--seed", seed]).ok();
        (truth, fs::read(dir.path().join(name)).unwrap())
    };
    let first = write("a.pcap", "1");
    assert_eq!(first, write("b.pcap", "1"));
    assert_ne!(first.1, write("c.pcap", "2").1);
}

#[test]
fn a_capture_that_cannot_be_written_is_named() {
    let dir = folder();
    let complaint = vxscope(dir.path(), &["gen", "--pcap", "no/such/folder.pcap"]).fails(1);
    assert!(
        complaint.contains("no/such/folder.pcap: cannot be written"),
        "{complaint}"
    );
}

#[test]
fn a_sensor_sees_genuine_and_forged_sources_as_the_truth_says() {
    let dir = folder();
    for gwlb in [false, true] {
        let faults = "loss=0.1,reorder=0.1,duplicate=0.1,forged=0.2";
        let mut arguments = vec!["gen", "--pcap", "a.pcap", "--faults", faults];
        arguments.extend(gwlb.then_some("--gwlb"));
        let truth: Value = serde_json::from_str(&vxscope(dir.path(), &arguments).ok()).unwrap();
        vxscope(dir.path(), &["replay", "a.pcap", "--out", "o"]).ok();
        let rows = |table: &Value, bytes: &str| -> BTreeSet<String> {
            let rows = table.as_array().unwrap().iter();
            let fields = ["outer_ip", "vni", "packets", bytes];
            rows.map(|row| fields.map(|name| row[name].to_string()).join(" "))
                .collect()
        };
        let mut told = rows(&truth["per_source"], "inner_bytes");
        told.extend(rows(&truth["forged_sources"], "inner_bytes"));
        assert!(told.len() > 4 + 16, "{told:?}");
        assert_eq!(
            rows(&json(&dir.path().join("o/sources.json")), "bytes"),
            told
        );
        let summary = json(&dir.path().join("o/summary.json"));
        assert_eq!(summary["packets"]["received"], truth["sent"]);
    }
}

#[test]
fn a_sensor_balances_what_was_corrupted() {
    let dir = folder();
    let arguments = ["gen", "--pcap", "a.pcap", "--faults", "corrupt=0.5"];
    let truth: Value = serde_json::from_str(&vxscope(dir.path(), &arguments).ok()).unwrap();
    let text = vxscope(dir.path(), &["replay", "a.pcap", "--out", "o"]).ok();
    assert!(text.ends_with("\nledger: balanced\n"), "{text}");
    let sources = json(&dir.path().join("o/sources.json"));
    for told in truth["per_source"].as_array().unwrap() {
        let seen = sources.as_array().unwrap().iter();
        let mut seen =
            seen.filter(|row| row["outer_ip"] == told["outer_ip"] && row["vni"] == told["vni"]);
        let seen = seen.next().unwrap()["packets"].as_u64().unwrap();
        let (genuine, corrupt) = (told["packets"].as_u64(), told["corrupt"].as_u64());
        let (genuine, corrupt) = (genuine.unwrap(), corrupt.unwrap());
        // Some corrupted packets can still be read, and some have lost their VNI.
        assert!(seen > genuine && seen < genuine + corrupt, "{seen}: {told}");
    }
}

/// Packets and bytes by source, read from the headers' fixed places.
fn count(file: &[u8], gwlb: bool) -> BTreeMap<String, (u64, u64)> {
    let ip = if gwlb { 14 + 28 + 40 } else { 14 };
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    let (mut reader, mut rest) = (Reader::new(), file);
    loop {
        match reader.read(rest).expect("a sound capture") {
            Step::Record { consumed, record } => {
                let byte = |at: usize| record.data[ip + at];
                let address = format!("{}.{}.{}.{}", byte(12), byte(13), byte(14), byte(15));
                let vni = u32::from_be_bytes([0, byte(32), byte(33), byte(34)]);
                let row = counts.entry(format!("{address} {vni}")).or_default();
                *row = (row.0 + 1, row.1 + record.data.len() as u64);
                rest = &rest[consumed..];
            }
            Step::Skip { consumed } => rest = &rest[consumed..],
            Step::NeedMore { .. } => break,
        }
    }
    reader
        .finish(rest)
        .expect("the capture ends where a record ends");
    counts
}
