//! What a running sensor can be told: a closed set.

use serde::{Deserialize, Serialize};

/// A command; see [`Sensor::handle`](crate::Sensor::handle).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// These mirror sources are known from now on, and no others.
    BindTable(Vec<Bind>),
}

/// One known mirror source, or a network of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// Outer source address, or a network: `10.0.0.5`, `10.0.0.0/24`.
    pub address: String,
    /// Only with this VNI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<u32>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mirrored interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eni: Option<String>,
    /// What it never serves: a role of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// It should be heard in every run.
    #[serde(default)]
    pub expected: bool,
}
