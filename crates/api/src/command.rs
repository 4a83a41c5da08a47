//! What a running sensor can be told: a closed set.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vxscope_report::Oversight;

/// A command; see [`Sensor::handle`](crate::Sensor::handle).
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// These mirror sources are known from now on, and no others.
    BindTable(Vec<Bind>),
    /// Something about mirrors, where somebody looks after them.
    Mirrors(MirrorOrder),
    /// How the mirrors stand, where somebody else looks after them: all that concern this sensor.
    Oversight(Box<Oversight>),
    /// An intrusion detector named a source.
    Alert(Alert),
    /// The configuration is to be read again.
    Reload,
}

/// What came of a command, beyond that it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What the operator should know, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

/// What an intrusion detector says of a mirror source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Outer source address.
    pub address: IpAddr,
    /// Network identifier.
    pub vni: u32,
    /// How long it keeps the source full.
    #[serde(default)]
    pub severity: Severity,
    /// Why, for people: the name of a rule.
    #[serde(default)]
    pub reason: String,
    /// Who troubled it, or was troubled by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Keeps its source full for `limits.alert_pin`.
    #[default]
    Normal,
    /// Keeps its source full for `limits.severe_pin`.
    Severe,
}

/// Who decides on mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorMode {
    /// Nobody: everything comes back, and stays.
    Manual,
    /// The policy, in a shadow: nothing is done.
    Shadow,
    /// The policy.
    Dynamic,
    /// Whoever the files say.
    Configured,
}

/// What an operator can say about mirrors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MirrorOrder {
    /// Keep a source full.
    Pin {
        /// Outer source address.
        address: IpAddr,
        /// Network identifier.
        vni: u32,
        /// For so long; without end if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// End that.
    Unpin {
        /// Outer source address.
        address: IpAddr,
        /// Network identifier.
        vni: u32,
    },
    /// Lower nothing from now on; what is lowered comes back in its time.
    Hold,
    /// Lower again.
    Release,
    /// Bring everything back now, and lower nothing until released.
    ResumeAll,
    /// Another mode from now on, whatever the files say.
    Mode(MirrorMode),
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
    /// Its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it never serves: a role of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// It should be heard in every run.
    #[serde(default)]
    pub expected: bool,
}
