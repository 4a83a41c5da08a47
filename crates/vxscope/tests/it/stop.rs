//! How `run` ends: in order, in time, at once, or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use vxscope_api::Client;
use vxscope_report::State;

use crate::frozen::Frozen;
use crate::sensor::{
    Sensor, Stopped, free_port, generator, number, received_and_dropped, records, sent, until,
};
use crate::{folder, json, skip, vxscope};

/// Small, so that a hundred sensors start fast.
const SMALL: &[&str] = &[
    "--set",
    "rings.memory=8MiB",
    "--set",
    "flow.flows_max=20000",
];
/// Far longer than a test may take: what ends, ends for another reason.
const NEVER: &[&str] = &["--set", "capture.stop_seconds=3600"];
const AT_ONCE: &[&str] = &["--set", "capture.stop_seconds=0"];

#[test]
fn a_hundred_stops_under_load_leave_whole_and_balanced_outputs() {
    let dir = folder();
    let port = free_port();
    // One load for all of them: it sends on while they come and go. Fragments, so that workers
    // have something for each other until the end.
    let load = [
        "--packets",
        "100000000",
        "--rate",
        "60000",
        "--scenario",
        "fragments",
    ];
    let mut load = generator(port, &load)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for round in 0..100 {
        let workers = ["1", "2", "4"][round % 3];
        let options = [SMALL, &["--workers", workers]].concat();
        let sensor = Sensor::start_on(port, binary(), dir.path(), &options);
        thread::sleep(Duration::from_millis([3, 10, 30, 90][round % 4]));
        check_whole(&sensor.stop(), dir.path(), round);
    }
    load.kill().unwrap();
    load.wait().unwrap();
}

#[test]
fn what_was_received_and_not_opened_in_time_is_counted() {
    for workers in ["1", "2"] {
        let dir = folder();
        let options = [SMALL, AT_ONCE, &["--workers", workers]].concat();
        let sensor = Sensor::start(dir.path(), &options);
        let Some(frozen) = Frozen::try_new(sensor.pid(), "worker-0") else {
            return;
        };
        let truth = sensor.load(&["--packets", "3000", "--rate", "50000"]);
        sensor.signal("TERM");
        // Before the worker moves on.
        wait_stopping(dir.path());
        frozen.thaw();
        let stopped = sensor.end();
        let summary = stopped.summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth));
        let cut = number(&summary["packets"]["rejected"]["deadline"]);
        assert!(cut > 0, "{summary}");
        assert_eq!(
            received,
            cut + number(&summary["packets"]["decapsulated"]),
            "{summary}"
        );
        check_cut(&stopped, &cut.to_string());
    }
}

#[test]
fn what_a_slow_disk_did_not_take_in_time_is_shed_and_the_files_are_whole() {
    let dir = folder();
    let options = [SMALL, AT_ONCE, &["--set", "workers.count=2"]].concat();
    let sensor = Sensor::start(dir.path(), &options);
    let Some(frozen) = Frozen::try_new(sensor.pid(), "writer") else {
        return;
    };
    let truth = sensor.load(&["--packets", "20000", "--rate", "50000"]);
    sensor.signal("TERM");
    // Workers that ended have nothing more to hand over.
    until("the end of the workers", || {
        (!threads(sensor.pid())
            .iter()
            .any(|name| name.starts_with("worker")))
        .then_some(())
    });
    frozen.thaw();
    let stopped = sensor.end();
    let summary = stopped.summary();
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, sent(&truth));
    for sink in ["decap", "eve", "conn-log"] {
        let shed = number(&summary["sinks"][sink]["shed"]["deadline"]);
        assert!(shed > 0, "{summary}");
    }
    check_cut(&stopped, "shed as deadline");
    check_files(&summary, dir.path(), 0);
}

#[test]
fn a_disk_that_hangs_does_not_hold_up_the_end() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[SMALL, AT_ONCE].concat());
    let Some(frozen) = Frozen::try_new(sensor.pid(), "writer") else {
        return;
    };
    let truth = sensor.load(&["--packets", "5000", "--rate", "50000"]);
    sensor.signal("TERM");
    check_abandoned(sensor, frozen, &truth, dir.path());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in ["TERM", "INT"] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &[SMALL, NEVER].concat());
        let Some(frozen) = Frozen::try_new(sensor.pid(), "writer") else {
            return;
        };
        let truth = sensor.load(&["--packets", "5000", "--rate", "50000"]);
        sensor.signal("TERM");
        // Two that come at once are one.
        wait_stopping(dir.path());
        sensor.signal(second);
        check_abandoned(sensor, frozen, &truth, dir.path());
    }
}

#[test]
fn what_a_kill_leaves_can_be_read_up_to_the_last_whole_record() {
    let dir = folder();
    let timeouts = "flow.timeouts.udp={new=1,established=1}";
    let sensor = Sensor::start(dir.path(), &["--workers", "2", "--set", timeouts]);
    let load = [
        "--packets",
        "100000000",
        "--rate",
        "30000",
        "--flows",
        "20000",
    ];
    let mut load = sensor.command(&load).stdout(Stdio::null()).spawn().unwrap();
    let out = dir.path().join("out");
    let decap = out.join(".decap.pcap.tmp");
    for name in ["decap.pcap", "eve.json", "conn.log"] {
        let hidden = out.join(format!(".{name}.tmp"));
        until(name, || {
            let bytes = fs::metadata(&hidden).ok()?.len();
            (bytes > 20_000).then_some(())
        });
    }
    sensor.signal("KILL");
    assert_eq!(sensor.end().run.code, None);
    load.kill().unwrap();
    load.wait().unwrap();
    assert!(!out.join("summary.json").exists());
    // Cut in the middle of a record, as a crash of the machine may leave it.
    let bytes = fs::read(&decap).unwrap();
    fs::write(dir.path().join("cut.pcap"), &bytes[..bytes.len() - 7]).unwrap();
    for capture in [decap.to_str().unwrap(), "cut.pcap"] {
        let (whole, rest) = records(&dir.path().join(capture));
        assert!(whole > 0);
        let arguments = ["replay", "--bare", capture, "--out", "recovered"];
        let replayed = vxscope(dir.path(), &arguments);
        assert_eq!(replayed.code, Some(i32::from(rest > 0)), "{replayed:?}");
        let summary = json(&dir.path().join("recovered/summary.json"));
        assert_eq!(number(&summary["packets"]["received"]), whole);
        check_peers(&dir.path().join(capture), whole);
    }
    let eve = fs::read_to_string(out.join(".eve.json.tmp")).unwrap();
    let (whole, _) = eve.rsplit_once('\n').unwrap();
    assert!(whole.lines().count() > 10);
    for line in whole.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let log = fs::read_to_string(out.join(".conn.log.tmp")).unwrap();
    let (whole, _) = log.rsplit_once('\n').unwrap();
    // The next run keeps it all, and says so.
    let sensor = Sensor::start(dir.path(), SMALL);
    assert!(
        sensor.banner.contains("crashed-1-decap.pcap"),
        "{}",
        sensor.banner
    );
    assert_eq!(fs::read(out.join("crashed-1-decap.pcap")).unwrap(), bytes);
    sensor.stop();
    assert_eq!(
        fs::read_to_string(out.join("crashed-1-eve.json")).unwrap(),
        eve
    );
    let columns: BTreeSet<usize> = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').count())
        .collect();
    assert_eq!(columns.len(), 1, "{columns:?}");
}

/// The run ended without waiting for the writer, and says what that costs.
fn check_abandoned(sensor: Sensor, frozen: Frozen, truth: &Value, dir: &Path) {
    frozen.wait_for_the_end();
    let stopped = sensor.end();
    let summary = stopped.summary();
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, sent(truth));
    for (sink, name) in FILES {
        let sink = &summary["sinks"][sink];
        assert_eq!(number(&sink["written"]), 0, "{summary}");
        assert!(number(&sink["shed"]["deadline"]) > 0, "{summary}");
        assert!(!dir.join("out").join(name).exists());
        assert!(dir.join("out").join(format!(".{name}.tmp")).exists());
    }
    check_cut(&stopped, "decap could not be closed in time");
}

/// Exit code 1, a summary that says why, and nothing that does not balance.
fn check_cut(stopped: &Stopped, why: &str) {
    let run = &stopped.run;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(why), "{run:?}");
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
    let warnings = stopped.summary()["warnings"].to_string();
    assert!(warnings.contains(why), "{warnings}");
}

fn check_whole(stopped: &Stopped, dir: &Path, earlier: usize) {
    let run = &stopped.run;
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
    check_files(&stopped.summary(), dir, earlier);
}

const FILES: [(&str, &str); 3] = [
    ("decap", "decap.pcap"),
    ("eve", "eve.json"),
    ("conn-log", "conn.log"),
];

/// Each file holds what the summary says, to its end, and there is no other but the flow records of
/// so many earlier runs.
fn check_files(summary: &Value, dir: &Path, earlier: usize) {
    let out = dir.join("out");
    let names = fs::read_dir(&out).expect("a folder").map(|entry| {
        let name = entry.expect("a file").file_name();
        name.into_string().expect("text")
    });
    let (kept, mut names): (Vec<_>, Vec<_>) =
        names.partition(|name| name.starts_with("eve-") || name.starts_with("conn-"));
    let eve = kept.iter().filter(|name| name.starts_with("eve-"));
    assert_eq!((eve.count(), kept.len()), (earlier, 2 * earlier));
    names.sort();
    let expected = [
        "conn.log",
        // The journal from run to run.
        "coverage",
        "decap.pcap",
        "eve.json",
        "learned.ndjson",
        "sources.json",
        "summary.json",
    ];
    assert_eq!(names, expected);
    let written = |sink: &str| number(&summary["sinks"][sink]["written"]);
    let lines = |name: &str| {
        let text = fs::read_to_string(out.join(name)).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().filter(|line| !line.starts_with('#')).count() as u64
    };
    assert_eq!(records(&out.join("decap.pcap")), (written("decap"), 0));
    assert_eq!(lines("eve.json"), written("eve"));
    assert_eq!(lines("conn.log"), written("conn-log"));
}

/// Wireshark's reader, where it is installed, sees the same records.
fn check_peers(capture: &Path, records: u64) {
    let arguments = [
        "-r",
        capture.to_str().expect("a name"),
        "-T",
        "fields",
        "-e",
        "frame.number",
    ];
    let output = match Command::new("tshark").args(arguments).output() {
        Ok(output) => output,
        Err(error) => return skip(&format!("tshark: {error}")),
    };
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(lines as u64, records);
}

/// Waits until the sensor has taken the signal.
fn wait_stopping(dir: &Path) {
    let mut client = Client::connect(&dir.join("out/control.sock")).expect("it runs");
    until("a stop", || {
        let state = client.status().expect("an answer").state;
        (state == State::Stopping).then_some(())
    });
}

pub(crate) fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let names = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vxscope"))
}
