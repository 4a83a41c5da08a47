//! `eve.json`: Suricata EVE `flow` records, one JSON object a line.
//!
//! Names, order and meaning are Suricata's (`doc/userguide/output/eve/eve-json-format`), so that
//! what reads Suricata's file reads this one. Byte counts are captured layer-2 bytes.

use std::net::IpAddr;

use vxscope_flow::tcp::TcpPhase;
use vxscope_flow::{CloseReason, FlowRecord, TcpRecord};
use vxscope_units::{Identity, Timestamp};

use crate::anomaly::write_anomaly;
use crate::error::ExportError;
use crate::file::OutputDir;
use crate::grade::{push_mark, write_grade_change};
use crate::protocol;
use crate::records::{Layout, Named, RecordFile, Rotation};
use crate::sink::{SinkCount, SinkOutcome};
use crate::text::{
    push_address, push_address_full, push_hex, push_padded, push_time, push_u64, text,
};
use crate::way_out::{Entry, Offered, WayOut};

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
        if let Some(identity) = &record.identity {
            push_identity(out, identity);
        }
        if let Some(mark) = &record.mark {
            push_mark(out, mark);
        }
    }
    text(out, "}\n");
}

/// The file `eve.json`, or a series of such files. Strict ones leave out changes of grades.
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

    fn push(&mut self, entry: &Entry) {
        let options = self.options;
        match entry {
            Entry::Flow(record) => {
                let at = record.closed;
                self.file
                    .push(1, at, |out| write_record(out, record, &options));
            }
            Entry::Anomaly(anomaly) => {
                let at = anomaly.time;
                self.file
                    .push(1, at, |out| write_anomaly(out, anomaly, &options));
            }
            Entry::Grade(change) => {
                if !options.strict {
                    self.file
                        .push(0, change.at, |out| write_grade_change(out, change));
                }
            }
        }
    }
}

impl WayOut for EveLog {
    fn records(&mut self, entries: &[Entry]) {
        entries.iter().for_each(|entry| self.push(entry));
    }

    fn tick(&mut self, now: Timestamp) {
        self.file.tick(now);
    }

    fn count(&self) -> SinkCount {
        *self.file.count()
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
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

/// Who the source is to AWS: what is known of it.
fn push_identity(out: &mut Vec<u8>, identity: &Identity) {
    let ids = [
        ("interface_id", &identity.interface),
        ("instance_id", &identity.instance),
        ("vpc_id", &identity.vpc),
        ("account_id", &identity.account),
    ];
    text(out, ",\"aws\":{");
    let known = ids
        .into_iter()
        .filter_map(|(key, id)| Some((key, id.as_ref()?)));
    for (place, (key, id)) in known.enumerate() {
        text(out, if place == 0 { "\"" } else { ",\"" });
        text(out, key);
        text(out, "\":");
        // Writing to memory cannot fail, and any text is JSON once it is escaped.
        let _ = serde_json::to_writer(&mut *out, id);
    }
    text(out, "}");
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
mod tests;
