//! Packets that were mirrored at both ends: found to the last one, and only once in what is handed
//! over; everything else has both.

use crate::sensor::number;
use crate::{folder, json, vxscope};

#[test]
fn every_packet_between_mirrored_ends_is_found_and_handed_over_once() {
    let dir = folder();
    // Every packet of this scenario is made once and mirrored twice.
    let made = [
        "gen",
        "--scenario",
        "east-west",
        "--packets",
        "4000",
        "--ipv6",
        "0",
        "--pcap",
        "in.pcap",
    ];
    vxscope(dir.path(), &made).ok();
    let mut whole = None;
    for (mode, suppressed) in [("off", 0), ("count", 0), ("suppress", 2_000)] {
        let set = format!("handoff.duplicates={mode}");
        let replay = [
            "replay",
            "in.pcap",
            "--out",
            mode,
            "--export",
            "pcap=caps",
            "--export",
            "eve",
            "--set",
            &set,
        ];
        vxscope(dir.path(), &replay).ok();
        let summary = json(&dir.path().join(mode).join("summary.json"));
        let found = &summary["duplicates"];
        assert_eq!(found["frames"].is_null(), mode == "off");
        assert_eq!(
            number(&found["frames"]),
            if mode == "off" { 0 } else { 2_000 },
            "{found}"
        );
        let sink = &summary["sinks"]["pcap=caps"];
        assert_eq!(number(&sink["shed"]["duplicate"]), suppressed, "{sink}");
        assert_eq!(number(&sink["written"]), 4_000 - suppressed);
        let pairs = found["pairs"].as_array().cloned().unwrap_or_default();
        let of_pairs: u64 = pairs.iter().map(|pair| number(&pair["frames"])).sum();
        assert_eq!(of_pairs, number(&found["frames"]));
        let eve = std::fs::read_to_string(dir.path().join(mode).join("eve.json"));
        let rest = (
            summary["packets"].clone(),
            summary["flows"].clone(),
            eve.expect("text"),
        );
        assert_eq!(*whole.get_or_insert_with(|| rest.clone()), rest, "{mode}");
    }
}
