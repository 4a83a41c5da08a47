//! Time goes on without traffic, and for flows it goes on evenly whatever the wall clock does.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vxscope_api::Client;
use vxscope_testkit::{Frame, Vxlan};

use crate::sensor::{Sensor, number, until};
use crate::{folder, skip};

const SMALL: &[&str] = &["--set", "rings.memory=8MiB", "--workers", "2"];
const OFTEN: [&str; 2] = ["--set", "report.interval_milliseconds=100"];
/// Flows in these tests, each of one datagram so far.
const FLOWS: u16 = 20;

#[test]
fn flows_end_without_any_traffic() {
    let dir = folder();
    let timeouts = "flow.timeouts.udp={new=1,established=1}";
    let sensor = Sensor::start(dir.path(), &[SMALL, &["--set", timeouts]].concat());
    send(sensor.port);
    // Nothing comes any more, and yet the flows end, and their records are written out.
    until("records of all flows", || {
        (records(&dir.path().join("out/.eve.json.tmp")).len() == usize::from(FLOWS)).then_some(())
    });
    let summary = sensor.stop().summary();
    let flows = &summary["flows"];
    assert_eq!(number(&flows["opened"]), u64::from(FLOWS));
    assert_eq!(number(&flows["closed"]["idle"]), u64::from(FLOWS));
}

#[test]
fn a_wall_clock_that_jumps_neither_ends_flows_nor_joins_them() {
    let Some(library) = library() else {
        return skip("libfaketime is not installed");
    };
    let dir = folder();
    let clock = dir.path().join("clock");
    let set = |jump: &str| fs::write(&clock, jump).unwrap();
    let faked = |program: &str| {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", &library);
        command.env("FAKETIME_TIMESTAMP_FILE", &clock);
        // As when somebody sets the clock: the monotonic one goes on.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("FAKETIME_NO_CACHE", "1");
        command
    };
    set("+0");
    let before = seconds(&mut faked("date"));
    set("-9h");
    let jumped = seconds(&mut faked("date"));
    assert!(before - jumped > 8 * 3_600, "the clock does not jump");
    set("+0");
    let timeouts = "flow.timeouts.udp={new=600,established=600}";
    let sensor = Sensor::start_with(
        faked(env!("CARGO_BIN_EXE_vxscope")),
        dir.path(),
        &[SMALL, &["--set", timeouts], &OFTEN].concat(),
    );
    let mut client = Client::connect(&dir.path().join("out/control.sock")).unwrap();
    let mut reports = || client.status().unwrap().seq;
    let jumps = ["+0", "+5h", "-7h", "-400d", "+0", "+400d"];
    for jump in jumps {
        set(jump);
        // Flows tick once a second, with the clock as it is now.
        let enough = reports() + 13;
        until("more than a second of reports", || {
            (reports() >= enough).then_some(())
        });
        send(sensor.port);
    }
    let summary = sensor.stop().summary();
    let flows = &summary["flows"];
    assert_eq!(number(&flows["opened"]), u64::from(FLOWS), "{flows}");
    assert_eq!(number(&flows["closed"]["shutdown"]), u64::from(FLOWS));
    let records = records(&dir.path().join("out/eve.json"));
    for record in &records {
        assert_eq!(record["flow"]["pkts_toserver"], jumps.len(), "{record}");
        // Packets have the kernel's stamps, which nobody fakes; the end is what the clock says now.
        let (year, ended) = (&record["flow"]["end"], &record["timestamp"]);
        let [year, ended] = [year, ended].map(|time| time.as_str().unwrap()[..4].to_owned());
        assert!(ended > year, "{record}");
    }
}

/// One datagram of each flow.
fn send(port: u16) {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on loopback");
    for flow in 0..FLOWS {
        let frame = Frame::udp(&format!("10.0.0.1:{}", 2_000 + flow), "10.0.0.2:9000").bytes();
        let datagram = Vxlan::new("127.0.0.1", 7).datagram(&frame);
        let sent = sender.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
        assert_eq!(sent.expect("room"), datagram.len());
    }
}

/// The whole lines of a file of records.
fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("text");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Debian has one for each architecture, each in a folder of its own.
fn library() -> Option<std::path::PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = folders.map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.exists())
}

fn seconds(date: &mut Command) -> i64 {
    let output = date.arg("+%s").output().expect("a clock");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().parse().expect("seconds")
}
