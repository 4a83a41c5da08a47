//! What goes wrong on purpose.

use std::time::Duration;

use crate::account::mix;
use crate::answer::Refusal;
use crate::request::Request;

/// One way in which calls fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many calls.
    Throttle,
    /// An error of the server, and nothing was done.
    InternalBefore,
    /// It was done, and then an error of the server.
    InternalAfter,
    /// The service is down.
    Unavailable,
    /// The connection ends before anything is done.
    DropBefore,
    /// It is done, and the connection ends without an answer.
    DropAfter,
    /// It takes longer.
    Delay(Duration),
    /// No answer for so long; nothing is done.
    Hang(Duration),
    /// The request is said to be too old, or the credentials to be over.
    Expired,
    /// The role may not.
    Denied,
    /// Success, and a page of HTML.
    Html,
    /// Success, and a document that ends in the middle.
    Torn,
    /// Held until [`crate::Standin::thaw`]; done then if `true`, else the connection ends.
    Freeze {
        /// Whether it is done before it freezes.
        after: bool,
    },
}

/// Which calls fail, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the action, or how it begins; empty for every one.
    pub action: String,
    /// The access key of whoever calls; empty for everybody.
    pub caller: String,
    /// A value of one of its fields; empty for any.
    pub naming: String,
    /// How it fails.
    pub kind: FaultKind,
    /// How many of a thousand such calls.
    pub permille: u32,
    /// So many such calls are let pass first.
    pub skip: u32,
    /// How many fail, at most.
    pub times: u32,
}

impl Fault {
    /// Every such call, without end.
    #[must_use]
    pub fn every(action: &str, kind: FaultKind) -> Self {
        Self {
            action: action.to_owned(),
            caller: String::new(),
            naming: String::new(),
            kind,
            permille: 1_000,
            skip: 0,
            times: u32::MAX,
        }
    }

    /// The first such call after so many.
    #[must_use]
    pub fn once(action: &str, kind: FaultKind, skip: u32) -> Self {
        Self {
            skip,
            times: 1,
            ..Self::every(action, kind)
        }
    }

    /// Only such calls that name something.
    #[must_use]
    pub fn naming(self, value: &str) -> Self {
        Self {
            naming: value.to_owned(),
            ..self
        }
    }

    fn is_about(&self, request: &Request, caller: &str) -> bool {
        let names = || request.fields.values().any(|value| *value == self.naming);
        request.action().starts_with(&self.action)
            && (self.caller.is_empty() || self.caller == caller)
            && (self.naming.is_empty() || names())
    }
}

/// All faults, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    draws: u64,
    seed: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    /// None any more.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// What happens to this call; the first fault that fits.
    pub(crate) fn draw(&mut self, request: &Request, caller: &str) -> Option<FaultKind> {
        let mut drawn = None;
        for fault in &mut self.list {
            if !fault.is_about(request, caller) || drawn.is_some() || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            self.draws += 1;
            if mix(self.seed ^ self.draws) % 1_000 < u64::from(fault.permille) {
                fault.times -= 1;
                drawn = Some(fault.kind.clone());
            }
        }
        drawn
    }
}

impl FaultKind {
    /// Its name in the log.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::InternalBefore => "internal-before",
            Self::InternalAfter => "internal-after",
            Self::Unavailable => "unavailable",
            Self::DropBefore => "drop-before",
            Self::DropAfter => "drop-after",
            Self::Delay(_) => "delay",
            Self::Hang(_) => "hang",
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Html => "html",
            Self::Torn => "torn",
            Self::Freeze { .. } => "freeze",
        }
    }

    /// The refusal, for those that are one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let of = |status, code: &str, message: &str| {
            Some(Refusal {
                status,
                ..Refusal::new(code, message)
            })
        };
        match self {
            Self::Throttle => Some(Refusal::throttled()),
            Self::InternalBefore | Self::InternalAfter => {
                of(500, "InternalError", "An internal error has occurred")
            }
            Self::Unavailable => of(503, "Unavailable", "The service is unavailable."),
            Self::Expired => of(400, "RequestExpired", "Request has expired."),
            Self::Denied => of(
                403,
                "UnauthorizedOperation",
                "You are not authorized to perform this operation.",
            ),
            Self::DropBefore
            | Self::DropAfter
            | Self::Delay(_)
            | Self::Hang(_)
            | Self::Html
            | Self::Torn
            | Self::Freeze { .. } => None,
        }
    }

    /// Whether the call has its effect although it fails.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(
            self,
            Self::InternalAfter
                | Self::DropAfter
                | Self::Delay(_)
                | Self::Html
                | Self::Torn
                | Self::Freeze { after: true }
        )
    }
}
