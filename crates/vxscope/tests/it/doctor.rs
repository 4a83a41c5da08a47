//! `doctor`: what it prints, what it finds, and what its exit code says.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::sensor::Sensor;
use crate::{folder, vxscope};

#[test]
fn it_prints_what_the_consumer_needs_for_the_hand_off() {
    let dir = folder();
    for (consumer, export, parts) in [
        (
            "suricata",
            "pcap-stream=-",
            ["-k none -r /dev/stdin", "use-for-tracking: true"],
        ),
        ("zeek", "pcap-stream=-", ["zeek -C -r -", "vlan_fivetuple"]),
        (
            "arkime",
            "pcap=caps",
            ["-R caps --monitor", "readTruncatedPackets=true"],
        ),
    ] {
        let set = [
            "--set",
            "handoff.vlan=qinq",
            "--set",
            "handoff.files.budget=1GiB",
        ];
        let arguments = [&["doctor", consumer, "--export", export][..], &set].concat();
        let text = vxscope(dir.path(), &arguments).ok();
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_stream_is_read_only_while_a_sensor_runs() {
    let dir = folder();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let export = format!("pcap-over-ip={port}");
    let doctor = ["doctor", "arkime", "--export", &export];
    assert!(vxscope(dir.path(), &doctor).fails(1).contains("1 of "));
    let sensor = Sensor::start(dir.path(), &["--export", &export]);
    let text = vxscope(dir.path(), &doctor).ok();
    assert!(text.contains("a capture is read there"), "{text}");
    sensor.stop();
}

#[test]
fn a_fifo_without_reader_is_told_and_one_with_reader_is_not_disturbed() {
    let dir = folder();
    let fifo = dir.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let doctor = ["doctor", "zeek", "--export", "pcap-stream=fifo"];
    vxscope(dir.path(), &doctor).fails(1);
    // A reader that would end if anybody opened and closed the other side.
    let held = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut reader = Command::new("cat")
        .arg(&fifo)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = vxscope(dir.path(), &doctor).ok();
    assert!(text.contains("has a reader"), "{text}");
    assert_eq!(reader.try_wait().unwrap(), None);
    drop(held);
    let _ = reader.kill();
    reader.wait().unwrap();
}

#[test]
fn what_does_not_go_together_fails() {
    let dir = folder();
    for (consumer, export) in [("arkime", "pcap-stream=fifo"), ("suricata", "tap=nosuch0")] {
        let complaint = vxscope(dir.path(), &["doctor", consumer, "--export", export]).fails(1);
        assert!(complaint.contains("checks failed"), "{complaint}");
    }
    vxscope(dir.path(), &["doctor", "zeek", "--export", "eve"]).fails(2);
    vxscope(dir.path(), &["doctor", "snort", "--export", "tap=cap0"]).fails(2);
}
