//! What a sensor shows of its mirrors and flows to whoever looks: rows for people, not for policy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Reasons;

/// How dynamic mirroring stands: totals, and every mirror that is looked after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Oversight {
    /// `manual`, `shadow` or `dynamic`.
    pub mode: String,
    /// When this was true, µs since 1970.
    pub time: u64,
    /// Sources that are looked after.
    pub sources: u64,
    /// Sources below full, or not known to be back there.
    pub lowered: u64,
    /// Wishes that the gate let pass, by reason.
    pub granted: Reasons,
    /// Wishes that it did not, by reason.
    pub refused: Reasons,
    /// Raises that the gate forced, by reason.
    pub forced: Reasons,
    /// Calls to the mirror API that succeeded, by action.
    pub calls: Reasons,
    /// Time in which evidence was deliberately not mirrored, all sources together, by class.
    pub blind_seconds: BTreeMap<String, f64>,
    /// The longest that a class of any source was hidden beyond its bound.
    pub overrun_max_seconds: f64,
    /// What mirrors cost so far: lowest and highest reading of the price list.
    pub spent_usd: (f64, f64),
    /// What pauses saved so far.
    pub saved_usd: (f64, f64),
    /// Decisions that nobody could write down in time.
    pub decisions_forgotten: u64,
    /// Every mirror, by address and VNI.
    pub mirrors: Vec<MirrorRow>,
}

/// One mirror as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorRow {
    /// Who sends the copies.
    pub outer_ip: IpAddr,
    /// Network identifier.
    pub vni: u32,
    /// The mirrored interface.
    pub interface: String,
    /// The name of the grade that it really has.
    pub grade: String,
    /// Since when, µs since 1970; 0 from the beginning.
    pub since: u64,
    /// Whether somebody or something keeps it full.
    pub pinned: bool,
    /// Why it is as it is, in one word.
    pub reason: String,
    /// The same as a sentence, without the time of its end.
    pub sentence: String,
    /// When it comes back at the latest, µs since 1970. A secret: whoever knows it knows when
    /// nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Each class of evidence: how long it has been hidden, and how long it may be.
    pub blind: Vec<BlindWindow>,
}

/// One class of evidence of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlindWindow {
    /// The name of the class.
    pub class: String,
    /// How long it has been hidden; 0 while it is visible.
    pub seconds: f64,
    /// How long it may be, by the rules, without the time that control needs.
    pub bound_seconds: f64,
}

impl MirrorRow {
    /// Outer address and VNI, the order of lists.
    #[must_use]
    pub const fn key(&self) -> (IpAddr, u32) {
        (self.outer_ip, self.vni)
    }
}

/// One flow that has ended, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRow {
    /// Position in the order of ends; the next page begins before the smallest of this one.
    pub seq: u64,
    /// As in every output.
    pub flow_id: u64,
    /// As in every output.
    pub community_id: String,
    /// Whose mirror it was seen on.
    pub outer_ip: IpAddr,
    /// Network identifier.
    pub vni: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// Who sent first.
    pub originator: IpAddr,
    /// Its port; ICMP: the type.
    pub originator_port: u16,
    /// The other side.
    pub responder: IpAddr,
    /// Its port.
    pub responder_port: u16,
    /// First packet, µs since 1970.
    pub start: u64,
    /// Last packet.
    pub end: u64,
    /// Packets of the originator and of the responder.
    pub packets: [u64; 2],
    /// Captured bytes of both.
    pub bytes: [u64; 2],
    /// Zeek's word for how the connection went.
    pub state: String,
    /// Why it ended.
    pub reason: String,
}

/// Some of the flows that are remembered, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowPage {
    /// Flows that are remembered.
    pub remembered: u64,
    /// Flows that were forgotten for later ones.
    pub forgotten: u64,
    /// Those that were asked for.
    pub flows: Vec<FlowRow>,
    /// Where the next page begins, if there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
