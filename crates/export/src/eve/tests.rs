//! Records of flows as Suricata's readers expect them.

use serde_json::Value;
use vxscope_flow::tcp::TcpPhase;
use vxscope_flow::{CloseReason, FlowRecord, Traffic};

use super::{EveLog, EveOptions, LINE_BYTES, flow_reason, flow_state, write_record};
use crate::file::OutputDir;
use crate::records::Rotation;
use crate::testing::{
    first_line, ipv6_record, known_record, marked_record, plain_record, tcp_record,
};
use crate::way_out::{Entry, WayOut};

#[test]
fn a_tcp_flow_is_written_in_suricatas_order() {
    check(
        &tcp_record(),
        r#"{"timestamp":"1970-01-01T00:16:43.000000+0000","flow_id":123456789012,"in_iface":"vni-7","event_type":"flow","src_ip":"10.0.0.1","src_port":1122,"dest_ip":"10.0.0.2","dest_port":80,"ip_v":4,"proto":"TCP","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":400,"bytes_toclient":1500,"start":"1970-01-01T00:16:40.250000+0000","end":"1970-01-01T00:16:42.750000+0000","age":2,"state":"closed","reason":"timeout","alerted":false},"community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM=","tcp":{"tcp_flags":"5b","tcp_flags_ts":"1b","tcp_flags_tc":"53","syn":true,"fin":true,"psh":true,"ack":true,"ecn":true,"state":"closed"},"vni":7,"outer_ip":"192.0.2.1","close_reason":"fin"}"#,
    );
}

#[test]
fn who_the_source_is_to_aws_is_in_an_object_of_its_own() {
    let line = first_line(
        |out, record| write_record(out, record, &EveOptions::default()),
        &known_record(),
    );
    let expected = serde_json::json!({
        "interface_id": "eni-0123456789abcdef0", "instance_id": "i-0123456789abcdef0",
        "vpc_id": "vpc-0123456789abcdef0", "account_id": "123456789012"
    });
    assert_eq!(line["aws"], expected);
    let strict = EveOptions { strict: true };
    let mut out = Vec::new();
    write_record(&mut out, &known_record(), &strict);
    assert!(!String::from_utf8(out).unwrap().contains("aws"));
}

#[test]
fn a_udp_flow_with_two_tags_over_ipv6() {
    let record = FlowRecord {
        originator_port: 53_000,
        responder_port: 53,
        vlan: [100, 4_000],
        vlan_count: 2,
        ..ipv6_record(17)
    };
    check(
        &record,
        r#"{"timestamp":"1970-01-01T00:16:43.000000+0000","flow_id":123456789012,"in_iface":"vni-7","event_type":"flow","vlan":[100,4000],"src_ip":"2001:db8::1","src_port":53000,"dest_ip":"2001:db8::2","dest_port":53,"ip_v":6,"proto":"UDP","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":400,"bytes_toclient":1500,"start":"1970-01-01T00:16:40.250000+0000","end":"1970-01-01T00:16:42.750000+0000","age":2,"state":"established","reason":"timeout","alerted":false},"community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM=","vni":7,"outer_ip":"192.0.2.1","close_reason":"idle"}"#,
    );
}

#[test]
fn an_icmp_flow_has_types_and_no_ports() {
    let record = FlowRecord {
        originator_port: 8,
        icmp: Some((8, 0)),
        icmp_response: Some((0, 0)),
        ..plain_record(1)
    };
    let json = parse(&record, false);
    assert_eq!(
        (&json["proto"], &json["icmp_type"]),
        (&"ICMP".into(), &8.into())
    );
    assert_eq!(
        (&json["response_icmp_type"], &json["icmp_code"]),
        (&0.into(), &0.into())
    );
    assert_eq!((json.get("src_port"), json.get("dest_port")), (None, None));
    let unanswered = FlowRecord {
        icmp_response: None,
        ..record
    };
    assert_eq!(parse(&unanswered, false).get("response_icmp_type"), None);
}

#[test]
fn protocols_have_suricatas_names_or_three_digits() {
    let names = [
        (58, "IPv6-ICMP"),
        (132, "SCTP"),
        (50, "ESP"),
        (51, "AH"),
        (47, "GRE"),
    ];
    for (protocol, name) in names.into_iter().chain([(254, "254"), (63, "063")]) {
        assert_eq!(parse(&plain_record(protocol), false)["proto"], name);
    }
}

#[test]
fn only_sctp_of_the_rest_has_ports() {
    assert!(parse(&plain_record(132), false).get("src_port").is_some());
    assert!(parse(&plain_record(50), false).get("src_port").is_none());
}

#[test]
fn strict_leaves_out_what_suricatas_schema_forbids() {
    let json = parse(&ipv6_record(6), true);
    for key in ["vni", "outer_ip", "close_reason"] {
        assert_eq!(json.get(key), None, "{key}");
    }
    assert_eq!(json["src_ip"], "2001:0db8:0000:0000:0000:0000:0000:0001");
    assert_eq!(json["in_iface"], "vni-7");
}

#[test]
fn every_record_is_one_line_of_json_within_the_reserve() {
    let widest = FlowRecord {
        flow_id: u64::MAX,
        vlan: [4_095; 2],
        vlan_count: 9,
        icmp: Some((255, 255)),
        icmp_response: Some((255, 255)),
        originator: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        responder: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        forward: Traffic {
            packets: u64::MAX,
            bytes: u64::MAX,
            ip_bytes: u64::MAX,
            payload_bytes: u64::MAX,
        },
        ..tcp_record()
    };
    for protocol in 0..=u8::MAX {
        for strict in [false, true] {
            let record = FlowRecord {
                protocol,
                ..widest.clone()
            };
            assert!(line(&record, strict).len() <= LINE_BYTES);
            assert_eq!(parse(&record, strict)["flow_id"], u64::MAX);
        }
    }
}

#[test]
fn a_flow_of_a_lowered_source_says_how_much_of_it_was_not_mirrored() {
    let record = marked_record();
    let written = |strict| {
        let mut out = Vec::new();
        write_record(&mut out, &record, &EveOptions { strict });
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let expected = serde_json::json!({"grade": "off", "not_mirrored_seconds": 12.04});
    assert_eq!(written(false)["vxscope"], expected);
    assert_eq!(written(true).get("vxscope"), None);
}

#[test]
fn flow_states_are_those_of_suricatas_flow_engine() {
    let none = Traffic::default();
    let one_way = FlowRecord {
        reverse: none,
        ..plain_record(17)
    };
    assert_eq!(flow_state(&one_way), "new");
    assert_eq!(flow_state(&plain_record(17)), "established");
    for (phase, state) in [
        (TcpPhase::SynSent, "new"),
        (TcpPhase::SynRecv, "new"),
        (TcpPhase::Established, "established"),
        (TcpPhase::CloseWait, "established"),
        (TcpPhase::LastAck, "closed"),
        (TcpPhase::TimeWait, "closed"),
    ] {
        let mut record = tcp_record();
        record.tcp.as_mut().unwrap().phase = phase;
        assert_eq!(flow_state(&record), state, "{phase:?}");
    }
}

#[test]
fn reasons_are_words_suricata_knows() {
    for reason in CloseReason::ALL {
        let word = flow_reason(*reason);
        assert!(
            ["timeout", "forced", "shutdown", "tcp_reuse"].contains(&word),
            "{reason:?}"
        );
    }
    assert_eq!(flow_reason(CloseReason::Evicted), "forced");
}

#[test]
fn the_log_holds_what_was_pushed_and_counts_it() {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    let mut log = EveLog::create(&dir, EveOptions::default(), Rotation::NEVER).unwrap();
    for _ in 0..1_000 {
        log.records(&[Entry::Flow(tcp_record())]);
    }
    let outcome = Box::new(log).finish();
    assert_eq!(
        (outcome.count.written(), outcome.count.offered()),
        (1_000, 1_000)
    );
    let text = std::fs::read_to_string(dir.path().join("eve.json")).unwrap();
    assert_eq!(text, line(&tcp_record(), false).repeat(1_000));
}

fn check(record: &FlowRecord, expected: &str) {
    assert_eq!(line(record, false), format!("{expected}\n"));
    serde_json::from_str::<Value>(expected).unwrap();
}

fn parse(record: &FlowRecord, strict: bool) -> Value {
    let line = line(record, strict);
    assert_eq!(line.matches('\n').count(), 1);
    serde_json::from_str(&line).unwrap()
}

fn line(record: &FlowRecord, strict: bool) -> String {
    let mut out = Vec::new();
    write_record(&mut out, record, &EveOptions { strict });
    String::from_utf8(out).unwrap()
}
