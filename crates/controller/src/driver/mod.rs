//! The loop: what is in the account and what sensors report in, calls out, nothing lost between.
//!
//! [`Driver::tick`] never waits. What must be on the disk before a call is, and what must be in
//! the account before a session is deleted, too.

mod around;
mod assurance;
mod breadcrumb;
mod bucket;
mod carry;
mod chores;
mod grades;
mod hint;
mod lead;
mod removal;
mod safety;
mod state;
mod tamper;
mod turns;
mod word;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use vxscope_control::journal::Record;
use vxscope_control::keeper::{Setup, Step};
use vxscope_control::mirror::{ApiError, Call, CallId, ErrorKind, MirrorApi, Reply};
use vxscope_ec2::{Ec2, Scope};
use vxscope_enrolment::inventory::{Inventory, Surroundings};
use vxscope_enrolment::lead::Lease;
use vxscope_enrolment::preflight::Host;
use vxscope_enrolment::{Enroller, Plan, Seen, Settings};
use vxscope_report::Report;
use vxscope_steward::{Command, Notice, Steward, StewardSetup, guard_rules};
#[cfg(test)]
use vxscope_units::MirrorSource;
use vxscope_units::{BindTable, Grade, Timestamp};

use crate::config::Config;
use crate::learned::Book;
use crate::names::Names;
use crate::seal::Seal;
use crate::store::{Remembered, Store, read_json};
use assurance::Assurance;
use breadcrumb::Breadcrumbs;
use carry::Known;
use chores::Chores;
use grades::Grades;
use hint::Hints;
use lead::Lead;
use removal::Removals;
use tamper::Watch;
use word::Words;

pub(crate) use breadcrumb::{crumb_of, is_crumb};
pub(crate) use safety::{CONTROLLER, HEARTBEAT, HOLD, hold_of};
pub(crate) use state::State;
pub(crate) use tamper::{Overtaken, Tampered};
pub(crate) use word::bind_table;

/// After a chore or a refusal the account is looked at again so soon.
const SOON: Duration = Duration::from_secs(2);
/// Between two attempts to write a journal that took no records.
const REPAIR: Duration = Duration::from_secs(10);
/// After a reading that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Driver {
    config: Config,
    /// What holds of the configuration with what `sta.conf` says.
    settings: Settings,
    names: Names,
    names_at: Timestamp,
    names_open: bool,
    surroundings: Surroundings,
    hosts: Vec<Host>,
    around_is_known: bool,
    around_at: Timestamp,
    around_open: bool,
    /// The first reading, while it waits for what is around it.
    first: Option<(Inventory, Timestamp)>,
    ec2: Ec2,
    steward: Steward,
    enroller: Enroller,
    store: Store,
    /// The account as it was read last.
    inventory: Option<Inventory>,
    plan: Plan,
    /// Whether some session still has the slot of a source that follows.
    hands_over: bool,
    survey_open: bool,
    survey_at: Timestamp,
    survey_begun: Timestamp,
    /// When something was last under way.
    busy_at: Timestamp,
    surveys: u64,
    surveys_failed: u64,
    last_error: Option<String>,
    seen: Seen,
    /// Sources that the steward looks after, by interface.
    known: BTreeMap<String, Known>,
    /// Calls under way, by whom and to where they are.
    flights: BTreeMap<CallId, (String, String)>,
    chores: Chores,
    removals: Removals,
    crumbs: Breadcrumbs,
    watch: Watch,
    seal: Seal,
    learned: Book,
    lead: Lead,
    assurance: Assurance,
    hints: Hints,
    /// The operator had everything brought back, and did not say that it may go on.
    resumed_by_order: bool,
    /// Whether nobody was here for so long that all comes back; unknown before the first reading.
    returned: bool,
    /// Why nothing is lowered or made, if somebody said so.
    held: Option<String>,
    /// When others were last told that somebody is here.
    beat_at: Timestamp,
    /// When a journal that takes no records is tried again.
    repair_at: Timestamp,
    table_is_new: bool,
    grades: Grades,
    /// As they are on the disk.
    grades_kept: Grades,
    words: Words,
}

impl Driver {
    /// Goes on where the run before ended.
    pub(crate) fn new(config: Config, ec2: Ec2, now: Timestamp) -> Result<Self, String> {
        let (mut store, replay) = Store::open(&config.folder)?;
        let names = Names::open(&config, true);
        let settings = names.settings(&config);
        let rules = settings.rules.clone();
        // Different in every run, and hard to guess: whoever knows it knows when a source is off.
        let seed = RandomState::new().hash_one(now.as_nanos());
        let epoch = now.as_nanos() / 1_000;
        let keeper = Setup {
            owner: config.enrolment.owner.clone(),
            limits: config.limits,
            rules: guard_rules(&rules),
            epoch,
            seed,
        };
        let setup = StewardSetup {
            rules,
            prices: config.enrolment.prices.clone(),
            keeper,
            seed,
        };
        let mut steward = Steward::new(setup, now);
        steward.recover(replay);
        let learned = Book::new(&config.folder);
        steward.remember(learned.read(now));
        let first: Vec<Record> = steward.poll_records();
        store
            .append(&first)
            .map_err(|error| format!("{}: journal: {error}", config.folder.display()))?;
        let memory = store.remembered().memory.clone();
        let lease = config
            .lease
            .map(|terms| Lease::new(store.identity(), terms));
        let lead = Lead::new(lease, store.remembered().fence);
        let grades: Grades = match read_json(&config.folder.join(Grades::FILE)) {
            Ok(grades) => grades.unwrap_or_default(),
            Err(error) => {
                tracing::error!(%error, "since when mirrors are as they are is forgotten");
                Grades::default()
            }
        };
        let seen = Seen {
            sensors: config.sensors.clone(),
            ..Seen::default()
        };
        Ok(Self {
            enroller: Enroller::new(settings.clone(), memory),
            settings,
            names,
            names_at: Timestamp::ZERO,
            names_open: false,
            surroundings: Surroundings::default(),
            hosts: Vec::new(),
            around_is_known: false,
            around_at: Timestamp::ZERO,
            around_open: false,
            first: None,
            chores: Chores::new(epoch, store.remembered().tokens.clone()),
            removals: Removals::new(now),
            crumbs: Breadcrumbs::default(),
            watch: Watch::default(),
            seal: Seal::read(&config.key_file)?,
            learned,
            lead,
            assurance: Assurance::new(config.metrics_per_hour, now),
            hints: Hints::default(),
            resumed_by_order: false,
            returned: false,
            config,
            ec2,
            steward,
            store,
            inventory: None,
            plan: Plan::default(),
            hands_over: false,
            survey_open: false,
            survey_at: Timestamp::ZERO,
            survey_begun: Timestamp::ZERO,
            busy_at: now,
            surveys: 0,
            surveys_failed: 0,
            last_error: None,
            seen,
            known: BTreeMap::new(),
            flights: BTreeMap::new(),
            held: None,
            beat_at: Timestamp::ZERO,
            repair_at: Timestamp::ZERO,
            table_is_new: false,
            grades: grades.clone(),
            grades_kept: grades,
            words: Words::default(),
        })
    }

    /// Takes answers, decides, makes calls.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.take_replies(now);
        self.watch_tampering();
        self.take_chores(now);
        self.take_objects(now);
        self.hold_lease(now);
        self.look_for_names(now);
        self.take_survey(now);
        self.take_around(now);
        self.take_hints(now);
        self.assure(now);
        self.look_for_hold(now);
        self.beat(now);
        self.steward.handle_safety(self.is_off_safe(now));
        self.steward.tick(now);
        self.make_steps(now);
        self.remove(now);
        self.learned.tick(&self.steward, now);
        self.look_again(now);
    }

    /// Somebody asked for the end, for good: everything comes back, and nothing is lowered.
    pub(crate) fn bring_back(&mut self, now: Timestamp) {
        self.steward.handle_command(Command::ResumeAll, now);
    }

    /// Whether the account was read, so that everybody is known.
    pub(crate) fn has_read(&self) -> bool {
        self.inventory.is_some()
    }

    /// Sources that are lower than full, as far as anybody knows, and can come back.
    pub(crate) fn lowered(&self) -> usize {
        let sources = self.known.values();
        let lowered = sources.filter(|known| {
            let has = self.steward.effective(known.mirror);
            has.is_none_or(|grade| grade < Grade::Full)
                && self.steward.blocked(known.mirror).is_none()
        });
        lowered.count()
    }

    /// Who is looked after, by interface.
    #[cfg(test)]
    pub(crate) fn mirrors(&self) -> impl Iterator<Item = (String, MirrorSource)> {
        let known = self.known.iter();
        known.map(|(interface, known)| (interface.clone(), known.mirror))
    }

    /// Whether no call is under way.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.ec2.is_idle()
    }

    /// With `--once`, after each tick: whether everything is as it should be, as far as EC2 lets
    /// it, and the account was read again since it became so. It is, as soon as that looks so.
    pub(crate) fn is_settled(&mut self, now: Timestamp) -> bool {
        // It looks at every source: too much for a tick of those who go on for ever.
        if self.is_busy() {
            self.busy_at = now;
            return false;
        }
        let read_at = self.inventory.as_ref().map(|inventory| inventory.read_at);
        let is_read = read_at > Some(self.busy_at);
        if !is_read {
            self.soon(now);
        }
        let reads = self.survey_open || self.first.is_some();
        self.lead.acts() && is_read && !reads
    }

    /// Waits for an answer, but not longer.
    pub(crate) fn wait(&mut self, longest: Duration) {
        self.ec2.wait(longest);
    }

    /// A sensor's tick.
    pub(crate) fn handle_report(&mut self, report: &Report, now: Timestamp) {
        self.assurance.handle_report(report);
        self.steward.handle_report(report, now);
    }

    /// The operator spoke.
    pub(crate) fn handle_command(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::ResumeAll => self.resumed_by_order = true,
            Command::Release => self.resumed_by_order = false,
            Command::Pin(..) | Command::Unpin(_) | Command::Hold => {}
        }
        self.steward.handle_command(command, now);
    }

    /// Which sources sensors are to know, after each reading of the account.
    #[must_use]
    pub(crate) fn poll_bind_table(&mut self) -> Option<BindTable> {
        if !std::mem::take(&mut self.table_is_new) {
            return None;
        }
        match self.enroller.bind_table(&self.plan) {
            Ok(table) => Some(table),
            Err(conflicts) => {
                tracing::error!(?conflicts, "sources cannot be told apart");
                None
            }
        }
    }

    /// What happened, oldest first.
    #[must_use]
    pub(crate) fn poll_notice(&mut self) -> Option<Notice> {
        let notice = self.steward.poll_notice()?;
        self.words.outcomes.count(&notice);
        self.words.is_new = true;
        Some(notice)
    }

    /// Whether something is under way or waits for it.
    fn is_busy(&self) -> bool {
        let reconciler = self.steward.keeper().reconciler();
        let is_blocked = |known: &&Known| self.steward.blocked(known.mirror).is_some();
        let blocked = self.known.values().filter(is_blocked).count();
        let differs = |known: &Known| {
            let has = self.steward.effective(known.mirror);
            has != self.steward.granted(known.mirror) && !is_blocked(&known)
        };
        let is_stopped = self.held.is_some();
        self.known.values().any(differs)
            || reconciler.open() > blocked
            || !self.chores.is_idle()
            || !self.removals.is_idle()
            || (!is_stopped && !self.plan.filters.is_empty())
            || (!is_stopped && !self.plan.targets.is_empty())
            || !self.plan.leaving.is_empty()
            || self.hands_over
    }

    /// Ends in order: what must be resumed by others is in the journal and in the account already,
    /// so nothing is left to do but to write down what is known.
    pub(crate) fn close(&mut self, now: Timestamp) {
        self.learned.close(&self.steward, now);
        let records = self.steward.poll_records();
        if let Err(error) = self.store.append(&records) {
            tracing::error!(%error, "the journal does not take the last records");
        }
    }

    fn take_replies(&mut self, now: Timestamp) {
        while let Some((id, result)) = self.ec2.poll(now) {
            if self.removals.handle(id, &result) {
                continue;
            }
            let flight = self.flights.remove(&id);
            if let (Err(error), Some((interface, target))) = (&result, flight) {
                self.learn(error, &interface, &target, now);
            }
            self.steward.handle_reply(id, result, now);
        }
    }

    /// What a refusal says about what can be mirrored at all.
    fn learn(&mut self, error: &ApiError, interface: &str, target: &str, now: Timestamp) {
        tracing::warn!(interface, target, %error, "EC2 refused");
        self.last_error = Some(format!("{interface}: {error}"));
        let inventory = self.inventory.as_ref();
        match error.kind {
            ErrorKind::Unsupported => {
                let there = inventory.and_then(|all| all.interfaces.get(interface));
                let instance = there.and_then(|one| inventory?.instance_of(one));
                let kind = instance.map_or("", |instance| instance.kind.as_str());
                self.enroller.handle_unsupported(interface, kind);
                self.soon(now);
            }
            ErrorKind::Limit if is_about_target(error) => {
                let ours = self.known.values();
                let ours = ours.filter(|one| one.has_session && one.target() == target);
                let count = u32::try_from(ours.count()).unwrap_or(u32::MAX);
                self.enroller.handle_target_full(target, count);
                self.soon(now);
            }
            _ => {}
        }
    }

    fn take_survey(&mut self, now: Timestamp) {
        while let Some(read) = self.ec2.poll_survey() {
            self.survey_open = false;
            self.surveys += 1;
            match read {
                Ok(mut inventory) => {
                    inventory.read_at = self.survey_begun;
                    self.last_error = None;
                    self.survey_at = after(now, self.config.limits.describe_every);
                    self.handle_inventory(inventory, now);
                }
                Err(error) => {
                    tracing::warn!(%error, "the account cannot be read");
                    self.surveys_failed += 1;
                    self.last_error = Some(error.to_string());
                    self.survey_at = after(now, AFTER_FAILURE);
                }
            }
        }
    }

    fn look_again(&mut self, now: Timestamp) {
        // A clock that went back must not make it wait.
        let far = after(now, self.config.limits.describe_every + AFTER_FAILURE);
        let may = self.names.is_known() && !self.survey_open && self.first.is_none();
        if may && (now >= self.survey_at || self.survey_at > far) {
            self.survey_open = true;
            self.survey_begun = now;
            self.ec2.submit_survey(Scope::All);
        }
    }

    /// The account is to be looked at again soon.
    fn soon(&mut self, now: Timestamp) {
        self.survey_at = self.survey_at.min(after(now, SOON));
    }

    /// Writes what must be written, then makes the calls.
    fn make_steps(&mut self, now: Timestamp) {
        let mut records = self.steward.poll_records();
        let steps = self.steward.poll_steps(now);
        records.extend(steps.iter().filter_map(|step| step.record.clone()));
        let durable = self.store.append(&records);
        if let Err(error) = &durable {
            tracing::error!(%error, "the journal takes no records: nothing is lowered");
        }
        for step in steps {
            let unsafe_now = step.must_be_durable && durable.is_err();
            if unsafe_now || !self.lead.lets(&step) {
                self.steward.handle_not_durable(step.id, now);
            } else if step.must_be_durable {
                self.leave_crumb(step, now);
            } else {
                self.submit(step, now);
            }
        }
        let is_damaged = !self.store.is_writable() && now >= self.repair_at;
        if self.store.is_long() || is_damaged {
            self.repair_at = after(now, REPAIR);
            // Whole: what it did not take before is in it, too.
            let records = self.steward.keeper().compacted();
            if let Err(error) = self.store.compact(&records) {
                tracing::error!(%error, "the journal cannot be written anew");
            }
        }
    }

    fn submit(&mut self, step: Step, now: Timestamp) {
        if let Call::Create(create) = &step.call {
            let flight = (create.interface.clone(), create.settings.target.clone());
            self.flights.insert(step.id, flight);
        }
        self.ec2.submit(step.id, step.call, now);
    }

    fn save(&mut self) {
        let remembered = Remembered {
            memory: self.enroller.memory().clone(),
            tokens: self.chores.tokens().clone(),
            fence: self.lead.fence,
        };
        if let Err(error) = self.store.remember(remembered) {
            tracing::error!(%error, "what enrolment remembers cannot be written");
        }
    }
}

fn is_about_target(error: &ApiError) -> bool {
    error.code.contains("PerTarget") || error.message.contains("interface-target limit")
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.plus_nanos(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))
}

/// Whether a call succeeded or found that there was nothing left to do.
fn is_done(result: &Result<Reply, ApiError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => error.kind == ErrorKind::NotFound,
    }
}
