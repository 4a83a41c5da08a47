//! The program and the steering function give the same worker, shape by shape.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use super::{INSTRUCTIONS_MAX, Program};
use crate::build::{
    ethernet, extension, geneve, ipv4, ipv4_with, ipv6, tcp, tcp_frame, udp, vlan, vxlan,
};
use crate::decapsulate::{Options, Tunnel, decapsulate_datagram};
use crate::frame::parse_frame;
use crate::steer::Steering;

const SEED: u32 = 0xdead_beef;
const VNI: u32 = 0x00ab_cdef;
const TUNNELS: [Tunnel; 2] = [Tunnel::Vxlan, Tunnel::Geneve];
/// What a load balancer adds: class 0x0108, types 1 to 3.
const OPTIONS: [u8; 32] = [
    0x01, 0x08, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, //
    0x01, 0x08, 2, 2, 1, 2, 3, 4, 5, 6, 7, 8, //
    0x01, 0x08, 3, 1, 1, 2, 3, 4,
];

#[test]
fn common_shapes_agree() {
    check(&tcp_frame(20));
    check(&ethernet(0x0800, &ipv4(17, &udp(1_000, 53, b"question"))));
    check(&ethernet(0x86dd, &ipv6(6, &tcp(1_000, 80, 2, b""))));
    check(&ethernet(0x86dd, &ipv6(17, &udp(1_000, 53, b"question"))));
}

#[test]
fn every_number_of_vlan_tags_agrees() {
    for count in 0..=10 {
        for kind in [0x8100_u16, 0x88a8, 0x9100] {
            let (mut ether_type, mut packet) = (0x0800, ipv4(6, &tcp(1_000, 80, 2, b"")));
            for id in 0..count {
                packet = vlan(id, ether_type, &packet);
                ether_type = kind;
            }
            check(&ethernet(ether_type, &packet));
        }
    }
}

#[test]
fn ipv4_options_fragments_and_lengths_agree() {
    for options in 0..=10_u8 {
        let payload = [vec![1; usize::from(options) * 4], tcp(1_000, 80, 2, b"")].concat();
        check(&ethernet(
            0x0800,
            &ipv4_with(0x45 + options, 0, 6, &payload),
        ));
    }
    for fragment in [0x2000, 0x2001, 0x0001, 0x1fff, 0x4000, 0x8000] {
        let packet = ipv4_with(0x45, fragment, 17, &udp(1_000, 53, b"question"));
        check(&ethernet(0x0800, &packet));
    }
    let mut packet = ipv4(6, &tcp(1_000, 80, 2, b""));
    for total in 0..=60 {
        packet[3] = total;
        check(&ethernet(0x0800, &packet));
        check(&ethernet(0x0800, &[&packet[..], &[0; 30]].concat()));
    }
    for version_ihl in 0..=u8::MAX {
        packet[0] = version_ihl;
        check(&ethernet(0x0800, &packet));
    }
}

#[test]
fn every_protocol_agrees() {
    for protocol in 0..=u8::MAX {
        let segment = [3, 1, 0, 0, 7, 7, 7, 7, 1, 0, 0, 0, 0, 0, 0, 0];
        check(&ethernet(0x0800, &ipv4(protocol, &segment)));
        check(&ethernet(0x86dd, &ipv6(protocol, &segment)));
    }
}

#[test]
fn every_chain_of_extension_headers_agrees() {
    for kind in [0, 43, 44, 51, 60, 135, 139, 140] {
        for count in 0..=9 {
            let (mut next, mut payload) = (6, tcp(1_000, 80, 2, b""));
            for _ in 0..count {
                // An authentication header of 16 bytes says 2, any other of 16 bytes says 1.
                payload = match kind {
                    44 => extension(next, 8, &payload),
                    _ => extension(next, 16, &payload),
                };
                payload[1] += u8::from(kind == 51);
                next = kind;
            }
            check(&ethernet(0x86dd, &ipv6(next, &payload)));
        }
    }
}

#[test]
fn ipv6_fragments_and_lengths_agree() {
    for (high, low) in [(0, 0), (0, 1), (0, 8), (0, 9), (0xff, 0xf8), (0, 6)] {
        let mut payload = extension(17, 8, &udp(1_000, 53, b"question"));
        (payload[2], payload[3]) = (high, low);
        check(&ethernet(0x86dd, &ipv6(44, &payload)));
    }
    let mut packet = ipv6(60, &extension(6, 16, &tcp(1_000, 80, 2, b"")));
    for length in 0..=60 {
        packet[5] = length;
        check(&ethernet(0x86dd, &packet));
    }
    for version in 0..=15 {
        packet[0] = version << 4;
        check(&ethernet(0x86dd, &packet));
    }
}

#[test]
fn frames_that_are_not_ip_agree() {
    for ether_type in [0x0806, 0x88cc, 0x8847, 0x0026, 0x8864, 0x05ff] {
        check(&ethernet(ether_type, &[0x45; 40]));
        check(&ethernet(0x8100, &vlan(7, ether_type, &[0x45; 40])));
    }
}

#[test]
fn every_prefix_of_a_datagram_agrees() {
    let chain = extension(43, 16, &extension(6, 8, &tcp(1_000, 80, 2, b"")));
    for frame in [
        tcp_frame(4),
        ethernet(
            0x0800,
            &ipv4_with(0x47, 0, 17, &[&[1; 8][..], &udp(1, 2, b"")].concat()),
        ),
        ethernet(
            0x0800,
            &ipv4_with(0x4f, 0, 47, &[&[1; 40][..], &[0; 9]].concat()),
        ),
        ethernet(0x0800, &ipv4(1, &[8, 0, 0, 0])),
        ethernet(0x8100, &vlan(1, 0x88a8, &vlan(2, 0x86dd, &ipv6(0, &chain)))),
        ethernet(
            0x8100,
            &vlan(1, 0x0800, &ipv4(132, &udp(1_000, 2_000, b""))),
        ),
        ethernet(0x0806, &[0; 28]),
    ] {
        for (tunnel, datagram) in wrapped(&frame) {
            for length in 0..=datagram.len() {
                check_datagram(tunnel, &datagram[..length]);
            }
        }
    }
}

#[test]
fn outer_headers_behind_geneve_agree() {
    let inside = udp(65_000, 4_789, &vxlan(VNI, &tcp_frame(8)));
    let options = ipv4_with(0x48, 0, 17, &[&[1; 12][..], &inside].concat());
    check_datagram(Tunnel::Geneve, &geneve(0, 0x0800, 1, &OPTIONS, &options));
    for count in 0..=9 {
        for kind in [0, 43, 44, 60] {
            let (mut next, mut payload) = (17, inside.clone());
            for _ in 0..count {
                payload = extension(next, 8, &payload);
                next = kind;
            }
            let datagram = geneve(0, 0x86dd, 1, &[], &ipv6(next, &payload));
            assert_eq!(check_datagram(Tunnel::Geneve, &datagram), count <= 8);
        }
    }
    // Shorter lengths than there are bytes: the frame ends there.
    for (at, base) in [(3, 28_u8), (25, 8)] {
        for length in 0..=80 {
            let mut packet = ipv4(17, &inside);
            packet[at] = base + length;
            check_datagram(Tunnel::Geneve, &geneve(0, 0x0800, 1, &OPTIONS, &packet));
        }
    }
}

#[test]
fn copies_of_one_flow_reach_one_worker_through_either_tunnel() {
    for port in 1..500 {
        let there = ethernet(0x0800, &ipv4(6, &tcp(port, 443, 2, b"")));
        let mut back = ethernet(0x0800, &ipv4(6, &tcp(443, port, 0x12, b"")));
        back[26..34].rotate_left(4);
        let mut workers = Vec::new();
        for frame in [there, back] {
            for (tunnel, datagram) in wrapped(&frame) {
                workers.push(program(SEED, 5, tunnel).run(&datagram));
            }
        }
        assert!(workers.iter().all(|worker| *worker == workers[0]));
    }
}

#[test]
fn a_program_is_short_enough_for_every_kernel() {
    // Besides its own limit, the kernel wants the translated program to fit into
    // net.core.optmem_max, 20 KiB by default up to Linux 6.7. 1,004 instructions took 16,000 bytes.
    for tunnel in TUNNELS {
        for workers in [1, 2, 3, u16::MAX] {
            let length = program(SEED, workers, tunnel).instructions().len();
            assert!(length <= 1_100, "{tunnel:?}, {workers} workers: {length}");
        }
    }
    const { assert!(1_100 < INSTRUCTIONS_MAX) };
}

#[test]
fn one_worker_needs_no_look_at_the_packet() {
    assert_eq!(program(SEED, 1, Tunnel::Vxlan).instructions().len(), 1);
}

/// By VXLAN and by GENEVE, with and without a load balancer.
fn wrapped(frame: &[u8]) -> Vec<(Tunnel, Vec<u8>)> {
    let inside = udp(65_000, 4_789, &vxlan(VNI, frame));
    vec![
        (Tunnel::Vxlan, vxlan(VNI, frame)),
        (Tunnel::Geneve, geneve(0, 0x6558, VNI, &[], frame)),
        (
            Tunnel::Geneve,
            geneve(0, 0x0800, 1, &OPTIONS, &ipv4(17, &inside)),
        ),
        (
            Tunnel::Geneve,
            geneve(0, 0x86dd, 1, &OPTIONS, &ipv6(17, &inside)),
        ),
    ]
}

fn check(frame: &[u8]) {
    for (tunnel, datagram) in wrapped(frame) {
        check_datagram(tunnel, &datagram);
    }
}

/// Whether there is a frame inside, for which the two then agree.
fn check_datagram(tunnel: Tunnel, datagram: &[u8]) -> bool {
    let sender = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Ok(opened) = decapsulate_datagram(tunnel, sender, datagram, &Options::default()) else {
        return false;
    };
    let view = parse_frame(opened.frame, opened.original_len);
    for (seed, workers) in [(SEED, 4), (1, 7), (0, 64)] {
        let steering = Steering::new(seed, NonZeroU16::new(workers).unwrap());
        let expected = steering.arrival(&view, opened.frame, opened.source.vni);
        let got = program(seed, workers, tunnel).run(datagram);
        assert_eq!(
            got as usize, expected,
            "{tunnel:?} {datagram:02x?} {view:?}"
        );
    }
    true
}

fn program(seed: u32, workers: u16, tunnel: Tunnel) -> Program {
    Program::steering(seed, NonZeroU16::new(workers).unwrap(), tunnel)
}
