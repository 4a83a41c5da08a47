//! Captures as streams, read by the programs that people read them with.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{folder, json, skip};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");

#[test]
fn tcpdump_reads_standard_output() {
    check("pcap-stream=-", |sensor| {
        let mut sensor = sensor.stdout(Stdio::piped()).spawn().ok()?;
        let frames = sensor.stdout.take()?;
        let lines = run(Command::new("tcpdump").args(["-nr", "-"]).stdin(frames));
        assert!(sensor.wait().is_ok_and(|status| status.success()));
        lines
    });
}

#[test]
fn tcpdump_reads_a_fifo() {
    check("pcap-stream=fifo", |sensor| {
        let dir = sensor.get_current_dir()?.to_owned();
        let mut sensor = sensor.stdout(Stdio::null()).spawn().ok()?;
        while !dir.join("fifo").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let lines = run(Command::new("tcpdump")
            .args(["-nr", "fifo"])
            .current_dir(dir));
        assert!(sensor.wait().is_ok_and(|status| status.success()));
        lines
    });
}

#[test]
fn age_encrypts_what_rests_on_the_disk() {
    check("pcap-stream=fifo", |sensor| {
        let dir = sensor.get_current_dir()?.to_owned();
        let age = |program: &str, arguments: &[&str]| {
            let mut age = Command::new(program);
            age.args(arguments).current_dir(&dir);
            age
        };
        run(&mut age("age-keygen", &["-o", "key"]))?;
        let key = run(&mut age("age-keygen", &["-y", "key"]))?;
        let mut sensor = sensor.stdout(Stdio::null()).spawn().ok()?;
        while !dir.join("fifo").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        run(&mut age(
            "age",
            &["-r", &key[0], "-o", "frames.age", "fifo"],
        ))?;
        assert!(sensor.wait().is_ok_and(|status| status.success()));
        let rests = std::fs::read(dir.join("frames.age")).ok()?;
        assert!(rests.starts_with(b"age-encryption.org/v1"));
        let mut back = age("age", &["-d", "-i", "key", "frames.age"]);
        let mut back = back.stdout(Stdio::piped()).spawn().ok()?;
        let frames = back.stdout.take()?;
        let lines = run(Command::new("tcpdump").args(["-nr", "-"]).stdin(frames));
        assert!(back.wait().is_ok_and(|status| status.success()));
        lines
    });
}

#[test]
fn tshark_reads_over_tcp() {
    let address = free_address();
    check(&format!("pcap-over-ip={address}"), |sensor| {
        let mut sensor = sensor.stdout(Stdio::null()).spawn().ok()?;
        let source = format!("TCP@{address}");
        let lines = loop {
            // Until the sensor listens, nobody is there to be read from.
            let mut tshark = Command::new("tshark");
            let lines = run(tshark.args(["-n", "-l", "-i", &source]))?;
            if !lines.is_empty() || sensor.try_wait().ok()?.is_some() {
                break lines;
            }
        };
        assert!(sensor.wait().is_ok_and(|status| status.success()));
        Some(lines)
    });
}

/// A replay with this output gives the reader one line for each decapsulated frame.
fn check(export: &str, read: impl FnOnce(&mut Command) -> Option<Vec<String>>) {
    let dir = folder();
    let mut sensor = Command::new(env!("CARGO_BIN_EXE_vxscope"));
    sensor
        .args(["replay", CAPTURE, "--out", "out", "--export", export])
        .current_dir(dir.path())
        .stderr(Stdio::null());
    let Some(lines) = read(&mut sensor) else {
        return;
    };
    let summary = json(&dir.path().join("out/summary.json"));
    let sink = &summary["sinks"][export];
    assert_eq!(sink["written"], summary["packets"]["decapsulated"]);
    assert_eq!(sink["written"], lines.len(), "{export}");
    assert_eq!(summary["readers"][0]["written"], sink["written"]);
    assert!(!Path::new("fifo").exists());
}

/// The lines a program prints; `None`, with a note, if it is not installed.
fn run(command: &mut Command) -> Option<Vec<String>> {
    let output = command.stderr(Stdio::null()).output();
    if matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound) {
        skip(&format!("{:?} is not installed", command.get_program()));
        return None;
    }
    let text = output.expect("a program that starts").stdout;
    let text = String::from_utf8_lossy(&text);
    Some(text.lines().map(str::to_owned).collect())
}

/// An address on which nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}
