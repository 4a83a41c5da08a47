//! `conn.json`: the columns of [`conn_log`](crate::conn_log) as one JSON object a line, as Zeek
//! writes it with `LogAscii::use_json=T`: unset fields are left out, times are numbers.

use std::net::IpAddr;

use serde::Serialize;
use vxscope_flow::FlowRecord;

use crate::conn_log::{micros, push_uid};
use crate::grade::Marked;
use crate::lines::LineFormat;
use crate::protocol;

/// The format for a [`LineLog`](crate::LineLog).
pub const CONN_JSON: LineFormat = LineFormat {
    name: "conn-json",
    file: "conn.json",
    header: "",
    write: write_record,
};

/// One line. Field names and order are Zeek's.
#[derive(Serialize)]
struct Line<'a> {
    ts: f64,
    uid: &'a str,
    #[serde(rename = "id.orig_h")]
    orig_h: IpAddr,
    #[serde(rename = "id.orig_p")]
    orig_p: u16,
    #[serde(rename = "id.resp_h")]
    resp_h: IpAddr,
    #[serde(rename = "id.resp_p")]
    resp_p: u16,
    proto: &'static str,
    #[serde(flatten)]
    volume: Option<Volume>,
    conn_state: &'static str,
    missed_bytes: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    history: &'a str,
    orig_pkts: u64,
    orig_ip_bytes: u64,
    resp_pkts: u64,
    resp_ip_bytes: u64,
    ip_proto: u8,
    vni: u32,
    community_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vxscope: Option<Marked>,
}

/// All three are unset where no time passed.
#[derive(Serialize)]
struct Volume {
    duration: f64,
    orig_bytes: u64,
    resp_bytes: u64,
}

/// Appends one line.
fn write_record(out: &mut Vec<u8>, record: &FlowRecord) {
    let mut uid = Vec::with_capacity(10);
    push_uid(&mut uid, record.flow_id);
    let line = Line {
        ts: seconds(micros(record.start)),
        uid: str::from_utf8(&uid).unwrap_or_default(),
        orig_h: record.originator,
        orig_p: record.originator_port,
        resp_h: record.responder,
        resp_p: record.responder_port,
        proto: protocol::zeek_name(record.protocol),
        volume: volume(record),
        conn_state: record.conn_state.name(),
        missed_bytes: record.tcp.as_ref().map_or(0, |tcp| tcp.missed_bytes),
        history: record.history.as_str(),
        orig_pkts: record.forward.packets,
        orig_ip_bytes: record.forward.ip_bytes,
        resp_pkts: record.reverse.packets,
        resp_ip_bytes: record.reverse.ip_bytes,
        ip_proto: record.protocol,
        vni: record.source.vni.get(),
        community_id: record.community_id.as_str(),
        vxscope: Marked::of(record),
    };
    // Numbers, text and addresses always have a JSON form, and a vector takes it.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

fn volume(record: &FlowRecord) -> Option<Volume> {
    let duration = micros(record.end).saturating_sub(micros(record.start));
    // Zeek has no payload counts for protocols without an analyzer and writes 0.
    let counted = protocol::zeek_name(record.protocol) != "unknown_transport";
    let bytes = |bytes| if counted { bytes } else { 0 };
    (duration > 0).then(|| Volume {
        duration: seconds(duration),
        orig_bytes: bytes(record.forward.payload_bytes),
        resp_bytes: bytes(record.reverse.payload_bytes),
    })
}

/// Microseconds since 1970 fit the 53 bits of a double for 280 years.
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::{CONN_JSON, write_record};
    use crate::file::OutputDir;
    use crate::lines::LineLog;
    use crate::records::Rotation;
    use crate::testing::{MARK, first_line, marked_record, plain_record, tcp_record};
    use crate::way_out::{Entry, WayOut};
    use vxscope_flow::FlowRecord;

    #[test]
    fn a_tcp_flow_has_zeeks_fields_and_ours() {
        check(
            &tcp_record(),
            r#"{"ts":1000.25,"uid":"C002Al26WS","id.orig_h":"10.0.0.1","id.orig_p":1122,"id.resp_h":"10.0.0.2","id.resp_p":80,"proto":"tcp","duration":2.5,"orig_bytes":70,"resp_bytes":1284,"conn_state":"SF","missed_bytes":12,"history":"ShADadFf","orig_pkts":5,"orig_ip_bytes":330,"resp_pkts":4,"resp_ip_bytes":1444,"ip_proto":6,"vni":7,"community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM="}"#,
        );
    }

    #[test]
    fn a_flow_of_a_lowered_source_is_marked() {
        let mark = first_line(write_record, &marked_record())["vxscope"].take();
        assert_eq!(mark.to_string(), MARK);
    }

    #[test]
    fn what_is_unset_in_the_log_is_left_out() {
        let start = plain_record(17).start;
        check(
            &FlowRecord {
                end: start,
                ..plain_record(17)
            },
            r#"{"ts":1000.25,"uid":"C002Al26WS","id.orig_h":"10.0.0.1","id.orig_p":0,"id.resp_h":"10.0.0.2","id.resp_p":0,"proto":"udp","conn_state":"OTH","missed_bytes":0,"orig_pkts":5,"orig_ip_bytes":330,"resp_pkts":4,"resp_ip_bytes":1444,"ip_proto":17,"vni":7,"community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM="}"#,
        );
    }

    fn check(record: &FlowRecord, expected: &str) {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut log = Box::new(LineLog::create(&dir, CONN_JSON, Rotation::NEVER).unwrap());
        log.records(&[Entry::Flow(record.clone())]);
        assert_eq!(log.count().written(), 1);
        let outcome = log.finish();
        assert_eq!(
            (outcome.count.offered(), outcome.error.is_none()),
            (1, true)
        );
        let text = std::fs::read_to_string(guard.path().join("conn.json")).unwrap();
        assert_eq!(text, format!("{expected}\n"));
    }
}
