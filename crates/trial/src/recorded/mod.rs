//! A background that really happened: conversations of mirrored sources, from flow records of EVE
//! or from VPC flow logs, as a fleet that attacks are then drawn on.
//!
//! A recording is shorter than a trial as a rule, and is then repeated, in whole days, so that
//! hours of the day stay what they are. What was new in it is new once.

mod background;
mod conversation;
mod eve;
mod vpc;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::fleet::SOURCES_MAX;

pub use background::{Background, Told};
pub use conversation::{Conversation, Crossed};
pub use eve::read_eve;
pub use vpc::read_vpc_flow_logs;

/// Conversations of one recording: 300 MB. Reached: reading ends with an error.
pub const CONVERSATIONS_MAX: usize = 2_000_000;
/// Days of one recording: as many as a trial may have. Reached: reading ends with an error.
pub const DAYS_MAX: u64 = 90;

/// Why a file was not read: what is wrong with which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RecordedError {
    /// Counted from 1.
    pub line: u64,
    /// For people.
    pub message: String,
}

impl RecordedError {
    fn new(line: u64, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// What of the lines of a file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Conversations.
    pub conversations: u64,
    /// Records of other things, and headers: left out.
    pub other: u64,
    /// Conversations that no source could be told for: left out.
    pub without_source: u64,
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    conversations: Vec<Conversation>,
    /// Sources by name, with the address that each is known by.
    names: BTreeMap<String, u32>,
    addresses: Vec<Option<IpAddr>>,
}

impl Recording {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the source of that name, known by that address.
    fn source(&mut self, name: &str, address: Option<IpAddr>) -> Result<u32, String> {
        if let Some(source) = self.names.get(name) {
            let known = &mut self.addresses[*source as usize];
            *known = known.or(address);
            return Ok(*source);
        }
        let source = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
        if source >= SOURCES_MAX {
            return Err(format!(
                "more than {SOURCES_MAX} sources; a trial takes no more"
            ));
        }
        self.names.insert(name.to_owned(), source);
        self.addresses.push(address);
        Ok(source)
    }

    fn push(&mut self, conversation: Conversation) -> Result<(), String> {
        if self.conversations.len() >= CONVERSATIONS_MAX {
            return Err(format!(
                "more than {CONVERSATIONS_MAX} conversations; give less time or fewer sources"
            ));
        }
        self.conversations.push(conversation);
        Ok(())
    }

    /// How many conversations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }
}

/// Whether the address is one that people have inside.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests;
