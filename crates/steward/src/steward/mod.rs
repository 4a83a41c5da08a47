//! Policy, gate and keeper in one loop.

mod books;
mod decide;
mod orders;
mod sources;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vxscope_control::Row;
use vxscope_control::journal::{Record, Replay};
use vxscope_control::keeper::{self, Keeper, Step};
use vxscope_control::mirror::{ApiError, CallId, Reply};
use vxscope_policy::money::Ledger;
use vxscope_policy::rules::Mode;
use vxscope_policy::{Event, Intake, SourceKey};
use vxscope_report::Report;
use vxscope_units::{MirrorSource, Timestamp};

pub use self::orders::{Command, Detection};
use self::watch::Watch;
use crate::mind::Mind;
use crate::notice::Notice;
use crate::past::Past;
use crate::roll::Roll;
use crate::setup::{StewardSetup, guard_rules};

/// How often the policy is asked.
const DECIDE_EVERY_NANOS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Steward {
    pub(crate) mind: Mind,
    keeper: Keeper,
    ledger: Ledger,
    pub(crate) roll: Roll,
    intake: Intake,
    /// Sources whose counters so far belong to the time before they were enrolled.
    fresh: BTreeSet<SourceKey>,
    /// Why each source was last asked to change.
    why: BTreeMap<SourceKey, &'static str>,
    notices: VecDeque<Notice>,
    notices_forgotten: u64,
    decided_at: Timestamp,
    held: bool,
    /// What an earlier run had learned of sources that are not enrolled yet.
    pub(crate) past: Past,
    /// When the last alert about a source was told, and whether it was severe.
    alerted: BTreeMap<SourceKey, (Timestamp, bool)>,
}

impl Steward {
    /// Nobody is enrolled.
    #[must_use]
    pub fn new(setup: StewardSetup, now: Timestamp) -> Self {
        let StewardSetup {
            rules,
            prices,
            keeper,
            seed,
        } = setup;
        let keeper = keeper::Setup {
            rules: guard_rules(&rules),
            ..keeper
        };
        let mut keeper = Keeper::new(keeper, now);
        keeper.set_mode(keeper_mode(rules.mode));
        Self {
            mind: Mind::new(rules, seed),
            keeper,
            ledger: Ledger::new(prices),
            roll: Roll::default(),
            intake: Intake::new(),
            fresh: BTreeSet::new(),
            why: BTreeMap::new(),
            notices: VecDeque::new(),
            notices_forgotten: 0,
            decided_at: Timestamp::ZERO,
            held: false,
            past: Past::default(),
            alerted: BTreeMap::new(),
        }
    }

    /// What an earlier run wrote; before anybody is enrolled.
    pub fn recover(&mut self, replay: Replay) {
        self.keeper.recover(replay);
    }

    /// A sensor's tick. Sources that nobody enrolled are ignored.
    pub fn handle_report(&mut self, report: &Report, now: Timestamp) {
        let mut watch = Watch {
            mind: &mut self.mind,
            keeper: &mut self.keeper,
            ledger: &mut self.ledger,
            fresh: &mut self.fresh,
            from: Timestamp::ZERO,
            to: Timestamp::ZERO,
        };
        self.intake.handle_report(report, now, &mut watch);
    }

    /// What the sender's own counters say of a while: bytes that it sent and received. They wake
    /// a hidden source that begins to speak, and tell an idle one from a broken mirror.
    pub fn handle_counters(
        &mut self,
        mirror: MirrorSource,
        from: Timestamp,
        to: Timestamp,
        bytes: u64,
        now: Timestamp,
    ) {
        if let Some(source) = self.roll.key(mirror) {
            let event = Event::Counters {
                source,
                from,
                to,
                bytes,
            };
            self.mind.handle_event(event, now);
        }
    }

    /// Whether off is safe: the journal takes records, and a reaper is alive.
    pub fn handle_safety(&mut self, off_is_safe: bool) {
        self.keeper.handle_safety(off_is_safe);
    }

    /// An answer of the mirror API came.
    pub fn handle_reply(&mut self, id: CallId, result: Result<Reply, ApiError>, now: Timestamp) {
        self.keeper.handle_reply(id, result, now);
    }

    /// A step's record could not be made durable, and the call was not made.
    pub fn handle_not_durable(&mut self, id: CallId, now: Timestamp) {
        self.keeper.handle_not_durable(id, now);
    }

    /// Decides what is due. Call it several times a second.
    pub fn tick(&mut self, now: Timestamp) {
        self.keeper.tick(now);
        self.read_events(now);
        let since = now.nanos_since(self.decided_at);
        let due = self.policy().next_due().is_some_and(|due| due <= now);
        if due || since >= DECIDE_EVERY_NANOS || now < self.decided_at {
            self.decided_at = now;
            self.decide(now);
        }
        self.read_events(now);
    }

    /// The calls to be made now, each with the record to be written before it.
    #[must_use]
    pub fn poll_steps(&mut self, now: Timestamp) -> Vec<Step> {
        self.keeper.poll_steps(now)
    }

    /// Records that nothing waits for.
    #[must_use]
    pub fn poll_records(&mut self) -> Vec<Record> {
        self.keeper.poll_records()
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
}

/// In shadow the policy decides and nothing is done.
fn keeper_mode(mode: Mode) -> keeper::Mode {
    match mode {
        Mode::Dynamic => keeper::Mode::Dynamic,
        Mode::Manual | Mode::Shadow => keeper::Mode::Manual,
    }
}

fn row(key: SourceKey) -> Row {
    Row::new(key.get())
}
