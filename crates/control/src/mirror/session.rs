//! A mirror session, as EC2 has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What can be changed of a session in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `TrafficMirrorTargetId`.
    pub target: String,
    /// `TrafficMirrorFilterId`.
    pub filter: String,
    /// `SessionNumber`, 1 to 32,766: of an interface's sessions the lowest whose filter matches
    /// takes the packet.
    pub number: u16,
    /// `PacketLength`, 1 to 8,500: bytes of each frame; whole frames if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_length: Option<u16>,
    /// `VirtualNetworkId`; EC2 chooses a unique one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// `Description`.
    pub description: String,
}

impl Settings {
    /// Whether a session that was made with these would look like that; what we leave to EC2 may
    /// be anything.
    #[must_use]
    pub fn is_met_by(&self, there: &Self) -> bool {
        let wanted = Self {
            vni: self.vni.or(there.vni),
            ..self.clone()
        };
        wanted == *there
    }
}

/// A session that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// `TrafficMirrorSessionId`.
    pub id: String,
    /// `NetworkInterfaceId`: whose packets are copied.
    pub interface: String,
    /// `OwnerId`, the account; empty where nobody told.
    pub account: String,
    /// What can be changed.
    pub settings: Settings,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A session to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// `NetworkInterfaceId`.
    pub interface: String,
    /// What can be changed later.
    pub settings: Settings,
    /// Tags, set at creation.
    pub tags: BTreeMap<String, String>,
    /// `ClientToken`, at most 64 ASCII characters: the same with the same parameters makes one
    /// session, however often it is sent.
    pub client_token: String,
}
