//! What the tests of several modules need.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::{fs, io};

use serde_json::Value;
use vxscope_flow::tcp::{ConnState, History, TcpPhase};
use vxscope_flow::{CloseReason, Crossing, FlowRecord, TcpRecord, Traffic};
use vxscope_pcap::{Precision, Reader, Step, classic};
use vxscope_units::{Grade, GradeMark, Identity, LinkType, MirrorSource, Timestamp, Vni};

/// A name server that does not answer.
pub(crate) fn never_answers(_: &str) -> Receiver<io::Result<SocketAddr>> {
    let (sender, receiver) = sync_channel(1);
    std::mem::forget(sender);
    receiver
}

/// A mirror source with this VNI, each at the same address.
pub(crate) fn source(vni: u32) -> MirrorSource {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    MirrorSource {
        address,
        vni: Vni::try_new(vni).expect("tests use small VNIs"),
    }
}

/// The records of a capture: time, bytes, original length.
pub(crate) fn read_pcap_file(path: &Path) -> Vec<(Timestamp, Vec<u8>, u32)> {
    read_pcap_bytes(&fs::read(path).expect("the test wrote this file"))
}

/// The same for records without a file header.
pub(crate) fn read_pcap(records: &[u8]) -> Vec<(Timestamp, Vec<u8>, u32)> {
    let header = classic::file_header(Precision::Micros, LinkType::Ethernet, 262_144);
    read_pcap_bytes(&[&header, records].concat())
}

/// The same for a file that is in memory.
pub(crate) fn read_pcap_bytes(file: &[u8]) -> Vec<(Timestamp, Vec<u8>, u32)> {
    let mut reader = Reader::new();
    let mut rest = file;
    let mut records = Vec::new();
    loop {
        let consumed = match reader.read(rest).expect("a valid capture") {
            Step::Record { consumed, record } => {
                assert_eq!(record.link, LinkType::Ethernet);
                records.push((record.timestamp, record.data.to_vec(), record.original_len));
                consumed
            }
            Step::Skip { consumed } => consumed,
            Step::NeedMore { .. } => break,
        };
        rest = &rest[consumed..];
    }
    reader.finish(rest).expect("a whole number of records");
    records
}

/// A finished TCP flow of 10.0.0.1:1122 and 10.0.0.2:80 on `source(7)`, from 1,000 s to 1,002.5 s,
/// to be altered by each test.
pub(crate) fn tcp_record() -> FlowRecord {
    let mut history = History::default();
    for letter in *b"ShADadFf" {
        history.push(letter);
    }
    FlowRecord {
        flow_id: 123_456_789_012,
        source: source(7),
        originator: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        responder: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        originator_port: 1_122,
        responder_port: 80,
        protocol: 6,
        icmp: None,
        icmp_response: None,
        vlan: [0, 0],
        vlan_count: 0,
        start: Timestamp::new(1_000, 250_000_999),
        end: Timestamp::new(1_002, 750_000_000),
        closed: Timestamp::new(1_003, 0),
        forward: Traffic {
            packets: 5,
            bytes: 400,
            ip_bytes: 330,
            payload_bytes: 70,
        },
        reverse: Traffic {
            packets: 4,
            bytes: 1_500,
            ip_bytes: 1_444,
            payload_bytes: 1_284,
        },
        tcp: Some(TcpRecord {
            originator_flags: 0x1b,
            responder_flags: 0x53,
            phase: TcpPhase::Closed,
            missed_bytes: 12,
        }),
        conn_state: ConnState::Sf,
        history,
        community_id: "1:wCb3OG7yAFWelaUydu0D+125CLM="
            .parse()
            .expect("a valid id"),
        reason: CloseReason::Fin,
        crossing: Crossing::Ingress,
        closed_at: 9,
        late_packets: 0,
        mark: None,
        identity: None,
    }
}

/// The same of a source that AWS knows.
pub(crate) fn known_record() -> FlowRecord {
    let id = |text: &str| Some(text.to_owned());
    FlowRecord {
        identity: Some(std::sync::Arc::new(Identity {
            interface: id("eni-0123456789abcdef0"),
            instance: id("i-0123456789abcdef0"),
            vpc: id("vpc-0123456789abcdef0"),
            account: id("123456789012"),
        })),
        ..tcp_record()
    }
}

/// A TCP flow of a source that was off for a while.
pub(crate) fn marked_record() -> FlowRecord {
    FlowRecord {
        mark: Some(GradeMark {
            grade: Grade::Off,
            not_mirrored: std::time::Duration::from_millis(12_040),
        }),
        ..tcp_record()
    }
}

/// How its mark looks in formats of JSON.
pub(crate) const MARK: &str = r#"{"grade":"off","not_mirrored_seconds":12.04}"#;

/// The first line that a format of JSON makes of a record.
pub(crate) fn first_line(write: fn(&mut Vec<u8>, &FlowRecord), record: &FlowRecord) -> Value {
    let mut out = Vec::new();
    write(&mut out, record);
    let line = out.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(line).expect("a line of JSON")
}

/// The same between two IPv6 addresses with another protocol, without TCP's fields.
pub(crate) fn ipv6_record(protocol: u8) -> FlowRecord {
    FlowRecord {
        originator: "2001:db8::1".parse().expect("an address"),
        responder: "2001:db8::2".parse().expect("an address"),
        ..plain_record(protocol)
    }
}

/// The same with another protocol, without TCP's fields, ports and history.
pub(crate) fn plain_record(protocol: u8) -> FlowRecord {
    FlowRecord {
        protocol,
        originator_port: 0,
        responder_port: 0,
        tcp: None,
        conn_state: ConnState::Oth,
        history: History::default(),
        reason: CloseReason::Idle,
        ..tcp_record()
    }
}
