//! Captures of other projects, where they are at hand: each is read to its end or refused for a
//! reason that is listed here.

#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::read_all;

/// Files that are refused: records before the damage, offset, and words of the error. libpcap
/// refuses the same ones, and some more that are valid (interfaces that differ in link type or
/// snap length).
const REFUSED: &[(&str, usize, u64, &str)] = &[
    // Two files end in the middle of a retransmission; what follows reads as a length.
    (
        "bug-1450-04__tls_DER-incomplete-header.pcap",
        6,
        5_035,
        "4325376 captured bytes",
    ),
    (
        "bug-1450-05__tls_DER-incomplete-content.pcap",
        6,
        5_035,
        "4325376 captured bytes",
    ),
    (
        "linktype-reserved-field-not-zero.pcap",
        0,
        0,
        "0x00300000 has reserved bits",
    ),
    (
        "gopacket__be_test017.pcapng",
        0,
        312,
        "no interface description",
    ),
    (
        "gopacket__le_test002.pcapng",
        0,
        96,
        "no interface description",
    ),
    (
        "gopacket__be_test901.pcapng",
        1,
        480,
        "pcapng version 2.0 is not supported",
    ),
    (".pcap.gz", 0, 0, "gzip data; decompress it first"),
    (".pcapng.gz", 0, 0, "gzip data; decompress it first"),
];

#[test]
fn every_capture_is_read_whole_or_refused_for_a_known_reason() {
    let Some(root) = corpus() else { return };
    let mut differences = Vec::new();
    let (mut read, mut refused) = (0, 0);
    for (name, packets) in manifest(&root) {
        let bytes = fs::read(root.join(&name)).unwrap();
        let outcome = read_all(&bytes);
        let known = REFUSED.iter().find(|(suffix, ..)| name.ends_with(suffix));
        let difference = match (&outcome.end, known) {
            (Ok(()), None) if outcome.records.len() == packets => None,
            (Err(error), Some(&(_, records, offset, words))) => {
                refused += 1;
                let same = outcome.records.len() == records && error.to_string().contains(words);
                (!same || offset != outcome.offset).then_some("other refusal")
            }
            _ => Some("read differently"),
        };
        read += usize::from(outcome.end.is_ok());
        if let Some(why) = difference {
            let (records, offset) = (outcome.records.len(), outcome.offset);
            let end = outcome.end;
            differences.push(format!(
                "{name}: {why}: {records} of {packets}, {offset}, {end:?}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    println!("{read} captures read, {refused} refused");
    assert!(read > 0);
}

#[test]
fn small_captures_cut_at_any_byte_keep_their_whole_records() {
    let Some(root) = corpus() else { return };
    let mut cuts = 0;
    for (name, _) in manifest(&root) {
        let bytes = fs::read(root.join(&name)).unwrap();
        if bytes.len() > 600 {
            continue;
        }
        let whole = read_all(&bytes).records;
        let mut before = 0;
        for length in 0..=bytes.len() {
            let outcome = read_all(&bytes[..length]);
            let records = outcome.records.len();
            assert!(
                records >= before && records <= before + 1,
                "{name} cut to {length}"
            );
            assert_eq!(
                outcome.records[..],
                whole[..records],
                "{name} cut to {length}"
            );
            if outcome.end.is_ok() {
                assert_eq!(outcome.offset, length as u64, "{name} cut to {length}");
            }
            before = records;
            cuts += 1;
        }
        assert_eq!(before, whole.len(), "{name}");
    }
    assert!(cuts > 0);
}

/// The folder of captures, which a checkout need not have.
fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !root.join("MANIFEST.tsv").exists() {
        println!("skipped: {} is not there", root.display());
        return None;
    }
    Some(root)
}

/// File and number of packets of each row.
fn manifest(root: &Path) -> Vec<(String, usize)> {
    let text = fs::read_to_string(root.join("MANIFEST.tsv")).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        (columns[0].to_owned(), columns[3].parse().unwrap())
    });
    rows.collect()
}
