//! `EtherType` numbers (IEEE 802 registry) that the sensor treats by name.

/// IPv4.
pub(crate) const IPV4: u16 = 0x0800;
/// IPv6.
pub(crate) const IPV6: u16 = 0x86dd;
/// Transparent Ethernet bridging: a whole Ethernet frame (RFC 8926 §3.4).
pub(crate) const ETHERNET: u16 = 0x6558;
/// MPLS, unicast.
pub(crate) const MPLS: u16 = 0x8847;
/// A PPP packet, its protocol field first.
pub(crate) const PPP: u16 = 0x880b;
/// The smallest number that is a type; below it the field is an IEEE 802.3 length.
pub(crate) const TYPE_MIN: u16 = 0x0600;

/// Bytes of an Ethernet header: two addresses and the type.
pub(crate) const HEADER_LEN: usize = 14;
/// Bytes of a VLAN tag: control information and the type that follows.
pub(crate) const TAG_LEN: usize = 4;

/// Whether the type announces a VLAN tag: 802.1Q, 802.1ad, or the older 0x9100 for stacks.
pub(crate) const fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8 | 0x9100)
}
