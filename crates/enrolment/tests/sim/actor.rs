//! A controller: lease, keeper and breadcrumbs, as the program has them.

use std::time::Duration;

use vxscope_control::guard::{Bounds, Enrolment, Rules};
use vxscope_control::journal::{Damage, Replay};
use vxscope_control::keeper::{Keeper, Mode, Setup, Step};
use vxscope_control::mirror::{ApiError, Call, CallId, Reply as ApiReply};
use vxscope_control::reconcile::Limits;
use vxscope_control::{Random, Row};
use vxscope_enrolment::lead::{Breadcrumbs, Lease, LeaseTerms, Return, Standing, returns};
use vxscope_units::{Grade, Timestamp};

use super::store::{Question, Reply};
use super::world::{owner, subject};

/// Short enough to try often.
pub(crate) const BOUNDS: Bounds = Bounds::new(
    Grade::Off,
    Duration::from_secs(600),
    Duration::from_secs(900),
    Duration::from_secs(120),
);

const SECOND: u64 = 1_000_000_000;
/// Between two writes of the breadcrumbs, if nothing is urgent.
const BEAT: u64 = 10 * SECOND;
/// A reaper that was not there for so long makes off unsafe.
const REAPER_MAX: u64 = 180 * SECOND;

/// What it wants from the world.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) questions: Vec<Question>,
    /// Calls, and under which standing.
    pub(crate) calls: Vec<(CallId, Call, Standing)>,
}

#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) run: u64,
    sources: u32,
    seed: u64,
    lease: Lease,
    pub(crate) keeper: Option<Keeper>,
    /// The fence under which the keeper began.
    fence: u64,
    reading: bool,
    /// What is written now, with the steps that wait for it.
    writing: Option<Vec<Step>>,
    /// Steps that lower, and the store knows it.
    written: Vec<Step>,
    /// Steps that wait for the next writing.
    waiting: Vec<Step>,
    tag: Option<u64>,
    wrote_at: u64,
    /// Server time less our own monotonic time, as the last answer told.
    offset: Option<i128>,
    told: u64,
    recalled: bool,
    pub(crate) takeovers: u64,
}

impl Actor {
    pub(crate) fn new(name: usize, run: u64, sources: u32, seed: u64) -> Self {
        Self {
            run,
            sources,
            seed,
            lease: Lease::new(&format!("{name}-{run}"), LeaseTerms::default()),
            keeper: None,
            fence: 0,
            reading: false,
            writing: None,
            written: Vec::new(),
            waiting: Vec::new(),
            tag: None,
            wrote_at: 0,
            offset: None,
            told: 0,
            recalled: false,
            takeovers: 0,
        }
    }

    /// The server's time, as far as it is known, from a clock that does not jump; it never goes
    /// back. `wall` is what the machine believes, for as long as nobody has answered.
    fn clock(&mut self, mono: u64, wall: u64) -> u64 {
        let time = self.offset.map_or(wall, |offset| {
            u64::try_from(i128::from(mono) + offset).unwrap_or(0)
        });
        self.told = self.told.max(time);
        self.told
    }

    pub(crate) fn handle_date(&mut self, mono: u64, date: u64) {
        let offset = i128::from(date) - i128::from(mono);
        if self.offset.is_none() {
            (self.offset, self.told) = (Some(offset), 0);
        }
    }

    pub(crate) fn handle_api(&mut self, id: CallId, result: Result<ApiReply, ApiError>, mono: u64) {
        let now = stamp(self.clock(mono, 0));
        if let Some(keeper) = &mut self.keeper {
            keeper.handle_reply(id, result, now);
        }
    }

    pub(crate) fn handle_store(&mut self, reply: Reply, mono: u64) {
        let now = stamp(self.clock(mono, 0));
        match reply {
            Reply::Lease(answer) => self.lease.handle(answer, stamp(mono)),
            Reply::Crumbs(crumbs, tag, reaper) => {
                self.reading = false;
                self.tag = Some(tag);
                if let Some(keeper) = &mut self.keeper {
                    let age = now.as_nanos().saturating_sub(reaper * 1_000);
                    keeper.handle_safety(age < REAPER_MAX);
                } else if let Some(fence) = self.lease.fence(stamp(mono)) {
                    self.begin(&crumbs, fence, now);
                }
            }
            Reply::Written(tag) => {
                self.tag = Some(tag);
                self.written.extend(self.writing.take().unwrap_or_default());
            }
            Reply::Refused | Reply::Unknown => self.handle_failure(now),
        }
    }

    fn handle_failure(&mut self, now: Timestamp) {
        self.reading = false;
        self.tag = None;
        let steps = self.writing.take().unwrap_or_default();
        if let Some(keeper) = &mut self.keeper {
            for step in steps {
                keeper.handle_not_durable(step.id, now);
            }
        }
    }

    fn begin(&mut self, crumbs: &Breadcrumbs, fence: u64, now: Timestamp) {
        self.takeovers += 1;
        self.recalled = false;
        let setup = Setup {
            owner: owner(),
            limits: Limits::default(),
            rules: Rules {
                cycle_percent: 100,
                ..Rules::default()
            },
            // One keeper under one fence.
            epoch: fence,
            seed: self.seed ^ fence,
        };
        let mut keeper = Keeper::new(setup, now);
        keeper.recover(Replay {
            memory: crumbs.memory(),
            damage: Damage::None,
        });
        for row in 0..self.sources {
            let enrolment = Enrolment {
                bounds: BOUNDS,
                group: row % 3,
                pinned: Duration::ZERO,
            };
            keeper.enrol(Row::new(row), subject(row), enrolment, now);
        }
        keeper.set_mode(Mode::Dynamic);
        let beat = (crumbs.beat > 0).then(|| stamp(crumbs.beat * 1_000));
        if returns(beat, now) == Return::ResumesAll {
            keeper.resume_all();
            keeper.hold(false);
        }
        (self.keeper, self.fence) = (Some(keeper), fence);
        self.wrote_at = 0;
    }

    /// A random wish, if there is somebody to ask.
    pub(crate) fn wish(&mut self, random: &mut Random, mono: u64) {
        let acts = matches!(self.lease.standing(stamp(mono)), Standing::Acts(_));
        let now = stamp(self.clock(mono, 0));
        if let Some(keeper) = self.keeper.as_mut().filter(|_| acts) {
            let row = u32::try_from(random.below(u64::from(self.sources))).expect("below a u32");
            let place = usize::try_from(random.below(Grade::ALL.len() as u64)).expect("below 5");
            keeper.wish(Row::new(row), Grade::ALL[place], now);
        }
    }

    /// One turn.
    pub(crate) fn step(&mut self, mono: u64, wall: u64) -> Wants {
        let mut wants = Wants::default();
        let now = stamp(self.clock(mono, wall));
        if let Some(ask) = self.lease.poll(stamp(mono)) {
            wants.questions.push(Question::Lease(ask));
        }
        let standing = self.lease.standing(stamp(mono));
        match standing {
            Standing::Acts(fence) if self.keeper.is_some() && self.fence != fence => {
                // Somebody else acted in between.
                self.stop();
            }
            Standing::Watches => {
                self.stop();
                return wants;
            }
            Standing::Acts(_) | Standing::Raises => {}
        }
        self.read(mono, &mut wants);
        if let Some(keeper) = &mut self.keeper {
            if standing == Standing::Raises && !self.recalled {
                keeper.resume_all();
                self.recalled = true;
            }
            if standing != Standing::Raises && self.recalled {
                keeper.hold(false);
                self.recalled = false;
            }
            keeper.tick(now);
            let steps = keeper.poll_steps(now);
            let _ = keeper.poll_records();
            self.waiting.extend(steps);
        }
        self.send(standing, mono, now, &mut wants);
        wants
    }

    fn stop(&mut self) {
        (self.keeper, self.writing) = (None, None);
        (self.written, self.waiting) = (Vec::new(), Vec::new());
    }

    /// Reads the breadcrumbs: at the beginning, after a failure, and for the reaper's sign of life.
    fn read(&mut self, mono: u64, wants: &mut Wants) {
        let needed = self.keeper.is_none() || self.tag.is_none() || mono % (30 * SECOND) < SECOND;
        if needed && !self.reading && self.writing.is_none() {
            self.reading = true;
            wants.questions.push(Question::GetCrumbs);
        }
    }

    /// Sends what may be sent, and writes down first what lowers.
    fn send(&mut self, standing: Standing, mono: u64, now: Timestamp, wants: &mut Wants) {
        let Some(keeper) = &mut self.keeper else {
            return;
        };
        let (lowers, free): (Vec<Step>, Vec<Step>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|step| step.must_be_durable);
        let written = std::mem::take(&mut self.written);
        for step in &free {
            wants.calls.push((step.id, step.call.clone(), standing));
        }
        if standing == Standing::Raises {
            for step in written.iter().chain(&lowers) {
                keeper.handle_not_durable(step.id, now);
            }
            return;
        }
        for step in written {
            wants.calls.push((step.id, step.call, standing));
        }
        let due = !lowers.is_empty() || mono >= self.wrote_at + BEAT;
        match self
            .tag
            .filter(|_| due && self.writing.is_none() && !self.reading)
        {
            Some(tag) => {
                let bounds = BOUNDS
                    .blind
                    .map(|bound| u64::try_from(bound.as_micros()).expect("minutes"));
                let micros = now.as_nanos() / 1_000;
                let crumbs = Breadcrumbs::new(keeper.memory(), self.fence, micros, |_| bounds);
                wants.questions.push(Question::PutCrumbs(crumbs, tag));
                self.wrote_at = mono;
                self.writing = Some(lowers);
            }
            None => self.waiting.extend(lowers),
        }
    }

    /// Whether it may send a call now.
    pub(crate) fn standing(&self, mono: u64) -> Standing {
        self.lease.standing(stamp(mono))
    }
}

pub(crate) fn stamp(nanos: u64) -> Timestamp {
    Timestamp::ZERO.plus_nanos(nanos)
}
