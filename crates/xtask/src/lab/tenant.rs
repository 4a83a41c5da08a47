//! The two tenants: same addresses inside, apart only by mirror source.

use std::net::Ipv4Addr;

/// The server's inner addresses, the same in both tenants.
pub(super) const SERVER: &str = "10.20.0.10";
pub(super) const SERVER_V6: &str = "fd20::10";
/// The client's inner addresses, the same in both tenants.
pub(super) const CLIENT: &str = "10.20.0.20";
pub(super) const CLIENT_V6: &str = "fd20::20";
/// A network the client reaches through the server, where nobody answers.
pub(super) const SILENT: &str = "10.20.9.9";

/// Where the mirrors send to, and the network all outer addresses are in.
pub(super) const TARGET: &str = "172.31.0.10";
pub(super) const OUTER_PREFIX: u8 = 20;

/// One tenant, mirrored at its server's interface.
pub(super) struct Tenant {
    /// `a` or `b`; part of the names of its namespaces.
    pub(super) name: &'static str,
    pub(super) vni: u32,
    /// The source address of the outer packets.
    pub(super) outer: Ipv4Addr,
    /// The last byte of the MAC addresses, so that the tenants' machines differ.
    pub(super) number: u8,
}

/// Both tenants, with their VNIs in order.
pub(super) fn pair([first, second]: [u32; 2]) -> [Tenant; 2] {
    [
        Tenant {
            name: "a",
            vni: first,
            outer: Ipv4Addr::new(172, 31, 5, 11),
            number: 1,
        },
        Tenant {
            name: "b",
            vni: second,
            outer: Ipv4Addr::new(172, 31, 5, 12),
            number: 2,
        },
    ]
}
