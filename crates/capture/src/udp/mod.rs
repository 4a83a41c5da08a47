//! Live datagrams: one socket per worker and port, steered in the kernel.
//!
//! ```text
//!                      ┌ program ┐   ┌> socket 0 ─> worker 0
//!  UDP 4789, VXLAN  ──>│  inner  │───┤
//!                      │  flow   │   └> socket 1 ─> worker 1
//!  UDP 6081, GENEVE ──>│ and VNI │───┬> socket 0 ─> worker 0
//!                      └─────────┘   └> socket 1 ─> worker 1
//! ```
//!
//! The sockets of a port are a `SO_REUSEPORT` group and
//! a program chooses among them ([`SocketChoice`]), so both directions of an
//! inner flow reach one worker, whatever outer port and whichever tunnel they come by. A
//! [`UdpSource`] is one worker's sockets.
//!
//! **Every datagram is accounted for.** At any time,
//! [`received`](UdpSource::received) + [`dropped`](UdpSource::dropped) +
//! [`refused`](UdpSource::refused) + what is still queued = what reached the sockets.
//!
//! **No flow is split while the sockets open.** A group is complete only when its last socket is
//! bound and the program attached; until then indices lead elsewhere. So each socket is shut
//! before it is bound, and they are opened together at the end.
//!
//! **Nobody shares the port unnoticed.** Sockets of one user may join each other's groups, which
//! would take away part of the traffic in silence. The first socket of a group is therefore bound
//! as one that shares nothing, and becomes the first of a group afterwards. Who comes later could
//! still take what is for an address of its own; [`Holder::find`] sees it.
//!
//! **Sockets may outlive the process.** Whoever holds them as well, as a service manager does, hands
//! them to the next run ([`UdpSettings::inherit`]): what came meanwhile waits in them.
//!
//! No capability is needed, but for ports below 1024, for receive buffers beyond
//! `net.core.rmem_max`, and for the cheaper of two programs.

mod batch;
mod container;
mod error;
mod holder;
mod inherit;
mod interface;
mod rebind;
mod settings;
mod source;
mod steering;

pub use batch::{UdpBatch, UdpDatagram};
pub use container::Container;
pub use error::{UdpError, UdpWarning};
pub use holder::Holder;
pub use inherit::{Inheritance, Inherited};
pub use interface::Interface;
pub use rebind::Rebinder;
pub use settings::{GROUPS_MAX, UdpGroup, UdpOpened, UdpSettings};
pub use source::{POLL_LIMIT, UdpSource};
pub use steering::{SocketChoice, Steered};
pub use vxscope_linux::Waker;
