//! Which mirror sources are known, and what their traffic shows.

use vxscope_units::{BindTable, Binding, ByteSize, Payload, Unknown};

use super::SIZE_MAX;
use crate::field::choice;
use crate::role::Role;

section! {
    /// Which mirror sources are known.
    pub struct Sources at |config| config.sources;

    /// What becomes of frames whose outer address and VNI no [[source]] names. "accept": they
    /// are traffic like any other. "quarantine": they get no flow, no ring and no output; they
    /// are counted as rejected (`quarantined`) and by source in `quarantine.json`. "drop": they
    /// are counted as rejected (`unknown_source`) in one number. "auto": accept while no source
    /// is listed, else quarantine.
    unknown: UnknownSources = UnknownSources::Auto, ["sources" "unknown"] ();

    /// How much of each frame rings and outputs keep: "full", the "head" of the payload, or "none"
    /// of it, headers only. A [[source]] may say otherwise for itself. Counters, flow records and
    /// signals are of whole frames; a frame that was cut here reads as truncated.
    payload: PayloadKept = PayloadKept::Full, ["sources" "payload"] ();

    /// Bytes of payload that "head" keeps of each frame.
    payload_head: u32 = 64, ["sources" "payload_head"] 1..=65_535;

    => /// The sources that are known, each written as `[[source]]`.
    listed: Vec<Binding>,
}

choice! {
    /// What becomes of a mirror source that no `[[source]]` names.
    pub enum UnknownSources {
        /// Accepted while no source is listed, else quarantined.
        Auto = "auto",
        /// A source like any other.
        Accept = "accept",
        /// Counted by source, and nothing else.
        Quarantine = "quarantine",
        /// Counted in one number.
        Drop = "drop",
    }
}

impl UnknownSources {
    /// What it comes to with a bind table, which may have replaced the listed sources.
    #[must_use]
    pub const fn with(self, table: &BindTable) -> Unknown {
        match self {
            Self::Auto if !table.is_empty() => Unknown::Quarantine,
            Self::Auto | Self::Accept => Unknown::Accept,
            Self::Quarantine => Unknown::Quarantine,
            Self::Drop => Unknown::Drop,
        }
    }
}

choice! {
    /// How much of a frame's payload is kept.
    pub enum PayloadKept {
        /// All of it.
        Full = "full",
        /// Its first bytes.
        Head = "head",
        /// Headers only.
        None = "none",
    }
}

impl From<PayloadKept> for Payload {
    fn from(kept: PayloadKept) -> Self {
        match kept {
            PayloadKept::Full => Self::Full,
            PayloadKept::Head => Self::Head,
            PayloadKept::None => Self::None,
        }
    }
}

impl From<Payload> for PayloadKept {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Full => Self::Full,
            Payload::Head => Self::Head,
            Payload::None => Self::None,
        }
    }
}

section! {
    /// The signals of a source: what its traffic is for, and what in it is relevant.
    pub struct Signals at |config| config.signals;

    /// Memory for what was seen before, all sources together; each takes about 12 KiB when its
    /// first flow is answered. At the limit further sources get none: their relevant events are
    /// counted as `facts_unheld`, and they are shown as `saturated`.
    memory: ByteSize = ByteSize::mib(256), ["signals" "memory"] ByteSize::kib(16)..=SIZE_MAX;

    /// Seconds between two writings of learned.ndjson in the folder of a live run: what was seen
    /// before, and what the policy has learned, so that after a restart sources are not new. 0:
    /// nothing is kept.
    keep_seconds: u32 = 300, ["signals" "keep_seconds"] 0..=86_400;

    => /// What machines of a role never serve, each written as `[[role]]`.
    roles: Vec<Role>,
}
