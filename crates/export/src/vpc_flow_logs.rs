//! `vpc-flow-logs.log`: AWS VPC Flow Logs lines of version 5, one for each direction that had
//! packets, so that what reads flow logs reads mirrored traffic.
//!
//! The mirrored interface is the point of view, as in flow logs: `flow-direction` says which way
//! a line crossed it, where that is known. Accounts, interfaces, instances and VPCs are those of the
//! bind table, and `-` where it does not say. `action` is always `ACCEPT`, because a mirror shows what passed. `bytes` are IP bytes.

use std::io::Write;

use vxscope_flow::{Crossing, FlowRecord, Traffic};
use vxscope_units::Identity;

use crate::lines::LineFormat;

/// The format for a [`LineLog`](crate::LineLog).
pub const VPC_FLOW_LOGS: LineFormat = LineFormat {
    name: "vpc-flow-logs",
    file: "vpc-flow-logs.log",
    header: "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets \
             bytes start end action log-status vpc-id subnet-id instance-id tcp-flags type \
             pkt-srcaddr pkt-dstaddr flow-direction\n",
    write: write_record,
};

/// Flags that flow logs show: FIN, SYN, RST, and ACK only together with SYN.
const SHOWN: u8 = 0x07;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

fn write_record(out: &mut Vec<u8>, record: &FlowRecord) {
    let flags = record
        .tcp
        .as_ref()
        .map_or([0; 2], |tcp| [tcp.originator_flags, tcp.responder_flags]);
    let [forward, reverse] = directions(record.crossing);
    let ends = [
        (record.originator, record.originator_port),
        (record.responder, record.responder_port),
    ];
    let [there, back] = [ends, [ends[1], ends[0]]];
    write_side(out, record, there, &record.forward, flags[0], forward);
    write_side(out, record, back, &record.reverse, flags[1], reverse);
}

/// Of the first packet's direction, and of the other.
fn directions(crossing: Crossing) -> [&'static str; 2] {
    match crossing {
        Crossing::Ingress => ["ingress", "egress"],
        Crossing::Egress => ["egress", "ingress"],
        Crossing::Unknown => ["-", "-"],
    }
}

fn write_side(
    out: &mut Vec<u8>,
    record: &FlowRecord,
    ends: [(std::net::IpAddr, u16); 2],
    traffic: &Traffic,
    flags: u8,
    direction: &str,
) {
    if traffic.packets == 0 {
        return;
    }
    let [(source, source_port), (destination, destination_port)] = ends;
    // Flow logs have no ports for protocols without any, and write 0 there.
    let [source_port, destination_port] = [source_port, destination_port].map(|port| {
        if crate::protocol::has_ports(record.protocol) {
            port
        } else {
            0
        }
    });
    let identity = record.identity.as_deref();
    let id =
        |of: fn(&Identity) -> Option<&String>| identity.and_then(of).map_or("-", String::as_str);
    let account = id(|it| it.account.as_ref());
    let interface = id(|it| it.interface.as_ref());
    let vpc = id(|it| it.vpc.as_ref());
    let instance = id(|it| it.instance.as_ref());
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    let line = format_args!(
        "5 {account} {interface} {source} {destination} {source_port} {destination_port} {} {} {} {} {} ACCEPT OK {vpc} - \
         {instance} {} {family} {source} {destination} {direction}\n",
        record.protocol,
        traffic.packets,
        traffic.ip_bytes,
        record.start.seconds(),
        record.end.seconds(),
        shown(flags),
    );
    // A vector takes what is written to it.
    let _ = out.write_fmt(line);
}

/// The OR of the flags as flow logs show it: 18 for SYN-ACK, nothing for ACK alone.
fn shown(flags: u8) -> u8 {
    let syn_ack = if flags & SYN != 0 { flags & ACK } else { 0 };
    flags & SHOWN | syn_ack
}

#[cfg(test)]
mod tests {
    use super::{VPC_FLOW_LOGS, shown};
    use crate::testing::{ipv6_record, known_record, tcp_record};
    use vxscope_flow::{Crossing, FlowRecord, Traffic};

    #[test]
    fn a_flow_is_a_line_for_each_direction() {
        check(
            &tcp_record(),
            &[
                "5 - - 10.0.0.1 10.0.0.2 1122 80 6 5 330 1000 1002 ACCEPT OK - - - 19 IPv4 10.0.0.1 10.0.0.2 ingress",
                "5 - - 10.0.0.2 10.0.0.1 80 1122 6 4 1444 1000 1002 ACCEPT OK - - - 19 IPv4 10.0.0.2 10.0.0.1 egress",
            ],
        );
    }

    #[test]
    fn a_source_that_aws_knows_is_named() {
        let record = FlowRecord {
            reverse: Traffic::default(),
            ..known_record()
        };
        check(
            &record,
            &[
                "5 123456789012 eni-0123456789abcdef0 10.0.0.1 10.0.0.2 1122 80 6 5 330 1000 1002 ACCEPT OK vpc-0123456789abcdef0 - i-0123456789abcdef0 19 IPv4 10.0.0.1 10.0.0.2 ingress",
            ],
        );
    }

    #[test]
    fn a_direction_without_packets_has_no_line() {
        let record = FlowRecord {
            reverse: Traffic::default(),
            crossing: Crossing::Unknown,
            ..ipv6_record(50)
        };
        check(
            &record,
            &[
                "5 - - 2001:db8::1 2001:db8::2 0 0 50 5 330 1000 1002 ACCEPT OK - - - 0 IPv6 2001:db8::1 2001:db8::2 -",
            ],
        );
    }

    #[test]
    fn flags_are_those_that_flow_logs_show() {
        for (flags, expected) in [
            (0x02, 2),
            (0x12, 18),
            (0x10, 0),
            (0x18, 0),
            (0x11, 1),
            (0x14, 4),
        ] {
            assert_eq!(shown(flags), expected, "{flags:#x}");
        }
    }

    #[test]
    fn a_line_has_as_many_fields_as_the_header() {
        let mut out = Vec::new();
        (VPC_FLOW_LOGS.write)(&mut out, &tcp_record());
        let text = String::from_utf8(out).unwrap();
        for line in text.lines() {
            let fields = VPC_FLOW_LOGS.header.split_whitespace().count();
            assert_eq!(line.split(' ').count(), fields);
        }
    }

    fn check(record: &FlowRecord, lines: &[&str]) {
        let mut out = Vec::new();
        (VPC_FLOW_LOGS.write)(&mut out, record);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
