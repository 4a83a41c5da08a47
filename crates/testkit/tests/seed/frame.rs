//! Inner frames: every layer that the parser knows, whole, cut and contradictory.

use vxscope_testkit::property::{frame_input, steering_input};
use vxscope_testkit::{Frame, Geneve, Vxlan, tcp};
use vxscope_wire::Tunnel;

use super::Seed;

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.9";
const A6: &str = "fd00::5";
const B6: &str = "fd00::9";

pub(crate) fn seeds() -> Vec<Seed> {
    let all = [transports(), network(), links()].concat();
    let mut seeds: Vec<Seed> = all
        .into_iter()
        .map(|(name, bytes)| (name, frame_input(0, &bytes)))
        .collect();
    let long = Frame::udp("10.0.0.5:4000", "10.0.0.9:53")
        .payload(&[7; 400])
        .bytes();
    seeds.push(("udp-cut", frame_input(442, &long[..90])));
    let mut offloaded = Frame::tcp("10.0.0.5:4000", "10.0.0.9:80").bytes();
    offloaded[16..18].fill(0);
    seeds.push(("offloaded-ipv4", frame_input(9_000, &offloaded)));
    let mut jumbogram = Frame::udp("[fd00::5]:1", "[fd00::9]:2").bytes();
    jumbogram[18..20].fill(0);
    seeds.push(("jumbogram", frame_input(60_000, &jumbogram)));
    seeds
}

/// The same frames as a socket receives them: every other one through GENEVE, and last one
/// behind a load balancer.
pub(crate) fn mirrored() -> Vec<Seed> {
    let all = [transports(), network(), links()].concat();
    let vxlan = Vxlan::new("192.0.2.1", 0x12_3456);
    let geneve = Geneve::new("192.0.2.1", 0x65_4321).option(0x0108, 1, &[1; 8]);
    let mut seeds: Vec<Seed> = all
        .into_iter()
        .zip([Tunnel::Vxlan, Tunnel::Geneve].into_iter().cycle())
        .map(|((name, frame), tunnel)| {
            let payload = match tunnel {
                Tunnel::Vxlan => vxlan.datagram(&frame),
                Tunnel::Geneve => geneve.datagram(&frame),
            };
            (name, steering_input(tunnel, &payload))
        })
        .collect();
    let frame = Frame::tcp("10.0.0.5:40000", "10.0.0.9:443").bytes();
    let payload = Geneve::gwlb("192.0.2.1").datagram(&vxlan.ip_packet(&frame));
    seeds.push(("load-balancer", steering_input(Tunnel::Geneve, &payload)));
    seeds
}

fn transports() -> Vec<Seed> {
    let syn = Frame::tcp("10.0.0.5:40000", "10.0.0.9:443").flags(tcp::SYN);
    let answer = Frame::tcp("[fd00::9]:443", "[fd00::5]:40000").flags(tcp::SYN | tcp::ACK);
    let echo = |kind| Frame::icmp(A, B, kind, 0, [0, 1, 0, 2]).payload(b"ping");
    let about = Frame::udp("10.0.0.9:53", "10.0.0.5:4000").ip_bytes();
    vec![
        ("tcp", syn.clone().seq(7).bytes()),
        (
            "tcp-options",
            syn.options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]).bytes(),
        ),
        ("tcp-v6", answer.payload(b"hello").bytes()),
        (
            "tcp-reset",
            Frame::tcp("10.0.0.5:1", "10.0.0.5:1")
                .flags(tcp::RST | tcp::SYN)
                .bytes(),
        ),
        (
            "udp",
            Frame::udp("10.0.0.5:4000", "10.0.0.9:53")
                .payload(b"question")
                .bytes(),
        ),
        (
            "udp-v6",
            Frame::udp("[fd00::5]:5353", "[ff02::fb]:5353")
                .payload(b"all")
                .bytes(),
        ),
        (
            "udp-broadcast",
            Frame::udp("10.0.0.5:68", "255.255.255.255:67").bytes(),
        ),
        (
            "sctp",
            Frame::sctp("10.0.0.5:2905", "10.0.0.9:2905")
                .payload(b"m3ua")
                .bytes(),
        ),
        ("icmp-echo", echo(8).bytes()),
        ("icmp-answer", echo(0).bytes()),
        (
            "icmp-unreachable",
            Frame::icmp(A, B, 3, 3, [0; 4]).payload(&about).bytes(),
        ),
        ("icmp-to-self", Frame::icmp(A, A, 5, 1, [0; 4]).bytes()),
        (
            "icmpv6-echo",
            Frame::icmp(A6, B6, 128, 0, [0, 1, 0, 2]).bytes(),
        ),
        (
            "icmpv6-neighbour",
            Frame::icmp(A6, B6, 135, 0, [0; 4])
                .payload(&[0xfd; 16])
                .bytes(),
        ),
        (
            "gre",
            Frame::ip(A, B, 47).payload(&[0, 0, 8, 0, 0x45]).bytes(),
        ),
        ("esp-v6", Frame::ip(A6, B6, 50).payload(&[9; 12]).bytes()),
    ]
}

fn network() -> Vec<Seed> {
    let big = Frame::udp("10.0.0.5:4000", "10.0.0.9:53")
        .id(77)
        .payload(&[1; 40]);
    let big6 = Frame::udp("[fd00::5]:4000", "[fd00::9]:53")
        .id(78)
        .payload(&[1; 40]);
    let (pieces, pieces6) = (big.fragments(24), big6.fragments(24));
    let ports = [0x9c, 0x40, 0, 80];
    let udp = [&ports[..], &[0, 8, 0, 0]].concat();
    // Hop-by-hop, routing, destination options, atomic fragment, authentication, then UDP.
    let chain = [
        &[43, 0, 5, 2, 0, 0, 1, 0][..],
        &[60, 0, 0, 0, 0, 0, 0, 0],
        &[44, 0, 1, 4, 0, 0, 0, 0],
        &[51, 0, 0, 0, 0, 0, 0, 9],
        &[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],
        &udp,
    ]
    .concat();
    let endless = [60, 0, 1, 4, 0, 0, 0, 0].repeat(10);
    let mut options = Frame::ip(A, B, 17)
        .payload(&[&[1; 8][..], &udp].concat())
        .bytes();
    options[14] = 0x47;
    let mut short_total = Frame::tcp("10.0.0.5:1", "10.0.0.9:2").bytes();
    short_total[17] = 10;
    let mut version = Frame::tcp("10.0.0.5:1", "10.0.0.9:2").bytes();
    version[14] = 0x55;
    vec![
        ("fragment-first", pieces[0].clone()),
        ("fragment-later", pieces[1].clone()),
        ("fragment-first-v6", pieces6[0].clone()),
        ("fragment-later-v6", pieces6[1].clone()),
        ("extensions", Frame::ip(A6, B6, 0).payload(&chain).bytes()),
        (
            "extensions-endless",
            Frame::ip(A6, B6, 60).payload(&endless).bytes(),
        ),
        ("ipv4-options", options),
        ("ipv4-total-too-short", short_total),
        ("ipv4-wrong-version", version),
        (
            "padded",
            Frame::udp("10.0.0.5:1", "10.0.0.9:2").trailer(18).bytes(),
        ),
    ]
}

fn links() -> Vec<Seed> {
    let plain = || Frame::udp("10.0.0.5:4000", "10.0.0.9:53");
    let ethernet = |kind: u16, payload: &[u8]| {
        let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        [&macs[..], &kind.to_be_bytes(), payload].concat()
    };
    let nine = (0..9).fold(plain(), Frame::vlan);
    vec![
        ("vlan", plain().vlan(5).bytes()),
        ("qinq", plain().service_vlan(100).vlan(5).bytes()),
        (
            "three-tags",
            plain().service_vlan(1).vlan(2).vlan(3).bytes(),
        ),
        ("nine-tags", nine.bytes()),
        ("arp", ethernet(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1])),
        ("mpls", ethernet(0x8847, &[0, 1, 0x01, 64, 0x45])),
        ("llc", ethernet(3, &[0x42, 0x42, 3])),
        ("no-payload", ethernet(0x0800, &[])),
    ]
}
