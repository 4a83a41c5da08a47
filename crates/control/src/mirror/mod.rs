//! What is asked of whoever owns the mirror sessions, and what is answered.
//!
//! Calls are values: whoever implements [`MirrorApi`] may take them to a network, and nobody waits
//! for an answer. An answer that does not come is an [`ErrorKind::UnknownOutcome`].

mod difference;
mod error;
mod session;

use std::fmt;

use vxscope_units::Timestamp;

pub use difference::Difference;
pub use error::{ApiError, ErrorKind};
pub use session::{Create, Session, Settings};

/// Names one call of one run, to tell its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl CallId {
    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call of the EC2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `DescribeTrafficMirrorSessions`, one page of it.
    Describe {
        /// Where the page before ended.
        next: Option<String>,
    },
    /// `CreateTrafficMirrorSession`.
    Create(Create),
    /// `ModifyTrafficMirrorSession`: everything that can be set, so that repeating it is safe.
    Modify {
        /// Of the session.
        id: String,
        /// What it is to be.
        settings: Settings,
    },
    /// `DeleteTrafficMirrorSession`.
    Delete {
        /// Of the session.
        id: String,
    },
}

impl Call {
    /// The name of the action.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Describe { .. } => "describe",
            Self::Create(_) => "create",
            Self::Modify { .. } => "modify",
            Self::Delete { .. } => "delete",
        }
    }
}

/// What a call that succeeded says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Call::Describe`].
    Page {
        /// Sessions, ours and others'.
        sessions: Vec<Session>,
        /// Where the next page begins, if there is one.
        next: Option<String>,
    },
    /// To [`Call::Create`].
    Created(Session),
    /// To [`Call::Modify`].
    Modified,
    /// To [`Call::Delete`].
    Deleted,
}

/// Whoever makes mirror sessions: EC2, or something that stands for it.
pub trait MirrorApi {
    /// Sends a call on its way.
    fn submit(&mut self, id: CallId, call: Call, now: Timestamp);

    /// The next answer that has come by now. Every call has one sooner or later, and one only.
    #[must_use]
    fn poll(&mut self, now: Timestamp) -> Option<(CallId, Result<Reply, ApiError>)>;
}
