//! Packets of the past: what can be asked, and what an answer holds.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

/// Extractions at a time, until their clients have taken them: what they hold is bounded by so
/// many of the largest. A further one is refused.
pub const EXTRACTIONS_MAX: usize = 4;

/// Which flows, in the words of `eve.json`: one name of a flow, and perhaps whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The flow's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_id: Option<u64>,
    /// Community ID v1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
    /// Protocol: a name or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    /// One end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_ip: Option<IpAddr>,
    /// Its port; both ports, or none for every flow between the two addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_ip: Option<IpAddr>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// Either end; for pins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Of a mirror source: its network identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// Of a mirror source: its outer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer_ip: Option<IpAddr>,
}

/// An extraction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extract {
    /// Which flows.
    pub selection: Selection,
    /// `pcap` or `pcapng`; pcap if absent.
    pub format: Option<String>,
    /// Why, for the audit log.
    pub reason: String,
    /// One capture of all flows instead of one of each.
    pub merge: bool,
}

/// A pin: the packets from before, and those to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPin {
    /// Which flows, an address, or a source.
    pub selection: Selection,
    /// For so long.
    pub seconds: Option<u64>,
    /// Why, for the audit log.
    pub reason: String,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookBackRequest {
    /// Packets of flows.
    Extract(Extract),
    /// Keep packets from now on.
    Pin(NewPin),
    /// End that.
    Unpin(u32),
    /// What is pinned.
    Pins,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A process, through the control socket.
    Process {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Process, where the kernel tells.
        pid: Option<i32>,
    },
    /// A client of HTTP.
    Http {
        /// Its address.
        client: SocketAddr,
        /// It has a token for packets.
        by_token: bool,
    },
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What it says.
    pub head: Value,
    /// The captures that it announces.
    pub captures: Vec<Vec<u8>>,
    /// Packets that the flows had.
    pub packets_seen: u64,
    /// Packets that are in the captures.
    pub packets_found: u64,
    /// Whether these are all.
    pub complete: bool,
}

impl Answer {
    /// One without captures.
    #[must_use]
    pub fn of(head: Value) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// For people.
    pub message: String,
}

/// What kind of reason there is for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// What was asked makes no sense.
    Wrong,
    /// There is no such thing.
    NotFound,
    /// It is not allowed.
    Forbidden,
    /// There is too much to do already.
    Busy,
    /// It went wrong here.
    Failed,
}

impl Refusal {
    /// What was asked makes no sense.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Wrong, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound, message)
    }

    /// It is not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Forbidden, message)
    }

    /// There is too much to do already.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Busy, message)
    }

    /// It went wrong here.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Failed, message)
    }

    fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// A capture on its way to a client, which keeps its place among [`EXTRACTIONS_MAX`] until it is
/// taken.
struct Held {
    bytes: Vec<u8>,
    _permit: std::sync::Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The captures of an answer, with their place.
pub(crate) fn hold(captures: Vec<Vec<u8>>, permit: OwnedSemaphorePermit) -> Vec<Bytes> {
    let permit = std::sync::Arc::new(permit);
    let held = captures.into_iter().map(|bytes| {
        Bytes::from_owner(Held {
            bytes,
            _permit: permit.clone(),
        })
    });
    held.collect()
}
