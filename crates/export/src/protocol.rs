//! IP protocol numbers (IANA, "Assigned Internet Protocol Numbers") and their names in outputs.

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// Whether the protocol's flows are told apart by ports.
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

/// The name as Suricata spells it; `None` for what a cloud network hardly carries, which is then
/// written as a three-digit number, Suricata's own form for numbers without a name.
pub(crate) const fn suricata_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        0 => "HOPOPT",
        ICMP => "ICMP",
        2 => "IGMP",
        4 => "IP-in-IP",
        TCP => "TCP",
        8 => "EGP",
        UDP => "UDP",
        27 => "RDP",
        33 => "DCCP",
        41 => "IPv6",
        43 => "IPv6-Route",
        44 => "IPv6-Frag",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        ICMPV6 => "IPv6-ICMP",
        59 => "IPv6-NoNxt",
        60 => "IPv6-Opts",
        88 => "EIGRP",
        89 => "OSPF",
        97 => "ETHERIP",
        98 => "ENCAP",
        103 => "PIM",
        108 => "IPComp",
        112 => "VRRP",
        113 => "PGM",
        115 => "L2TP",
        124 => "IS-IS",
        SCTP => "SCTP",
        135 => "Mobility",
        136 => "UDPLite",
        137 => "MPLS-in-IP",
        139 => "HIP",
        140 => "Shim6",
        143 => "Ethernet",
        _ => return None,
    })
}

/// Zeek's `transport_proto`.
pub(crate) const fn zeek_name(protocol: u8) -> &'static str {
    match protocol {
        TCP => "tcp",
        UDP => "udp",
        ICMP | ICMPV6 => "icmp",
        _ => "unknown_transport",
    }
}
