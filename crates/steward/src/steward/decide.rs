//! Decisions: what the policy wishes, what the gate says, and what became of it.

use vxscope_control::guard::Verdict;
use vxscope_control::keeper;
use vxscope_policy::{Decision, Decisions, Event, Kept, SourceKey, Wish};
use vxscope_units::{Grade, Timestamp};

use super::{DECIDE_EVERY_NANOS, Steward, row};
use crate::notice::{Decided, ENROLLED, Notice};

/// Notices that wait for whoever writes them; the oldest are forgotten and counted.
const NOTICES_MAX: usize = 65_536;

/// Takes decisions down in their order.
#[derive(Default)]
struct Minutes(Vec<Minute>);

enum Minute {
    Wish(Wish),
    Kept(Kept),
}

impl Decisions for Minutes {
    fn wish(&mut self, wish: &Wish) {
        self.0.push(Minute::Wish(*wish));
    }

    fn kept(&mut self, kept: &Kept) {
        self.0.push(Minute::Kept(*kept));
    }
}

impl Steward {
    pub(super) fn decide(&mut self, now: Timestamp) {
        if self.held {
            // Nobody knows for how long, so the policy looks again and again.
            let until = now.plus_nanos(2 * DECIDE_EVERY_NANOS);
            self.mind.handle_event(Event::Hold { until }, now);
        }
        let mut minutes = Minutes::default();
        self.mind.decide(now, &self.ledger, &mut minutes);
        for minute in minutes.0 {
            match minute {
                Minute::Wish(wish) => self.ask(&wish, now),
                Minute::Kept(kept) => {
                    let Some(enrolled) = self.roll.get(kept.source) else {
                        continue;
                    };
                    let decision = Decision::of_kept(&kept, enrolled.mirror);
                    let decided = Decided::Kept(Box::new(decision));
                    self.tell(kept.source, Grade::Full, kept.grade, decided, kept.at);
                }
            }
        }
    }

    /// Asks the gate for what the policy wishes.
    fn ask(&mut self, wish: &Wish, now: Timestamp) {
        let Some(enrolled) = self.roll.get(wish.source) else {
            return;
        };
        let decision = Box::new(Decision::of_wish(wish, enrolled.mirror));
        if self.mind.missed().is_some() {
            self.ledger.change(wish.source, now, wish.grade);
            let decided = Decided::Imagined(decision);
            return self.tell(wish.source, wish.from, wish.grade, decided, now);
        }
        let from = self.keeper.guard().granted(row(wish.source));
        match self.keeper.wish(row(wish.source), wish.grade, now) {
            Verdict::Granted(grade) => {
                self.why.insert(wish.source, wish.cause.name());
                let decided = Decided::Granted(decision);
                self.tell(wish.source, from, grade, decided, now);
            }
            Verdict::Refused(refusal) => {
                self.mind.handle_refusal(wish.source, now);
                let decided = Decided::Refused(decision, refusal);
                self.tell(wish.source, from, wish.grade, decided, now);
            }
        }
    }

    pub(super) fn read_events(&mut self, now: Timestamp) {
        while let Some(event) = self.keeper.poll_event() {
            match event {
                keeper::Event::Forced(forced) => {
                    let key = SourceKey::new(forced.row.get());
                    self.why.insert(key, forced.why.name());
                    let decided = Decided::Forced {
                        force: forced.why,
                        blind: forced.blind,
                    };
                    self.tell(key, forced.from, forced.grade, decided, now);
                }
                keeper::Event::Effective { row, from, grade } => {
                    let key = SourceKey::new(row.get());
                    self.mind.handle_grade(key, grade, now);
                    if self.mind.missed().is_none() {
                        self.ledger.change(key, now, grade);
                    }
                    let why = self.why.get(&key).copied().unwrap_or(ENROLLED);
                    self.tell(key, from, grade, Decided::Effective(why), now);
                }
                // Told where they were asked for.
                keeper::Event::Granted { .. } | keeper::Event::Refused { .. } => {}
            }
        }
    }

    pub(super) fn tell(
        &mut self,
        key: SourceKey,
        from: Grade,
        grade: Grade,
        decided: Decided,
        at: Timestamp,
    ) {
        let Some(enrolled) = self.roll.get(key) else {
            return;
        };
        let (mirror, interface) = (enrolled.mirror, enrolled.interface.clone());
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
            self.notices_forgotten += 1;
        }
        self.notices.push_back(Notice {
            at,
            mirror,
            interface,
            from,
            grade,
            decided,
        });
    }
}
