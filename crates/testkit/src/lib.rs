//! Packet builders shared by tests: inner frames, the tunnels around them, captures in memory.
//!
//! A builder writes what a good sender would send (lengths, checksums) unless a test asks for
//! something else. Addresses are text, because that is how tests read best.
//!
//! ```
//! use vxscope_testkit::{Frame, Pcap, Vxlan, tcp};
//! use vxscope_units::Timestamp;
//!
//! let syn = Frame::tcp("10.0.0.5:40000", "10.0.0.9:443").flags(tcp::SYN).seq(7).bytes();
//! let mirrored = Vxlan::new("10.0.0.5", 1169).wrap(&syn);
//! let capture = Pcap::ethernet().record(Timestamp::new(1, 0), &mirrored).bytes();
//! assert_eq!(capture.len(), 24 + 16 + 50 + 54);
//! ```

mod frame;
mod pcap;
pub mod property;
mod transport;
mod tunnel;

pub use frame::Frame;
pub use pcap::Pcap;
pub use tunnel::{Geneve, Vxlan};

/// TCP flags for [`Frame::flags`].
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
}
