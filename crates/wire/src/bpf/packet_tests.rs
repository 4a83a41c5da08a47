//! The programs for whole packets: that they agree with what opens them, and with each other.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::{Ancillary, OTHER_HOST, Program, Selection};
use crate::build::{
    ethernet, extension, geneve, ipv4, ipv4_with, ipv6, tcp, tcp_frame, udp, vlan, vxlan,
};
use crate::decapsulate::{Options, decapsulate_datagram};
use crate::frame::parse_frame;
use crate::outer::open_packet;
use crate::ports::Ports;
use crate::steer::Steering;

const SEED: u32 = 0xfeed_beef;
const VNI: u32 = 77;
const FOUR: NonZeroU16 = NonZeroU16::new(4).unwrap();
const SEVEN: NonZeroU16 = NonZeroU16::new(7).unwrap();
const MANY: NonZeroU16 = NonZeroU16::new(64).unwrap();

#[test]
fn every_wrapping_of_every_shape_agrees() {
    let chain = extension(43, 16, &extension(6, 8, &tcp(1_000, 80, 2, b"")));
    for frame in [
        tcp_frame(20),
        ethernet(0x0800, &ipv4(17, &udp(1_000, 53, b"question"))),
        ethernet(0x86dd, &ipv6(6, &tcp(1_000, 80, 2, b""))),
        ethernet(0x86dd, &ipv6(0, &chain)),
        ethernet(0x8100, &vlan(7, 0x0800, &ipv4(6, &tcp(9, 80, 2, b"")))),
        ethernet(0x0806, &[7; 28]),
        ethernet(0x0800, &ipv4_with(0x45, 0x2000, 17, &udp(1, 53, b"first"))),
    ] {
        let mut workers = Vec::new();
        for packet in packets(&frame) {
            workers.push(check(&packet).expect("it opens"));
            for length in 0..packet.len() {
                check(&packet[..length]);
            }
            // Padded by the link layer, and with other lengths than it has.
            check(&[&packet[..], &[0; 18]].concat());
            for (at, value) in [(3, 40), (2, 1), (24, 0), (25, 30), (5, 20)] {
                let mut wrong = packet.clone();
                wrong[at] = value;
                check(&wrong);
            }
        }
        assert!(workers.iter().all(|worker| *worker == workers[0]));
    }
}

#[test]
fn both_directions_meet() {
    for port in 1..300 {
        let there = ethernet(0x0800, &ipv4(6, &tcp(port, 443, 2, b"")));
        let mut back = ethernet(0x0800, &ipv4(6, &tcp(443, port, 0x12, b"")));
        back[26..34].rotate_left(4);
        let workers = [there, back].map(|frame| packets(&frame).map(|it| check(&it).unwrap()));
        assert!(workers.as_flattened().iter().all(|it| *it == workers[0][0]));
    }
}

#[test]
fn what_is_selected_can_be_opened_and_the_other_way_round() {
    let all = Program::selecting(&Selection {
        ports: vec![4_789, 4_790, 6_081],
        address: None,
    });
    for packet in packets(&tcp_frame(4)) {
        let ancillary = about(&packet);
        assert!(all.run_with(&packet, &ancillary) as usize >= packet.len());
        let other = Ancillary {
            addressee: OTHER_HOST,
            ..ancillary
        };
        assert_eq!(all.run_with(&packet, &other), 0);
        let arp = Ancillary {
            ether_type: 0x0806,
            ..ancillary
        };
        assert_eq!(all.run_with(&packet, &arp), 0);
    }
    for (packet, selected) in [
        (ipv4(17, &udp(4_789, 53, b"to another port")), false),
        (ipv4(6, &tcp(1, 4_789, 2, b"")), false),
        (
            ipv4_with(0x45, 0x2000, 17, &udp(1, 4_789, b"first fragment")),
            true,
        ),
        (
            ipv4_with(0x45, 0x0001, 17, &udp(1, 4_789, b"later one")),
            false,
        ),
        (
            ipv6(44, &extension(17, 8, &udp(1, 4_789, b"fragment"))),
            true,
        ),
        (ipv6(58, &udp(1, 4_789, b"")), false),
    ] {
        let kept = all.run_with(&packet, &about(&packet)) > 0;
        assert_eq!(kept, selected, "{packet:02x?}");
    }
}

#[test]
fn an_address_selects() {
    let (ours, theirs) = (ipv4(17, &udp(1, 4_789, b"")), ipv6(17, &udp(1, 4_789, b"")));
    for (address, v4, v6) in [
        ("0.0.0.0", true, false),
        ("10.9.8.7", true, false),
        ("10.9.8.6", false, false),
        ("::", false, true),
        ("2001:db8::2", false, true),
        ("2001:db8::3", false, false),
    ] {
        let selection = Selection {
            ports: vec![4_789],
            address: Some(address.parse::<IpAddr>().unwrap()),
        };
        let program = Program::selecting(&selection);
        let selects = |packet: &[u8]| program.run_with(packet, &about(packet)) > 0;
        assert_eq!((selects(&ours), selects(&theirs)), (v4, v6), "{address}");
    }
}

#[test]
fn one_worker_needs_no_look_at_the_packet() {
    let program = Program::steering_packets(SEED, NonZeroU16::MIN, &options());
    assert_eq!(program.instructions().len(), 1);
}

fn options() -> Options {
    Options {
        vxlan_ports: Ports::try_new(&[4_789, 4_790]).unwrap(),
        ..Options::default()
    }
}

/// The frame in every tunnel, in IP of either version, with and without options.
fn packets(frame: &[u8]) -> [Vec<u8>; 8] {
    let inside = udp(65_000, 4_789, &vxlan(VNI, frame));
    let balanced = geneve(0, 0x0800, 1, &[1, 8, 1, 1, 0, 0, 0, 0], &ipv4(17, &inside));
    let through = |datagram: &[u8]| udp(9, 6_081, datagram);
    [
        ipv4(17, &inside),
        ipv4(17, &udp(3, 4_790, &vxlan(VNI, frame))),
        ipv4_with(0x47, 0, 17, &[&[1; 8][..], &inside].concat()),
        ipv6(17, &inside),
        ipv6(60, &extension(17, 16, &inside)),
        ipv4(17, &through(&geneve(0, 0x6558, VNI, &[], frame))),
        ipv4(17, &through(&balanced)),
        ipv6(17, &through(&balanced)),
    ]
}

fn about(packet: &[u8]) -> Ancillary {
    let ether_type = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    Ancillary {
        ether_type,
        addressee: 0,
    }
}

/// The worker of this packet, if a frame is in it: program and function agree.
fn check(packet: &[u8]) -> Option<u32> {
    let options = options();
    let carried = open_packet(packet, &options).ok()?;
    let opened =
        decapsulate_datagram(carried.tunnel, carried.source, carried.payload, &options).ok()?;
    let cut = carried.original_len as usize - carried.payload.len();
    let original_len = opened.original_len + u32::try_from(cut).unwrap();
    let view = parse_frame(opened.frame, original_len);
    let mut found = 0;
    for (seed, workers) in [(1, SEVEN), (0, MANY), (SEED, FOUR)] {
        let steering = Steering::new(seed, workers);
        let expected = steering.arrival(&view, opened.frame, opened.source.vni);
        found = Program::steering_packets(seed, workers, &options).run(packet);
        assert_eq!(found as usize, expected, "{packet:02x?} {view:?}");
    }
    Some(found)
}
