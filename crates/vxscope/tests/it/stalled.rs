//! Whoever takes what the sensor hands over stands still, on each way out in turn: the sensor
//! loses nothing else, and what the way out says that it wrote is what can be read once they move
//! again. The TAP's sniffer is in `tap`.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::frozen::Frozen;
use crate::sensor::{
    Sensor, count_records, free_tcp_port, number, received_and_dropped, records, sent, until,
};
use crate::{folder, json, skip, tap};

/// More than fits the chunks, the reader's buffer and the kernel's, slowly enough that a busy
/// machine keeps up with the rest.
const FRAMES: &[&str] = &["--packets", "8000", "--rate", "5000", "--size", "1400"];
/// A record a second for each of these flows.
const RECORDS: &[&str] = &[
    "--packets",
    "40000",
    "--rate",
    "10000",
    "--size",
    "64",
    "--flows",
    "2000",
];

/// What there is without a word.
const WAYS: [&str; 3] = ["decap", "eve", "conn-log"];
/// Records and reports come soon.
const SOON: &[&str] = &[
    "--set",
    "report.interval_milliseconds=100",
    "--set",
    "flow.active_timeout_seconds=1",
];

/// Bytes that the kernel keeps for a reader over TCP: it may double them.
const RECEIVE_BYTES: usize = 4096;
/// The longest segment that it takes: how much the kernel keeps for the sender depends on it.
const SEGMENT_BYTES: u32 = 536;

#[test]
fn standard_output() {
    again(|dir| {
        check(dir, "pcap-stream=-", FRAMES, |sensor| {
            let mut stdout = sensor.take_stdout();
            reads(move || [whole(&mut stdout)])
        })
    });
}

#[test]
fn a_fifo() {
    again(|dir| {
        check(dir, "pcap-stream=fifo", FRAMES, |_| {
            // Returns once the sensor writes there.
            let mut fifo = File::open(dir.join("fifo")).expect("the sensor made it");
            reads(move || [whole(&mut fifo)])
        })
    });
}

#[test]
fn a_unix_socket() {
    again(|dir| {
        let listener = UnixListener::bind(dir.join("socket")).expect("a folder of ours");
        check(dir, "pcap-stream=socket", FRAMES, |_| {
            let (mut stream, _) = listener.accept().expect("the sensor connects");
            reads(move || [whole(&mut stream)])
        })
    });
}

#[test]
fn a_reader_over_ip() {
    again(|dir| {
        let address = SocketAddr::from(([127, 0, 0, 1], free_tcp_port()));
        check(dir, &format!("pcap-over-ip={address}"), FRAMES, |_| {
            let socket = small();
            socket.connect(&address.into()).expect("the sensor listens");
            let mut stream = TcpStream::from(socket);
            reads(move || [whole(&mut stream)])
        })
    });
}

#[test]
fn a_reader_over_ip_that_listens() {
    again(|dir| {
        let (listener, address) = listens_with_little_room();
        let export = format!("pcap-over-ip=connect:{address}");
        check(dir, &export, FRAMES, |_| {
            let (mut stream, _) = listener.accept().expect("the sensor connects");
            reads(move || [whole(&mut stream)])
        })
    });
}

#[test]
fn a_collector_of_ipfix() {
    again(|dir| {
        let (listener, address) = listens_with_little_room();
        let export = format!("ipfix=tcp:{address}");
        check(dir, &export, RECORDS, |_| {
            reads(move || {
                listener.set_nonblocking(true).expect("a socket of ours");
                // Those that were given up, too.
                std::iter::from_fn(move || {
                    let (mut stream, _) = listener.accept().ok()?;
                    stream.set_nonblocking(false).expect("a socket of ours");
                    Some(whole(&mut stream))
                })
            })
        })
    });
}

/// A network that takes less than is sent: the socket is full.
#[test]
fn the_network_to_another_sensor() {
    let script = r#"
        ip link add d0 mtu 9000 type veth peer name d1 mtu 9000
        for end in d0 d1; do ip link set $end multicast off addrgenmode none up; done
        ip address add 10.9.0.1/24 dev d0
        ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:09 dev d0
        tc qdisc add dev d0 root tbf rate 100kbit burst 20kb limit 100mb
        sensor --export vxlan=10.9.0.2:4789 --export decap --export eve
        load --packets 8000 --size 1400
        tc qdisc change dev d0 root tbf rate 1gbit burst 200kb limit 100mb
        stop
        until tc -s qdisc show dev d0 | grep -q "backlog 0b 0p"; do sleep 0.05; done
        tc -s qdisc show dev d0 >left
    "#;
    again(|_| {
        let Some(dir) = tap::check(script) else {
            return true;
        };
        let summary = json(&dir.path().join("out/summary.json"));
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, 8_000);
        // Sent 4128400 bytes 2889 pkt (dropped 0, …
        let left = std::fs::read_to_string(dir.path().join("left")).expect("text");
        let words: Vec<&str> = left.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "pkt").expect(&left);
        let sink = &summary["sinks"]["vxlan=10.9.0.2:4789"];
        assert_eq!(words[at - 1], sink["written"].to_string(), "{left}{sink}");
        assert_eq!(words[at + 2], "0,", "{left}");
        assert!(number(&sink["shed"]["send_error"]) > 0, "{sink}");
        lost_nothing_else(&summary, "vxlan=10.9.0.2:4789")
    });
}

/// A file system that is frozen: whoever writes there stands still.
#[test]
fn a_disk_that_hangs() {
    let script = r#"
        truncate -s 256M image
        mkdir slow
        if mkfs.ext4 -q image && mount -o loop image slow; then
            trap 'fsfreeze -u slow; kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
            sensor --export "pcap=$PWD/slow/caps" --export decap --export eve
            load --packets 500
            fsfreeze -f slow
            load --packets 8000 --size 1400
            fsfreeze -u slow
            trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
            load --packets 500
            stop
            cp -r slow/caps caps
        fi
    "#;
    again(|_| {
        let Some(dir) = tap::check(script) else {
            return true;
        };
        if !dir.path().join("caps").exists() {
            skip("no disk of our own can be mounted");
            return true;
        }
        let summary = json(&dir.path().join("out/summary.json"));
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, 9_000);
        let export = format!("pcap={}/slow/caps", dir.path().display());
        let files = std::fs::read_dir(dir.path().join("caps")).expect("a folder");
        let written: u64 = files.flatten().map(|file| records(&file.path()).0).sum();
        assert_eq!(number(&summary["sinks"][&export]["written"]), written);
        lost_nothing_else(&summary, &export)
    });
}

/// The thread of each way out that a sensor has by default stands still, as on a disk that hangs.
/// What it would write waits in its queue; of frames there are more than fit.
#[test]
fn a_thread_that_writes() {
    for stalled in WAYS {
        again(|dir| {
            let sensor = Sensor::start(dir, SOON);
            let Some(frozen) = Frozen::try_new(sensor.pid(), stalled) else {
                return true;
            };
            let truth = sensor.load(FRAMES);
            let mut client = client(dir);
            until("the others", || {
                let status = client.status().expect("an answer");
                let packets = &status.packets;
                let others = || WAYS.into_iter().filter(|name| *name != stalled);
                let all = packets.received + packets.kernel_dropped == sent(&truth);
                (all && others().all(|name| status.sinks[name].written > 0)).then_some(())
            });
            frozen.thaw();
            let summary = sensor.stop().summary();
            let (received, dropped) = received_and_dropped(&summary);
            assert_eq!(received + dropped, sent(&truth));
            let read = records(&dir.join("out/decap.pcap")).0;
            assert_eq!(number(&summary["sinks"]["decap"]["written"]), read);
            match stalled {
                "decap" => lost_nothing_else(&summary, stalled),
                _ => sheds(&summary).all(|(_, shed)| shed == 0),
            }
        });
    }
}

/// On a busy machine the writer may be kept from the processor for so long that workers shed for
/// all ways out. Whoever stands still has no part in that, so it does not happen every time.
fn again(attempt: impl Fn(&Path) -> bool) {
    let good = (0..5).any(|_| attempt(folder().path()));
    assert!(good, "other ways out lost something every time");
}

/// A sensor with this way out; `stall` makes a reader that stands still until it is asked for what
/// it got, which is when the sensor stops. Whether nothing else lost anything.
fn check(
    dir: &Path,
    export: &str,
    load: &[&str],
    stall: impl FnOnce(&mut Sensor) -> Reader,
) -> bool {
    let exports = [export].into_iter().chain(WAYS);
    let exports: Vec<&str> = exports.flat_map(|way| ["--export", way]).collect();
    let room = &["--set", "handoff.reader_buffer=512KiB"];
    let mut sensor = Sensor::start(dir, &[&exports, &room[..], SOON].concat());
    let reader = stall(&mut sensor);
    let truth = sensor.load(load);
    // The sink has all of it or has shed it.
    let mut client = client(dir);
    until("the end of the load", || {
        let status = client.status().expect("an answer");
        let (packets, sink) = (&status.packets, &status.sinks[export]);
        let all = packets.received + packets.kernel_dropped == sent(&truth);
        let shed: u64 = sink.shed.values().sum();
        (all && shed > 0).then_some(())
    });
    let reader = reader.go();
    let summary = sensor.stop().summary();
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, sent(&truth));
    let read = reader.join().expect("a reader that ends");
    let found: u64 = match export.split('=').next() {
        Some("ipfix") => read.iter().map(|bytes| ipfix_records(bytes)).sum(),
        _ => read.iter().map(|bytes| count_records(bytes).0).sum(),
    };
    assert_eq!(
        found,
        number(&summary["sinks"][export]["written"]),
        "{summary}"
    );
    for of_reader in summary["readers"].as_array().into_iter().flatten() {
        assert_eq!(of_reader["written"], found, "{summary}");
    }
    lost_nothing_else(&summary, export)
}

/// Whether of all ways out only `stalled` lacks something; it does, and every ledger balances.
fn lost_nothing_else(summary: &Value, stalled: &str) -> bool {
    let mut whole = true;
    for (name, shed) in sheds(summary) {
        match name == stalled {
            true => assert!(shed > 0, "{name}: {summary}"),
            false => whole &= shed == 0,
        }
    }
    whole
}

/// What each way out lacks; every ledger balances.
fn sheds(summary: &Value) -> impl Iterator<Item = (&String, u64)> {
    let sinks = summary["sinks"].as_object().expect("sinks");
    sinks.iter().map(|(name, sink)| {
        let shed = sink["shed"].as_object().expect("reasons").values();
        let shed: u64 = shed.map(number).sum();
        let (offered, written) = (number(&sink["offered"]), number(&sink["written"]));
        assert_eq!(offered, written + shed, "{name}: {sink}");
        (name, shed)
    })
}

fn client(dir: &Path) -> vxscope_api::Client {
    vxscope_api::Client::connect(&dir.join("out/control.sock")).expect("it runs")
}

/// Who stands still.
struct Reader(Box<dyn FnOnce() -> Vec<Vec<u8>> + Send>);

/// Reads what there is once it moves on: the bytes of each connection.
fn reads<R: IntoIterator<Item = Vec<u8>>>(read: impl FnOnce() -> R + Send + 'static) -> Reader {
    Reader(Box::new(move || read().into_iter().collect()))
}

impl Reader {
    fn go(self) -> JoinHandle<Vec<Vec<u8>>> {
        let thread = thread::Builder::new().spawn(self.0);
        thread.expect("a thread")
    }
}

/// All bytes up to the end.
fn whole(reader: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .expect("a writer that closes");
    bytes
}

/// A TCP socket for which the kernel keeps little.
fn small() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let set = socket.set_recv_buffer_size(RECEIVE_BYTES);
    set.expect("less than usual");
    let set = socket.set_tcp_mss(SEGMENT_BYTES);
    set.expect("less than usual");
    socket
}

fn listens_with_little_room() -> (TcpListener, SocketAddr) {
    let socket = small();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("loopback");
    socket.listen(8).expect("a socket of ours");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Records of data in the whole messages of an IPFIX stream (RFC 7011 §3). A record is as long as
/// its template says; there are two templates, which come first.
fn ipfix_records(mut stream: &[u8]) -> u64 {
    let number =
        |bytes: &[u8], at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let (mut lengths, mut records) = (std::collections::BTreeMap::new(), 0);
    while stream.len() >= 16 && stream.len() >= number(stream, 2) {
        let (message, rest) = stream.split_at(number(stream, 2));
        stream = rest;
        let mut sets = &message[16..];
        while !sets.is_empty() {
            let (set, rest) = sets.split_at(number(sets, 2));
            sets = rest;
            let mut body = &set[4..];
            match number(set, 0) {
                2 => {
                    while body.len() > 4 {
                        let (id, fields) = (number(body, 0), number(body, 2));
                        body = &body[4..];
                        let mut length = 0;
                        for _ in 0..fields {
                            length += number(body, 2);
                            let is_private = body[0] & 0x80 != 0;
                            body = &body[if is_private { 8 } else { 4 }..];
                        }
                        lengths.insert(id, length);
                    }
                }
                id => records += (body.len() / lengths[&id]) as u64,
            }
        }
    }
    records
}
