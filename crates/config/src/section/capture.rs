//! Where mirrored traffic comes from, and which datagrams carry it.

use vxscope_units::ByteSize;

use crate::field::choice;

section! {
    /// Live receive.
    pub struct Capture at |config| config.capture;

    /// How mirrored traffic is received. `udp`: through sockets, which any user may. `packet-ring`:
    /// from a ring that the kernel fills with the packets of `--interface`, for about a third of
    /// its work; takes CAP_NET_RAW, and CAP_NET_ADMIN and CAP_BPF to save that work. `auto`: the
    /// ring where it can be had, otherwise UDP; the start says which, and why.
    backend: Backend = Backend::Udp, ["capture" "backend"] ();

    /// Receive buffer of each socket, the kernel's overhead included: there is one for each
    /// worker and port, or one packet ring for each worker, which takes all of it at the start. When
    /// it is full the kernel drops datagrams, counted as `kernel_dropped`.
    receive_buffer: ByteSize = ByteSize::mib(64), ["capture" "receive_buffer"] ByteSize::kib(16)..=ByteSize::mib(1_024);

    /// How long a stop may take, in seconds. What was received and is not written after three
    /// quarters of it is counted as `deadline`, the files are closed, and the exit code is 1. Keep
    /// it below the time after which a service manager kills: 90 s for systemd, 10 s for
    /// `docker stop`.
    stop_seconds: u32 = 10, ["capture" "stop_seconds"] 0..=3_600;
}

choice! {
    /// How mirrored traffic is received.
    pub enum Backend {
        /// UDP sockets.
        Udp = "udp",
        /// A packet ring on an interface.
        PacketRing = "packet-ring",
        /// The ring where it can be had.
        Auto = "auto",
    }
}

section! {
    /// Which datagrams carry mirrored frames.
    pub struct Decapsulation at |config| config.decapsulation;

    /// UDP destination ports that carry VXLAN. Anything else is rejected as `not_mirror`.
    vxlan_ports: Vec<u16> = vec![4_789], ["decapsulation" "vxlan_ports"] 4;

    /// UDP destination ports that carry GENEVE (Gateway Load Balancer).
    geneve_ports: Vec<u16> = vec![6_081], ["decapsulation" "geneve_ports"] 4;

    /// How many tunnels inside the mirrored frame are opened as well. With 0 a tunnel that a
    /// workload sends itself stays the payload of a flow; a deeper one than this is rejected as
    /// `depth_exceeded`.
    depth: u8 = 0, ["decapsulation" "depth"] 0..=4;
}
