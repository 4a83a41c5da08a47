//! The latest decisions about mirrors, for whoever asks why.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Decisions that are remembered, about 6 MiB; the oldest is forgotten. All of them are in
/// `decisions.ndjson`.
pub const DECISIONS_KEPT: usize = 4_096;
/// Decisions that wait for a client that follows them; one further behind misses the oldest.
const FOLLOWED: usize = 256;

/// One decision, as it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Whose: outer address and VNI.
    pub source: (IpAddr, u32),
    /// The mirrored interface.
    pub interface: String,
    /// What became of it: `granted`, `refused`, `imagined`, `kept`, `forced`, `effective`.
    pub outcome: &'static str,
    /// A JSON object for everybody: it says nothing about the future.
    pub shown: Value,
    /// The same for those who may know until when.
    pub whole: Value,
}

/// A decision with its number.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) seq: u64,
    pub(crate) told: Told,
}

impl Numbered {
    /// As JSON, with or without what is to come.
    pub(crate) fn json(&self, with_future: bool) -> Value {
        let mut value = match with_future {
            true => self.told.whole.clone(),
            false => self.told.shown.clone(),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("seq".to_owned(), json!(self.seq));
        }
        value
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) address: Option<IpAddr>,
    pub(crate) vni: Option<u32>,
    pub(crate) interface: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) before: Option<u64>,
    pub(crate) limit: usize,
}

impl Wanted {
    fn takes(&self, one: &Numbered) -> bool {
        let (address, vni) = one.told.source;
        self.before.is_none_or(|before| one.seq < before)
            && self.address.is_none_or(|it| it == address)
            && self.vni.is_none_or(|it| it == vni)
            && self
                .interface
                .as_ref()
                .is_none_or(|it| *it == one.told.interface)
            && self
                .outcome
                .as_ref()
                .is_none_or(|it| it == one.told.outcome)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DecisionBook {
    kept: Mutex<(u64, VecDeque<Arc<Numbered>>)>,
    followers: broadcast::Sender<Arc<Numbered>>,
}

impl DecisionBook {
    pub(crate) fn new() -> Self {
        Self {
            kept: Mutex::default(),
            followers: broadcast::Sender::new(FOLLOWED),
        }
    }

    pub(crate) fn tell(&self, told: Told) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, decisions) = &mut *kept;
        let numbered = Arc::new(Numbered { seq: *next, told });
        *next += 1;
        if decisions.len() == DECISIONS_KEPT {
            decisions.pop_front();
        }
        decisions.push_back(numbered.clone());
        drop(kept);
        // Without followers nobody misses it.
        let _ = self.followers.send(numbered);
    }

    /// How many there were, and those that are wanted, the latest first.
    pub(crate) fn find(&self, wanted: &Wanted) -> (u64, Vec<Arc<Numbered>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, decisions) = &*kept;
        let found = decisions.iter().rev().filter(|one| wanted.takes(one));
        (*all, found.take(wanted.limit).cloned().collect())
    }

    /// Every decision from the next on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Numbered>> {
        self.followers.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_come_first_and_the_oldest_are_forgotten() {
        let book = DecisionBook::new();
        let count = DECISIONS_KEPT as u64 + 10;
        for number in 0..count {
            book.tell(told(if number % 2 == 0 { 1 } else { 2 }, "granted"));
        }
        let all = Wanted {
            limit: usize::MAX,
            ..Wanted::default()
        };
        let (told, kept) = book.find(&all);
        assert_eq!((told, kept.len()), (count, DECISIONS_KEPT));
        assert_eq!(kept.first().map(|one| one.seq), Some(count - 1));
        let of_one = Wanted {
            address: Some([10, 0, 0, 1].into()),
            before: Some(20),
            limit: 3,
            ..Wanted::default()
        };
        let found = book.find(&of_one).1;
        assert_eq!(
            found.iter().map(|one| one.seq).collect::<Vec<_>>(),
            [18, 16, 14]
        );
        let other = Wanted {
            outcome: Some("kept".to_owned()),
            limit: 9,
            ..Wanted::default()
        };
        assert!(book.find(&other).1.is_empty());
    }

    #[test]
    fn what_is_to_come_is_only_in_the_whole() {
        let one = Numbered {
            seq: 5,
            told: told(1, "granted"),
        };
        assert_eq!(one.json(false), json!({"seq": 5}));
        assert_eq!(one.json(true), json!({"seq": 5, "until": 9}));
    }

    fn told(number: u8, outcome: &'static str) -> Told {
        Told {
            source: ([10, 0, 0, number].into(), 7),
            interface: "eni-1".to_owned(),
            outcome,
            shown: json!({}),
            whole: json!({"until": 9}),
        }
    }
}
