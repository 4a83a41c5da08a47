//! `run`: what was sent is received or dropped by the kernel, exactly, and the outputs are whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{Run, folder, vxscope};

#[test]
fn what_was_sent_was_received_with_any_number_of_workers() {
    for workers in ["1", "2", "4"] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &["--workers", workers]);
        let truth = sensor.load(&["--packets", "20000", "--rate", "40000"]);
        let summary = sensor.stop().summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth), "{workers} workers");
        assert_eq!(summary["packets"]["decapsulated"], received);
        // A user without the right to a large buffer may lose some on a busy machine.
        if dropped == 0 {
            let rows = per_source(&sources(dir.path()));
            assert_eq!(rows, per_source(&truth["per_source"]));
        }
    }
}

#[test]
fn what_does_not_fit_the_receive_buffer_is_counted_to_the_last_datagram() {
    for workers in ["1", "2", "4"] {
        let dir = folder();
        let small = [
            "--set",
            "capture.receive_buffer=16KiB",
            "--workers",
            workers,
        ];
        let sensor = Sensor::start(dir.path(), &small);
        let truth = sensor.load(&["--packets", "60000", "--rate", "2000000"]);
        let summary = sensor.stop().summary();
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, sent(&truth), "{workers} workers");
    }
}

#[test]
fn a_stop_under_load_leaves_whole_and_balanced_outputs() {
    for round in 0..5 {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &["--workers", "2"]);
        let mut load = sensor.command(&["--packets", "200000", "--rate", "100000"]);
        let mut load = load.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100 + 40 * round));
        let stopped = sensor.stop();
        assert!(
            stopped.run.stdout.ends_with("ledger: balanced\n"),
            "{:?}",
            stopped.run
        );
        let summary = stopped.summary();
        let written = &summary["sinks"]["decap"]["written"];
        assert_eq!(
            records(&dir.path().join("out/decap.pcap")),
            written.as_u64().unwrap()
        );
        load.kill().unwrap();
        load.wait().unwrap();
    }
}

#[test]
fn live_flows_are_those_of_a_replay_of_the_same_traffic() {
    let dir = folder();
    let load = [
        "--packets",
        "20000",
        "--flows",
        "300",
        "--sources",
        "3",
        "--seed",
        "9",
    ];
    let sensor = Sensor::start(dir.path(), &["--workers", "2"]);
    sensor.load(&[&load[..], &["--rate", "40000"]].concat());
    sensor.stop();
    vxscope(
        dir.path(),
        &[&["gen", "--pcap", "a.pcap"][..], &load].concat(),
    )
    .ok();
    vxscope(dir.path(), &["replay", "a.pcap", "--out", "replayed"]).ok();
    let [live, replayed] = ["out", "replayed"].map(|out| flows(&dir.path().join(out)));
    assert_eq!((live.len(), replayed.len()), (300, 300));
    let differing = live
        .iter()
        .zip(&replayed)
        .find(|(live, replayed)| live != replayed);
    assert_eq!(differing, None);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let dir = folder();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let complaint = vxscope(dir.path(), &["run", "--listen", &address, "--out", "out"]).fails(1);
    assert!(
        complaint.contains(&address) && complaint.contains("in use"),
        "{complaint}"
    );
}

#[test]
fn the_demo_ends_with_a_balanced_ledger_for_any_user_in_any_folder() {
    let dir = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(["demo", "--seconds", "1"])
        .current_dir("/")
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let run = Run::from(output);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("sent "), "{run:?}");
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
}

/// A running sensor, in `dir`, with outputs in `out`.
struct Sensor {
    child: Child,
    dir: std::path::PathBuf,
    port: u16,
    /// Kept open, so that the sensor never writes to nobody.
    _said: BufReader<ChildStderr>,
}

/// What is left of it.
struct Stopped {
    run: Run,
    dir: std::path::PathBuf,
}

impl Sensor {
    fn start(dir: &Path, options: &[&str]) -> Self {
        let (port, other) = (free_port(), free_port());
        let mut child = Command::new(env!("CARGO_BIN_EXE_vxscope"))
            .args([
                "run",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--out",
                "out",
            ])
            .args(["--set", &format!("decapsulation.geneve_ports=[{other}]")])
            .args(["--set", "rings.memory=32MiB"])
            .args(options)
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("as the test arranged it");
        // What is said at the start comes once the sockets are open; before, they refuse.
        let mut said = BufReader::new(child.stderr.take().expect("as the test arranged it"));
        let mut line = String::new();
        while !line.starts_with("interrupt") {
            line.clear();
            assert_ne!(
                said.read_line(&mut line).expect("as the test arranged it"),
                0,
                "the sensor did not start"
            );
        }
        Self {
            child,
            dir: dir.to_owned(),
            port,
            _said: said,
        }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vxscope"));
        command
            .args(["gen", "--to", &format!("127.0.0.1:{}", self.port)])
            .args(options);
        command
    }

    /// Sends to it, and returns what was sent.
    fn load(&self, options: &[&str]) -> Value {
        let run = Run::from(
            self.command(options)
                .output()
                .expect("as the test arranged it"),
        );
        serde_json::from_str(&run.ok()).expect("as the test arranged it")
    }

    fn stop(self) -> Stopped {
        let id = self.child.id().to_string();
        let killed = Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .expect("as the test arranged it");
        assert!(killed.success());
        let run = Run::from(
            self.child
                .wait_with_output()
                .expect("as the test arranged it"),
        );
        assert_eq!(run.code, Some(0), "{run:?}");
        Stopped { run, dir: self.dir }
    }
}

impl Stopped {
    fn summary(&self) -> Value {
        let text =
            fs::read_to_string(self.dir.join("out/summary.json")).expect("as the test arranged it");
        serde_json::from_str(&text).expect("as the test arranged it")
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .expect("as the test arranged it")
        .local_addr()
        .expect("as the test arranged it")
        .port()
}

fn sent(truth: &Value) -> u64 {
    truth["sent"].as_u64().expect("as the test arranged it")
}

fn received_and_dropped(summary: &Value) -> (u64, u64) {
    let count = |name: &str| {
        summary["packets"][name]
            .as_u64()
            .expect("as the test arranged it")
    };
    (count("received"), count("kernel_dropped"))
}

fn sources(dir: &Path) -> Value {
    serde_json::from_str(
        &fs::read_to_string(dir.join("out/sources.json")).expect("as the test arranged it"),
    )
    .expect("as the test arranged it")
}

fn per_source(rows: &Value) -> BTreeMap<String, u64> {
    let rows = rows.as_array().expect("as the test arranged it").iter();
    rows.map(|row| {
        (
            format!("{} {}", row["outer_ip"], row["vni"]),
            row["packets"].as_u64().expect("as the test arranged it"),
        )
    })
    .collect()
}

fn records(capture: &Path) -> u64 {
    use vxscope_pcap::{Reader, Step};
    let (bytes, mut reader, mut records) = (
        fs::read(capture).expect("as the test arranged it"),
        Reader::new(),
        0,
    );
    let mut rest = &bytes[..];
    loop {
        match reader.read(rest).expect("as the test arranged it") {
            Step::Record { consumed, .. } => {
                records += 1;
                rest = &rest[consumed..];
            }
            Step::Skip { consumed } => rest = &rest[consumed..],
            Step::NeedMore { .. } => break,
        }
    }
    reader.finish(rest).expect("as the test arranged it");
    records
}

/// Every flow without its times, ids and addresses (a live source is a loopback address): VNI,
/// protocol, ports, packets and bytes of both ways, state.
fn flows(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("eve.json")).expect("as the test arranged it");
    let mut flows: Vec<String> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("as the test arranged it");
            let flow = &record["flow"];
            format!(
                "{} {} {} {} {} {} {} {} {}",
                record["vni"],
                record["proto"],
                record["src_port"],
                record["dest_port"],
                record["tcp"]["tcp_flags"],
                flow["pkts_toserver"],
                flow["pkts_toclient"],
                flow["bytes_toserver"],
                flow["bytes_toclient"]
            )
        })
        .collect();
    flows.sort();
    flows
}
