//! `gen --to`: what arrives is what the printed truth and the log say, by source and by fault.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;

use crate::{folder, vxscope};

/// Faster than any receiver would notice, and slow enough for one that has to share its core.
const RATE: &str = "20000";
const FAULTS: &str = "loss=0.05,reorder=0.1,duplicate=0.05,corrupt=0.1,forged=0.2";
/// Bytes of GENEVE's header with options, and of the IPv4 and UDP headers after it.
const GENEVE: usize = 40 + 28;

#[test]
fn what_arrives_is_what_the_truth_says() {
    let dir = folder();
    for options in [
        &["--sources", "7"][..],
        &["--sources", "3", "--one-vni", "--size", "1400"],
        &["--sources", "3", "--gwlb"],
        &["--scenario", "east-west", "--packet-length", "96"],
    ] {
        let (arrived, truth) = send_and_receive(dir.path(), options);
        let tunnel = if options.contains(&"--gwlb") {
            GENEVE
        } else {
            0
        };
        let mut counted = BTreeMap::<_, (u64, u64)>::new();
        for (sender, payload) in &arrived {
            let row = counted
                .entry((sender.ip(), vni(payload, tunnel)))
                .or_default();
            *row = (row.0 + 1, row.1 + payload.len() as u64);
            if tunnel > 0 {
                let inside = <[u8; 4]>::try_from(&payload[52..56]).unwrap();
                assert_eq!(sender.ip(), IpAddr::from(inside));
            }
        }
        assert_eq!(counted, rows(&truth["per_source"]), "{options:?}");
        assert_eq!(truth["sent"], arrived.len());
        assert_eq!(truth["bytes"], bytes(&arrived));
        assert_eq!(
            (truth["sent"].as_u64(), &truth["not_sent"]),
            (Some(1_500), &0.into())
        );
        assert!(counted.keys().all(|(address, _)| loopback_source(*address)));
    }
}

#[test]
fn every_fault_arrives_as_the_log_and_the_truth_say() {
    let dir = folder();
    for options in [&["--sources", "5"][..], &["--gwlb"]] {
        let mut arguments = vec!["--faults", FAULTS, "--log", "log"];
        arguments.extend(options);
        let (arrived, truth) = send_and_receive(dir.path(), &arguments);
        let log = log(&dir.path().join("log"));
        assert_eq!(truth["sent"], arrived.len());
        assert_eq!(truth["bytes"], bytes(&arrived));
        assert_eq!(log.len(), arrived.len());
        let tunnel = if options.contains(&"--gwlb") {
            GENEVE
        } else {
            0
        };
        let mut kinds = BTreeMap::<&str, u64>::new();
        let (mut genuine, mut forged) = (BTreeMap::<_, (u64, u64)>::new(), BTreeMap::new());
        for ((n, line), (sender, payload)) in log.iter().enumerate().zip(&arrived) {
            assert_eq!(line["n"], n);
            assert_eq!(line["source"], sender.ip().to_string());
            assert_eq!(line["bytes"], payload.len());
            let kind = line["kind"].as_str().unwrap();
            *kinds.entry(kind).or_default() += 1;
            let table = match kind {
                "corrupt" => continue,
                "forged" => &mut forged,
                _ => &mut genuine,
            };
            assert_eq!(line["vni"], vni(payload, tunnel));
            let key = (sender.ip(), vni(payload, tunnel));
            let row = table.entry(key).or_default();
            *row = (row.0 + 1, row.1 + payload.len() as u64);
        }
        assert_eq!(genuine, rows(&truth["per_source"]));
        assert_eq!(forged, rows(&truth["forged_sources"]));
        for kind in ["duplicate", "corrupt", "forged"] {
            assert!(kinds[kind] > 0);
            assert_eq!(truth["faults"][kind], kinds[kind], "{kind}");
        }
        check_order(&log, &truth["faults"]);
    }
}

#[test]
fn faults_depend_on_the_seed_alone() {
    let dir = folder();
    let run = |seed: &str| {
        let arguments = ["--faults", FAULTS, "--seed", seed];
        let (arrived, truth) = send_and_receive(dir.path(), &arguments);
        let payloads: Vec<_> = arrived.into_iter().map(|(_, payload)| payload).collect();
        (payloads, truth)
    };
    let first = run("1");
    assert!(first == run("1"));
    assert!(first != run("2"));
}

#[test]
fn an_ipv6_target_gets_all_from_one_address() {
    let dir = folder();
    let Ok(receiver) = UdpSocket::bind("[::1]:0") else {
        return;
    };
    let (arrived, truth) = exchange(dir.path(), &receiver, &["--faults", "forged=0.1"]);
    assert_eq!(truth["sent"], arrived.len());
    let mut counted = BTreeMap::<_, (u64, u64)>::new();
    for (sender, payload) in &arrived {
        let row = counted.entry((sender.ip(), vni(payload, 0))).or_default();
        *row = (row.0 + 1, row.1 + payload.len() as u64);
    }
    let mut told = rows(&truth["per_source"]);
    told.extend(rows(&truth["forged_sources"]));
    assert_eq!(counted, told);
    assert!(counted.keys().all(|(address, _)| address.is_loopback()));
}

#[test]
fn a_target_at_which_nobody_listens_is_no_failure() {
    let dir = folder();
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let to = port.to_string();
    let text = vxscope(dir.path(), &["gen", "--to", &to, "--rate", "1000000"]).ok();
    let truth: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&truth["sent"], &truth["not_sent"]),
        (&10_000.into(), &0.into())
    );
}

#[test]
fn a_failure_tells_what_left_before_it() {
    let dir = folder();
    // Nobody may send to everybody without having said so.
    let run = vxscope(dir.path(), &["gen", "--to", "127.255.255.255:9"]);
    let truth: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(truth["sent"], 0);
    let complaint = run.fails(1);
    assert!(
        complaint.contains("--to 127.255.255.255:9: cannot be sent"),
        "{complaint}"
    );
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let dir = folder();
    for target in [["--pcap", "a.pcap"], ["--to", "127.0.0.1:9"]] {
        let [option, value] = target;
        let arguments = ["gen", option, value, "--log", "no/log"];
        let complaint = vxscope(dir.path(), &arguments).fails(1);
        assert!(
            complaint.contains("no/log: cannot be written"),
            "{complaint}"
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Counts losses and late packets in the log.
fn check_order(log: &[Value], faults: &Value) {
    let firsts = log
        .iter()
        .filter(|line| line["kind"] == "genuine" || line["kind"] == "corrupt");
    let made: Vec<u64> = firsts
        .map(|line| line["made"].as_u64().expect("a number"))
        .collect();
    let mut latest = 0;
    let mut late = 0;
    for number in &made {
        late += u64::from(*number < latest);
        latest = latest.max(*number);
    }
    assert!(late > 0);
    assert_eq!(faults["reorder"], late);
    assert_eq!(faults["loss"], 1_500 - made.len());
}

fn log(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a log");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The VNI behind so many bytes.
fn vni(payload: &[u8], tunnel: usize) -> u32 {
    let header = &payload[tunnel..tunnel + 8];
    u32::from_be_bytes([0, header[4], header[5], header[6]])
}

fn bytes(arrived: &[(SocketAddr, Vec<u8>)]) -> usize {
    arrived.iter().map(|(_, payload)| payload.len()).sum()
}

/// Packets and bytes by address and VNI.
fn rows(table: &Value) -> BTreeMap<(IpAddr, u32), (u64, u64)> {
    let rows = table.as_array().expect("rows").iter();
    rows.map(|row| {
        let number = |name: &str| row[name].as_u64().expect("a number");
        let address = row["outer_ip"]
            .as_str()
            .expect("text")
            .parse()
            .expect("an address");
        let vni = u32::try_from(number("vni")).expect("24 bits");
        ((address, vni), (number("packets"), number("bytes")))
    })
    .collect()
}

fn loopback_source(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    (Ipv4Addr::new(127, 0, 0, 2)..=Ipv4Addr::new(127, 0, 0, 251)).contains(&address)
}

type Arrived = Vec<(SocketAddr, Vec<u8>)>;

fn send_and_receive(dir: &Path, options: &[&str]) -> (Arrived, Value) {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    exchange(dir, &receiver, options)
}

/// Runs `gen` and collects what arrives until it has ended: on loopback everything that was sent
/// is in the receiver's buffer then.
fn exchange(dir: &Path, receiver: &UdpSocket, options: &[&str]) -> (Arrived, Value) {
    SockRef::from(receiver)
        .set_recv_buffer_size(16 << 20)
        .expect("a receive buffer, as large as it may be");
    receiver
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a time limit");
    let to = receiver.local_addr().expect("an address").to_string();
    let mut arguments = vec!["gen", "--packets", "1500", "--rate", RATE, "--to", &to];
    arguments.extend(options);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| collect(receiver, &ended));
        let text = vxscope(dir, &arguments);
        ended.store(true, Ordering::Release);
        let arrived = collector.join().expect("a collector that does not fail");
        (arrived, serde_json::from_str(&text.ok()).expect("JSON"))
    })
}

fn collect(receiver: &UdpSocket, ended: &AtomicBool) -> Arrived {
    let (mut arrived, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let last = ended.load(Ordering::Acquire);
        match receiver.recv_from(&mut buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if last {
                    return arrived;
                }
            }
            result => {
                let (length, sender) = result.expect("a socket that receives");
                arrived.push((sender, buffer[..length].to_vec()));
            }
        }
    }
}
