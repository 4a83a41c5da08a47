//! Why sockets do not open, or open with less than was asked for.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use vxscope_units::ByteSize;

use super::holder::Holder;
use super::settings::GROUPS_MAX;

/// Why nothing can be received. Says what to do where that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UdpError {
    /// More ports than one thread waits for.
    #[error("{count} ports to listen on; at most {GROUPS_MAX} are possible")]
    TooManyPorts {
        /// As many as were asked for.
        count: usize,
    },
    /// The socket could not be made.
    #[error("no UDP socket for {address}: {source}")]
    Socket {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// Somebody else receives there.
    #[error("UDP {address} is in use{}", in_use(*.address, .holders))]
    PortInUse {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// Who has it, as far as this user may know.
        holders: Vec<Holder>,
    },
    /// The port is privileged.
    #[error(
        "UDP {address} is not allowed to this user; ports below the sysctl \
         net.ipv4.ip_unprivileged_port_start take CAP_NET_BIND_SERVICE"
    )]
    PortDenied {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// The address is on none of our interfaces.
    #[error("{} is no address of this host; `ip address` lists them, 0.0.0.0 and :: mean all", .address.ip())]
    AddressMissing {
        /// Where we wanted to listen.
        address: SocketAddr,
    },
    /// The port could not be bound for another reason.
    #[error("UDP {address} cannot be bound: {source}")]
    Bind {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// There is no such interface, or no longer.
    #[error("there is no interface \"{name}\"; there are: {present}")]
    InterfaceMissing {
        /// As it was named.
        name: String,
        /// The names of those there are.
        present: String,
    },
    /// The sockets could not be limited to the interface.
    #[error("sockets cannot be bound to interface \"{name}\": {source}")]
    Interface {
        /// As it was named.
        name: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// A packet ring is of the interface it was opened on.
    #[error("a packet ring cannot move to the interface \"{name}\" that there is now")]
    RingStays {
        /// As it was named.
        name: String,
    },
    /// The kernel does not take the steering program.
    #[error(
        "the kernel refuses the program that shares traffic between workers: {source}; it takes \
         net.core.optmem_max of 20480 and Linux 4.6, or one worker"
    )]
    Steering {
        /// What the kernel says.
        source: io::Error,
    },
    /// An option that cannot be done without is not available.
    #[error("the kernel refuses {option} for UDP sockets: {source}")]
    Option {
        /// What was asked for.
        option: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// Receiving failed.
    #[error("receiving from UDP {address} failed: {source}")]
    Receive {
        /// Where we listen.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// What is less than was asked for, although datagrams are received.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UdpWarning {
    /// Receive buffers are smaller than wanted, so that shorter bursts are lost.
    #[error(
        "receive buffers of {granted} instead of {wanted} per socket; to allow more: \
         sysctl -w net.core.rmem_max={}",
        .wanted.get().div_ceil(2)
    )]
    ReceiveBuffer {
        /// What the kernel gave.
        granted: ByteSize,
        /// What was asked for.
        wanted: ByteSize,
    },
    /// The interface is there but down.
    #[error("interface \"{name}\" is down; `ip link set {name} up` starts it")]
    InterfaceDown {
        /// As it was named.
        name: String,
    },
    /// The host has no IPv6, so that `::` means IPv4 alone.
    #[error("this host has no IPv6; listening on 0.0.0.0 instead of ::")]
    OnlyIpv4,
}

/// By whom, and what to do.
fn in_use(address: SocketAddr, holders: &[Holder]) -> String {
    let port = address.port();
    if holders.is_empty() {
        return format!(
            ", and not by a process of this network namespace that can be seen; \
             `ss -ulpn sport = :{port}` as root names it, and a kernel VXLAN device holds its \
             port too (`ip -d link show type vxlan`)"
        );
    }
    let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
    format!(
        " by {}; stop it, or listen on another address or port \
         (`ss -ulpn sport = :{port}` as root tells more)",
        holders.join(", ")
    )
}
