//! Laws over every capture, read three ways, with 1, 2 and 4 workers: no panic, no hang, the
//! ledger balances in the files as written, and the number of workers does not show.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use serde_json::Value;
use tempfile::TempDir;
use vxscope_engine::{Outcome, replay};
use vxscope_testkit::Vxlan;
use vxscope_units::{MirrorSource, Vni};
use vxscope_wire::ethernet;

use crate::support::capture::{self, Packet};
use crate::support::corpus::{self, Entry};
use crate::support::output::{self, FILES, number, sum};
use crate::support::run::{self, Reading};
use crate::support::watchdog::Watchdog;

/// The wrapping of a capture depends on nothing else.
const SEED: u64 = 0x7678_7363_6f70_6521;

/// The longest frame that is wrapped whole; a longer one is cut, as a mirror would.
const FRAME_MAX: usize = 65_000;

/// The `EtherType` of ARP.
const ARP: [u8; 2] = [0x08, 0x06];

/// One address with two VNIs, one VNI with two addresses, both families.
const SOURCES: [(&str, u32); 5] = [
    ("192.0.2.1", 1_169),
    ("192.0.2.1", 16_777_215),
    ("192.0.2.2", 1_169),
    ("198.51.100.7", 0),
    ("2001:db8::5", 1_169),
];

#[test]
fn laws_hold_over_every_capture_as_it_is() {
    check(Way::Mirror);
}

#[test]
fn laws_hold_over_every_capture_as_bare_frames() {
    check(Way::Bare);
}

#[test]
fn laws_hold_over_every_capture_wrapped_in_vxlan() {
    check(Way::Wrapped);
}

/// How a capture reaches the engine.
#[derive(Clone, Copy, Debug)]
enum Way {
    Mirror,
    Bare,
    Wrapped,
}

/// What came of all captures.
#[derive(Debug, Default)]
struct Tally {
    captures: u64,
    received: u64,
    decapsulated: u64,
    flows: u64,
    malformed: u64,
    failures: Vec<String>,
}

fn check(way: Way) {
    let Some(root) = corpus::root() else { return };
    let mut entries = corpus::entries(&root);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.bytes));
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let watchdog = Watchdog::start(threads);
    thread::scope(|scope| {
        for number in 0..threads {
            let (next, tally, watchdog, entries) = (&next, &tally, &watchdog, &entries);
            scope.spawn(move || {
                let scratch = Scratch::new();
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    watchdog.begin(number, format!("{way:?} {}", entry.name));
                    attempt(entry, way, &scratch, tally);
                    watchdog.end(number);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!(
        "{way:?}: {} captures with 1, 2 and 4 workers: {} records, {} frames, {} flows, {} \
         malformed files",
        tally.captures, tally.received, tally.decapsulated, tally.flows, tally.malformed
    );
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
    assert!(
        tally.captures >= 1_000 && tally.received >= 60_000,
        "{tally:?}"
    );
}

/// A failure is noted under the capture's name, and the others go on.
fn attempt(entry: &Entry, way: Way, scratch: &Scratch, tally: &Mutex<Tally>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| Case::new(entry, way, scratch).check()));
    let mut tally = tally.lock().unwrap();
    tally.captures += 1;
    match outcome {
        Ok(summary) => {
            tally.received += number(&summary, "/packets/received");
            tally.decapsulated += number(&summary, "/packets/decapsulated");
            tally.flows += number(&summary, "/flows/opened");
            tally.malformed += u64::from(summary.pointer("/input/error").is_some());
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            tally
                .failures
                .push(format!("{}: {}", entry.name, text.unwrap_or("a panic")));
        }
    }
}

/// Folders that a thread uses again and again, as a user would.
struct Scratch {
    _dir: TempDir,
    wrapped: PathBuf,
    outs: [(u16, PathBuf); 3],
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outs = [1, 2, 4].map(|workers| (workers, dir.path().join(workers.to_string())));
        Self {
            wrapped: dir.path().join("wrapped.pcap"),
            outs,
            _dir: dir,
        }
    }
}

/// A capture, and what must come out of it.
struct Case<'a> {
    entry: &'a Entry,
    scratch: &'a Scratch,
    capture: PathBuf,
    reading: Reading,
    /// The frames that must be in `decap.pcap` with the source of each, where the test knows.
    frames: Option<Vec<(MirrorSource, Packet)>>,
}

impl<'a> Case<'a> {
    fn new(entry: &'a Entry, way: Way, scratch: &'a Scratch) -> Self {
        let (reading, frames) = match way {
            Way::Mirror => (Reading::Mirror, None),
            Way::Bare => (Reading::Bare, Some(bare_frames(&entry.path))),
            Way::Wrapped => (Reading::Mirror, Some(assigned_frames(entry))),
        };
        let capture = match (way, &frames) {
            (Way::Wrapped, Some(frames)) => {
                let wrapped: Vec<Packet> = frames.iter().map(wrap).collect();
                capture::write(&scratch.wrapped, &wrapped)
            }
            _ => entry.path.clone(),
        };
        Self {
            entry,
            scratch,
            capture,
            reading,
            frames,
        }
    }

    fn check(&self) -> Value {
        for (workers, out) in &self.scratch.outs {
            let bytes = fs::metadata(&self.capture).unwrap().len();
            let config = run::config(bytes, *workers);
            let job = run::job(config, &self.capture, self.reading, out);
            let outcome = replay(&job, &|_| ()).unwrap();
            assert!(outcome.unbalanced.is_empty(), "{:?}", outcome.unbalanced);
            assert!(outcome.sink_errors.is_empty(), "{:?}", outcome.sink_errors);
            no_limit_was_reached(&outcome);
        }
        let [(_, first), others @ ..] = &self.scratch.outs;
        for (workers, other) in others {
            for name in FILES {
                assert!(
                    same(first, other, name),
                    "{name} of {workers} workers differs"
                );
            }
        }
        let summary = output::json(first, "summary.json");
        laws(first, &summary);
        self.input(&summary);
        self.frames(first);
        summary
    }

    /// Everything was read, or the error says where reading ended.
    fn input(&self, summary: &Value) {
        let received = number(summary, "/packets/received");
        match (summary.pointer("/input/error"), &self.frames) {
            (Some(error), _) => {
                assert_eq!(error["file"], self.capture.to_str().unwrap());
                let length = fs::metadata(&self.capture).unwrap().len();
                assert!(number(error, "/offset") <= length, "{error}");
                assert!(!output::text(error, "message").is_empty());
            }
            (None, Some(frames)) if self.capture != self.entry.path => {
                assert_eq!(received, frames.len() as u64);
            }
            (None, _) => {
                if let Some(packets) = self.entry.packets {
                    assert_eq!(received, packets, "records");
                }
            }
        }
    }

    /// Frames are in input order and byte for byte what was mirrored, each counted for its source.
    fn frames(&self, out: &Path) {
        let Some(expected) = &self.frames else { return };
        let found = capture::decap(out);
        assert_eq!(found.len(), expected.len(), "frames");
        for (number, (found, (_, expected))) in found.iter().zip(expected).enumerate() {
            assert!(found.bytes == expected.bytes, "frame {number}");
            assert_eq!(
                found.time.as_nanos(),
                stamp(expected),
                "time of frame {number}"
            );
            if expected.bytes.get(12..14) == Some(&ARP) {
                // No IP header says otherwise, so the length is what the capture says.
                assert_eq!(
                    found.original_len, expected.original_len,
                    "length of frame {number}"
                );
            }
        }
        for row in output::json(out, "sources.json").as_array().unwrap() {
            let of_row = expected.iter().filter(|(source, _)| {
                row["outer_ip"] == source.address.to_string() && row["vni"] == source.vni.get()
            });
            let (mut packets, mut bytes) = (0, 0);
            for (_, frame) in of_row {
                packets += 1;
                bytes += frame.bytes.len() as u64;
            }
            assert_eq!(
                (number(row, "/packets"), number(row, "/bytes")),
                (packets, bytes),
                "{row}"
            );
        }
    }
}

/// Microseconds in 32 bits of seconds, as nanoseconds.
fn stamp(packet: &Packet) -> u64 {
    packet.micros() * 1_000
}

fn no_limit_was_reached(outcome: &Outcome) {
    let summary = &outcome.summary;
    for reason in ["source_budget", "table_full", "source_limit"] {
        assert_eq!(
            summary.packets.untracked.get(reason),
            0,
            "untracked {reason}"
        );
    }
    for reason in ["pool_empty", "source_share", "too_large", "disabled"] {
        assert_eq!(summary.rings.unstored.get(reason), 0, "unstored {reason}");
    }
    assert_eq!(summary.flows.closed.get("evicted"), 0, "evicted");
    for (name, count) in &summary.sinks {
        assert_eq!(count.offered(), count.written(), "{name}");
    }
}

/// Law 1 as a reader of the files checks it.
fn laws(out: &Path, summary: &Value) {
    let at = |pointer: &str| number(summary, pointer);
    let decapsulated = at("/packets/decapsulated");
    assert_eq!(at("/packets/received"), at("/input/packets"));
    assert_eq!(
        at("/packets/received"),
        decapsulated + sum(summary, "/packets/rejected")
    );
    assert_eq!(
        decapsulated,
        at("/rings/stored") + sum(summary, "/rings/unstored")
    );
    assert_eq!(at("/packets/kernel_dropped"), 0);
    for (name, sink) in summary["sinks"].as_object().unwrap() {
        assert_eq!(number(sink, "/offered"), number(sink, "/written"), "{name}");
        assert_eq!(sum(sink, "/shed"), 0, "{name}");
    }
    let eve = output::eve(out);
    let tracked = decapsulated - sum(summary, "/packets/untracked");
    assert_eq!(
        eve.iter().map(output::packets_of).sum::<u64>(),
        tracked,
        "packets of eve.json"
    );
    assert_eq!(eve.len() as u64, at("/flows/opened"), "records of eve.json");
    assert_eq!(
        eve.len() as u64,
        sum(summary, "/flows/closed"),
        "flows closed"
    );
    let conn_log = output::conn_log(out);
    let of_line = |line: &output::Line| -> u64 {
        line["orig_pkts"].parse::<u64>().unwrap() + line["resp_pkts"].parse::<u64>().unwrap()
    };
    assert_eq!(
        conn_log.iter().map(of_line).sum::<u64>(),
        tracked,
        "packets of conn.log"
    );
    assert_eq!(conn_log.len(), eve.len(), "lines of conn.log");
    for (line, record) in conn_log.iter().zip(&eve) {
        assert_eq!(line["community_id"], output::text(record, "community_id"));
        assert_eq!(of_line(line), output::packets_of(record));
    }
    sources(out, summary);
}

/// Sums over the sources are the totals.
fn sources(out: &Path, summary: &Value) {
    let sources = output::json(out, "sources.json");
    let rows = sources.as_array().unwrap();
    let total = |key: &str| rows.iter().map(|row| number(row, key)).sum::<u64>();
    assert_eq!(rows.len() as u64, number(summary, "/sources"));
    assert_eq!(total("/packets"), number(summary, "/packets/decapsulated"));
    assert_eq!(total("/flows"), number(summary, "/flows/opened"));
    for key in ["/bytes", "/ip_bytes", "/truncated"] {
        assert_eq!(
            total(key),
            number(summary, &format!("/frames{key}")),
            "{key}"
        );
    }
    let directed = [
        "/ingress_bytes",
        "/egress_bytes",
        "/unknown_direction_bytes",
    ]
    .map(total);
    assert_eq!(directed.iter().sum::<u64>(), total("/bytes"));
    for row in rows {
        assert_eq!(sum(row, "/categories"), number(row, "/bytes"), "{row}");
    }
    let written: usize = capture::decap(out).len();
    assert_eq!(written as u64, total("/packets"), "records of decap.pcap");
}

fn same(first: &Path, other: &Path, name: &str) -> bool {
    let [first, other] = [first, other].map(|dir| fs::read(dir.join(name)).unwrap());
    match name {
        "summary.json" => output::timeless(&first) == output::timeless(&other),
        _ => first == other,
    }
}

/// The records that are frames, of the one source that bare frames have.
fn bare_frames(path: &Path) -> Vec<(MirrorSource, Packet)> {
    let source = MirrorSource {
        address: IpAddr::from([0; 4]),
        vni: Vni::ZERO,
    };
    frames_of(path)
        .into_iter()
        .map(|frame| (source, frame))
        .collect()
}

/// The frames of a capture, each given to a source by chance.
fn assigned_frames(entry: &Entry) -> Vec<(MirrorSource, Packet)> {
    let mut state = entry
        .name
        .bytes()
        .fold(SEED, |state, byte| mix(state ^ u64::from(byte)));
    let assign = |mut frame: Packet| {
        state = mix(state);
        let (address, vni) = SOURCES[usize::try_from(state % SOURCES.len() as u64).unwrap()];
        let address = address.parse().unwrap();
        frame.bytes.truncate(FRAME_MAX);
        (
            MirrorSource {
                address,
                vni: Vni::try_new(vni).unwrap(),
            },
            frame,
        )
    };
    frames_of(&entry.path).into_iter().map(assign).collect()
}

/// The records as Ethernet frames, which differ in length from records of other link types.
fn frames_of(path: &Path) -> Vec<Packet> {
    let mut scratch = Vec::new();
    let frame = |packet: Packet| {
        let bytes = ethernet(packet.link, &packet.bytes, &mut scratch)
            .ok()?
            .to_vec();
        let lengths = [
            packet.original_len as usize + bytes.len(),
            packet.bytes.len(),
        ];
        let original_len = u32::try_from(lengths[0].saturating_sub(lengths[1])).unwrap();
        Some(Packet {
            original_len,
            ..Packet::whole(packet.time, bytes)
        })
    };
    capture::packets(path)
        .into_iter()
        .filter_map(frame)
        .collect()
}

fn wrap((source, frame): &(MirrorSource, Packet)) -> Packet {
    let tunnel = Vxlan::new(&source.address.to_string(), source.vni.get());
    Packet::whole(frame.time, tunnel.wrap(&frame.bytes))
}

/// The finalizer of `SplitMix64`.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}
