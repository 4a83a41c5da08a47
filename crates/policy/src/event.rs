//! What reaches the policy beside traffic: alerts, configuration, counters, the operator.

use vxscope_units::Timestamp;

use crate::SourceKey;

/// Something that happened. All that can raise a source does so at the next decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A detector named the source.
    Alert {
        /// Whom.
        source: SourceKey,
        /// Whether it pins for the longer time.
        severe: bool,
    },
    /// Somebody else saw the source do something relevant. Sightings within observations are
    /// understood without this.
    PeerSighting {
        /// Whom.
        source: SourceKey,
    },
    /// The source used a port that its role should never use, as somebody else saw.
    NeverHit {
        /// Whom.
        source: SourceKey,
    },
    /// Something about the source was changed: security group, tags, interface.
    ConfigChanged {
        /// Whose.
        source: SourceKey,
    },
    /// The sender's own counters of a while: they wake a hidden source that begins to speak, and
    /// tell an idle one from a broken mirror.
    Counters {
        /// Whose.
        source: SourceKey,
        /// Begin of the while.
        from: Timestamp,
        /// End of the while.
        to: Timestamp,
        /// What was sent and received.
        bytes: u64,
    },
    /// The operator wants the source full until then.
    Pin {
        /// Which.
        source: SourceKey,
        /// The end; [`Timestamp::ZERO`] takes the pin away.
        until: Timestamp,
    },
    /// The operator wants no new pauses until then.
    Hold {
        /// The end; [`Timestamp::ZERO`] ends the hold.
        until: Timestamp,
    },
    /// The operator wants everything full now.
    ResumeAll,
}

/// Bytes an hour from which a hidden source has begun to speak, if it was idle before.
pub(crate) const MOVED_BYTES: f64 = 1_048_576.0;
/// How many times its usual traffic a hidden source must have to be woken.
pub(crate) const MOVED_TIMES: f64 = 4.0;
/// Bytes an hour up to which a source is idle: what an instance sends that is never mirrored
/// (ARP, DHCP, time, instance metadata) is about that much.
pub(crate) const IDLE_BYTES: f64 = 65_536.0;
