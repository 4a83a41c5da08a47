//! What the payload policy cuts is nowhere: not in the rings, and in no way out.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use vxscope_api::Client;
use vxscope_testkit::Frame;

use crate::sensor::{Sensor, free_tcp_port, number, until};
use crate::{folder, json, skip, vxscope};

const PACKETS: usize = 10;
/// What `head` may keep, and what nobody may.
const KEPT: &str = "keptkept";
const SECRET: &str = "SECRETSECRETSECRET";

#[test]
fn what_is_cut_is_in_no_ring_and_in_no_output() {
    for (policy, kept) in [("none", ""), ("head", KEPT)] {
        let (dir, second) = (folder(), folder());
        let receiver = Sensor::start(second.path(), &["--export", "decap"]);
        let port = free_tcp_port();
        let exports = [
            "decap".to_owned(),
            "pcap=out/pcap".to_owned(),
            "pcapng=out/pcapng".to_owned(),
            format!("pcap-over-ip=127.0.0.1:{port}"),
            format!("vxlan=127.0.0.1:{}", receiver.port),
        ];
        let policy = format!("sources.payload={policy}");
        let mut options = vec!["--set", &policy, "--set", "sources.payload_head=8"];
        options.extend(exports.iter().flat_map(|it| ["--export", it]));
        let sensor = Sensor::start(dir.path(), &options);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
        let mut streamed = vec![0; 24];
        stream.read_exact(&mut streamed).expect("a header");
        ask(dir.path(), &["pin", "add", "address=10.9.0.1"]);
        send(sensor.port);
        until("everything counted", || {
            let mut client =
                Client::connect(&dir.path().join("out/control.sock")).expect("a sensor");
            let status: serde_json::Value = client.ask(r#"{"get":"status"}"#).expect("an answer");
            (number(&status["packets"]["received"]) == PACKETS as u64).then_some(())
        });
        for format in ["pcap", "pcapng"] {
            let flow = "udp=10.9.0.1:1000,10.9.0.2:9999";
            ask(
                dir.path(),
                &["extract", flow, "--out", format, "--format", format],
            );
        }
        ask(dir.path(), &["pin", "remove", "1"]);
        let summary = sensor.stop().summary();
        assert_eq!(number(&summary["rings"]["stored"]), PACKETS as u64);
        let looked_back = &summary["look_back"];
        let headers = frame(0).len() - KEPT.len() - SECRET.len() - 1;
        let bytes = 2 * PACKETS * (headers + kept.len());
        assert_eq!(number(&looked_back["extractions"]), 2, "{looked_back}");
        assert_eq!(number(&looked_back["pins"]), 1, "{looked_back}");
        assert_eq!(number(&looked_back["bytes"]), bytes as u64, "{looked_back}");
        stream.read_to_end(&mut streamed).expect("until it ends");
        fs::write(dir.path().join("streamed.pcap"), streamed).expect("a file");
        receiver.stop();
        let mut captures = captures_below(dir.path());
        captures.extend(captures_below(second.path()));
        // decap, pcap, pcapng, the stream, two extractions, the pin, the second sensor's decap.
        assert_eq!(captures.len(), 8, "{captures:?}");
        for capture in &captures {
            check(capture, kept);
        }
    }
}

#[test]
fn what_a_replay_takes_from_the_rings_is_cut_too() {
    let dir = folder();
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");
    vxscope(
        dir.path(),
        &["replay", capture, "--out", "whole", "--export", "eve"],
    )
    .ok();
    let eve = fs::read_to_string(dir.path().join("whole/eve.json")).expect("text");
    let records = eve.lines().map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        record
    });
    let longest = records.max_by_key(|it| number(&it["flow"]["bytes_toclient"]));
    let flow = format!("flow={}", longest.expect("flows")["flow_id"]);
    let mut sizes = Vec::new();
    for policy in ["full", "head", "none"] {
        let set = format!("sources.payload={policy}");
        let replay = [
            "replay",
            capture,
            "--out",
            policy,
            "--extract",
            &flow,
            "--set",
            &set,
            "--export",
            "eve",
        ];
        vxscope(dir.path(), &replay).ok();
        let list = json(&dir.path().join(policy).join("extract.json"));
        assert_eq!(list[0]["complete"], true, "{list}");
        let summary = json(&dir.path().join(policy).join("summary.json"));
        assert_eq!(summary["look_back"]["bytes"], list[0]["bytes_found"]);
        sizes.push(number(&list[0]["bytes_found"]));
    }
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
}

/// Every frame is there with its true length and no more of its payload than `kept`.
fn check(capture: &Path, kept: &str) {
    let bytes = fs::read(capture).expect("a capture");
    let times = |text: &str| {
        let found = bytes.windows(text.len().max(1));
        found.filter(|it| *it == text.as_bytes()).count()
    };
    assert_eq!(times("SECRET"), 0, "{capture:?}");
    assert_eq!(times("kept"), PACKETS * kept.len() / 4, "{capture:?}");
    let mut tshark = Command::new("tshark");
    let tshark = tshark.args([
        "-n",
        "-T",
        "fields",
        "-e",
        "frame.len",
        "-e",
        "data.data",
        "-r",
    ]);
    let Ok(output) = tshark.arg(capture).output() else {
        return skip("tshark is not installed");
    };
    let hex: String = kept.bytes().map(|byte| format!("{byte:02x}")).collect();
    let length = frame(0).len();
    let expected = format!("{length}\t{hex}\n").repeat(PACKETS);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, expected, "{capture:?}");
    let mut tcpdump = Command::new("tcpdump");
    let Ok(output) = tcpdump.args(["-nr"]).arg(capture).output() else {
        return skip("tcpdump is not installed");
    };
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(lines, PACKETS, "{capture:?}");
}

fn frame(number: usize) -> Vec<u8> {
    let payload = format!("{KEPT}{SECRET}{number}");
    let frame = Frame::udp("10.9.0.1:1000", "10.9.0.2:9999");
    frame.payload(payload.as_bytes()).bytes()
}

fn send(port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).expect("a socket");
    for number in 0..PACKETS {
        let datagram = [&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame(number)].concat();
        let sent = socket.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
        sent.expect("a socket on loopback");
    }
}

/// A command to the running sensor.
fn ask(dir: &Path, arguments: &[&str]) -> String {
    let socket = dir.join("out/control.sock");
    let socket = socket.to_str().expect("text");
    vxscope(dir, &[arguments, &["--socket", socket]].concat()).ok()
}

/// Every capture below a folder.
fn captures_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(captures_below(&path));
        } else if path
            .extension()
            .is_some_and(|it| it == "pcap" || it == "pcapng")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
