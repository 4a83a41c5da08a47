//! One source: what is wanted, what is believed to be there, what is under way.

use vxscope_units::{Grade, Timestamp};

use crate::mirror::{CallId, Create, ErrorKind, Session, Settings};

use super::{Basis, Priority, Subject};

/// After a change of ours Describe may show what was before; until so long afterwards it is only
/// believed where it agrees (EC2: "a couple of seconds up to a few minutes").
pub(crate) const GRACE_NANOS: u64 = 60_000_000_000;

/// A session that somebody else changes more often than this in an hour is contested: it is made
/// as it should be once in [`CONTESTED_NANOS`] from then on, or two tools would fight for ever.
const SURPRISES_MAX: u32 = 5;
const SURPRISES_NANOS: u64 = 3_600_000_000_000;
/// See [`SURPRISES_MAX`].
pub(crate) const CONTESTED_NANOS: u64 = 600_000_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) subject: Subject,
    pub(crate) want: Grade,
    /// Whether a raise to `want` must not wait behind others.
    pub(crate) urgent: bool,
    /// When `want` was last changed: of equal priority the oldest is first.
    pub(crate) since: Timestamp,
    /// It is to have no session, and then to be forgotten.
    pub(crate) leaving: bool,
    /// There was a session of ours before.
    pub(crate) had_one: bool,
    pub(crate) session: Option<Session>,
    /// Sessions that went, and when: a Describe that lags may show them yet, and no other.
    pub(crate) gone: Vec<(String, Timestamp)>,
    pub(crate) basis: Basis,
    /// Our last change had its effect at this time or before.
    pub(crate) changed_at: Option<Timestamp>,
    /// When it was made, if this run made it.
    pub(crate) created_at: Option<Timestamp>,
    /// A creation that may have been done or not; repeated as it is until somebody says.
    pub(crate) pending: Option<Create>,
    pub(crate) in_flight: Option<CallId>,
    pub(crate) failures: u32,
    pub(crate) retry_at: Timestamp,
    pub(crate) blocked: Option<ErrorKind>,
    /// Something that nobody here knew of was in the way of our last call, at this time.
    pub(crate) in_the_way_at: Option<Timestamp>,
    /// How often somebody else changed it since when.
    pub(crate) surprises: (u32, Timestamp),
    /// Further sessions of ours on the interface, by id.
    pub(crate) extras: Vec<String>,
}

/// What is to be done for one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Create { settings: Settings },
    Repeat(Create),
    Modify { id: String, settings: Settings },
    Delete { id: String },
    DeleteExtra { id: String },
}

impl Place {
    pub(crate) fn new(subject: Subject, now: Timestamp) -> Self {
        Self {
            subject,
            want: Grade::Full,
            urgent: false,
            since: now,
            leaving: false,
            had_one: false,
            session: None,
            gone: Vec::new(),
            basis: Basis::Unknown,
            changed_at: None,
            created_at: None,
            pending: None,
            in_flight: None,
            failures: 0,
            retry_at: Timestamp::ZERO,
            blocked: None,
            in_the_way_at: None,
            surprises: (0, Timestamp::ZERO),
            extras: Vec::new(),
        }
    }

    /// The grade of the session that is believed to be there; `None` if it is not as any of ours.
    pub(crate) fn believed(&self) -> Option<Grade> {
        match &self.session {
            None => Some(Grade::Off),
            Some(session) => self.subject.grade_of(&session.settings),
        }
    }

    /// Somebody else changed it again. True if so often that two fight for it.
    pub(crate) fn is_contested(&mut self, now: Timestamp) -> bool {
        let (count, since) = self.surprises;
        let fresh = now >= since && now.nanos_since(since) < SURPRISES_NANOS;
        self.surprises = if fresh { (count + 1, since) } else { (1, now) };
        self.surprises.0 > SURPRISES_MAX
    }

    /// What it takes to make it as it is wanted.
    pub(crate) fn need(&self) -> Option<Need> {
        if self.basis == Basis::Unknown {
            return None;
        }
        if let Some(create) = &self.pending {
            return Some(Need::Repeat(create.clone()));
        }
        let wanted = if self.leaving {
            None
        } else {
            self.subject.settings(self.want)
        };
        match (wanted, &self.session) {
            (Some(settings), None) => Some(Need::Create { settings }),
            (Some(settings), Some(there)) => {
                let met = settings.is_met_by(&there.settings) && self.basis != Basis::Doubtful;
                let modify = Need::Modify {
                    id: there.id.clone(),
                    settings,
                };
                (!met).then_some(modify).or_else(|| self.extra())
            }
            (None, Some(there)) => Some(Need::Delete {
                id: there.id.clone(),
            }),
            (None, None) => self.extra(),
        }
    }

    fn extra(&self) -> Option<Need> {
        let id = self.extras.first()?.clone();
        (self.basis == Basis::Seen).then_some(Need::DeleteExtra { id })
    }

    pub(crate) fn priority(&self, need: &Need) -> Priority {
        let target = self.subject.available(self.want);
        let raise = if self.urgent || self.believed() == Some(Grade::Off) {
            Priority::Resume
        } else {
            Priority::Raise
        };
        match need {
            Need::Create { .. } | Need::Repeat(_) if !self.had_one => Priority::Create,
            Need::Create { .. } | Need::Repeat(_) => raise,
            Need::Modify { .. } => match self.believed() {
                Some(believed) if target < believed => Priority::Pause,
                Some(_) => raise,
                // Somebody changed it: nobody knows what is visible.
                None => Priority::Resume,
            },
            Need::Delete { .. } | Need::DeleteExtra { .. } => Priority::Pause,
        }
    }

    /// Whether what Describe shows is what is believed.
    pub(crate) fn agrees(&self, there: Option<&Session>) -> bool {
        match (&self.session, there) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.id == other.id && one.settings.is_met_by(&other.settings)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// A session of ours is no longer there, by a call of ours or by an answer to one.
    pub(crate) fn lose(&mut self, id: String, now: Timestamp) {
        self.gone.retain(|(_, at)| now < at.plus_nanos(GRACE_NANOS));
        self.gone.push((id, now));
    }

    /// Whether a session can only have been made by somebody else since our last change: there was
    /// none, and this is not one that we removed.
    pub(crate) fn is_new(&self, there: Option<&Session>) -> bool {
        let is_new = |there: &Session| self.gone.iter().all(|(id, _)| *id != there.id);
        self.session.is_none() && self.pending.is_none() && there.is_some_and(is_new)
    }

    /// Whether our last change is so recent that a Describe of this time may not show it.
    pub(crate) fn is_recent(&self, at: Timestamp) -> bool {
        self.changed_at
            .is_some_and(|changed| at < changed.plus_nanos(GRACE_NANOS))
    }
}
