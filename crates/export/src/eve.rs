//! `eve.json`: Suricata EVE `flow` records, one JSON object a line.
//!
//! Names, order and meaning are Suricata's (`doc/userguide/output/eve/eve-json-format`), so that
//! what reads Suricata's file reads this one. Byte counts are captured layer-2 bytes.

use std::net::IpAddr;

use vxscope_flow::tcp::TcpPhase;
use vxscope_flow::{CloseReason, FlowRecord, TcpRecord};
use vxscope_units::Timestamp;

use crate::anomaly::{Anomaly, write_anomaly};
use crate::error::ExportError;
use crate::file::OutputDir;
use crate::grade::{GradeChange, push_mark, write_grade_change};
use crate::protocol;
use crate::records::{Layout, Named, RecordFile, Rotation};
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::text::{
    push_address, push_address_full, push_hex, push_padded, push_time, push_u64, text,
};
use crate::way_out::Offered;

/// The sink's name in `--export` and in the summary.
const NAME: &str = "eve";

/// Room for the longest line, so that a record is at most one growth of the buffer.
const LINE_BYTES: usize = 1_200;

/// TCP flags in Suricata's order, with its names.
const FLAGS: [(u8, &str); 8] = [
    (0x02, "syn"),
    (0x01, "fin"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];

/// How to write EVE records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EveOptions {
    /// Nothing but what Suricata writes, whose schema forbids further properties: without `vni`,
    /// `outer_ip` and `close_reason` at the end, and with IPv6 addresses in Suricata's full form
    /// (`2001:0db8:0000:…`) instead of the usual short one.
    pub strict: bool,
}

/// Appends one record and a newline; marked, if its source was lowered meanwhile.
///
/// No value can need escaping: names are fixed, addresses and Community IDs are plain ASCII
/// without quotes or backslashes.
pub fn write_record(out: &mut Vec<u8>, record: &FlowRecord, options: &EveOptions) {
    out.reserve(LINE_BYTES);
    text(out, "{\"timestamp\":\"");
    push_time(out, record.closed);
    text(out, "\",\"flow_id\":");
    push_u64(out, record.flow_id);
    text(out, ",\"in_iface\":\"vni-");
    push_u64(out, u64::from(record.source.vni.get()));
    text(out, "\",\"event_type\":\"flow\"");
    push_vlan(out, record);
    push_tuple(out, record, *options);
    push_icmp(out, record);
    push_flow(out, record);
    text(out, ",\"community_id\":\"");
    text(out, record.community_id.as_str());
    text(out, "\"");
    if let Some(tcp) = &record.tcp {
        push_tcp(out, tcp);
    }
    if !options.strict {
        push_extras(out, record);
        if let Some(mark) = &record.mark {
            push_mark(out, mark);
        }
    }
    text(out, "}\n");
}

/// The file `eve.json`, or a series of such files.
#[derive(Debug)]
pub struct EveLog {
    file: RecordFile<Lines>,
    options: EveOptions,
}

/// Lines, and nothing around them.
#[derive(Debug)]
struct Lines;

impl Layout for Lines {}

impl EveLog {
    /// Its name as in `--export` and in the summary.
    pub const NAME: &str = NAME;

    /// Starts the file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        dir: &OutputDir,
        options: EveOptions,
        rotation: Rotation,
    ) -> Result<Self, ExportError> {
        let named = Named {
            name: NAME,
            offered: Offered::RecordsAndAnomalies,
            file: "eve.json",
        };
        let file = RecordFile::create(dir, named, rotation, Lines)?;
        Ok(Self { file, options })
    }

    /// Writes one record. Records come in the order of [`FlowRecord::order`].
    pub fn push(&mut self, record: &FlowRecord) {
        let options = self.options;
        self.file.push(1, record.closed, |out| {
            write_record(out, record, &options);
        });
    }

    /// Writes that a mirror session has another grade. It is no flow's record, so it is not
    /// counted; strict files do not have it.
    pub fn push_grade_change(&mut self, change: &GradeChange) {
        if !self.options.strict {
            self.file
                .push(0, change.at, |out| write_grade_change(out, change));
        }
    }

    /// Writes what happened in a flow, among the records in the order of the input.
    pub fn push_anomaly(&mut self, anomaly: &Anomaly<'_>) {
        let options = self.options;
        self.file.push(1, anomaly.time, |out| {
            write_anomaly(out, anomaly, &options);
        });
    }

    /// Counts records that never came this far.
    pub fn shed(&mut self, reason: Shed, records: u64) {
        self.file.shed(reason, records);
    }

    /// Writes out what is only in memory yet, so that a crash does not take it along, and finishes
    /// a file that is old.
    pub fn tick(&mut self, now: Timestamp) {
        self.file.tick(now);
    }

    /// The ledger so far.
    #[must_use]
    pub fn count(&self) -> &SinkCount {
        self.file.count()
    }

    /// Gives the file its name.
    #[must_use]
    pub fn finish(self) -> SinkOutcome {
        self.file.finish(Timestamp::ZERO)
    }
}

/// `new`, `established` or `closed`, as Suricata's flow engine decides it.
fn flow_state(record: &FlowRecord) -> &'static str {
    let answered = record.forward.packets > 0 && record.reverse.packets > 0;
    match record.tcp.as_ref().map(|tcp| tcp.phase) {
        None if answered => "established",
        None | Some(TcpPhase::None | TcpPhase::SynSent | TcpPhase::SynRecv) => "new",
        Some(
            TcpPhase::Established | TcpPhase::FinWait1 | TcpPhase::FinWait2 | TcpPhase::CloseWait,
        ) => "established",
        Some(TcpPhase::LastAck | TcpPhase::TimeWait | TcpPhase::Closed) => "closed",
    }
}

/// Suricata logs a closed TCP flow when its time in the table is over, hence `timeout`.
fn flow_reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Fin | CloseReason::Rst | CloseReason::Idle => "timeout",
        CloseReason::Active | CloseReason::Evicted => "forced",
        CloseReason::TcpReuse => "tcp_reuse",
        CloseReason::Shutdown => "shutdown",
    }
}

fn push_vlan(out: &mut Vec<u8>, record: &FlowRecord) {
    let mut ids = record.vlan.iter().take(usize::from(record.vlan_count));
    let Some(outer) = ids.next() else { return };
    text(out, ",\"vlan\":[");
    push_u64(out, u64::from(*outer));
    for inner in ids {
        text(out, ",");
        push_u64(out, u64::from(*inner));
    }
    text(out, "]");
}

fn push_tuple(out: &mut Vec<u8>, record: &FlowRecord, options: EveOptions) {
    let ports = protocol::has_ports(record.protocol);
    text(out, ",\"src_ip\":\"");
    push_ip(out, record.originator, options);
    text(out, "\"");
    if ports {
        number(out, ",\"src_port\":", u64::from(record.originator_port));
    }
    text(out, ",\"dest_ip\":\"");
    push_ip(out, record.responder, options);
    text(out, "\"");
    if ports {
        number(out, ",\"dest_port\":", u64::from(record.responder_port));
    }
    number(
        out,
        ",\"ip_v\":",
        if record.originator.is_ipv4() { 4 } else { 6 },
    );
    text(out, ",\"proto\":\"");
    match protocol::suricata_name(record.protocol) {
        Some(name) => text(out, name),
        None => push_padded(out, u64::from(record.protocol), 3),
    }
    text(out, "\"");
}

fn push_icmp(out: &mut Vec<u8>, record: &FlowRecord) {
    if let Some((kind, code)) = record.icmp {
        number(out, ",\"icmp_type\":", u64::from(kind));
        number(out, ",\"icmp_code\":", u64::from(code));
    }
    if let Some((kind, code)) = record.icmp_response {
        number(out, ",\"response_icmp_type\":", u64::from(kind));
        number(out, ",\"response_icmp_code\":", u64::from(code));
    }
}

fn push_flow(out: &mut Vec<u8>, record: &FlowRecord) {
    number(out, ",\"flow\":{\"pkts_toserver\":", record.forward.packets);
    number(out, ",\"pkts_toclient\":", record.reverse.packets);
    number(out, ",\"bytes_toserver\":", record.forward.bytes);
    number(out, ",\"bytes_toclient\":", record.reverse.bytes);
    text(out, ",\"start\":\"");
    push_time(out, record.start);
    text(out, "\",\"end\":\"");
    push_time(out, record.end);
    // Suricata's age is the difference of whole seconds, not of times.
    let age = record.end.seconds().saturating_sub(record.start.seconds());
    number(out, "\",\"age\":", age);
    text(out, ",\"state\":\"");
    text(out, flow_state(record));
    text(out, "\",\"reason\":\"");
    text(out, flow_reason(record.reason));
    text(out, "\",\"alerted\":false}");
}

fn push_tcp(out: &mut Vec<u8>, tcp: &TcpRecord) {
    let flags = tcp.originator_flags | tcp.responder_flags;
    text(out, ",\"tcp\":{\"tcp_flags\":\"");
    push_hex(out, flags);
    text(out, "\",\"tcp_flags_ts\":\"");
    push_hex(out, tcp.originator_flags);
    text(out, "\",\"tcp_flags_tc\":\"");
    push_hex(out, tcp.responder_flags);
    text(out, "\"");
    for (_, name) in FLAGS.iter().filter(|(bit, _)| flags & bit != 0) {
        text(out, ",\"");
        text(out, name);
        text(out, "\":true");
    }
    text(out, ",\"state\":\"");
    text(out, tcp.phase.name());
    text(out, "\"}");
}

fn push_extras(out: &mut Vec<u8>, record: &FlowRecord) {
    number(out, ",\"vni\":", u64::from(record.source.vni.get()));
    text(out, ",\"outer_ip\":\"");
    push_address(out, record.source.address);
    text(out, "\",\"close_reason\":\"");
    text(out, record.reason.name());
    text(out, "\"");
}

/// An address in the form that the options ask for.
pub(crate) fn push_ip(out: &mut Vec<u8>, address: IpAddr, options: EveOptions) {
    if options.strict {
        push_address_full(out, address);
    } else {
        push_address(out, address);
    }
}

/// A key as it stands, and a number.
pub(crate) fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    text(out, key);
    push_u64(out, value);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vxscope_flow::tcp::TcpPhase;
    use vxscope_flow::{CloseReason, FlowRecord, Traffic};

    use super::{EveLog, EveOptions, LINE_BYTES, flow_reason, flow_state, write_record};
    use crate::file::OutputDir;
    use crate::records::Rotation;
    use crate::testing::{ipv6_record, marked_record, plain_record, tcp_record};

    #[test]
    fn a_tcp_flow_is_written_in_suricatas_order() {
        check(
            &tcp_record(),
            r#"{"timestamp":"1970-01-01T00:16:43.000000+0000","flow_id":123456789012,"in_iface":"vni-7","event_type":"flow","src_ip":"10.0.0.1","src_port":1122,"dest_ip":"10.0.0.2","dest_port":80,"ip_v":4,"proto":"TCP","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":400,"bytes_toclient":1500,"start":"1970-01-01T00:16:40.250000+0000","end":"1970-01-01T00:16:42.750000+0000","age":2,"state":"closed","reason":"timeout","alerted":false},"community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM=","tcp":{"tcp_flags":"5b","tcp_flags_ts":"1b","tcp_flags_tc":"53","syn":true,"fin":true,"psh":true,"ack":true,"ecn":true,"state":"closed"},"vni":7,"outer_ip":"192.0.2.1","close_reason":"fin"}"#,
        );
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
            log.push(&tcp_record());
        }
        let outcome = log.finish();
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
}
