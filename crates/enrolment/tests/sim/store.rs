//! An object store with conditional writes, which is slow, loses answers and is away at times.

use std::collections::BTreeMap;

use vxscope_control::Random;
use vxscope_enrolment::lead::{Answer, Ask, Body, Breadcrumbs, Condition};

/// What is asked of the store, for the lease or for the rest.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Lease(Ask),
    GetCrumbs,
    /// With the tag that must be there.
    PutCrumbs(Breadcrumbs, u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Lease(Answer),
    /// And the tag, and when the reaper was last there.
    Crumbs(Breadcrumbs, u64, u64),
    Written(u64),
    Refused,
    Unknown,
}

impl Reply {
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Lease(Answer::Unknown))
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    lease: Option<(Body, u64)>,
    pub(crate) crumbs: Breadcrumbs,
    crumbs_tag: u64,
    pub(crate) reaper_beat: u64,
    due: BTreeMap<(u64, u64), (usize, u64, Question)>,
    answers: BTreeMap<(u64, u64), (usize, u64, Reply)>,
    count: u64,
    random: Random,
    lost: u32,
    /// Fences in the order in which they were written.
    pub(crate) fences: Vec<u64>,
}

const SECOND: u64 = 1_000_000_000;

impl Store {
    pub(crate) fn new(seed: u64, lost: u32) -> Self {
        Self {
            lease: None,
            crumbs: Breadcrumbs::default(),
            crumbs_tag: 0,
            reaper_beat: 0,
            due: BTreeMap::new(),
            answers: BTreeMap::new(),
            count: 0,
            random: Random::new(seed),
            lost,
            fences: Vec::new(),
        }
    }

    /// `who` of which run asks.
    pub(crate) fn ask(&mut self, who: usize, run: u64, question: Question, now: u64, out: bool) {
        self.count += 1;
        let at = now + self.random.below(2 * SECOND);
        if out || self.random.chance(self.lost) {
            let key = (now + 5 * SECOND, self.count);
            self.answers.insert(key, (who, run, unknown(&question)));
        } else {
            self.due.insert((at, self.count), (who, run, question));
        }
    }

    /// Answers that have come by now.
    pub(crate) fn poll(&mut self, now: u64) -> Vec<(usize, u64, Reply)> {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > now {
                break;
            }
            let (who, run, question) = entry.remove();
            let nothing = unknown(&question);
            let reply = self.serve(question);
            self.count += 1;
            let lost = self.random.chance(self.lost);
            let (delay, reply) = if lost {
                (5 * SECOND, nothing)
            } else {
                (self.random.below(SECOND), reply)
            };
            self.answers
                .insert((at + delay, self.count), (who, run, reply));
        }
        let later = self.answers.split_off(&(now + 1, 0));
        std::mem::replace(&mut self.answers, later)
            .into_values()
            .collect()
    }

    fn serve(&mut self, question: Question) -> Reply {
        match question {
            Question::Lease(ask) => Reply::Lease(self.lease(ask)),
            Question::GetCrumbs => {
                Reply::Crumbs(self.crumbs.clone(), self.crumbs_tag, self.reaper_beat)
            }
            Question::PutCrumbs(crumbs, tag) => {
                if tag != self.crumbs_tag {
                    return Reply::Refused;
                }
                self.fences.push(crumbs.fence);
                self.crumbs = crumbs;
                self.crumbs_tag += 1;
                Reply::Written(self.crumbs_tag)
            }
        }
    }

    fn lease(&mut self, ask: Ask) -> Answer {
        let tag = |number: u64| number.to_string();
        match (ask, self.lease.clone()) {
            (Ask::Get, None) => Answer::Missing,
            (Ask::Get, Some((body, number))) => Answer::There {
                body,
                tag: tag(number),
            },
            (Ask::Put { body, condition }, there) => {
                let holds = match (&condition, &there) {
                    (Condition::Absent, None) => true,
                    (Condition::Tag(wanted), Some((_, number))) => *wanted == tag(*number),
                    (Condition::Absent, Some(_)) | (Condition::Tag(_), None) => false,
                };
                if !holds {
                    return Answer::Refused;
                }
                let number = there.map_or(1, |(_, number)| number + 1);
                self.lease = Some((body, number));
                Answer::Done { tag: tag(number) }
            }
        }
    }
}

/// No answer came to this.
fn unknown(question: &Question) -> Reply {
    match question {
        Question::Lease(_) => Reply::Lease(Answer::Unknown),
        Question::GetCrumbs | Question::PutCrumbs(..) => Reply::Unknown,
    }
}
