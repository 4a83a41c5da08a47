//! `netflow.json`: Suricata's EVE `netflow` records, one for each direction that had packets.

use serde::Serialize;
use vxscope_flow::{FlowRecord, Traffic};

use crate::grade::Marked;
use crate::lines::LineFormat;
use crate::protocol;
use crate::text::{push_time, text};

/// The format for a [`LineLog`](crate::LineLog).
pub const NETFLOW_EVE: LineFormat = LineFormat {
    name: "netflow-eve",
    file: "netflow.json",
    header: "",
    write: write_record,
};

/// One direction of a flow. Field names and order are Suricata's.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    flow_id: u64,
    in_iface: String,
    event_type: &'static str,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    vlan: &'a [u16],
    src_ip: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    dest_ip: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    ip_v: u8,
    proto: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    netflow: Netflow<'a>,
    community_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp>,
    vni: u32,
    outer_ip: std::net::IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    vxscope: Option<Marked>,
}

/// Suricata's `netflow` object, without the TTLs, which records do not keep.
#[derive(Serialize)]
struct Netflow<'a> {
    pkts: u64,
    bytes: u64,
    start: &'a str,
    end: &'a str,
    age: u64,
}

#[derive(Serialize)]
struct Tcp {
    tcp_flags: String,
}

/// One direction.
struct Side {
    traffic: Traffic,
    addresses: [std::net::IpAddr; 2],
    ports: [u16; 2],
    icmp: Option<(u8, u8)>,
    tcp_flags: Option<u8>,
}

fn write_record(out: &mut Vec<u8>, record: &FlowRecord) {
    for side in sides(record).iter().filter(|it| it.traffic.packets > 0) {
        write_side(out, record, side);
    }
}

fn sides(record: &FlowRecord) -> [Side; 2] {
    let tcp = record.tcp.as_ref();
    let forward = Side {
        traffic: record.forward,
        addresses: [record.originator, record.responder],
        ports: [record.originator_port, record.responder_port],
        icmp: record.icmp,
        tcp_flags: tcp.map(|tcp| tcp.originator_flags),
    };
    let reverse = Side {
        traffic: record.reverse,
        addresses: [record.responder, record.originator],
        ports: [record.responder_port, record.originator_port],
        icmp: record.icmp_response,
        tcp_flags: tcp.map(|tcp| tcp.responder_flags),
    };
    [forward, reverse]
}

fn write_side(out: &mut Vec<u8>, record: &FlowRecord, side: &Side) {
    let (closed, start, end) = (time(record.closed), time(record.start), time(record.end));
    let [source, destination] = side.addresses;
    let has_ports = protocol::has_ports(record.protocol);
    let [source_port, destination_port] = side.ports.map(|port| has_ports.then_some(port));
    let known = protocol::suricata_name(record.protocol).map(str::to_owned);
    let line = Line {
        timestamp: &closed,
        flow_id: record.flow_id,
        in_iface: format!("vni-{}", record.source.vni),
        event_type: "netflow",
        vlan: record
            .vlan
            .get(..usize::from(record.vlan_count))
            .unwrap_or_default(),
        src_ip: source,
        src_port: source_port,
        dest_ip: destination,
        dest_port: destination_port,
        ip_v: if source.is_ipv4() { 4 } else { 6 },
        proto: known.unwrap_or_else(|| format!("{:03}", record.protocol)),
        icmp_type: side.icmp.map(|(kind, _)| kind),
        icmp_code: side.icmp.map(|(_, code)| code),
        netflow: Netflow {
            pkts: side.traffic.packets,
            bytes: side.traffic.bytes,
            start: &start,
            end: &end,
            age: record.end.seconds().saturating_sub(record.start.seconds()),
        },
        community_id: record.community_id.as_str(),
        tcp: side.tcp_flags.map(|flags| Tcp {
            tcp_flags: format!("{flags:02x}"),
        }),
        vni: record.source.vni.get(),
        outer_ip: record.source.address,
        vxscope: Marked::of(record),
    };
    // Numbers, text and addresses always have a JSON form, and a vector takes it.
    let _ = serde_json::to_writer(&mut *out, &line);
    text(out, "\n");
}

fn time(time: vxscope_units::Timestamp) -> String {
    let mut out = Vec::with_capacity(31);
    push_time(&mut out, time);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::write_record;
    use crate::testing::{MARK, first_line, marked_record, tcp_record};

    #[test]
    fn a_flow_of_a_lowered_source_is_marked() {
        let mark = |record| first_line(write_record, &record)["vxscope"].take();
        assert_eq!(mark(marked_record()).to_string(), MARK);
        assert!(mark(tcp_record()).is_null());
    }
}
