//! Why there is no packet ring, or one that costs more than it should.

use std::io;

use thiserror::Error;

use crate::udp::UdpError;

/// Why packets cannot be received through rings. Says what to do where that is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RingError {
    /// A ring is one interface's.
    #[error("a packet ring takes the name of an interface (--interface)")]
    NoInterface,
    /// The user may not.
    #[error("packet rings take CAP_NET_RAW")]
    Denied,
    /// The interface is there but down, so no ring can be bound to it.
    #[error("interface \"{name}\" is down; `ip link set {name} up` starts it")]
    InterfaceDown {
        /// As it was named.
        name: String,
    },
    /// The kernel has no ring for us.
    #[error("no packet ring on \"{name}\": {source}")]
    Ring {
        /// The interface, as it was named.
        name: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel does not take the steering program.
    #[error("the kernel refuses the program that shares packets between workers: {source}")]
    Steering {
        /// What the kernel says.
        source: io::Error,
    },
    /// An option that cannot be done without is not available.
    #[error("the kernel refuses {option} for packet rings: {source}")]
    Option {
        /// What was asked for.
        option: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The ports cannot be held.
    #[error(transparent)]
    Ports(#[from] UdpError),
}

/// What costs more than it should, although packets are received.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RingWarning {
    /// The kernel's own stack sees the packets as well.
    #[error(
        "mirrored packets also pass through the kernel's own stack, which costs about as much \
         again: the program that drops them at the ingress of \"{name}\" takes Linux 6.6, \
         CAP_NET_ADMIN and CAP_BPF ({reason})"
    )]
    StackPays {
        /// The interface, as it was named.
        name: String,
        /// What the kernel says.
        reason: String,
    },
}

pub(super) fn option(option: &'static str) -> impl Fn(io::Error) -> RingError {
    move |source| RingError::Option { option, source }
}
