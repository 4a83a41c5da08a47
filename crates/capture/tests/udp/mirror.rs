//! Mirrored traffic: inner frames in eleven encodings, in VXLAN and as a load balancer wraps it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// How the frames of a flow are built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    pub(crate) name: &'static str,
    tags: &'static [u16],
    v6: bool,
    /// IPv4 options, in bytes.
    options: usize,
    /// IPv6 extension headers.
    extensions: &'static [u8],
    pub(crate) protocol: u8,
}

const PLAIN: Encoding = Encoding {
    name: "IPv4 TCP",
    tags: &[],
    v6: false,
    options: 0,
    extensions: &[],
    protocol: 6,
};

const V6: Encoding = Encoding {
    name: "IPv6 TCP",
    v6: true,
    ..PLAIN
};

pub(crate) const ENCODINGS: [Encoding; 11] = [
    PLAIN,
    Encoding {
        name: "IPv4 UDP",
        protocol: 17,
        ..PLAIN
    },
    Encoding {
        name: "IPv4 options",
        options: 12,
        ..PLAIN
    },
    Encoding {
        name: "802.1Q",
        tags: &[0x8100],
        ..PLAIN
    },
    Encoding {
        name: "802.1ad",
        tags: &[0x88a8, 0x8100],
        ..PLAIN
    },
    Encoding {
        name: "three tags",
        tags: &[0x88a8, 0x8100, 0x8100],
        ..PLAIN
    },
    Encoding {
        name: "ICMP",
        protocol: 1,
        ..PLAIN
    },
    V6,
    Encoding {
        name: "IPv6 UDP, 802.1Q",
        tags: &[0x8100],
        protocol: 17,
        ..V6
    },
    Encoding {
        name: "IPv6 hop-by-hop",
        extensions: &[0],
        ..V6
    },
    Encoding {
        name: "IPv6 hop-by-hop, destination, routing",
        extensions: &[0, 60, 43],
        ..V6
    },
];

/// A conversation, as its first packet has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) number: u32,
    pub(crate) vni: u32,
    /// Hosts, in either family.
    pub(crate) hosts: [u32; 2],
    pub(crate) ports: [u16; 2],
}

impl Flow {
    /// A frame of the flow, which ends in its number.
    pub(crate) fn frame(&self, encoding: &Encoding, back: bool) -> Vec<u8> {
        let (mut hosts, mut ports) = (self.hosts, self.ports);
        if back {
            hosts.reverse();
            ports.reverse();
        }
        let segment = self.segment(encoding.protocol, ports, back);
        let (ether_type, packet) = if encoding.v6 {
            (0x86dd, ipv6(encoding, hosts, segment))
        } else {
            (0x0800, ipv4(encoding, hosts, &segment))
        };
        let mut frame = vec![0x02; 12];
        frame[if back { 5 } else { 11 }] = 0x03;
        for kind in encoding.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend([0x20, 7]);
        }
        frame.extend(u16::to_be_bytes(ether_type));
        frame.extend(packet);
        frame
    }

    fn segment(&self, protocol: u8, [source, target]: [u16; 2], back: bool) -> Vec<u8> {
        let ports = [source.to_be_bytes(), target.to_be_bytes()].concat();
        let mut segment = match protocol {
            1 => vec![if back { 0 } else { 8 }, 0, 0, 0, 0, 1, 0, 1],
            6 => [
                &ports[..],
                &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0],
            ]
            .concat(),
            _ => [&ports[..], &[0, 12, 0, 0]].concat(),
        };
        segment.extend(self.number.to_be_bytes());
        segment
    }
}

/// The number of the flow that a frame belongs to.
pub(crate) fn flow_number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame.last_chunk().unwrap())
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap().to_be_bytes()
}

fn ipv4(encoding: &Encoding, hosts: [u32; 2], segment: &[u8]) -> Vec<u8> {
    let header_len = 20 + encoding.options;
    let [l1, l2] = length(header_len + segment.len());
    let version_ihl = 0x40 + u8::try_from(header_len / 4).unwrap();
    let mut packet = vec![
        version_ihl,
        0,
        l1,
        l2,
        0,
        7,
        0x40,
        0,
        64,
        encoding.protocol,
        0,
        0,
    ];
    packet.extend(hosts.map(u32::to_be_bytes).as_flattened());
    packet.resize(header_len, 1);
    packet.extend(segment);
    packet
}

fn ipv6(encoding: &Encoding, hosts: [u32; 2], segment: Vec<u8>) -> Vec<u8> {
    let mut next = encoding.protocol;
    let mut payload = segment;
    for kind in encoding.extensions.iter().rev() {
        payload = [&[next, 1], &[0; 14][..], &payload].concat();
        next = *kind;
    }
    let [l1, l2] = length(payload.len());
    let mut packet = vec![0x60, 0, 0, 0, l1, l2, next, 64];
    for host in hosts {
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(host.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

pub(crate) fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0], &(vni << 8).to_be_bytes()[..], frame].concat()
}

/// GENEVE with the three options of a Gateway Load Balancer, IPv4, UDP and the VXLAN.
pub(crate) fn balanced(vni: u32, frame: &[u8]) -> Vec<u8> {
    let inside = vxlan(vni, frame);
    let mut datagram = vec![8, 0, 0x08, 0x00, 0, 0, 0, 0];
    for (kind, words) in [(1, 2), (2, 2), (3, 1)] {
        datagram.extend([0x01, 0x08, kind, words]);
        datagram.resize(datagram.len() + usize::from(words) * 4, 0x11);
    }
    let [l1, l2] = length(inside.len() + 28);
    datagram.extend([0x45, 0, l1, l2, 0, 0, 0, 0, 255, 17, 0, 0]);
    datagram.extend([10, 0, 0, 5, 10, 0, 0, 9, 0xff, 0xdc, 0x12, 0xb5]);
    datagram.extend(length(inside.len() + 8));
    datagram.extend([0, 0]);
    datagram.extend(inside);
    datagram
}

/// Numbers that look random and are the same in every run.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).unwrap()
    }

    pub(crate) fn port(&mut self) -> u16 {
        u16::try_from(self.next() % 60_000 + 1_024).unwrap()
    }
}

/// Senders at many outer ports, which say nothing about what is inside.
#[derive(Debug)]
pub(crate) struct Senders {
    sockets: Vec<UdpSocket>,
    random: Random,
}

impl Senders {
    pub(crate) fn new(count: usize) -> Self {
        let socket = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            sockets: (0..count).map(socket).collect(),
            random: Random(7),
        }
    }

    /// Sends from one of the ports.
    pub(crate) fn send(&mut self, port: u16, datagram: &[u8]) {
        let at = self.random.next() as usize % self.sockets.len();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.sockets[at].send_to(datagram, target).unwrap();
    }
}
