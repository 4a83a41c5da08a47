//! Asking AWS and waiting for the answer: for commands that do one thing and end.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::mirror::{ApiError, Call, CallId, ErrorKind, MirrorApi, Reply};
use vxscope_control::{Random, backoff};
use vxscope_ec2::{Chore, Done, Ec2, ObjectAnswer, ObjectAsk, Scope, wall};
use vxscope_enrolment::inventory::{Around, Inventory, Target};
use vxscope_enrolment::{Finding, Plan, Seen, preflight};

use crate::config::Config;
use crate::failure::Failure;
use crate::names::Names;

/// The longest reading of an account, every page several times.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often something is asked before it is given up.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An account, and who asks.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: Config,
    ec2: Ec2,
    /// Calls that [`Desk::account`] could not make, and why.
    unread: BTreeMap<String, String>,
    calls: u64,
    random: Random,
}

impl Desk {
    pub(crate) fn open(config: Config) -> Result<Self, Failure> {
        let ec2 = Ec2::start(config.aws.clone());
        let ec2 = ec2.map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self {
            config,
            ec2,
            unread: BTreeMap::new(),
            calls: 0,
            random: Random::new(wall().as_nanos()),
        })
    }

    /// Reads the account once.
    pub(crate) fn survey(&mut self, scope: Scope) -> Result<Inventory, Failure> {
        self.ec2.submit_survey(scope);
        self.ec2.wait(PATIENCE);
        match self.ec2.poll_survey() {
            Some(Ok(inventory)) => Ok(inventory),
            Some(Err(error)) => Err(Failure::Failed(format!(
                "the account cannot be read: {error}"
            ))),
            None => Err(Failure::Failed("AWS did not answer in time".to_owned())),
        }
    }

    /// Reads the account, and what is around it.
    pub(crate) fn account(&mut self) -> Result<Inventory, Failure> {
        let mut inventory = self.survey(Scope::All)?;
        let junctions = self.config.enrolment.selection.junctions.keys();
        let around = Around::of(&inventory, &self.config.sensors, junctions);
        self.ec2.submit_around(around);
        self.ec2.wait(PATIENCE);
        if let Some(found) = self.ec2.poll_surroundings() {
            found.complete(&mut inventory);
            self.unread = found.unread;
        }
        Ok(inventory)
    }

    /// Calls that [`Desk::account`] could not make, and why.
    pub(crate) fn unread(&self) -> &BTreeMap<String, String> {
        &self.unread
    }

    /// What would keep copies from arriving.
    pub(crate) fn preflight(
        &self,
        inventory: &Inventory,
        seen: &Seen,
        plan: &Plan,
    ) -> Vec<Finding> {
        preflight::check(&preflight::Facts {
            inventory,
            sensors: &seen.sensors,
            plan,
            bytes: &seen.bytes,
            hosts: &self.config.hosts(),
            unread: &self.unread,
        })
    }

    /// Makes a call that is safe to repeat, and repeats it while that can help.
    pub(crate) fn call(&mut self, call: &Call) -> Result<Reply, ApiError> {
        self.patiently(|desk| {
            desk.calls += 1;
            let id = CallId::new(desk.calls);
            desk.ec2.submit(id, call.clone(), wall());
            desk.ec2.wait(PATIENCE);
            let answer = desk.ec2.poll(wall());
            answer.map_or_else(|| Err(ApiError::no_answer()), |(_, reply)| reply)
        })
    }

    /// Does a chore, as [`Desk::call`] makes a call.
    pub(crate) fn chore(&mut self, chore: &Chore) -> Result<Done, ApiError> {
        self.patiently(|desk| {
            desk.calls += 1;
            desk.ec2.submit_chore(desk.calls, chore.clone());
            desk.ec2.wait(PATIENCE);
            let answer = desk.ec2.poll_chore();
            answer.map_or_else(|| Err(ApiError::no_answer()), |(_, done)| done)
        })
    }

    /// Asks a bucket, as [`Desk::call`] makes a call.
    fn object(&mut self, ask: &ObjectAsk) -> Result<ObjectAnswer, ApiError> {
        self.patiently(|desk| {
            desk.calls += 1;
            desk.ec2.submit_object(desk.calls, ask.clone());
            desk.ec2.wait(PATIENCE);
            let answer = desk.ec2.poll_object();
            answer.map_or_else(|| Err(ApiError::no_answer()), |(_, answer)| answer)
        })
    }

    /// Takes over what `sta.conf` says; what somebody should know about it.
    pub(crate) fn look_for_names(&mut self) -> Option<Finding> {
        let mut names = Names::open(&self.config, false);
        if let Some(ask) = names.ask() {
            let answer = self.object(&ask);
            names.handle(answer);
        }
        self.config.enrolment = names.settings(&self.config);
        names.finding()
    }

    fn patiently<T>(
        &mut self,
        ask: impl Fn(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut failures = 0;
        loop {
            let error = match ask(self) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            failures += 1;
            let passes = matches!(
                error.kind,
                ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::UnknownOutcome
            );
            // A clock that was wrong is corrected by the answer that said so.
            let skewed = error.code == "RequestExpired" && failures == 1;
            if failures >= ATTEMPTS || !(passes || skewed) {
                return Err(error);
            }
            std::thread::sleep(backoff(
                failures,
                FIRST_WAIT,
                LONGEST_WAIT,
                &mut self.random,
            ));
        }
    }

    /// Our targets, by id.
    pub(crate) fn our_targets(&self, inventory: &Inventory) -> Vec<Target> {
        let owner = &self.config.enrolment.owner;
        let targets = inventory.targets.values();
        let ours = targets.filter(|target| target.tags.get(&owner.tag) == Some(&owner.value));
        ours.cloned().collect()
    }

    /// Sets a tag of each of our targets; how many there are.
    pub(crate) fn tag_targets(
        &mut self,
        inventory: &Inventory,
        key: &str,
        value: &str,
    ) -> Result<usize, Failure> {
        let targets = self.our_targets(inventory);
        for target in &targets {
            let tag = Chore::Tag {
                resource: target.id.clone(),
                tags: [(key.to_owned(), value.to_owned())].into(),
            };
            self.chore(&tag)
                .map_err(|error| Failure::Failed(format!("{}: {error}", target.id)))?;
        }
        Ok(targets.len())
    }
}
