//! Who opened, and who spoke, where a packet or two is all that there is.

use vxscope_wire::{Addresses, TcpSegment, Tuple, protocol};

use super::segment;
use crate::tcp::{
    ConnState, datagram_conn_state, datagram_history, likely_server_port, opens_reversed, role,
};

#[test]
fn who_opened_is_told_by_flags_then_by_ports() {
    let check = |protocol, flags, source_port, destination_port, expected| {
        let addresses = Addresses::V4 {
            source: 1,
            destination: 2,
        };
        let tuple = Tuple {
            addresses,
            source_port,
            destination_port,
            protocol,
            one_way: false,
        };
        let reversed = opens_reversed(&tuple, &segment((' ', flags, 0, 0, 0)));
        assert_eq!(
            reversed, expected,
            "{protocol} {flags} {source_port} {destination_port}"
        );
    };
    check(protocol::TCP, "S", 80, 40_000, false);
    check(protocol::TCP, "SA", 40_000, 40_001, true);
    check(protocol::TCP, "SA", 40_000, 80, true);
    check(protocol::TCP, "A", 80, 40_000, true);
    check(protocol::TCP, "A", 40_000, 80, false);
    check(protocol::TCP, "A", 22, 80, true);
    check(protocol::TCP, "A", 80, 22, false);
    check(protocol::TCP, "R", 443, 50_000, true);
    check(protocol::UDP, "", 53, 40_000, true);
    check(protocol::UDP, "", 53, 53, false);
    check(protocol::UDP, "", 53, 123, false);
    check(protocol::UDP, "", 80, 40_000, false);
    check(protocol::SCTP, "", 80, 40_000, false);

    let addresses = Addresses::V4 {
        source: 1,
        destination: u32::MAX,
    };
    let broadcast = Tuple {
        addresses,
        source_port: 67,
        destination_port: 68,
        protocol: 17,
        one_way: false,
    };
    assert!(!opens_reversed(&broadcast, &TcpSegment::default()));
}

#[test]
fn server_ports_are_found_in_both_tables() {
    for port in [21, 22, 443, 8080, 20_000] {
        assert!(likely_server_port(protocol::TCP, port), "{port}");
    }
    for port in [53, 443, 4_789, 20_000] {
        assert!(likely_server_port(protocol::UDP, port), "{port}");
    }
    assert!(role::SERVER_PORTS_TCP.is_sorted() && role::SERVER_PORTS_UDP.is_sorted());
    assert!(!likely_server_port(protocol::UDP, 22));
    assert!(!likely_server_port(protocol::SCTP, 22));
}

#[test]
fn datagram_flows_tell_who_spoke_in_which_order() {
    let check = |protocol, reversed, packets: [u64; 2], state: ConnState, letters: &str| {
        let [originator, responder] = packets;
        assert_eq!(datagram_conn_state(protocol, originator, responder), state);
        let history = datagram_history(protocol, reversed, originator, responder);
        assert_eq!(history.as_str(), letters);
    };
    check(protocol::UDP, false, [3, 0], ConnState::S0, "D");
    check(protocol::UDP, false, [1, 2], ConnState::Sf, "Dd");
    check(protocol::UDP, true, [0, 1], ConnState::Shr, "^d");
    check(protocol::UDP, true, [1, 1], ConnState::Sf, "^dD");
    check(protocol::ICMP, false, [1, 1], ConnState::Oth, "");
    check(protocol::SCTP, false, [9, 9], ConnState::Oth, "");
}
