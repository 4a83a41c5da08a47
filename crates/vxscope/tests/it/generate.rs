//! `gen`: the capture holds what the printed truth says.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use vxscope_pcap::{Reader, Step};

use crate::{folder, vxscope};

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
