//! A running sensor, asked from outside: its reports add up to its summary, and nobody who asks
//! costs it a packet.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{Builder, JoinHandle};

use serde_json::Value;
use vxscope_api::{Client, Followed};
use vxscope_report::State;

use crate::sensor::{Sensor, received_and_dropped, sent, until};
use crate::{Run, folder, json, vxscope};

#[test]
fn reports_have_no_gap_and_end_as_the_summary() {
    for workers in ["1", "4"] {
        let dir = folder();
        let sensor = fast(dir.path(), &["--workers", workers]);
        let reports = Client::connect(&socket(dir.path()))
            .unwrap()
            .follow()
            .unwrap();
        let follower = spawn(move || reports.map(Result::unwrap).collect::<Vec<_>>());
        sensor.load(&["--packets", "20000", "--rate", "40000", "--sources", "5"]);
        let summary = sensor.stop().summary();
        let followed = follower.join().unwrap();
        check_sequence(&followed);
        let last = &followed.last().unwrap().report;
        assert!(last.full);
        assert_eq!(summary["packets"]["received"], last.received);
        assert_eq!(summary["packets"]["kernel_dropped"], last.kernel_dropped);
        let signals = || last.sources.iter().map(|source| &source.signals);
        let packets: u64 = signals().map(|it| it.packets).sum();
        assert_eq!(summary["packets"]["decapsulated"], packets);
        let bytes: u64 = signals().map(|it| it.bytes_sum() + it.undecided).sum();
        assert_eq!(summary["frames"]["bytes"], bytes);
        let flows: u64 = signals().map(|it| it.flows).sum();
        assert_eq!(summary["flows"]["opened"], flows);
        assert_eq!(summary["sources"], last.sources.len());
    }
}

#[test]
fn a_reader_that_never_reads_costs_nobody_a_packet() {
    // On a busy machine a tick may be late of itself; then it is done again.
    let punctual = (0..5).any(|_| ticks_late_beside_a_silent_reader() == 0);
    assert!(punctual, "ticks are late every time");
}

fn ticks_late_beside_a_silent_reader() -> u64 {
    let dir = folder();
    let sensor = fast(dir.path(), &["--workers", "2"]);
    let mut silent = UnixStream::connect(socket(dir.path())).expect("a sensor");
    let asked = silent.write_all(b"{\"follow\":\"reports\"}\n");
    asked.expect("a sensor");
    let truth = sensor.load(&[
        "--packets",
        "60000",
        "--rate",
        "30000",
        "--sources",
        "300",
        "--flows",
        "3000",
    ]);
    // Whoever waited for the reader would not come to that.
    all_counted(dir.path(), &truth);
    let mut client = Client::connect(&socket(dir.path())).expect("a sensor");
    let workers = client.status().expect("an answer").workers;
    let summary = sensor.stop().summary();
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(sent(&truth), received + dropped);
    // What fitted the buffers of its socket is all it ever got.
    let mut got = Vec::new();
    silent.read_to_end(&mut got).expect("an end");
    assert!(got.starts_with(b"{\"ok\":{\"follow\":\"reports\"}}\n"));
    workers.iter().map(|worker| worker.ticks_late).sum()
}

#[test]
fn a_hundred_clients_at_once_are_answered_alike() {
    let dir = folder();
    let sensor = fast(dir.path(), &[]);
    let truth = sensor.load(&["--packets", "5000", "--rate", "50000"]);
    all_counted(dir.path(), &truth);
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let path = socket(dir.path());
            spawn(move || Client::connect(&path).unwrap().status().unwrap().packets)
        })
        .collect();
    let answers: Vec<_> = clients.into_iter().map(|it| it.join().unwrap()).collect();
    let summary = sensor.stop().summary();
    for packets in &answers {
        assert_eq!(packets, &answers[0]);
        assert_eq!(summary["packets"]["decapsulated"], packets.decapsulated);
    }
}

#[test]
fn metrics_are_what_promtool_takes_and_what_the_summary_says() {
    let dir = folder();
    let sensor = fast(dir.path(), &["--api", "127.0.0.1:0", "--workers", "2"]);
    let address = http(&sensor);
    let truth = sensor.load(&["--packets", "5000", "--rate", "50000"]);
    all_counted(dir.path(), &truth);
    assert_eq!(get(&address, "/api/2.0/status"), "ok");
    assert_eq!(get(&address, "/readyz"), "ok\n");
    let metrics = get(&address, "/metrics");
    promtool(&metrics);
    let status: Value = serde_json::from_str(&get(&address, "/api/v1/status")).unwrap();
    let summary = sensor.stop().summary();
    let packets = &summary["packets"];
    for (name, expected) in [
        ("vxscope_received_packets_total ", &packets["received"]),
        (
            "vxscope_decapsulated_packets_total ",
            &packets["decapsulated"],
        ),
        ("vxscope_stored_packets_total ", &summary["rings"]["stored"]),
        ("vxscope_opened_flows_total ", &summary["flows"]["opened"]),
        ("vxscope_latency_seconds_count ", &packets["received"]),
        (
            "vxscope_latency_seconds_bucket{le=\"+Inf\"} ",
            &packets["received"],
        ),
        ("vxscope_sources ", &summary["sources"]),
    ] {
        assert_eq!(sample(&metrics, name), expected.as_u64(), "{name}");
    }
    let ring = |name: &str| sample(&metrics, &format!("vxscope_ring_{name}{{store=\"head\"}} "));
    let (used, there) = (ring("used_bytes"), ring("store_bytes"));
    assert!(used > Some(0) && used <= there, "{used:?} of {there:?}");
    let of_sources = metrics
        .lines()
        .filter(|it| it.starts_with("vxscope_source_packets_total{"));
    let sum: u64 = of_sources
        .filter_map(|it| it.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(packets["decapsulated"], sum);
    assert_eq!(status["packets"]["received"], packets["received"]);
}

#[test]
fn a_second_sensor_is_refused_and_one_after_a_crash_is_not() {
    let dir = folder();
    let shared = dir.path().join("shared.sock");
    let option = format!("api.control_socket={}", shared.display());
    let sensor = Sensor::start(dir.path(), &["--set", &option]);
    let arguments = [
        "run",
        "--listen",
        "127.0.0.1:0",
        "--out",
        "other",
        "--set",
        &option,
    ];
    let complaint = vxscope(dir.path(), &arguments).fails(1);
    assert!(
        complaint.contains("another sensor is running"),
        "{complaint}"
    );
    assert!(Client::connect(&shared).unwrap().health().unwrap().healthy);
    sensor.signal("KILL");
    sensor.end();
    assert!(shared.exists());
    let sensor = Sensor::start(dir.path(), &["--set", &option]);
    assert!(Client::connect(&shared).unwrap().health().unwrap().healthy);
    sensor.stop();
    assert!(!shared.exists());
}

#[test]
fn a_stop_is_seen_to_its_end() {
    let dir = folder();
    let sensor = fast(dir.path(), &["--workers", "2"]);
    sensor.load(&["--packets", "50000", "--rate", "100000", "--flows", "20000"]);
    let mut client = Client::connect(&socket(dir.path())).unwrap();
    let first = client.status().unwrap().state;
    let asking = spawn(move || {
        let states = std::iter::from_fn(|| client.status().ok().map(|status| status.state));
        [first].into_iter().chain(states).collect::<Vec<_>>()
    });
    sensor.stop();
    let states = asking.join().unwrap();
    let order = [State::Running, State::Stopping, State::Stopped];
    let place = |state: &State| order.iter().position(|it| it == state);
    assert!(states.is_sorted_by_key(place), "{states:?}");
}

#[test]
fn a_bind_table_that_is_set_names_and_admits_sources() {
    let dir = folder();
    let sensor = fast(dir.path(), &[]);
    let mut client = Client::connect(&socket(dir.path())).unwrap();
    let eni = "eni-0123456789abcdef0";
    let table =
        format!(r#"{{"set":"bind_table","sources":[{{"address":"127.0.0.2","eni":"{eni}"}}]}}"#);
    client.ask::<Value>(&table).unwrap();
    let truth = sensor.load(&["--packets", "2000", "--rate", "20000", "--sources", "2"]);
    let wrong =
        r#"{"set":"bind_table","sources":[{"address":"127.0.0.2"},{"address":"127.0.0.2"}]}"#;
    let refused = client.ask::<Value>(wrong).unwrap_err().to_string();
    assert!(refused.contains("nothing is changed"), "{refused}");
    let summary = sensor.stop().summary();
    let known = &truth["per_source"][0]["packets"];
    let unknown = &truth["per_source"][1]["packets"];
    assert_eq!(&summary["packets"]["decapsulated"], known);
    assert_eq!(&summary["packets"]["rejected"]["quarantined"], unknown);
    let sources = json(&dir.path().join("out/sources.json"));
    assert_eq!(sources[0]["eni"], eni);
}

#[test]
fn people_are_told_the_same() {
    let dir = folder();
    let sensor = fast(dir.path(), &[]);
    sensor.load(&["--packets", "2000", "--rate", "20000", "--sources", "2"]);
    let asked = ["--socket", "out/control.sock"];
    let ask = |command: &'static str| vxscope(dir.path(), &[&[command], &asked[..]].concat()).ok();
    // What has just been sent shows with the next tick.
    until("a tick with both sources", || {
        (ask("sources").lines().count() == 3).then_some(())
    });
    let status = ask("status");
    for part in [
        "sensor ",
        "running for",
        "received",
        "latency",
        "all seen within",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let json = vxscope(
        dir.path(),
        &["status", "--json", "--socket", "out/control.sock"],
    )
    .ok();
    assert!(serde_json::from_str::<Value>(&json).unwrap()["schema"] == 1);
    sensor.stop();
    let complaint = vxscope(dir.path(), &["status", "--socket", "out/control.sock"]).fails(1);
    assert!(complaint.contains("no sensor answers there"), "{complaint}");
}

#[test]
fn an_address_that_others_reach_is_refused_unless_it_is_meant() {
    let dir = folder();
    let complaint = vxscope(dir.path(), &["run", "--api", "0.0.0.0:0"]).fails(2);
    assert!(complaint.contains("api.exposed"), "{complaint}");
    let exposed = ["run", "--api", "0.0.0.0:0", "--set", "api.exposed=true"];
    let complaint = vxscope(dir.path(), &exposed).fails(2);
    assert!(complaint.contains("api.tokens"), "{complaint}");
    let token = "0123456789abcdef0123456789abcdef";
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, format!("ops metadata {token}\n")).unwrap();
    let tokens = format!("api.tokens={}", tokens.display());
    let with_tokens = [&exposed[..], &["--set", &tokens]].concat();
    let complaint = vxscope(dir.path(), &with_tokens).fails(2);
    assert!(complaint.contains("chmod 600"), "{complaint}");
    assert!(!complaint.contains(token), "{complaint}");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(dir.path().join("tokens"), mode).unwrap();
    let sensor = fast(dir.path(), with_tokens.get(1..).unwrap_or_default());
    sensor.stop();
}

/// The examples of the documentation, asked as they stand there.
#[test]
fn every_example_of_the_documentation_is_answered_as_it_says() {
    let text = include_str!("../../../../docs/CONTROL.md");
    let dir = folder();
    let sensor = fast(dir.path(), &[]);
    let examples: Vec<(&str, &str)> = text
        .lines()
        .zip(text.lines().skip(1))
        .filter_map(|(line, next)| Some((line.strip_prefix("> ")?, next.strip_prefix("< ")?)))
        .collect();
    assert!(examples.len() >= 6, "{examples:?}");
    for (request, expected) in examples {
        let mut stream = UnixStream::connect(socket(dir.path())).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        // An example ends where it gets long.
        let beginning = expected.split('…').next().unwrap_or_default();
        assert!(answer.starts_with(beginning), "{request}: {answer}");
    }
    sensor.stop();
}

/// A sensor that ticks ten times a second.
fn fast(dir: &Path, options: &[&str]) -> Sensor {
    let often = ["--set", "report.interval_milliseconds=100"];
    Sensor::start(dir, &[&often[..], options].concat())
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("out/control.sock")
}

/// Waits until a tick has everything that was sent.
fn all_counted(dir: &Path, truth: &Value) {
    let mut client = Client::connect(&socket(dir)).expect("a sensor");
    until("a tick with all packets", || {
        let packets = client.status().expect("an answer").packets;
        (packets.received + packets.kernel_dropped == sent(truth)).then_some(())
    });
}

fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(body).expect("a thread")
}

/// Where it answers over HTTP, by its own words.
pub(crate) fn http(sensor: &Sensor) -> String {
    let lines = sensor.banner.lines();
    let mut address = lines.filter_map(|line| line.split_once("http://"));
    let (_, address) = address.next_back().expect("a line that says where");
    address.trim().to_owned()
}

/// Each report begins where the one before ended. Who follows on a busy machine may miss some, and
/// is told how many.
fn check_sequence(followed: &[Followed]) {
    let first = &followed.first().expect("a report").report;
    let (mut seq, mut to, mut skipped) = (first.seq, first.from, 0);
    for followed in followed {
        let report = &followed.report;
        if followed.skipped == skipped {
            assert_eq!(report.from, to);
        }
        seq += followed.skipped - skipped;
        assert_eq!((report.seq, report.epoch), (seq, first.epoch));
        assert!(report.to >= report.from);
        (seq, to, skipped) = (seq + 1, report.to, followed.skipped);
    }
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let (status, body) = ask(address, &format!("GET {path}"), "");
    assert_eq!(status, 200, "{body}");
    body
}

/// Lines of the head end with a line break each.
pub(crate) fn post(address: &str, path: &str, head: &str) -> (u16, String) {
    ask(address, &format!("POST {path}"), head)
}

/// The status and the body of an answer.
pub(crate) fn ask(address: &str, what: &str, head: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("somebody who listens");
    let request = format!("{what} HTTP/1.1\r\nhost: localhost\r\n{head}connection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("somebody who reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.expect("a status"), body.to_owned())
}

fn sample(metrics: &str, name: &str) -> Option<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name))?;
    value.parse().ok()
}

/// What Prometheus' own checker says, where it is installed.
fn promtool(metrics: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        assert!(
            std::env::var_os("CI").is_none_or(|value| value != "true"),
            "promtool is missing in CI"
        );
        let _ = writeln!(io::stderr(), "could not run: promtool is not installed");
        return;
    };
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(metrics.as_bytes()).expect("a reader");
    drop(input);
    let run = Run::from(child.wait_with_output().expect("a program that ends"));
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), ""),
        "{}",
        run.stdout
    );
}
