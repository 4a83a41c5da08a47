//! The tunnels around a mirrored frame: VXLAN (RFC 7348) and GENEVE (RFC 8926).

use std::net::{IpAddr, SocketAddr};

use crate::Frame;

/// Wraps frames into VXLAN the way AWS does: TTL 255, IP id 0, UDP checksum 0.
#[derive(Clone, Debug)]
pub struct Vxlan {
    source: SocketAddr,
    target: SocketAddr,
    vni: u32,
    flags: u8,
}

impl Vxlan {
    /// From `source`, an address like `"10.0.0.5"`; UDP port 65,000 to port 4789 of `10.255.0.1`
    /// or `fd00::ff`.
    ///
    /// Panics where the text is not an address.
    #[must_use]
    pub fn new(source: &str, vni: u32) -> Self {
        let (source, target) = ends(source, 4789);
        Self {
            source,
            target,
            vni,
            flags: 0x08,
        }
    }

    /// UDP source port.
    #[must_use]
    pub fn source_port(mut self, port: u16) -> Self {
        self.source.set_port(port);
        self
    }

    /// UDP destination port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.target.set_port(port);
        self
    }

    /// Flags, the header's first byte; 0x08 says that the VNI is valid.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// The UDP payload: VXLAN header and frame.
    #[must_use]
    pub fn datagram(&self, frame: &[u8]) -> Vec<u8> {
        let mut bytes = vec![self.flags, 0, 0, 0];
        bytes.extend_from_slice(&(self.vni << 8).to_be_bytes());
        bytes.extend_from_slice(frame);
        bytes
    }

    /// The outer IP packet.
    #[must_use]
    pub fn ip_packet(&self, frame: &[u8]) -> Vec<u8> {
        self.outer(frame).ip_bytes()
    }

    /// The outer Ethernet frame.
    #[must_use]
    pub fn wrap(&self, frame: &[u8]) -> Vec<u8> {
        self.outer(frame).bytes()
    }

    fn outer(&self, frame: &[u8]) -> Frame {
        outer(self.source, self.target, &self.datagram(frame))
    }
}

/// Wraps packets into GENEVE.
#[derive(Clone, Debug)]
pub struct Geneve {
    source: SocketAddr,
    target: SocketAddr,
    vni: u32,
    protocol: u16,
    options: Vec<u8>,
    version: u8,
    flags: u8,
}

impl Geneve {
    /// From `source`, an address like `"10.0.0.5"`, to UDP port 6081; carries Ethernet frames.
    ///
    /// Panics where the text is not an address.
    #[must_use]
    pub fn new(source: &str, vni: u32) -> Self {
        let (source, target) = ends(source, 6081);
        let protocol = 0x6558;
        Self {
            source,
            target,
            vni,
            protocol,
            options: Vec::new(),
            version: 0,
            flags: 0,
        }
    }

    /// The way a Gateway Load Balancer does: IPv4 packets, and the options for endpoint,
    /// attachment and flow cookie (class 0x0108, types 1 to 3).
    #[must_use]
    pub fn gwlb(source: &str) -> Self {
        Self::new(source, 0)
            .protocol(0x0800)
            .option(0x0108, 1, &[0x11; 8])
            .option(0x0108, 2, &[0x22; 8])
            .option(0x0108, 3, &[0x33; 4])
    }

    /// What the tunnel carries, as an Ethernet type.
    #[must_use]
    pub fn protocol(mut self, protocol: u16) -> Self {
        self.protocol = protocol;
        self
    }

    /// Another option, its data padded to a multiple of four bytes; type bit 0x80 is critical.
    #[must_use]
    pub fn option(mut self, class: u16, kind: u8, data: &[u8]) -> Self {
        let words = u8::try_from(data.len().div_ceil(4)).expect("an option is at most 124 bytes");
        self.options.extend_from_slice(&class.to_be_bytes());
        self.options.extend_from_slice(&[kind, words]);
        self.options.extend_from_slice(data);
        self.options
            .resize(self.options.len().next_multiple_of(4), 0);
        self
    }

    /// Version, two bits; 0 is the only one there is.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The header's second byte: 0x80 control packet, 0x40 critical options present.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// The UDP payload: GENEVE header, options and packet.
    #[must_use]
    pub fn datagram(&self, packet: &[u8]) -> Vec<u8> {
        let words = u8::try_from(self.options.len() / 4).expect("options are at most 252 bytes");
        let mut bytes = vec![self.version << 6 | words, self.flags];
        bytes.extend_from_slice(&self.protocol.to_be_bytes());
        bytes.extend_from_slice(&(self.vni << 8).to_be_bytes());
        bytes.extend_from_slice(&self.options);
        bytes.extend_from_slice(packet);
        bytes
    }

    /// The outer Ethernet frame.
    #[must_use]
    pub fn wrap(&self, packet: &[u8]) -> Vec<u8> {
        outer(self.source, self.target, &self.datagram(packet)).bytes()
    }
}

fn ends(source: &str, port: u16) -> (SocketAddr, SocketAddr) {
    let source: IpAddr = source
        .parse()
        .expect("an address, like 10.0.0.1 or fd00::1");
    let target = match source {
        IpAddr::V4(_) => IpAddr::from([10, 255, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0xff]),
    };
    (
        SocketAddr::new(source, 65_000),
        SocketAddr::new(target, port),
    )
}

fn outer(source: SocketAddr, target: SocketAddr, datagram: &[u8]) -> Frame {
    Frame::udp_between(source, target)
        .ttl(255)
        .payload(datagram)
        .no_checksum()
}
