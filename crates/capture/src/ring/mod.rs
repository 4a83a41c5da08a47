//! Live packets: one ring per worker on one interface, filled by the kernel and steered there.
//!
//! ```text
//!              ┌ taps ──> program ──> ring 0 ─> worker 0     ports we hold: UDP sockets that
//!  interface ──┤          (inner      ring 1 ─> worker 1     refuse everything
//!              │           flow)
//!              └ ingress ──> drop what the rings took ──> everything else, as ever
//! ```
//!
//! A [`RingSource`] is one worker's ring. The packets of a batch are borrowed from it, so nothing
//! is copied before the flow's own ring. The program is
//! [`Program::steering_packets`](vxscope_wire::bpf::Program::steering_packets), the same function
//! as for UDP, and the kernel reassembles IPv4 fragments before.
//!
//! **The host stays quiet.** Without a listener the kernel would answer mirrored packets with ICMP
//! port unreachable, and with one it would still pay for delivering them. So the ports are held by
//! sockets that refuse everything, and a program at the interface's ingress drops, behind the
//! taps, what the rings have selected. Both belong to descriptors and end with the process, also
//! when it is killed. Where the kernel does not take the program, the sockets alone keep it quiet,
//! and it pays.
//!
//! **Every packet is accounted for.** [`received`](RingSource::received) +
//! [`dropped`](RingSource::dropped) + what is still in the ring = what passed the filter. What
//! comes before the filter is set or after the stop began is nowhere counted.
//!
//! CAP_NET_RAW is needed, and for the program CAP_NET_ADMIN and CAP_BPF.

mod error;
mod settings;
mod source;

pub use error::{RingError, RingWarning};
pub(crate) use settings::try_one;
pub use settings::{RingOpened, open};
pub use source::{RING_BATCH, RingBatch, RingSource};
