//! Who is the originator: by flags if they tell, else by well-known ports as Zeek guesses.

use vxscope_wire::{Addresses, TcpSegment, Tuple, flag, protocol};

/// One of the two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opened the conversation.
    Originator,
    /// The end that answers.
    Responder,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }

    /// Its place where there is one for each.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self == Self::Responder)
    }

    /// A history letter in this end's case.
    pub(super) fn write(self, letter: u8) -> u8 {
        match self {
            Self::Originator => letter,
            Self::Responder => letter.to_ascii_lowercase(),
        }
    }
}

/// Whether the first packet of a new flow came from the responder, so that the flow's originator
/// is the packet's destination (`^` in Zeek's history).
///
/// * TCP with SYN: the sender of a SYN-ACK is the responder, the sender of a SYN never is.
/// * TCP without SYN: the sender is the responder if its port is a likely server port and the
///   destination's is not, or if both are and the sender's is the lower one.
/// * UDP: the same, but never if both ports are likely server ports.
/// * Other protocols, and packets to 255.255.255.255: never.
///
/// It is Zeek's rule except for SYN-ACK, which Zeek also judges by ports: a mirror delivers packets
/// out of order, so that the SYN often follows, and then Zeek turns the connection round as well.
#[must_use]
pub fn opens_reversed(tuple: &Tuple, segment: &TcpSegment) -> bool {
    if matches!(
        tuple.addresses,
        Addresses::V4 {
            destination: u32::MAX,
            ..
        }
    ) {
        return false;
    }
    let source_serves = likely_server_port(tuple.protocol, tuple.source_port);
    let destination_serves = likely_server_port(tuple.protocol, tuple.destination_port);
    match tuple.protocol {
        protocol::TCP if segment.flags & flag::SYN != 0 => segment.flags & flag::ACK != 0,
        protocol::TCP => {
            source_serves && (!destination_serves || tuple.source_port < tuple.destination_port)
        }
        protocol::UDP => source_serves && !destination_serves,
        _ => false,
    }
}

/// Whether a port is one that Zeek's default scripts take to be a server's
/// (`likely_server_ports`). Only TCP and UDP have such ports.
#[must_use]
pub fn likely_server_port(protocol: u8, port: u16) -> bool {
    match protocol {
        protocol::TCP => SERVER_PORTS_TCP.binary_search(&port).is_ok(),
        protocol::UDP => SERVER_PORTS_UDP.binary_search(&port).is_ok(),
        _ => false,
    }
}

/// FTP, SSH, mail, DNS, HTTP, TLS, Kerberos, SMB, LDAP, SOCKS, MQTT, RDP, XMPP, Redis, IRC, Modbus and
/// DNP3; ascending.
pub(super) const SERVER_PORTS_TCP: [u16; 45] = [
    21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 389, 443, 445, 465, 502, 563, 585, 587, 614,
    631, 636, 989, 990, 992, 993, 995, 1080, 1883, 2811, 3128, 3268, 3389, 5222, 5223, 5269, 6379,
    6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
];

/// DNS, DHCP, Kerberos, NTP, NetBIOS, SNMP, LDAP, QUIC, DTLS, syslog, RADIUS, GTP, RDP, Teredo, VXLAN,
/// SIP, GENEVE and DNP3; ascending.
pub(super) const SERVER_PORTS_UDP: [u16; 24] = [
    53, 67, 88, 123, 137, 161, 162, 389, 443, 514, 547, 784, 853, 1812, 2123, 2152, 3389, 3544,
    4789, 5060, 5353, 5355, 6081, 20000,
];
