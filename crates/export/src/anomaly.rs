//! Suricata EVE `anomaly` records: what happened that is worth an analyst's look.
//!
//! Suricata writes `anomaly` for what its decoder and parsers find, with a free `type` and
//! `event`; here the type is `vxscope`, so that whoever shows anomalies shows these, and nobody
//! takes them for Suricata's.

use std::net::IpAddr;

use vxscope_flow::CommunityId;
use vxscope_units::{MirrorSource, Timestamp};
use vxscope_wire::{Addresses, Tuple};

use crate::eve::{EveOptions, number, push_ip};
use crate::protocol;
use crate::text::{push_address, push_padded, push_time, text};

/// One thing that happened in one flow.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// What happened, as `anomaly.event` names it.
    pub event: &'static str,
    /// When.
    pub time: Timestamp,
    /// The flow's id.
    pub flow_id: u64,
    /// On whose mirror it was seen.
    pub source: MirrorSource,
    /// Who opened the flow: address and port.
    pub originator: (IpAddr, u16),
    /// Who was to answer.
    pub responder: (IpAddr, u16),
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// The mirrored machine's role.
    pub role: String,
}

/// Appends one record and a newline.
pub fn write_anomaly(out: &mut Vec<u8>, anomaly: &Anomaly, options: &EveOptions) {
    let vni = u64::from(anomaly.source.vni.get());
    text(out, "{\"timestamp\":\"");
    push_time(out, anomaly.time);
    number(out, "\",\"flow_id\":", anomaly.flow_id);
    number(out, ",\"in_iface\":\"vni-", vni);
    text(out, "\",\"event_type\":\"anomaly\",\"src_ip\":\"");
    push_ip(out, anomaly.originator.0, *options);
    number(out, "\",\"src_port\":", anomaly.originator.1.into());
    text(out, ",\"dest_ip\":\"");
    push_ip(out, anomaly.responder.0, *options);
    number(out, "\",\"dest_port\":", anomaly.responder.1.into());
    let family = if anomaly.originator.0.is_ipv4() { 4 } else { 6 };
    number(out, ",\"ip_v\":", family);
    text(out, ",\"proto\":\"");
    match protocol::suricata_name(anomaly.protocol) {
        Some(name) => text(out, name),
        None => push_padded(out, anomaly.protocol.into(), 3),
    }
    text(out, "\",\"community_id\":\"");
    text(out, CommunityId::new(0, &tuple(anomaly)).as_str());
    text(out, "\",\"anomaly\":{\"type\":\"vxscope\",\"event\":\"");
    text(out, anomaly.event);
    text(out, "\"}");
    if !options.strict {
        number(out, ",\"vni\":", vni);
        text(out, ",\"outer_ip\":\"");
        push_address(out, anomaly.source.address);
        text(out, "\",\"role\":");
        // Writing to memory cannot fail, and any text is JSON once it is escaped.
        let _ = serde_json::to_writer(&mut *out, &anomaly.role);
    }
    text(out, "}\n");
}

fn tuple(anomaly: &Anomaly) -> Tuple {
    let addresses = match (anomaly.originator.0, anomaly.responder.0) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 {
            source: source.to_bits(),
            destination: destination.to_bits(),
        },
        (source, destination) => Addresses::V6 {
            source: octets(source),
            destination: octets(destination),
        },
    };
    Tuple {
        addresses,
        source_port: anomaly.originator.1,
        destination_port: anomaly.responder.1,
        protocol: anomaly.protocol,
        one_way: false,
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vxscope_flow::FlowRecord;
    use vxscope_units::Timestamp;

    use super::{Anomaly, write_anomaly};
    use crate::eve::{EveOptions, write_record};
    use crate::testing::{source, tcp_record};

    #[test]
    fn a_never_hit_is_an_anomaly_of_its_flow() {
        assert_eq!(
            line(&anomaly(), false),
            concat!(
                r#"{"timestamp":"1970-01-01T00:00:01.000000+0000","flow_id":123456789012,"#,
                r#""in_iface":"vni-7","event_type":"anomaly","src_ip":"128.232.110.120","src_port":34855,"#,
                r#""dest_ip":"66.35.250.204","dest_port":80,"ip_v":4,"proto":"TCP","#,
                r#""community_id":"1:LQU9qZlK+B5F3KDmev6m5PMibrg=","#,
                r#""anomaly":{"type":"vxscope","event":"never_hit"},"#,
                r#""vni":7,"outer_ip":"192.0.2.1","role":"web-server"}"#,
                "\n"
            )
        );
    }

    /// What both kinds of records name, they name alike, so that they can be joined.
    #[test]
    fn it_agrees_with_the_flow_record() {
        for strict in [false, true] {
            let mut flow = Vec::new();
            write_record(&mut flow, &tcp_flow(), &EveOptions { strict });
            let flow: Value = serde_json::from_slice(&flow).unwrap();
            let anomaly: Value = serde_json::from_str(&line(&anomaly(), strict)).unwrap();
            for key in [
                "flow_id",
                "in_iface",
                "src_ip",
                "src_port",
                "dest_ip",
                "dest_port",
            ] {
                assert_eq!(anomaly[key], flow[key], "{key}");
            }
            for key in ["ip_v", "proto", "community_id", "vni", "outer_ip"] {
                assert_eq!(anomaly.get(key), flow.get(key), "{key}");
            }
            assert_eq!(anomaly.get("role").is_none(), strict);
        }
    }

    #[test]
    fn ipv6_and_odd_names_are_json() {
        let odd = Anomaly {
            originator: ("2001:db8::1".parse().unwrap(), 1),
            responder: ("2001:db8::2".parse().unwrap(), 2),
            role: "a\"b\\c\u{7}ü".to_owned(),
            ..anomaly()
        };
        let json: Value = serde_json::from_str(&line(&odd, false)).unwrap();
        assert_eq!(
            (&json["role"], &json["ip_v"]),
            (&odd.role.as_str().into(), &6.into())
        );
        assert_eq!(json["src_ip"], "2001:db8::1");
    }

    /// The Community ID specification's first example.
    fn tcp_flow() -> FlowRecord {
        FlowRecord {
            originator: "128.232.110.120".parse().expect("an address"),
            originator_port: 34_855,
            responder: "66.35.250.204".parse().expect("an address"),
            responder_port: 80,
            community_id: "1:LQU9qZlK+B5F3KDmev6m5PMibrg=".parse().expect("an id"),
            ..tcp_record()
        }
    }

    fn line(anomaly: &Anomaly, strict: bool) -> String {
        let mut out = Vec::new();
        write_anomaly(&mut out, anomaly, &EveOptions { strict });
        String::from_utf8(out).unwrap()
    }

    fn anomaly() -> Anomaly {
        let record = tcp_flow();
        Anomaly {
            event: "never_hit",
            time: Timestamp::new(1, 0),
            flow_id: record.flow_id,
            source: source(7),
            originator: (record.originator, record.originator_port),
            responder: (record.responder, record.responder_port),
            protocol: record.protocol,
            role: "web-server".to_owned(),
        }
    }
}
