//! The API while packets come as fast as they can: answers are quick, and a crowd that is slow on
//! purpose costs no packet.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use crate::api::{ask, get, http};
use crate::folder;
use crate::sensor::{Sensor, sent, until};

/// Connections that never finish what they ask.
const CROWD: usize = 1_000;
/// How often a machine may be too busy to receive everything.
const TRIES: usize = 5;
const OPTIONS: [&str; 6] = [
    "--api",
    "127.0.0.1:0",
    "--workers",
    "2",
    "--set",
    "report.interval_milliseconds=200",
];

/// What people and monitoring ask for again and again.
const PATHS: [&str; 5] = [
    "/metrics",
    "/api/v1/status",
    "/api/v1/sources?limit=50",
    "/api/v1/flows?search=tcp",
    "/api/v1/decisions",
];

#[test]
fn a_thousand_slow_connections_cost_no_packet() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &OPTIONS);
    let address: SocketAddr = http(&sensor).parse().unwrap();
    let counted = |name: &str| {
        let mut status = vxscope_api::Client::connect(&dir.path().join("out/control.sock"));
        let status = status.as_mut().unwrap().status().unwrap();
        match name {
            "received" => status.packets.received,
            _ => status.packets.kernel_dropped,
        }
    };
    let stop = AtomicBool::new(false);
    let begun = AtomicUsize::new(0);
    let mut dropped = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| crowd(address, &stop, &begun));
        // Also when a check fails.
        let _end = End(&stop);
        until("the whole crowd", || {
            (begun.load(Ordering::Acquire) >= CROWD).then_some(())
        });
        // Whoever asks gets an answer beside them.
        until("an answer", || {
            (healthz(address) == Some(200)).then_some(())
        });
        let mut all = 0;
        for _ in 0..TRIES {
            let before = counted("dropped");
            all += sent(&sensor.load(&["--packets", "60000", "--rate", "30000"]));
            until("all that was sent", || {
                (counted("received") + counted("dropped") == all).then_some(())
            });
            dropped.push(counted("dropped") - before);
            if dropped.last() == Some(&0) {
                break;
            }
        }
    });
    assert_eq!(dropped.last(), Some(&0), "{dropped:?}");
    let metrics = get(&address.to_string(), "/metrics");
    let name = "vxscope_api_evicted_clients_total{listener=\"http\"} ";
    let evicted = metrics.lines().find_map(|line| line.strip_prefix(name));
    let evicted: usize = evicted.and_then(|it| it.parse().ok()).expect("a sample");
    assert!(evicted > CROWD / 2, "{evicted}");
    sensor.stop();
}

/// Prints how long answers take; `RATE=400000` for more than this machine takes.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "prints how long answers take; nothing depends on it"
)]
fn answers_come_while_packets_come() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &OPTIONS);
    let address = http(&sensor);
    let rate = env::var("RATE").unwrap_or_else(|_| "50000".to_owned());
    let rounds = env::var("ROUNDS").map_or(20, |it| it.parse().unwrap());
    let load = [
        "--packets",
        "1000000000",
        "--rate",
        &rate,
        "--sources",
        "300",
        "--flows",
        "20000",
    ];
    let _load = Ended(sensor.command(&load).stdout(Stdio::null()).spawn().unwrap());
    until("300 sources", || {
        let (_, status) = ask(&address, "GET /api/v1/status", "");
        let status: Value = serde_json::from_str(&status).unwrap();
        (status["sources"].as_u64() >= Some(300)).then_some(())
    });
    let mut took = Vec::new();
    for _ in 0..rounds {
        for path in PATHS {
            let begin = Instant::now();
            let (status, body) = ask(&address, &format!("GET {path}"), "");
            took.push((begin.elapsed(), path));
            assert_eq!(status, 200, "{path}: {body}");
        }
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let _ = writeln!(
        io::stdout(),
        "{} answers at {rate} packets a second: half within {:.1?}, 99 of 100 within {:.1?} ({})",
        took.len(),
        at(50).0,
        at(99).0,
        at(99).1
    );
}

/// The status of an answer; whoever is turned away may see less than that.
fn healthz(address: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    // One that is full says so before it is asked.
    let _ = stream.write_all(request);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    str::from_utf8(answer.get(9..)?).ok()?.parse().ok()
}

/// Keeps so many connections that send a byte now and then, and counts those that it begins.
fn crowd(address: SocketAddr, stop: &AtomicBool, begun: &AtomicUsize) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("as far as it may");
    let mut crowd: Vec<Option<TcpStream>> = (0..CROWD).map(|_| None).collect();
    while !stop.load(Ordering::Acquire) {
        for place in &mut crowd {
            if stop.load(Ordering::Acquire) {
                break;
            }
            match place {
                Some(stream) => {
                    let said = stream.write(b"x");
                    if said.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                        *place = None;
                    }
                }
                None => {
                    *place = begin(address);
                    begun.fetch_add(usize::from(place.is_some()), Ordering::AcqRel);
                }
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A connection with the beginning of a request.
fn begin(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_nonblocking(true).ok()?;
    // Who is turned away at once is found out by the next byte.
    let _ = stream.write(b"GET /metrics HTTP/1.1\r\nx: ");
    Some(stream)
}

/// Ends the crowd.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A load that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
