//! Lines as Zeek's readers expect them.

use vxscope_flow::tcp::{ConnState, History};
use vxscope_flow::{FlowRecord, Traffic};
use vxscope_units::Timestamp;

use super::{COLUMNS, ConnLog, LINE_BYTES, push_uid, write_record};
use crate::file::OutputDir;
use crate::records::Rotation;
use crate::testing::{ipv6_record, marked_record, plain_record, tcp_record};
use crate::way_out::{Entry, WayOut};

#[test]
fn a_tcp_flow() {
    check(
        &tcp_record(),
        "1000.250000 C002Al26WS 10.0.0.1 1122 10.0.0.2 80 tcp - 2.500000 70 1284 SF - - 12 \
         ShADadFf 5 330 4 1444 - 6 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
    );
}

#[test]
fn a_udp_flow_of_one_moment_has_no_duration_and_no_bytes() {
    let mut history = History::default();
    history.push(b'D');
    let record = FlowRecord {
        originator_port: 5_353,
        responder_port: 5_353,
        end: Timestamp::new(1_000, 250_000_000),
        start: Timestamp::new(1_000, 250_000_000),
        reverse: Traffic::default(),
        conn_state: ConnState::S0,
        history,
        ..ipv6_record(17)
    };
    check(
        &record,
        "1000.250000 C002Al26WS 2001:db8::1 5353 2001:db8::2 5353 udp - - - - S0 - - 0 D \
         5 330 0 0 - 17 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
    );
}

#[test]
fn icmp_of_both_families_is_icmp_with_types_as_ports() {
    let record = FlowRecord {
        originator_port: 8,
        ..plain_record(1)
    };
    check(
        &record,
        "1000.250000 C002Al26WS 10.0.0.1 8 10.0.0.2 0 icmp - 2.500000 70 1284 OTH - - 0 - \
         5 330 4 1444 - 1 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
    );
    let record = FlowRecord {
        originator_port: 128,
        responder_port: 129,
        ..ipv6_record(58)
    };
    check(
        &record,
        "1000.250000 C002Al26WS 2001:db8::1 128 2001:db8::2 129 icmp - 2.500000 70 1284 OTH \
         - - 0 - 5 330 4 1444 - 58 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
    );
}

#[test]
fn other_protocols_are_unknown_transport_without_payload() {
    check(
        &plain_record(50),
        "1000.250000 C002Al26WS 10.0.0.1 0 10.0.0.2 0 unknown_transport - 2.500000 0 0 OTH \
         - - 0 - 5 330 4 1444 - 50 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
    );
}

#[test]
fn uids_are_ten_characters_and_sort_as_their_numbers() {
    let mut last = String::new();
    for flow_id in [0, 1, 61, 62, 3_843, 1 << 40, (1 << 53) - 1] {
        let mut out = Vec::new();
        push_uid(&mut out, flow_id);
        let uid = String::from_utf8(out).unwrap();
        assert!(
            uid.len() == 10 && uid.starts_with('C') && uid > last,
            "{uid}"
        );
        last = uid;
    }
}

#[test]
fn the_longest_line_fits_the_reserve() {
    let most = Traffic {
        packets: u64::MAX,
        bytes: u64::MAX,
        ip_bytes: u64::MAX,
        payload_bytes: u64::MAX,
    };
    let mut record = FlowRecord {
        originator: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        responder: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        start: Timestamp::ZERO,
        end: Timestamp::from_nanos(u64::MAX),
        forward: most,
        reverse: most,
        ..tcp_record()
    };
    for _ in 0..100 {
        record.history.push(b'S');
    }
    let mut out = Vec::new();
    record.mark = marked_record().mark;
    write_record(&mut out, &record, true);
    assert!(out.len() <= LINE_BYTES, "{}", out.len());
}

#[test]
fn a_log_has_header_records_and_trailer() {
    let text = log(&[tcp_record(), plain_record(50)]);
    let lines: Vec<_> = text.lines().collect();
    let head = [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tconn",
        "#open\t1970-01-01-00-16-43",
    ];
    assert_eq!(lines[..6], head);
    assert!(lines[6].starts_with("#fields\tts\tuid\tid.orig_h\t"));
    assert!(lines[6].ends_with("\ttunnel_parents\tip_proto\tvni\tcommunity_id"));
    assert!(lines[7].starts_with("#types\ttime\tstring\taddr\tport\t"));
    for line in &lines[6..8] {
        assert_eq!(line.split('\t').count(), 1 + COLUMNS.len());
    }
    assert_eq!(lines[10..], ["#close\t1970-01-01-00-16-43"]);
    assert!(text.ends_with('\n'));
}

#[test]
fn a_marked_log_says_what_was_not_mirrored() {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    let mut log = ConnLog::create(&dir, Rotation::NEVER, true).unwrap();
    log.records(&[marked_record(), tcp_record()].map(Entry::Flow));
    let _ = Box::new(log).finish();
    let text = std::fs::read_to_string(dir.path().join("conn.log")).unwrap();
    let ends: Vec<_> = text.lines().skip(6).take(4).collect();
    for (line, end) in ends.iter().zip([
        "\tcommunity_id\tmirror_grade\tnot_mirrored",
        "\tstring\tstring\tinterval",
        "\toff\t12.040000",
        "=\t-\t-",
    ]) {
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn a_log_without_records_is_complete_too() {
    let text = log(&[]);
    assert!(
        text.contains("#open\t1970-01-01-00-00-00\n#fields"),
        "{text}"
    );
    assert!(text.ends_with("#close\t1970-01-01-00-00-00\n"), "{text}");
}

fn log(records: &[FlowRecord]) -> String {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    let mut log = ConnLog::create(&dir, Rotation::NEVER, false).unwrap();
    let entries: Vec<Entry> = records.iter().cloned().map(Entry::Flow).collect();
    log.records(&entries);
    let outcome = Box::new(log).finish();
    assert_eq!(outcome.count.written(), records.len() as u64);
    assert_eq!(outcome.count.offered(), records.len() as u64);
    std::fs::read_to_string(dir.path().join("conn.log")).unwrap()
}

/// `expected` has spaces where the log has tabs; no value holds a space.
fn check(record: &FlowRecord, expected: &str) {
    let mut out = Vec::new();
    write_record(&mut out, record, false);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        expected.replace(' ', "\t") + "\n"
    );
    assert_eq!(expected.split(' ').count(), COLUMNS.len());
}
