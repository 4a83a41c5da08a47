//! The gate of dynamic mirroring: no sequence of wishes, pins, sightings, commands, reports of the
//! reaper or jumps of the clock breaks a bound, floor, cap or pin.

mod oracle;

use std::time::Duration;

use vxscope_control::Row;
use vxscope_control::guard::{Bounds, Enrolment, Guard, Past, Pin, Refusal, Rules, Verdict};
use vxscope_units::{EvidenceClass, Grade, Timestamp};

use oracle::Oracle;

/// Sources of one sequence.
const ROWS: u8 = 12;
/// Where the clock begins: jumps go back as far.
const BEGIN: u64 = 1 << 32;

/// The first byte chooses the rules; each three that follow are one step: what, whose, how much.
///
/// # Panics
/// If the gate grants what an oracle, written apart from it, says it must not, refuses what
/// nothing forbids, brings back who need not come back, or leaves who must.
pub fn guard(data: &[u8]) {
    let _ = guard_played(data);
}

/// The same; the gate as it is then, to look at what it did.
///
/// # Panics
/// As [`guard`] does.
#[must_use]
pub fn guard_played(data: &[u8]) -> Guard {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let rules = rules(*first);
    let mut play = Play {
        guard: Guard::new(rules),
        oracle: Oracle::new(rules),
        clock: BEGIN,
    };
    for step in rest.chunks_exact(3) {
        if let [what, whose, much] = *step {
            play.step(what, whose % ROWS, much);
        }
    }
    play.force();
    play.guard
}

/// Rules at which the caps are soon reached.
fn rules(choice: u8) -> Rules {
    let common = Rules {
        pins_max: 2,
        ..Rules::default()
    };
    match choice % 4 {
        0 => common,
        // Three at once, and four in rotation.
        1 => Rules {
            rate_milli: 1,
            burst: 3,
            ..common
        },
        2 => Rules {
            changes_per_day: 5,
            cycle_percent: 100,
            ..common
        },
        _ => Rules {
            group_percent: 100,
            cycle_percent: 50,
            rate_milli: 2,
            sources_max: 9,
            ..common
        },
    }
}

fn bounds(choice: u8) -> Bounds {
    let seconds = Duration::from_secs;
    match choice % 5 {
        0 => Bounds::CRITICAL,
        1 => Bounds::STANDARD,
        2 => Bounds::LOW,
        3 => Bounds::new(Grade::Off, seconds(60), seconds(600), seconds(30)),
        // Payload may be hidden, nothing else.
        _ => Bounds::new(Grade::Off, Duration::ZERO, seconds(300), Duration::ZERO),
    }
}

struct Play {
    guard: Guard,
    oracle: Oracle,
    clock: u64,
}

impl Play {
    fn now(&self) -> Timestamp {
        Timestamp::new(self.clock, 0)
    }

    fn step(&mut self, what: u8, whose: u8, much: u8) {
        let row = Row::new(whose.into());
        match what % 16 {
            0..4 => self.judge(row, Grade::ALL[usize::from(much) % Grade::ALL.len()]),
            4..6 => self.see(row, self.guard.granted(row)),
            6 => self.see(row, Grade::ALL[usize::from(much) % Grade::ALL.len()]),
            7 => self.see_all(),
            8 => self.pass(u64::from(much)),
            9 => self.pass(u64::from(much) * 60),
            10 => self.enrol(row, whose, much),
            11 => self.pin(row, much),
            12 => self.command(much),
            13 => self.restore(row, much),
            14 => {
                self.guard.withdraw(row, self.now());
                self.oracle.withdraw(row);
            }
            _ => {
                self.clock -= u64::from(much) + 1;
                self.oracle.handle_jump_back();
                self.force();
            }
        }
        self.oracle.check_caps_of_days();
    }

    fn judge(&mut self, row: Row, grade: Grade) {
        let before = self.guard.granted(row);
        let verdict = self.guard.judge(row, grade, self.now());
        let after = self.guard.granted(row);
        match verdict {
            Verdict::Granted(granted) => {
                assert!(granted >= grade, "{granted} is less than the wish");
                assert_eq!(granted, after);
                if granted < before {
                    assert_eq!(granted, grade);
                    let broken = self.oracle.forbids(row, grade);
                    assert!(broken.is_empty(), "{grade} was granted against {broken:?}");
                }
                self.oracle.grant(row, granted);
            }
            Verdict::Refused(refusal) => {
                assert!(grade < before, "a raise was refused as {}", refusal.name());
                assert_eq!(before, after);
                let broken = self.oracle.forbids(row, grade);
                let fits = broken.contains(&refusal) || refusal == Refusal::Demand;
                assert!(fits, "refused as {}, not {broken:?}", refusal.name());
                let busy = refusal != Refusal::Demand || self.oracle.is_busy(row, grade);
                assert!(busy, "there is room for one more in rotation");
            }
        }
    }

    fn see(&mut self, row: Row, grade: Grade) {
        self.guard.handle_seen(row, grade, self.now());
        self.oracle.see(row, grade);
    }

    fn see_all(&mut self) {
        for row in (0..ROWS).map(|row| Row::new(row.into())) {
            self.see(row, self.guard.granted(row));
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.clock += seconds;
        self.oracle.now += seconds;
        self.force();
    }

    fn enrol(&mut self, row: Row, whose: u8, much: u8) {
        let enrolment = Enrolment {
            bounds: bounds(much),
            group: u32::from(whose % 2) + u32::from(much / 128),
            pinned: Duration::from_secs(u64::from(much % 3) * 60),
        };
        let taken = self.guard.enrol(row, enrolment, self.now());
        assert_eq!(taken, self.oracle.enrol(row, enrolment));
    }

    fn pin(&mut self, row: Row, much: u8) {
        let pin = Pin::ALL[usize::from(much) % Pin::COUNT];
        if much >= 192 {
            self.guard.unpin(row, pin, self.now());
            return self.oracle.unpin(row, pin);
        }
        let lasts = Duration::from_secs(u64::from(much) * 30);
        let taken = self.guard.pin(row, pin, lasts, self.now());
        assert_eq!(taken, self.oracle.pin(row, pin, lasts), "a pin was refused");
    }

    fn command(&mut self, much: u8) {
        match much % 8 {
            0 => {
                self.guard.hold(true);
                self.oracle.held = true;
            }
            1 | 2 => {
                self.guard.hold(false);
                self.oracle.held = false;
            }
            3 => {
                self.guard.recall();
                self.oracle.recall();
                self.force();
            }
            choice => {
                self.guard.handle_safety(choice > 4);
                self.oracle.off_is_safe = choice > 4;
            }
        }
    }

    /// As after a restart: some grade, hidden for some time, changed some times.
    fn restore(&mut self, row: Row, much: u8) {
        let grade = Grade::ALL[usize::from(much) % Grade::ALL.len()];
        let blind = EvidenceClass::ALL.map(|class| {
            let ago = Duration::from_secs(u64::from(much) * 10);
            (!grade.shows(class)).then_some(ago)
        });
        let changes = (0..u64::from(much % 4)).rev();
        let changes = changes.map(|ago| Duration::from_secs(ago * 20_000));
        let past = Past {
            grade,
            blind,
            changes: changes.collect(),
        };
        if self.oracle.restore(row, &past) {
            self.guard.restore(row, &past, self.now());
            self.force();
        }
    }

    fn force(&mut self) {
        let forced = self.guard.force(self.now());
        for one in &forced {
            assert!(one.grade > one.from, "{one:?} raises nothing");
            assert_eq!(self.guard.granted(one.row), one.grade);
        }
        self.oracle.check_forced(&forced);
        let again = self.guard.force(self.now());
        assert_eq!(again, [], "who was brought back is brought back again");
    }
}
