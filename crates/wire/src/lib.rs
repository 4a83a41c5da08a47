//! One datagram in, a borrowed frame view or a reason out.
//!
//! Two steps. [`decapsulate_record`] (a capture's record) and [`decapsulate_datagram`] (a socket's
//! payload, or what [`open_packet`] finds in a packet ring's packet) open the tunnel and name the mirror source;
//! [`parse_frame`] then reads the inner Ethernet frame. The first returns a frame or one
//! [`Reject`]; the second never fails, its [`Class`] says how far it came. [`steer`] chooses the
//! worker. Nothing allocates or panics, and the work per packet is bounded by [`DEPTH_MAX`],
//! [`VLAN_TAGS_MAX`] and [`IPV6_EXTENSIONS_MAX`].
//!
//! ```text
//!  link | outer IP | UDP | VXLAN | inner Ethernet | VLAN* | IP | TCP, UDP, ...
//!  link | outer IP | UDP | GENEVE | inner Ethernet ...
//!  link | outer IP | UDP | GENEVE | IP | UDP | VXLAN | inner Ethernet ...   (Gateway Load Balancer)
//!  └──────── decapsulate_* ────────────────┘└────────── parse_frame ──────────┘
//! ```
//!
//! ```
//! use vxscope_wire::{Class, Options, Tunnel, decapsulate_datagram, parse_frame};
//!
//! let mut payload = vec![0x08, 0, 0, 0, 0, 0x12, 0x34, 0]; // VXLAN, VNI 0x1234
//! payload.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]); // Ethernet, IPv4
//! payload.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
//! payload.extend([0x14, 0xe9, 0, 53, 0, 8, 0, 0]); // UDP 5353 -> 53
//!
//! let sender = "192.0.2.7".parse().unwrap();
//! let opened = decapsulate_datagram(Tunnel::Vxlan, sender, &payload, &Options::default())?;
//! assert_eq!(opened.source.to_string(), "192.0.2.7 vni 4660");
//!
//! let view = parse_frame(opened.frame, opened.original_len);
//! assert_eq!(view.class, Class::Ip);
//! assert_eq!((view.tuple.source_port, view.tuple.destination_port), (5353, 53));
//! # Ok::<(), vxscope_wire::Reject>(())
//! ```

pub mod bpf;
#[cfg(test)]
mod build;
mod decapsulate;
mod ether;
mod frame;
mod geneve;
mod icmp;
mod link;
mod outer;
mod ports;
mod reject;
pub mod steer;
mod view;
mod vxlan;

pub use decapsulate::{
    DEPTH_MAX, Decapsulated, Options, PLAIN_HEADERS, Plain, Tunnel, decapsulate_datagram,
    decapsulate_record, plain_datagram, plain_record,
};
pub use frame::{IPV6_EXTENSIONS_MAX, VLAN_TAGS_MAX, oracle, parse_frame, read_frame};
pub use link::ethernet;
pub use outer::{Carried, checksum_holds, open_packet};
pub use ports::Ports;
pub use reject::Reject;
pub use view::{Addresses, Class, Fragment, FrameView, TcpSegment, Tuple, flag, protocol};
