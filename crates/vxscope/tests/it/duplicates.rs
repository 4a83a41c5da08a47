//! Packets that were mirrored at both ends: found to the last one, and only once in what is handed
//! over; everything else has both.

use serde_json::Value;

use crate::api::get;
use crate::sensor::{Sensor, free_tcp_port, number, until};
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

/// Also where nothing else takes frames.
#[test]
fn a_running_sensor_tells_the_same_numbers_everywhere() {
    // Of a pair of which the kernel dropped one, the other came once: then it is done again.
    let told = (0..5).find_map(|_| ask_everywhere());
    let told = told.expect("a run in which the kernel drops nothing");
    let found = &told.summary["duplicates"];
    assert_eq!(number(&found["frames"]), 2_000, "{found}");
    assert_eq!(told.status["duplicates"], told.listed["totals"]);
    assert_eq!(told.status["duplicates"]["frames"], 2_000);
    let pairs = found["pairs"].as_array().expect("a list");
    let listed = told.listed["pairs"].as_array().expect("a list");
    assert_eq!(pairs.len(), listed.len());
    assert_eq!(told.status["duplicates"]["pairs"], pairs.len());
    let of_pairs: u64 = pairs.iter().map(|pair| number(&pair["frames"])).sum();
    assert_eq!(of_pairs, 2_000);
    for (pair, of_api) in pairs.iter().zip(listed) {
        assert_eq!(pair["frames"], of_api["frames"]);
        let [one, other] = [0, 1].map(|place| {
            let source = &of_api["sources"][place];
            let (address, vni) = (source["outer_ip"].as_str().expect("text"), &source["vni"]);
            assert_eq!(pair["sources"][place], format!("{address} vni {vni}"));
            (address, vni)
        });
        let sample = format!(
            "vxscope_duplicate_pair_packets_total{{source=\"{}\",vni=\"{}\",\
             other_source=\"{}\",other_vni=\"{}\"}} {}\n",
            one.0, one.1, other.0, other.1, pair["frames"]
        );
        assert!(told.metrics.contains(&sample), "{sample}{}", told.metrics);
    }
    let sum = "vxscope_duplicate_packets_total 2000\n";
    assert!(told.metrics.contains(sum), "{}", told.metrics);
    let line = "duplicates 2,000 packets came twice";
    assert!(told.said.contains(line), "{}", told.said);
}

/// What one run says of what came twice.
struct Told {
    status: Value,
    listed: Value,
    metrics: String,
    said: String,
    summary: Value,
}

/// `None` if the kernel dropped something.
fn ask_everywhere() -> Option<Told> {
    let dir = folder();
    let address = format!("127.0.0.1:{}", free_tcp_port());
    let options = ["--api", &address, "--export", "eve"];
    let settings = [
        "--set",
        "handoff.duplicates=count",
        "--set",
        "report.interval_milliseconds=100",
    ];
    let sensor = Sensor::start(dir.path(), &[&options[..], &settings].concat());
    let load = ["--scenario", "east-west", "--packets", "4000"];
    sensor.load(&[&load[..], &["--ipv6", "0", "--rate", "10000"]].concat());
    let ask = |path: &str| get(&address, path);
    let parse = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
    let status = until("all packets that came twice", || {
        let status = parse(ask("/api/v1/status"));
        let dropped = number(&status["packets"]["kernel_dropped"]) > 0;
        (dropped || status["duplicates"]["frames"] == 2_000).then_some(status)
    });
    let listed = parse(ask("/api/v1/duplicates?limit=1024"));
    let metrics = ask("/metrics");
    let said = vxscope(dir.path(), &["status", "--socket", "out/control.sock"]).ok();
    let summary = sensor.stop().summary();
    let told = Told {
        status,
        listed,
        metrics,
        said,
        summary,
    };
    (number(&told.summary["packets"]["kernel_dropped"]) == 0).then_some(told)
}
