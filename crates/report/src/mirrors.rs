//! How the mirrors of a sensor stand, where somebody looks after them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MirrorStatus {
    /// `manual`, `shadow` or `dynamic`.
    pub mode: String,
    /// Whether an operator gave the mode; files do not change it then.
    pub mode_ordered: bool,
    /// Whether an operator allows no pause.
    pub held: bool,
    /// Sources that are looked after.
    pub sources: u64,
    /// Sources that send less than everything.
    pub lowered: u64,
    /// How long it takes at most until everything is back, once that is ordered.
    pub resume_seconds: f64,
    /// Each source by address and VNI.
    pub mirrors: Vec<MirrorState>,
}

/// One source's mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorState {
    /// Who sends the copies.
    pub outer_ip: IpAddr,
    /// Network identifier.
    pub vni: u32,
    /// What it lets through, by the name of the grade.
    pub grade: String,
    /// Until when it is kept full, µs since 1970; absent if nothing keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_until: Option<u64>,
}
