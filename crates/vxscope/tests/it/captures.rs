//! Captures in files, read by the programs that people read them with; disks that are full.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vxscope_api::Client;

use crate::disk::Disk;
use crate::sensor::{Sensor, number, received_and_dropped, records, sent, until};
use crate::{folder, json, skip, vxscope};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");

#[test]
fn capinfos_counts_in_pcap_files_what_the_ledger_does() {
    let (dir, summary) = replay(&["--export", "pcap=out/pcap"], &["rotate_packets=7"]);
    let captures = captures(&dir.path().join("out/pcap"));
    check(&summary, "pcap=out/pcap", captures.len());
    let Some(packets) = packets(&captures) else {
        return;
    };
    let written = number(&summary["sinks"]["pcap=out/pcap"]["written"]);
    assert_eq!(packets.iter().sum::<u64>(), written);
    assert!(
        packets.iter().rev().skip(1).all(|one| *one == 7),
        "{packets:?}"
    );
}

#[test]
fn tshark_reads_an_interface_for_each_source_from_pcapng_files() {
    let (dir, summary) = replay(&["--export", "pcapng=out/ng"], &["rotate_packets=20"]);
    let captures = captures(&dir.path().join("out/ng"));
    check(&summary, "pcapng=out/ng", captures.len());
    let mut by_interface = BTreeMap::new();
    for capture in &captures {
        let fields = ["frame.interface_name", "frame.interface_description"];
        let Some(lines) = tshark(capture, &fields) else {
            return;
        };
        for line in lines {
            let (name, description) = line.split_once('\t').expect("two fields");
            let name = (name.to_owned(), description.to_owned());
            *by_interface.entry(name).or_default() += 1;
        }
    }
    let sources = json(&dir.path().join("out/sources.json"));
    let expected: BTreeMap<(String, String), u64> = sources
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| {
            let address = row["outer_ip"].as_str().expect("an address");
            let name = format!("vni-{}", row["vni"]);
            let description = format!("mirror source {address}");
            ((name, description), number(&row["packets"]))
        })
        .collect();
    assert_eq!(by_interface, expected);
    // capinfos lists what the statistics block of each interface says, and accepts the files.
    let packets = packets(&captures).expect("it comes with tshark");
    let written = number(&summary["sinks"]["pcapng=out/ng"]["written"]);
    assert_eq!(packets.iter().sum::<u64>(), written);
}

#[test]
fn tcpdump_reads_files_of_single_sources() {
    let split = ["split=source"];
    let (dir, summary) = replay(&["--export", "pcapng=out/ng"], &split);
    let captures = captures(&dir.path().join("out/ng"));
    assert_eq!(captures.len() as u64, number(&summary["sources"]));
    let mut lines = 0;
    for capture in &captures {
        let mut tcpdump = Command::new("tcpdump");
        let Some(text) = run(tcpdump.args(["-nr"]).arg(capture)) else {
            return;
        };
        lines += text.lines().count() as u64;
    }
    assert_eq!(lines, number(&summary["packets"]["decapsulated"]));
}

#[test]
fn headers_alone_are_kept_where_payload_is_not_wanted() {
    let whole = replay(&["--export", "pcap=out/pcap"], &[]);
    let options = ["--export", "pcap=out/pcap", "--set", "sources.payload=none"];
    let cut = replay(&options, &[]);
    let bytes = |run: &tempfile::TempDir| -> u64 {
        let files = captures(&run.path().join("out/pcap"));
        files
            .iter()
            .map(|it| fs::metadata(it).expect("a file").len())
            .sum()
    };
    assert!(
        bytes(&cut.0) < bytes(&whole.0) / 2,
        "{} {}",
        bytes(&cut.0),
        bytes(&whole.0)
    );
    for key in ["packets", "frames", "flows", "rings"] {
        assert_eq!(
            cut.1[key], whole.1[key],
            "{key}: the ledger is of whole frames"
        );
    }
    // What tshark makes of the headers is what it makes of whole frames; payload is not there. The
    // headers that ICMP errors quote are payload, too.
    let fields = [
        "ip.src",
        "ip.dst",
        "ip.proto",
        "tcp.srcport",
        "udp.srcport",
        "frame.len",
    ];
    let file = |run: &tempfile::TempDir| captures(&run.path().join("out/pcap"))[0].clone();
    let Some(lines) = tshark(&file(&cut.0), &fields) else {
        return;
    };
    let whole = tshark(&file(&whole.0), &fields).expect("it was there a moment ago");
    let is_plain = |line: &&String| !line.contains("\t1\t") && !line.contains("\t1,");
    assert!(
        lines
            .iter()
            .filter(is_plain)
            .eq(whole.iter().filter(is_plain))
    );
    assert!(lines.iter().filter(is_plain).count() > 100);
    let payload = tshark(&file(&cut.0), &["tcp.payload", "udp.payload"]).unwrap_or_default();
    assert!(
        payload.iter().all(|line| line.trim().is_empty()),
        "{payload:?}"
    );
}

#[test]
fn an_earlier_runs_captures_stay_and_the_oldest_go_when_the_budget_is_spent() {
    let dir = folder();
    let export = [
        "--export",
        "pcap=out/pcap",
        "--set",
        "handoff.files.rotate_packets=5",
    ];
    let mut before = Vec::new();
    for _ in 0..3 {
        replay_in(dir.path(), &export);
        let now = captures(&dir.path().join("out/pcap"));
        assert!(
            now.starts_with(&before) && now.len() > before.len(),
            "{now:?}"
        );
        before = now;
    }
    let budget = [&export[..], &["--set", "handoff.files.budget=64KiB"]].concat();
    let summary = replay_in(dir.path(), &budget);
    let after = captures(&dir.path().join("out/pcap"));
    let size = |files: &[PathBuf]| -> u64 {
        files
            .iter()
            .map(|it| fs::metadata(it).expect("a file").len())
            .sum()
    };
    assert!(
        size(&after) <= 64 << 10 && size(&after) > 40 << 10,
        "{}",
        size(&after)
    );
    let deleted = number(&summary["details"]["pcap=out/pcap"]["files_deleted"]);
    let finished = number(&summary["details"]["pcap=out/pcap"]["files_finished"]);
    assert_eq!(after.len() as u64, before.len() as u64 + finished - deleted);
}

/// The disk holds a few of the files that the load makes.
#[test]
fn a_full_disk_costs_what_did_not_fit_and_is_written_again_once_there_is_room() {
    let dir = folder();
    let Some(disk) = Disk::mount(dir.path(), "1m") else {
        return;
    };
    let export = [
        "--export",
        "pcap=out/pcap",
        "--set",
        "rings.memory=8MiB",
        "--set",
        "handoff.files.rotate_bytes=128KiB",
    ];
    let sensor = Sensor::start_with(disk.command(), dir.path(), &export);
    let truth = sensor.load(&["--packets", "20000", "--rate", "30000"]);
    let mut sums = vec![sent(&truth)];
    handled(&disk.out(), sums[0]);
    let folder = disk.out().join("pcap");
    let full = captures(&folder);
    for capture in &full {
        assert_eq!(records(capture).1, 0, "{capture:?} is not whole");
        fs::remove_file(capture).expect("our own file");
    }
    // It is tried again after a while, for the next frame.
    until("a new file", || {
        let one = sensor.load(&["--packets", "4", "--flows", "4"]);
        sums.push(sent(&one));
        handled(&disk.out(), sums.iter().sum());
        let mut there = fs::read_dir(&folder).expect("a folder of captures");
        there.next().map(drop)
    });
    let more = sensor.load(&["--packets", "500", "--rate", "2000"]);
    sums.push(sent(&more));
    sensor.signal("TERM");
    let run = sensor.end().run;
    assert!(run.stderr.contains("No space left"), "{run:?}");
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
    let summary = json(&disk.out().join("summary.json"));
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, sums.iter().sum::<u64>());
    let sink = &summary["sinks"]["pcap=out/pcap"];
    assert!(number(&sink["shed"]["write_error"]) > 0, "{sink}");
    let again: u64 = captures(&folder).iter().map(|it| records(it).0).sum();
    assert!(again >= 500, "written again: {again}");
}

#[test]
fn what_a_kill_leaves_has_a_name_after_the_next_start() {
    let dir = folder();
    let export = ["--export", "pcapng=out/ng"];
    let sensor = Sensor::start(dir.path(), &export);
    sensor.load(&["--packets", "2000", "--rate", "20000"]);
    let folder = dir.path().join("out/ng");
    // What is only in memory is written out once a second.
    until("most of it on the disk", || {
        let hidden = fs::read_dir(&folder).ok()?.next()?.ok()?.path();
        (records(&hidden).0 > 1_500).then_some(())
    });
    sensor.signal("KILL");
    sensor.end();
    assert_eq!(captures(&folder).len(), 0);
    let summary = Sensor::start(dir.path(), &export).stop().summary();
    assert_eq!(summary["details"]["pcapng=out/ng"]["files_recovered"], 1);
    let captures = captures(&folder);
    let (packets, rest) = records(&captures[0]);
    assert!(
        packets > 1_500 && rest == 0,
        "{packets} packets, {rest} bytes"
    );
}

/// Waits until the sensor has so many packets, and its way out has done with them what it can.
fn handled(out: &Path, packets: u64) {
    let mut client = Client::connect(&out.join("control.sock")).expect("it runs");
    until("all that was sent", || {
        let status = client.status().expect("an answer");
        let sink = status.sinks.get("pcap=out/pcap")?;
        let done = sink.written + sink.shed.values().sum::<u64>();
        let all = status.packets.received + status.packets.kernel_dropped == packets;
        (all && done == status.packets.decapsulated).then_some(())
    });
}

/// A replay of the capture; what it left.
fn replay(options: &[&str], files: &[&str]) -> (tempfile::TempDir, Value) {
    let dir = folder();
    let settings: Vec<String> = files
        .iter()
        .map(|it| format!("handoff.files.{it}"))
        .collect();
    let set = settings.iter().flat_map(|it| ["--set", it]);
    let options: Vec<&str> = options.iter().copied().chain(set).collect();
    let summary = replay_in(dir.path(), &options);
    (dir, summary)
}

fn replay_in(dir: &Path, options: &[&str]) -> Value {
    let arguments = [&["replay", CAPTURE, "--out", "out"], options].concat();
    vxscope(dir, &arguments).ok();
    json(&dir.join("out/summary.json"))
}

/// Everything that was decapsulated is in this many files.
fn check(summary: &Value, sink: &str, files: usize) {
    assert!(files > 1, "{files} files");
    let count = &summary["sinks"][sink];
    assert_eq!(
        count["written"], summary["packets"]["decapsulated"],
        "{count}"
    );
    assert_eq!(summary["details"][sink]["files_finished"], files);
}

/// The finished captures of a folder, oldest first.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of captures");
    let paths = entries.map(|it| it.expect("an entry").path());
    let is_hidden = |path: &PathBuf| {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        name.starts_with('.')
    };
    let mut paths: Vec<PathBuf> = paths.filter(|it| !is_hidden(it)).collect();
    paths.sort();
    paths
}

/// Packets in each, by capinfos.
fn packets(captures: &[PathBuf]) -> Option<Vec<u64>> {
    let mut capinfos = Command::new("capinfos");
    let text = run(capinfos.args(["-T", "-m", "-r", "-M", "-c"]).args(captures))?;
    let last = |line: &str| {
        let field = line.rsplit(',').next().unwrap_or_default();
        field.trim_matches('"').parse().expect(&text)
    };
    Some(text.lines().map(last).collect())
}

/// A line for each packet.
fn tshark(capture: &Path, fields: &[&str]) -> Option<Vec<String>> {
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-T", "fields", "-r"]).arg(capture);
    tshark.args(fields.iter().flat_map(|field| ["-e", field]));
    Some(run(&mut tshark)?.lines().map(str::to_owned).collect())
}

/// What a program prints; `None`, with a note, if it is not installed.
fn run(command: &mut Command) -> Option<String> {
    let output = command.output();
    if matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound) {
        skip(&format!("{:?} is not installed", command.get_program()));
        return None;
    }
    let output = output.expect("a program that starts");
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
