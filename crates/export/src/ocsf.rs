//! `ocsf.json`: OCSF 1.5.0 Network Activity (class 4001), one JSON object a line, for security
//! lakes and whatever else reads the Open Cybersecurity Schema Framework.

use std::net::IpAddr;

use serde::Serialize;
use vxscope_flow::tcp::ConnState;
use vxscope_flow::{CloseReason, Crossing, FlowRecord};
use vxscope_units::{Identity, Timestamp};

use crate::grade::Marked;
use crate::lines::LineFormat;
use crate::protocol;

/// The format for a [`LineLog`](crate::LineLog).
pub const OCSF: LineFormat = LineFormat {
    name: "ocsf",
    file: "ocsf.json",
    header: "",
    write: write_record,
};

/// Version of the schema.
const VERSION: &str = "1.5.0";
const CATEGORY: u32 = 4;
const CLASS: u32 = 4001;
/// Type of an account "AWS Account".
const AWS_ACCOUNT: u32 = 10;
/// Severity "Informational".
const SEVERITY: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    activity_id: u32,
    category_uid: u32,
    class_uid: u32,
    type_uid: u32,
    severity_id: u32,
    /// Milliseconds since 1970, like the two below: when the record was made.
    time: u64,
    start_time: u64,
    end_time: u64,
    duration: u64,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<Cloud<'a>>,
    connection_info: Connection<'a>,
    src_endpoint: Endpoint<'a>,
    dst_endpoint: Endpoint<'a>,
    traffic: Traffic,
    unmapped: Unmapped,
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    product: Product,
    uid: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    profiles: &'static [&'static str],
}

/// Of the profile `cloud`.
#[derive(Serialize)]
struct Cloud<'a> {
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account<'a>>,
}

#[derive(Serialize)]
struct Account<'a> {
    uid: &'a str,
    /// AWS account.
    type_id: u32,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Connection<'a> {
    uid: String,
    community_uid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    flag_history: &'a str,
    protocol_num: u32,
    protocol_name: String,
    protocol_ver_id: u32,
    direction_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_flags: Option<u32>,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_uid: Option<&'a str>,
}

/// From the source's point of view: out is what the originator sent.
#[derive(Serialize)]
struct Traffic {
    bytes: u64,
    bytes_in: u64,
    bytes_out: u64,
    packets: u64,
    packets_in: u64,
    packets_out: u64,
}

/// What the schema has no place for.
#[derive(Serialize)]
struct Unmapped {
    vni: u32,
    outer_ip: IpAddr,
    close_reason: &'static str,
    conn_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirrored: Option<Marked>,
}

fn write_record(out: &mut Vec<u8>, record: &FlowRecord) {
    let activity = activity(record);
    let has_ports = protocol::has_ports(record.protocol);
    let identity = record.identity.as_deref();
    // The mirrored interface is the end that the packets left or reached, where that is known.
    let endpoint = |ip, port: u16, its_crossing| {
        let mirrored = identity.filter(|_| record.crossing == its_crossing);
        Endpoint {
            ip,
            port: has_ports.then_some(port),
            interface_uid: mirrored.and_then(|it| it.interface.as_deref()),
            instance_uid: mirrored.and_then(|it| it.instance.as_deref()),
            vpc_uid: mirrored.and_then(|it| it.vpc.as_deref()),
        }
    };
    let (forward, reverse) = (&record.forward, &record.reverse);
    let (start, end) = (millis(record.start), millis(record.end));
    let line = Line {
        activity_id: activity,
        category_uid: CATEGORY,
        class_uid: CLASS,
        type_uid: CLASS * 100 + activity,
        severity_id: SEVERITY,
        time: millis(record.closed),
        start_time: start,
        end_time: end,
        duration: end.saturating_sub(start),
        metadata: Metadata {
            version: VERSION,
            product: Product {
                name: "vxscope",
                vendor_name: "vxscope",
                version: env!("CARGO_PKG_VERSION"),
            },
            uid: record.flow_id.to_string(),
            profiles: if identity.is_some() { &["cloud"] } else { &[] },
        },
        cloud: identity.map(cloud),
        connection_info: Connection {
            uid: record.flow_id.to_string(),
            community_uid: record.community_id.as_str(),
            flag_history: record.history.as_str(),
            protocol_num: record.protocol.into(),
            protocol_name: protocol::zeek_name(record.protocol).to_owned(),
            protocol_ver_id: if record.originator.is_ipv4() { 4 } else { 6 },
            direction_id: match record.crossing {
                Crossing::Ingress => 1,
                Crossing::Egress => 2,
                Crossing::Unknown => 0,
            },
            tcp_flags: record
                .tcp
                .as_ref()
                .map(|tcp| u32::from(tcp.originator_flags | tcp.responder_flags)),
        },
        src_endpoint: endpoint(record.originator, record.originator_port, Crossing::Egress),
        dst_endpoint: endpoint(record.responder, record.responder_port, Crossing::Ingress),
        traffic: Traffic {
            bytes: forward.bytes.saturating_add(reverse.bytes),
            bytes_in: reverse.bytes,
            bytes_out: forward.bytes,
            packets: forward.packets.saturating_add(reverse.packets),
            packets_in: reverse.packets,
            packets_out: forward.packets,
        },
        unmapped: Unmapped {
            vni: record.source.vni.get(),
            outer_ip: record.source.address,
            close_reason: record.reason.name(),
            conn_state: record.conn_state.name(),
            mirrored: Marked::of(record),
        },
    };
    // Numbers, text and addresses always have a JSON form, and a vector takes it.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

fn cloud(identity: &Identity) -> Cloud<'_> {
    let account = identity.account.as_deref();
    Cloud {
        provider: "AWS",
        account: account.map(|uid| Account {
            uid,
            type_id: AWS_ACCOUNT,
        }),
    }
}

/// Close, Reset, Fail, Refuse, or plain Traffic for a flow whose end was not seen.
fn activity(record: &FlowRecord) -> u32 {
    match (record.conn_state, record.reason) {
        (ConnState::Rej, _) => 5,
        (ConnState::S0 | ConnState::Sh, _) if record.tcp.is_some() => 4,
        (_, CloseReason::Rst) => 3,
        (_, CloseReason::Fin) => 2,
        _ => 6,
    }
}

fn millis(time: Timestamp) -> u64 {
    time.as_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::write_record;
    use crate::testing::{MARK, first_line, known_record, marked_record, tcp_record};
    use vxscope_flow::{Crossing, FlowRecord};

    #[test]
    fn the_mirrored_end_is_the_one_that_packets_crossed() {
        for (crossing, end) in [
            (Crossing::Egress, Some("src_endpoint")),
            (Crossing::Ingress, Some("dst_endpoint")),
            (Crossing::Unknown, None),
        ] {
            let record = FlowRecord {
                crossing,
                ..known_record()
            };
            let line = first_line(write_record, &record);
            assert_eq!(line["cloud"]["account"]["uid"], "123456789012");
            for key in ["src_endpoint", "dst_endpoint"] {
                let expected = (Some(key) == end).then_some("i-0123456789abcdef0");
                assert_eq!(line[key]["instance_uid"].as_str(), expected, "{key}");
            }
        }
        assert!(first_line(write_record, &tcp_record())["cloud"].is_null());
    }

    #[test]
    fn a_flow_of_a_lowered_source_is_marked() {
        let mark = |record| first_line(write_record, &record)["unmapped"]["mirrored"].take();
        assert_eq!(mark(marked_record()).to_string(), MARK);
        assert!(mark(tcp_record()).is_null());
    }
}
