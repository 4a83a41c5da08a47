//! Packets of the past out of a running sensor: the same that another program finds in its
//! outputs, without a packet lost, never without a line in the audit log.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vxscope_api::Client;
use vxscope_testkit::Frame;
use vxscope_units::Timestamp;

use crate::sensor::{Sensor, number, received_and_dropped, records, sent, until};
use crate::{Run, folder, skip, vxscope};

/// The VNI of what these tests send themselves.
const VNI: u32 = 5;

#[test]
fn a_flow_is_the_one_that_tshark_finds_in_the_capture() {
    for workers in ["1", "2"] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), &["--workers", workers]);
        sensor.load(&["--packets", "2000", "--rate", "20000", "--flows", "100"]);
        let mut mirror = Mirror::new(&sensor, 9);
        mirror.conversation(1000, 0..40);
        mirror.conversation(1001, 0..7);
        mirror.counted(dir.path(), 2_000 + 47);
        let names = [
            "tcp=10.9.0.2:80,10.9.0.1:1000",
            "tcp=10.9.0.1:1000,10.9.0.2:80",
        ];
        let (mut flow_id, mut community) = (0, String::new());
        for name in names {
            let head = extract(dir.path(), &[name, "--vni", "5", "--reason", "case 7"]);
            let flow = &head["flows"][0];
            assert_eq!(head["flows"].as_array().map(Vec::len), Some(1), "{head}");
            assert_eq!(flow["complete"], true, "{flow}");
            assert_eq!(flow["packets_found"], 40);
            flow_id = number(&flow["flow_id"]);
            community = flow["community_id"].as_str().unwrap().to_owned();
        }
        let file = format!("extract-{flow_id}");
        extract(
            dir.path(),
            &[&format!("flow={flow_id}"), "--format", "pcapng"],
        );
        extract(dir.path(), &[&format!("community-id={community}")]);
        sensor.stop();
        let in_capture = tshark(&dir.path().join("out/decap.pcap"));
        let Some(in_capture) = in_capture else { return };
        assert_eq!(in_capture.len(), 40);
        for format in ["pcap", "pcapng"] {
            let extracted = tshark(&dir.path().join(format!("got/{file}.{format}"))).unwrap();
            assert_eq!(extracted, in_capture, "{format}, {workers} workers");
        }
        let audit = audit(dir.path());
        assert_eq!(audit.len(), 4);
        assert_eq!(audit[0]["reason"], "case 7");
        assert_eq!(audit[0]["flows"][0]["packets"], 40);
        assert!(audit[0]["who"]["process"]["pid"].as_u64().is_some());
    }
}

#[test]
fn a_closed_flow_is_still_there() {
    let dir = folder();
    let short = ["--set", "flow.timeouts.udp.new=1"];
    let sensor = Sensor::start(dir.path(), &short);
    let mut mirror = Mirror::new(&sensor, 9);
    for byte in 0..5 {
        let frame = Frame::udp("10.9.0.1:1000", "10.9.0.2:53").payload(&[byte]);
        mirror.send(&frame.bytes());
    }
    mirror.counted(dir.path(), 5);
    let head = until("a flow that is closed", || {
        let head = extract(dir.path(), &["udp=10.9.0.1:1000,10.9.0.2:53"]);
        (head["flows"][0]["open"] == false).then_some(head)
    });
    assert_eq!(head["flows"][0]["packets_found"], 5);
    assert_eq!(head["flows"][0]["complete"], true);
    sensor.stop();
}

#[test]
fn nothing_is_lost_while_packets_are_taken_under_load() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--workers", "2"]);
    let mut mirror = Mirror::new(&sensor, 9);
    mirror.conversation(1000, 0..60);
    mirror.counted(dir.path(), 60);
    // Little enough that the rings have all of it, however long it takes to look back.
    let load = ["--packets", "60000", "--rate", "20000", "--flows", "2000"];
    let mut load = sensor.command(&[&load[..], &["--size", "64"]].concat());
    let load = load.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut taken = 0;
    for _ in 0..30 {
        let head = extract(dir.path(), &["tcp=10.9.0.1:1000,10.9.0.2:80", "--vni", "5"]);
        assert_eq!(head["flows"][0]["complete"], true, "{head}");
        taken += 1;
    }
    let truth = Run::from(load.wait_with_output().unwrap()).ok();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    mirror.counted(dir.path(), sent(&truth) + 60);
    let summary = sensor.stop().summary();
    assert_eq!(received_and_dropped(&summary), (sent(&truth) + 60, 0));
    assert_eq!(taken, audit(dir.path()).len());
}

#[test]
fn what_is_not_there_and_what_makes_no_sense_is_told_so() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[]);
    for (which, part) in [
        ("flow=17", "no flow 17 among"),
        (
            "community-id=1:wCb3OG7yAFWelaUydu0D+125CLM=",
            "no flow with Community ID",
        ),
        ("community-id=nonsense", "is no Community ID"),
        ("tcp=10.0.0.1:1,10.0.0.2:2", "no such flow among"),
        ("address=10.0.0.1", "an extraction is of a flow"),
    ] {
        let complaint = command(dir.path(), &[which]).fails(1);
        assert!(complaint.contains(part), "{which}: {complaint}");
    }
    assert!(fs::read_dir(dir.path().join("got")).is_err());
    let lines = audit(dir.path());
    assert_eq!(lines.len(), 3, "what was looked for");
    assert!(
        lines
            .iter()
            .all(|line| line["flows"] == Value::Array(vec![]))
    );
    sensor.stop();
}

#[test]
fn without_a_line_in_the_audit_log_nothing_is_given() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--set", "look_back.audit=/dev/full"]);
    let mut mirror = Mirror::new(&sensor, 9);
    mirror.conversation(1000, 0..3);
    mirror.counted(dir.path(), 3);
    let complaint = command(dir.path(), &["tcp=10.9.0.1:1000,10.9.0.2:80"]).fails(1);
    assert!(
        complaint.contains("nothing is given without it"),
        "{complaint}"
    );
    assert!(fs::read_dir(dir.path().join("got")).is_err());
    until("the count", || {
        (status(dir.path())["look_back"]["unaudited"] == 1).then_some(())
    });
    sensor.stop();
}

#[test]
fn clients_that_take_nothing_cost_no_packet_and_no_other_client() {
    let dir = folder();
    // Nobody loses a place before the next one was refused, also on a machine that stalls.
    let sensor = Sensor::start(dir.path(), &["--set", "api.client_timeout_seconds=10"]);
    let mut mirror = Mirror::new(&sensor, 9);
    // More than a socket holds.
    for _ in 0..900 {
        let frame = Frame::udp("10.9.0.1:1000", "10.9.0.2:53").payload(&[7; 1_200]);
        mirror.send(&frame.bytes());
    }
    mirror.counted(dir.path(), 900);
    let request = r#"{"extract":{"src_ip":"10.9.0.1","dest_ip":"10.9.0.2"}}"#;
    let stalled: Vec<UnixStream> = (0..4)
        .map(|_| {
            let mut stream = UnixStream::connect(dir.path().join("out/control.sock")).unwrap();
            stream.write_all(format!("{request}\n").as_bytes()).unwrap();
            stream
        })
        .collect();
    // They are under way once each has a line in the log.
    until("four extractions", || {
        (audit(dir.path()).len() == 4).then_some(())
    });
    let complaint = command(dir.path(), &["hosts=10.9.0.1,10.9.0.2"]).fails(1);
    assert!(
        complaint.contains("others look back already"),
        "{complaint}"
    );
    assert_eq!(status(dir.path())["packets"]["received"], 900);
    // They lose their places in time.
    until("a place", || {
        let run = command(dir.path(), &["hosts=10.9.0.1,10.9.0.2"]);
        (run.code == Some(0)).then_some(())
    });
    drop(stalled);
    sensor.stop();
}

#[test]
fn over_http_packets_are_given_only_where_that_was_allowed() {
    let path = "/api/v1/extract?src_ip=10.9.0.1&src_port=1000&dest_ip=10.9.0.2&dest_port=80\
        &proto=tcp&vni=5&reason=a+test";
    for (options, expected) in [
        (&["--api", "127.0.0.1:0"][..], "403"),
        (
            &["--api", "127.0.0.1:0", "--set", "look_back.http=true"][..],
            "200",
        ),
    ] {
        let dir = folder();
        let sensor = Sensor::start(dir.path(), options);
        let mut mirror = Mirror::new(&sensor, 9);
        mirror.conversation(1000, 0..20);
        mirror.counted(dir.path(), 20);
        let answer = get(&sensor, path);
        let (head, body) = split(&answer);
        assert!(head.starts_with(&format!("HTTP/1.1 {expected}")), "{head}");
        if expected == "200" {
            assert!(head.contains("x-vxscope-packets-found: 20"), "{head}");
            assert!(head.contains("x-vxscope-complete: true"), "{head}");
            let file = dir.path().join("got.pcap");
            fs::write(&file, body).unwrap();
            assert_eq!(records(&file), (20, 0));
            let (head, _) = split(&get(&sensor, "/api/v1/extract?flow_id=1"));
            assert!(head.starts_with("HTTP/1.1 404"), "{head}");
            let (head, _) = split(&get(&sensor, "/api/v1/extract?flow=1"));
            assert!(head.starts_with("HTTP/1.1 400"), "{head}");
            assert!(audit(dir.path())[0]["who"]["http"].is_string());
        }
        sensor.stop();
    }
}

#[test]
fn a_pin_keeps_what_was_and_what_comes() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--workers", "2"]);
    let mut mirror = Mirror::new(&sensor, 9);
    mirror.conversation(1000, 0..30);
    mirror.conversation(1001, 0..10);
    mirror.counted(dir.path(), 40);
    let flow = pin(
        dir.path(),
        &["add", "tcp=10.9.0.1:1000,10.9.0.2:80", "--vni", "5"],
    );
    assert_eq!(flow["before"]["packets"], 30, "{flow}");
    let host = pin(
        dir.path(),
        &["add", "address=10.9.0.2", "--seconds", "3600"],
    );
    assert_eq!(host["before"]["packets"], 40, "{host}");
    let source = pin(dir.path(), &["add", "source=127.0.0.9", "--vni", "5"]);
    assert_eq!(source["before"]["flows"], 2, "{source}");
    mirror.conversation(1000, 30..45);
    mirror.conversation(1001, 10..15);
    mirror.conversation(1002, 0..1);
    mirror.counted(dir.path(), 61);
    let pins = until("all packets in the pins", || {
        let pins = pin(dir.path(), &["list"])["pins"].clone();
        let packets: Vec<u64> = (0..3).map(|at| number(&pins[at]["packets"])).collect();
        (packets == [15, 21, 21]).then_some(pins)
    });
    assert!((0..3).all(|at| pins[at]["state"] == "active" && pins[at]["shed"] == 0));
    for answer in [&flow, &host] {
        let id = number(&answer["pin"]).to_string();
        vxscope_in(dir.path(), &["pin", "remove", &id]).ok();
    }
    let complaint = vxscope_in(dir.path(), &["pin", "remove", "77"]).fails(1);
    assert!(complaint.contains("there is no pin 77"), "{complaint}");
    until("files of the pins that ended", || {
        let pins = pin(dir.path(), &["list"])["pins"].clone();
        let ended = (0..3).filter(|at| pins[at]["state"] == "removed");
        let there = |at: usize| Path::new(pins[at]["file"].as_str().unwrap()).exists();
        (ended.filter(|at| there(*at)).count() == 2).then_some(())
    });
    sensor.stop();
    // The third ended with the run.
    let shelf = dir.path().join("out/look-back");
    let files = captures(&shelf);
    let counts: Vec<u64> = files.iter().map(|file| records(file).0).collect();
    let mut sorted = counts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [15, 21, 21, 30, 40, 40], "{files:?}");
}

#[test]
fn a_pin_that_is_full_says_so() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--set", "look_back.pin=64KiB"]);
    let mut mirror = Mirror::new(&sensor, 9);
    pin(dir.path(), &["add", "hosts=10.9.0.1,10.9.0.2"]);
    for _ in 0..100 {
        let frame = Frame::udp("10.9.0.1:1000", "10.9.0.2:53").payload(&[7; 1_000]);
        mirror.send(&frame.bytes());
    }
    let pin = until("a pin that ended", || {
        let pins = pin(dir.path(), &["list"])["pins"].clone();
        (pins[0]["state"] == "full").then(|| pins[0].clone())
    });
    let (packets, bytes) = (number(&pin["packets"]), number(&pin["bytes"]));
    assert!(bytes <= 64 << 10 && packets > 50, "{pin}");
    until("its file", || {
        let file = Path::new(pin["file"].as_str().unwrap());
        file.exists().then(|| assert_eq!(records(file).0, packets))
    });
    sensor.stop();
}

#[test]
fn an_alert_saves_what_was_before_it_of_the_tenant_that_its_tag_names() {
    let dir = folder();
    let settings = [
        "--set",
        "detectors.eve=eve.json",
        "--set",
        "detectors.zeek_notice=notice.log",
        "--set",
        "handoff.vlan=qinq",
    ];
    let sensor = Sensor::start(dir.path(), &[&settings[..], &["--workers", "2"]].concat());
    // Two tenants with the same addresses.
    let mut mirror = Mirror::new(&sensor, 9);
    mirror.conversation(1000, 0..30);
    let mut other = Mirror::new(&sensor, 10);
    other.vni = 6;
    other.conversation(1000, 0..20);
    mirror.counted(dir.path(), 50);
    let mut eve = fs::File::create(dir.path().join("eve.json")).unwrap();
    let mut write = |line: &str| eve.write_all(format!("{line}\n").as_bytes()).unwrap();
    write(r#"{"event_type":"flow","timestamp":"x"}"#);
    write("{\"event_type\":\"alert\"");
    write(&alert(dir.path(), 2_100_498, "[0,5]"));
    heard(dir.path(), "saved", 1);
    heard(dir.path(), "malformed_syntax", 1);
    // The same flow again, a flow of nobody, and one that may be either's.
    write(&alert(dir.path(), 7, "[0,5]"));
    write(&alert(dir.path(), 8, "[1,2]"));
    write(&alert(dir.path(), 9, "[]"));
    heard(dir.path(), "known", 1);
    heard(dir.path(), "unmatched", 1);
    heard(dir.path(), "ambiguous", 1);
    // What comes after the alert is the pin's.
    mirror.conversation(1000, 30..42);
    other.conversation(1000, 20..22);
    until("packets of the pin", || {
        let pins = pin(dir.path(), &["list"])["pins"].clone();
        (pins[0]["packets"] == 12).then_some(())
    });
    let notice = format!(
        "#separator \\x09\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tnote\tmsg\tvlan\tinner_vlan\n\
         {}.5\t10.9.0.1\t1000\t10.9.0.2\t80\ttcp\tWeird::Activity\tm\t0\t6\n",
        number(&status(dir.path())["time"]) / 1_000_000
    );
    fs::write(dir.path().join("notice.log"), notice).unwrap();
    heard(dir.path(), "saved", 2);
    until("each but the two without a source", || {
        let told = status(dir.path())["signals"]["alerts"].clone();
        (told["taken"] == 3).then_some(())
    });
    sensor.stop();
    let files = captures(&dir.path().join("out/look-back"));
    let saved: Vec<(String, u64)> = files
        .iter()
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, records(file).0)
        })
        .collect();
    let of = |part: &str| {
        let found = saved.iter().find(|(name, _)| name.contains(part));
        found.map(|(_, packets)| *packets)
    };
    assert_eq!(of("-2100498-"), Some(30), "{saved:?}");
    assert_eq!(of("-Weird--Activity-"), Some(22), "{saved:?}");
    assert_eq!(of("-1.pcap"), Some(12), "{saved:?}");
    let lines = audit(dir.path());
    let who: Vec<&Value> = lines.iter().map(|line| &line["who"]["detector"]).collect();
    assert_eq!(who, ["eve", "zeek_notice"]);
    assert_eq!(lines[0]["action"], "alert");
    assert_eq!(lines[0]["flows"][0]["vni"], 5);
    assert!(
        lines[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("GPL ATTACK")
    );
}

#[test]
fn alerts_beyond_the_rate_are_shed_and_counted() {
    let dir = folder();
    let settings = [
        "--set",
        "detectors.eve_socket=eve.sock",
        "--set",
        "detectors.alerts_per_minute=2",
    ];
    let sensor = Sensor::start(dir.path(), &settings);
    let mut mirror = Mirror::new(&sensor, 9);
    mirror.conversation(1000, 0..3);
    mirror.counted(dir.path(), 3);
    let mut suricata = UnixStream::connect(dir.path().join("eve.sock")).unwrap();
    for rule in 0..50 {
        let line = alert(dir.path(), rule, "[]");
        suricata.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    heard(dir.path(), "heard", 50);
    until("all of them", || {
        let counts = status(dir.path())["detectors"].clone();
        let shed = number(&counts["shed"]);
        let rest = number(&counts["saved"]) + number(&counts["known"]);
        (shed + rest == 50 && shed >= 47).then_some(())
    });
    sensor.stop();
}

/// An alert about the conversation on port 1000, as Suricata writes it.
fn alert(dir: &Path, rule: u64, vlan: &str) -> String {
    let micros = number(&status(dir)["time"]);
    let time = Timestamp::from_nanos(micros * 1_000);
    format!(
        r#"{{"timestamp":"{time}","flow_id":1674053912345678,"in_iface":"cap0","event_type":"alert","vlan":{vlan},"src_ip":"10.9.0.2","src_port":80,"dest_ip":"10.9.0.1","dest_port":1000,"proto":"TCP","pkt_src":"wire/pcap","alert":{{"action":"allowed","gid":1,"signature_id":{rule},"rev":7,"signature":"GPL ATTACK_RESPONSE id check returned root","category":"Potentially Bad Traffic","severity":2}},"app_proto":"http","direction":"to_client"}}"#
    )
}

#[track_caller]
fn heard(dir: &Path, outcome: &str, expected: u64) {
    until(outcome, || {
        let counts = status(dir)["detectors"].clone();
        (number(&counts[outcome]) == expected).then_some(())
    });
}

/// Sends frames from an address of its own.
struct Mirror {
    socket: UdpSocket,
    port: u16,
    vni: u32,
}

impl Mirror {
    fn new(sensor: &Sensor, last: u8) -> Self {
        let socket =
            UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).expect("as the test arranged it");
        let (port, vni) = (sensor.port, VNI);
        Self { socket, port, vni }
    }

    fn send(&mut self, frame: &[u8]) {
        let vni = self.vni.to_be_bytes();
        let payload = [&[8, 0, 0, 0, vni[1], vni[2], vni[3], 0], frame].concat();
        let to = (Ipv4Addr::LOCALHOST, self.port);
        self.socket
            .send_to(&payload, to)
            .expect("as the test arranged it");
    }

    /// Packets of one TCP connection, in both directions in turn.
    fn conversation(&mut self, port: u16, numbers: std::ops::Range<u32>) {
        let (client, server) = (format!("10.9.0.1:{port}"), "10.9.0.2:80".to_owned());
        for number in numbers {
            let (from, to) = match number % 2 {
                0 => (&client, &server),
                _ => (&server, &client),
            };
            let frame = Frame::tcp(from, to)
                .flags(0x18)
                .seq(1_000 + number)
                .payload(&number.to_be_bytes());
            self.send(&frame.bytes());
        }
    }

    /// Waits until the sensor has counted everything.
    fn counted(&self, dir: &Path, expected: u64) {
        until("everything counted", || {
            let packets = &status(dir)["packets"];
            let there = number(&packets["received"]) + number(&packets["kernel_dropped"]);
            (there == expected).then_some(())
        });
    }
}

fn status(dir: &Path) -> Value {
    let mut client = Client::connect(&dir.join("out/control.sock")).expect("a sensor");
    client.ask(r#"{"get":"status"}"#).expect("an answer")
}

fn vxscope_in(dir: &Path, arguments: &[&str]) -> Run {
    let socket = ["--socket", "out/control.sock"];
    vxscope(dir, &[arguments, &socket].concat())
}

fn command(dir: &Path, arguments: &[&str]) -> Run {
    vxscope_in(
        dir,
        &[&["extract", "--out", "got", "--json"], arguments].concat(),
    )
}

fn extract(dir: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&command(dir, arguments).ok()).expect("JSON")
}

fn pin(dir: &Path, arguments: &[&str]) -> Value {
    let run = vxscope_in(dir, &[&["pin", "--json"], arguments].concat());
    serde_json::from_str(&run.ok()).expect("JSON")
}

fn audit(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("out/audit.ndjson")).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|it| serde_json::from_str(it).expect("JSON"))
        .collect()
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("as the test arranged it").path())
        .collect();
    files.sort();
    files
}

/// What tshark says of the packets of the conversation on port 1000, with µs.
fn tshark(file: &Path) -> Option<Vec<String>> {
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(file)
        .args(["-Y", "ip.addr == 10.9.0.1 and tcp.port == 1000"])
        .args(["-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src"])
        .args(["-e", "tcp.seq_raw", "-e", "frame.len", "-e", "tcp.payload"])
        .output();
    let Ok(output) = output else {
        skip("tshark is not installed");
        return None;
    };
    assert!(output.status.success(), "{file:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let in_micros = |line: &str| {
        let (time, rest) = line.split_once('\t').expect("fields");
        let (seconds, nanos) = time.split_once('.').expect("a time");
        format!("{seconds}.{} {rest}", &nanos[..6])
    };
    Some(text.lines().map(in_micros).collect())
}

fn get(sensor: &Sensor, path: &str) -> Vec<u8> {
    let address = sensor.banner.split("http://").nth(1).expect("an address");
    let address = address.split_whitespace().next().expect("an address");
    let mut stream =
        TcpStream::connect(address.trim_end_matches(',')).expect("as the test arranged it");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("as the test arranged it");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("as the test arranged it");
    answer
}

fn split(answer: &[u8]) -> (String, &[u8]) {
    let at = answer
        .windows(4)
        .position(|it| it == b"\r\n\r\n")
        .expect("as the test arranged it");
    (
        String::from_utf8_lossy(&answer[..at]).into_owned(),
        &answer[at + 4..],
    )
}
