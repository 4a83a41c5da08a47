//! One controller of several acts; the others watch.
//!
//! The lease is one object in a store with conditional writes (S3 `If-None-Match`, `If-Match`).
//! Nobody compares clocks with anybody: the holder writes a new beat every few seconds, and whoever
//! has seen the *same* beat for a whole term, by its own monotonic clock, may take over, with a
//! fencing number one higher. The holder trusts its lease for a term since it *sent* its last
//! successful write, and stops acting early enough for its last call to have had its effect. So
//! two never act at once, however their wall clocks jump, as long as clocks run at about one speed
//! and no call has its effect later than [`LeaseTerms::call_max`] after it was sent.
//!
//! ```
//! use vxscope_enrolment::lead::{Answer, Ask, Lease, LeaseTerms};
//! use vxscope_units::Timestamp;
//!
//! let at = |seconds| Timestamp::new(seconds, 0);
//! let mut lease = Lease::new("one", LeaseTerms::default());
//! assert_eq!(lease.poll(at(0)), Some(Ask::Get));
//! lease.handle(Answer::Missing, at(0));
//! assert!(matches!(lease.poll(at(0)), Some(Ask::Put { .. })));
//! lease.handle(Answer::Done { tag: "etag-1".into() }, at(1));
//! assert_eq!(lease.fence(at(1)), Some(1));
//! assert_eq!(lease.fence(at(60)), None, "nobody renewed it");
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vxscope_units::Timestamp;

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// A beat that was not followed for so long is nobody's.
    pub term: Duration,
    /// Between two beats.
    pub beat: Duration,
    /// The longest between sending a call and its effect: then it is given up.
    pub call_max: Duration,
    /// By how much clocks may differ in one term.
    pub drift: Duration,
}

impl Default for LeaseTerms {
    /// A failed controller is followed after a minute and a few seconds.
    fn default() -> Self {
        Self {
            term: Duration::from_secs(60),
            beat: Duration::from_secs(10),
            call_max: Duration::from_secs(15),
            drift: Duration::from_secs(2),
        }
    }
}

/// What is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Who acts; nobody if it is empty.
    pub holder: String,
    /// Counts tenures: it never goes down, and each keeper begins under one of its own, so it can
    /// be part of client tokens that must not be used twice.
    pub fence: u64,
    /// How often this holder wrote.
    pub beat: u64,
}

/// Under which condition a write is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is nothing (`If-None-Match: *`).
    Absent,
    /// What is there bears this tag (`If-Match`).
    Tag(String),
}

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What is there?
    Get,
    /// Write this.
    Put {
        /// What.
        body: Body,
        /// If this is so.
        condition: Condition,
    },
}

/// What the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a get: there is this.
    There {
        /// What.
        body: Body,
        /// Its tag.
        tag: String,
    },
    /// To a get: there is nothing.
    Missing,
    /// To a put: it is written.
    Done {
        /// Its new tag.
        tag: String,
    },
    /// To a put: the condition does not hold (412, or 409 while another write is under way).
    Refused,
    /// It may have been written or not: no answer, or one that does not say.
    Unknown,
}

/// What a controller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything, under this fencing number.
    Acts(u64),
    /// Nobody knows whether it still holds the lease, because the store does not answer: it brings
    /// back what it lowered, and lowers, moves and removes nothing. Two that raise do no harm.
    Raises,
    /// Nothing: somebody else acts, or may soon.
    Watches,
}

/// How long a holder that cannot reach the store brings back what it lowered. By then all are
/// back while EC2 takes calls, and it must not go on against a successor that it cannot see.
pub const RAISE_MAX: Duration = Duration::from_secs(300);

/// See the module. Times are of a clock that does not jump.
#[derive(Clone, Debug)]
pub struct Lease {
    me: String,
    terms: LeaseTerms,
    /// What was there last, and since when it is known to be the same.
    seen: Option<(Body, String, Timestamp)>,
    missing: bool,
    /// A write may have been done or not: read before the next one.
    doubtful: bool,
    held: Option<Held>,
    waits: Option<(Ask, Timestamp)>,
    next_at: Timestamp,
    released: bool,
}

#[derive(Clone, Debug)]
struct Held {
    fence: u64,
    /// Until when it may be trusted, by the time of its last successful write.
    until: Timestamp,
}

impl Lease {
    /// Nobody's yet. `me` differs from every other run's, on this machine too.
    #[must_use]
    pub fn new(me: &str, terms: LeaseTerms) -> Self {
        Self {
            me: me.to_owned(),
            terms,
            seen: None,
            missing: false,
            doubtful: false,
            held: None,
            waits: None,
            next_at: Timestamp::ZERO,
            released: false,
        }
    }

    /// The fencing number under which calls may be sent now; `None` if somebody else may act.
    #[must_use]
    pub fn fence(&self, now: Timestamp) -> Option<u64> {
        let held = self.held.as_ref().filter(|_| !self.released)?;
        (now < held.until).then_some(held.fence)
    }

    /// What may be done now.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if let Some(fence) = self.fence(now) {
            return Standing::Acts(fence);
        }
        let raises = self.held.as_ref().is_some_and(|held| {
            let until = plus(held.until, RAISE_MAX);
            !self.released && now < until
        });
        if raises {
            Standing::Raises
        } else {
            Standing::Watches
        }
    }

    /// Who acted when the store was last read.
    #[must_use]
    pub fn holder(&self) -> Option<&Body> {
        self.seen.as_ref().map(|(body, ..)| body)
    }

    /// What to ask next, if it is time. One question at a time; [`Lease::handle`] takes its
    /// answer.
    #[must_use]
    pub fn poll(&mut self, now: Timestamp) -> Option<Ask> {
        if self.waits.is_some() || now < self.next_at {
            return None;
        }
        let ask = self.ask(now);
        self.waits = Some((ask.clone(), now));
        Some(ask)
    }

    fn ask(&self, now: Timestamp) -> Ask {
        if self.doubtful {
            return Ask::Get;
        }
        let Some((body, tag, since)) = &self.seen else {
            if self.missing && !self.released {
                let condition = Condition::Absent;
                let body = self.first(0);
                return Ask::Put { body, condition };
            }
            return Ask::Get;
        };
        let condition = Condition::Tag(tag.clone());
        if body.holder == self.me {
            if self.standing(now) == Standing::Watches && !self.released {
                // It was let go of in between: what begins now is another tenure.
                let body = self.first(body.fence);
                return Ask::Put { body, condition };
            }
            let holder = if self.released { "" } else { &self.me };
            return Ask::Put {
                body: Body {
                    holder: holder.to_owned(),
                    fence: body.fence,
                    beat: body.beat + 1,
                },
                condition,
            };
        }
        let patience = self.terms.term + self.terms.drift;
        let dead = Duration::from_nanos(now.nanos_since(*since)) >= patience;
        if (dead || body.holder.is_empty()) && !self.released {
            let body = self.first(body.fence);
            return Ask::Put { body, condition };
        }
        Ask::Get
    }

    fn first(&self, fence: u64) -> Body {
        Body {
            holder: self.me.clone(),
            fence: fence + 1,
            beat: 0,
        }
    }

    /// Takes the answer to the last question.
    pub fn handle(&mut self, answer: Answer, now: Timestamp) {
        let Some((ask, sent)) = self.waits.take() else {
            return;
        };
        self.next_at = plus(now, self.terms.beat);
        match (ask, answer) {
            (Ask::Put { body, .. }, Answer::Done { tag }) => self.written(body, tag, sent),
            (Ask::Get, Answer::There { body, tag }) => self.read(body, tag, now),
            (Ask::Get, Answer::Missing) => {
                (self.seen, self.missing, self.doubtful) = (None, true, false);
                self.next_at = now;
            }
            (Ask::Put { .. }, _) => {
                // Somebody else was faster, or nobody knows: look at once.
                (self.missing, self.doubtful) = (false, true);
                self.next_at = now;
            }
            (Ask::Get, _) => {}
        }
    }

    fn written(&mut self, body: Body, tag: String, sent: Timestamp) {
        self.held = (body.holder == self.me).then(|| {
            let trusted = self
                .terms
                .term
                .saturating_sub(self.terms.call_max + self.terms.drift);
            Held {
                fence: body.fence,
                until: plus(sent, trusted),
            }
        });
        self.missing = false;
        self.seen = Some((body, tag, sent));
    }

    fn read(&mut self, body: Body, tag: String, now: Timestamp) {
        let same = self.seen.as_ref().filter(|(_, seen, _)| *seen == tag);
        let since = same.map_or(now, |(.., since)| *since);
        if body.holder == self.me {
            // A write of ours whose answer was lost. When it was done nobody knows: the next one
            // says.
            self.next_at = now;
        } else {
            self.held = None;
        }
        (self.missing, self.doubtful) = (false, false);
        self.seen = Some((body, tag, since));
    }

    /// Lets the next one have it at once. Nothing may be sent from now on.
    pub fn release(&mut self) {
        self.released = true;
        self.next_at = Timestamp::ZERO;
    }

    /// Whether it was let go, and the store knows.
    #[must_use]
    pub fn is_released(&self) -> bool {
        let ours = self
            .seen
            .as_ref()
            .is_some_and(|(body, ..)| body.holder == self.me);
        self.released && !ours && self.waits.is_none()
    }
}

fn plus(time: Timestamp, duration: Duration) -> Timestamp {
    time.plus_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_watches_and_takes_over_after_a_term() {
        let mut store = Store::default();
        let mut one = Lease::new("one", LeaseTerms::default());
        let mut two = Lease::new("two", LeaseTerms::default());
        for second in 0..100 {
            store.serve(&mut one, at(second));
            store.serve(&mut two, at(second));
            assert_eq!(
                (one.fence(at(second)), two.fence(at(second))),
                (Some(1), None)
            );
        }
        // The first one is gone.
        let mut taken = None;
        for second in 100..300 {
            store.serve(&mut two, at(second));
            let gone = one.fence(at(second)).is_none();
            if two.fence(at(second)).is_some() {
                assert!(gone, "two act at second {second}");
                taken = taken.or(Some(second));
            }
        }
        assert!((150..175).contains(&taken.unwrap()), "{taken:?}");
        assert_eq!(one.standing(at(200)), Standing::Raises);
        assert_eq!(one.standing(at(600)), Standing::Watches);
        assert_eq!(two.fence(at(299)), Some(2));
        // It comes back and watches.
        for second in 300..400 {
            store.serve(&mut one, at(second));
            store.serve(&mut two, at(second));
            assert_eq!(
                (one.fence(at(second)), two.fence(at(second))),
                (None, Some(2))
            );
        }
    }

    #[test]
    fn a_release_is_followed_at_once() {
        let mut store = Store::default();
        let mut one = Lease::new("one", LeaseTerms::default());
        let mut two = Lease::new("two", LeaseTerms::default());
        for second in 0..30 {
            store.serve(&mut one, at(second));
            store.serve(&mut two, at(second));
        }
        one.release();
        assert_eq!(one.fence(at(30)), None);
        for second in 30..45 {
            store.serve(&mut one, at(second));
            store.serve(&mut two, at(second));
        }
        assert!(one.is_released());
        assert_eq!(two.fence(at(45)), Some(2));
    }

    #[test]
    fn who_was_cut_off_for_long_begins_a_new_tenure() {
        let mut store = Store::default();
        let mut one = Lease::new("one", LeaseTerms::default());
        (0..30).for_each(|second| store.serve(&mut one, at(second)));
        // A minute without the store: the same tenure.
        (90..120).for_each(|second| store.serve(&mut one, at(second)));
        assert_eq!(one.fence(at(119)), Some(1));
        assert_eq!(one.standing(at(600)), Standing::Watches);
        (600..630).for_each(|second| store.serve(&mut one, at(second)));
        assert_eq!(one.fence(at(629)), Some(2));
    }

    #[test]
    fn a_lost_answer_costs_nobody_the_lease() {
        let mut store = Store::default();
        let mut one = Lease::new("one", LeaseTerms::default());
        let mut tenure = None;
        for second in 0..200 {
            // Every other put is done, and its answer lost.
            store.lose_answer = second % 20 < 10;
            store.serve(&mut one, at(second));
            if second > 20 {
                let fence = one.fence(at(second));
                assert_eq!(fence, *tenure.get_or_insert(fence), "second {second}");
                assert!(fence.is_some(), "second {second}");
            }
        }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::new(1_000 + second, 0)
    }

    #[derive(Default)]
    struct Store {
        there: Option<(Body, u64)>,
        lose_answer: bool,
    }

    impl Store {
        fn serve(&mut self, lease: &mut Lease, now: Timestamp) {
            for _ in 0..3 {
                let Some(ask) = lease.poll(now) else {
                    return;
                };
                let put = matches!(ask, Ask::Put { .. });
                let answer = self.answer(ask);
                let lost = put && self.lose_answer;
                lease.handle(if lost { Answer::Unknown } else { answer }, now);
            }
        }

        fn answer(&mut self, ask: Ask) -> Answer {
            let tag = |number: u64| number.to_string();
            match (ask, self.there.clone()) {
                (Ask::Get, None) => Answer::Missing,
                (Ask::Get, Some((body, number))) => Answer::There {
                    body,
                    tag: tag(number),
                },
                (Ask::Put { body, condition }, there) => {
                    let holds = match (&condition, &there) {
                        (Condition::Absent, None) => true,
                        (Condition::Tag(wanted), Some((_, number))) => *wanted == tag(*number),
                        _ => false,
                    };
                    if !holds {
                        return Answer::Refused;
                    }
                    let number = there.map_or(1, |(_, number)| number + 1);
                    self.there = Some((body, number));
                    Answer::Done { tag: tag(number) }
                }
            }
        }
    }
}
