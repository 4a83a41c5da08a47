//! What intrusion detectors write about alerts: lines in, alerts or reasons out. Pure: bytes come
//! in, whoever reads the file is elsewhere, and no line can do more than be counted.
//!
//! ```
//! use vxscope_alert::{Line, eve};
//!
//! let line = br#"{"timestamp":"2026-11-21T02:00:00.000000+0000","event_type":"alert",
//!     "src_ip":"10.0.0.1","src_port":1000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP",
//!     "alert":{"signature_id":2100498,"signature":"GPL ATTACK_RESPONSE","severity":2}}"#;
//! let Ok(Line::Alert(alert)) = eve::read(line) else {
//!     panic!("an alert")
//! };
//! assert_eq!((alert.id.as_str(), alert.severe), ("2100498", false));
//! ```

pub mod eve;
mod lines;
pub mod notice;

pub use lines::{LINE_BYTES_MAX, Lines};

use std::net::IpAddr;

use vxscope_units::Timestamp;

/// Bytes of a rule's name that are kept; the rest is cut off.
pub const NAME_BYTES_MAX: usize = 256;

/// What a detector says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Of the packet, by the detector's clock.
    pub time: Timestamp,
    /// A short name that fits a file's: Suricata's signature id, the name of Zeek's notice.
    pub id: String,
    /// What people read: the signature, the message.
    pub name: String,
    /// Whether the detector calls it severe: Suricata's severity 1.
    pub severe: bool,
    /// One end, and its port if there is one.
    pub source: (IpAddr, Option<u16>),
    /// The other.
    pub destination: (IpAddr, Option<u16>),
    /// IP protocol number.
    pub protocol: Option<u8>,
    /// Community ID v1, if the detector adds it.
    pub community_id: Option<String>,
    /// VLAN ids of the frame as it was given to the detector, outermost first.
    pub vlan: Vec<u16>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An alert.
    Alert(Box<Alert>),
    /// Something else that the detector writes: a flow, a header.
    Other,
}

vxscope_units::reasons! {
    /// Why a line says nothing.
    pub enum Malformed {
        /// Longer than a line may be.
        TooLong = "too_long",
        /// Not JSON, or not the fields of a table.
        Syntax = "syntax",
        /// No time, or none that can be read.
        Time = "time",
        /// An alert without two addresses.
        Addresses = "addresses",
        /// The file ended, or was replaced, in the middle of it.
        Torn = "torn",
    }
}

/// At most so many bytes of a text in one line, whatever it holds.
fn tidy(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max.min(text.len()));
    let kept = text.get(..end).unwrap_or_default();
    kept.replace(char::is_control, " ")
}

/// The same with nothing in it that a name of a file should not hold.
fn file_name(text: &str) -> String {
    let end = text.floor_char_boundary(text.len().min(48));
    let kept = text.get(..end).unwrap_or_default();
    let name: String = kept
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '-' })
        .collect();
    match name.trim_matches('-') {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

/// A protocol by its name in the words of Suricata and Zeek, or by its number.
fn protocol(name: &str) -> Option<u8> {
    let known = [
        ("tcp", 6),
        ("udp", 17),
        ("icmp", 1),
        ("ipv6-icmp", 58),
        ("icmp6", 58),
        ("sctp", 132),
        ("esp", 50),
        ("ah", 51),
        ("gre", 47),
    ];
    let found = known.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
    found
        .map(|(_, number)| *number)
        .or_else(|| name.parse().ok())
}
