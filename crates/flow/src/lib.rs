//! Flow tables, per-flow rings, timers, Community ID.
//!
//! Pure: packets and time come in as arguments, closed flows go out through [`Closing`].

mod closed;
mod closing;
mod community_id;
mod entry;
mod flows;
mod fragment;
mod index;
mod interner;
mod key;
mod label;
mod limit;
mod record;
mod ring;
mod search;
mod source;
mod state;
mod table;
pub mod tcp;
#[cfg(test)]
mod tests;
mod wheel;

pub use closed::{BYTES_PER_CLOSED_FLOW, Sighting};
pub use closing::{Closing, StoredFrames};
pub use community_id::CommunityId;
pub use flows::BYTES_PER_FLOW;
pub use flows::{Flows, Observed, Packet, Prepared};
pub use fragment::{Fragments, Joined};
pub use label::{ATTEMPT_PACKETS_MAX, FlowSoFar, LARGE_BYTES, Label, Milestone};
pub use limit::{FlowLimits, FlowScope, Timeout, Timeouts, Untracked};
pub use record::{CloseReason, Crossing, FlowRecord, TcpRecord, Traffic};
pub use ring::{RingFill, RingSizes, StoreFill, StoredFrame, Unstored};
pub use search::{Reading, Search, Which};
pub use source::{Admission, Payloads, QUARANTINE_MAX, Sources, Verdict};
