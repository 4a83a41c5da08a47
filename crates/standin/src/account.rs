//! One account in one Region: everything that is there, and its quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::answer::{Answer, Refusal};
use crate::around::{Kind, Protected, SecurityGroup, Subnet};
use crate::bucket::Bucket;
use crate::filter::Filter;
use crate::inventory::{Instance, Interface, Seed};
use crate::metric::Metrics;
use crate::request::Request;
use crate::session::Session;
use crate::shelf::Shelf;
use crate::target::Target;
use crate::xml::Xml;

/// The account's number.
pub(crate) const OWNER: &str = "111122223333";

/// Limits that EC2 documents as not adjustable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Sessions of the account.
    pub sessions: usize,
    /// Sessions of one source interface.
    pub sessions_per_interface: usize,
    /// Sources of a target that is an interface; ten times as many on the largest sizes.
    pub sources_per_target: usize,
    /// Rules of a filter, of both directions together.
    pub rules_per_filter: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            sessions_per_interface: 3,
            sources_per_target: 10,
            rules_per_filter: 10,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) now: u64,
    /// How far Describe lags behind, in ms.
    pub(crate) lag: u64,
    pub(crate) page_max: usize,
    pub(crate) quotas: Quotas,
    pub(crate) instances: Shelf<Instance>,
    pub(crate) interfaces: Shelf<Interface>,
    pub(crate) targets: Shelf<Target>,
    pub(crate) filters: Shelf<Filter>,
    pub(crate) sessions: Shelf<Session>,
    /// Ids of sessions by their interface, of those too that are gone.
    on: BTreeMap<String, BTreeSet<String>>,
    pub(crate) subnets: Shelf<Subnet>,
    pub(crate) groups: Shelf<SecurityGroup>,
    pub(crate) kinds: Shelf<Kind>,
    pub(crate) protected: Protected,
    pub(crate) metrics: Metrics,
    /// What was made with a client token: of which action, by what, and the answer.
    tokens: BTreeMap<(String, String), (String, String)>,
    buckets: BTreeMap<String, Bucket>,
    throttles: bool,
    numbers: u64,
}

impl Account {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            lag: 0,
            page_max: 1_000,
            quotas: Quotas::default(),
            instances: Shelf::default(),
            interfaces: Shelf::default(),
            targets: Shelf::default(),
            filters: Shelf::default(),
            sessions: Shelf::default(),
            on: BTreeMap::new(),
            subnets: Shelf::default(),
            groups: Shelf::default(),
            kinds: Shelf::default(),
            protected: Protected::default(),
            metrics: Metrics::default(),
            tokens: BTreeMap::new(),
            buckets: BTreeMap::new(),
            throttles: true,
            numbers: seed,
        }
    }

    /// Describe shows what was so long ago.
    pub fn set_lag(&mut self, lag: Duration) {
        self.lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
    }

    /// No page is longer, whatever is asked for.
    pub fn set_page_max(&mut self, page_max: usize) {
        self.page_max = page_max.max(1);
    }

    /// Other quotas.
    pub fn set_quotas(&mut self, quotas: Quotas) {
        self.quotas = quotas;
    }

    /// Without token buckets, for tests of something else.
    pub fn set_throttles(&mut self, throttles: bool) {
        self.throttles = throttles;
    }

    /// A running instance with its interfaces.
    pub fn add_instance(&mut self, seed: Seed) {
        let now = self.now;
        let (instance, interfaces) = seed.build();
        self.instances.put(&instance.id.clone(), instance, now);
        for interface in interfaces {
            self.interfaces.put(&interface.id.clone(), interface, now);
        }
    }

    /// Changes an instance; nothing if there is none of that id.
    pub fn change_instance(&mut self, id: &str, change: impl FnOnce(&mut Instance)) {
        let Some(mut instance) = self.instances.get(id).cloned() else {
            return;
        };
        change(&mut instance);
        self.instances.put(id, instance, self.now);
    }

    /// The instance ends, with its interfaces and their sessions; it stays visible as terminated.
    pub fn terminate(&mut self, id: &str) {
        self.change_instance(id, |one| "terminated".clone_into(&mut one.state));
        let interfaces: Vec<String> = self
            .interfaces
            .iter()
            .filter(|(_, one)| one.instance.as_deref() == Some(id))
            .map(|(id, _)| id.clone())
            .collect();
        for interface in interfaces {
            self.delete_interface(&interface);
        }
    }

    /// An interface ends; EC2 deletes the sessions of which it is the source.
    pub fn delete_interface(&mut self, id: &str) {
        let sessions: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.interface == id)
            .map(|(id, _)| id.clone())
            .collect();
        for session in sessions {
            self.sessions.remove(&session, self.now);
        }
        self.interfaces.remove(id, self.now);
    }

    /// A further interface of an instance that is there.
    pub fn add_interface(&mut self, interface: Interface) {
        self.interfaces
            .put(&interface.id.clone(), interface, self.now);
    }

    /// Somebody makes a session by other means; whatever it is.
    pub fn put_session(&mut self, session: Session) {
        let on = self.on.entry(session.interface.clone()).or_default();
        on.insert(session.id.clone());
        self.sessions.put(&session.id.clone(), session, self.now);
    }

    /// Somebody deletes a session by other means.
    pub fn remove_session(&mut self, id: &str) {
        self.sessions.remove(id, self.now);
    }

    /// Somebody makes a target by other means.
    pub fn put_target(&mut self, target: Target) {
        self.targets.put(&target.id.clone(), target, self.now);
    }

    /// A filter that somebody made by other means.
    pub fn put_filter(&mut self, filter: Filter) {
        self.filters.put(&filter.id.clone(), filter, self.now);
    }

    /// Every session, by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.sessions.iter().map(|(_, one)| one.clone()).collect()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions of an interface.
    #[must_use]
    pub fn sessions_of(&self, interface: &str) -> Vec<Session> {
        let ids = self.on.get(interface).into_iter().flatten();
        let sessions = ids.filter_map(|id| self.sessions.get(id));
        let its = sessions.filter(|one| one.interface == interface);
        its.cloned().collect()
    }

    /// Every target.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.targets.iter().map(|(_, one)| one.clone()).collect()
    }

    /// Every filter.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        self.filters.iter().map(|(_, one)| one.clone()).collect()
    }

    /// An interface.
    #[must_use]
    pub fn interface(&self, id: &str) -> Option<Interface> {
        self.interfaces.get(id).cloned()
    }

    /// The time that Describe shows.
    pub(crate) fn visible_at(&self) -> u64 {
        self.now.saturating_sub(self.lag)
    }

    /// What is asked for at this time, in ms since the start.
    pub(crate) fn handle(&mut self, request: &Request, now: u64) -> Answer {
        self.now = now;
        let action = request.action();
        if self.throttles && !self.bucket(action, now).take(now) {
            return Err(Refusal::throttled());
        }
        if let Some(token) = request.text("ClientToken") {
            return self.once(request, token);
        }
        self.dispatch(request)
    }

    /// With a client token: the same answer for the same request, and it is done once.
    fn once(&mut self, request: &Request, token: &str) -> Answer {
        if token.is_empty() || token.len() > 64 || !token.is_ascii() {
            return Err(Refusal::value("ClientToken", token));
        }
        let key = (request.action().to_owned(), token.to_owned());
        let substance = request.substance();
        if let Some((before, answer)) = self.tokens.get(&key) {
            if *before != substance {
                return Err(Refusal::new(
                    "IdempotentParameterMismatch",
                    "The request uses the same client token as a previous, but non-identical \
                     request.",
                ));
            }
            // The first answer again, whatever has become of what was made.
            let mut xml = Xml::default();
            xml.raw(answer);
            return Ok(xml);
        }
        let answer = self.dispatch(request)?.into_text();
        self.tokens.insert(key, (substance, answer.clone()));
        let mut xml = Xml::default();
        xml.raw(&answer);
        Ok(xml)
    }

    fn dispatch(&mut self, request: &Request) -> Answer {
        match request.action() {
            "DescribeInstances" => self.describe_instances(request),
            "DescribeNetworkInterfaces" => self.describe_interfaces(request),
            "DescribeSubnets" => self.describe_subnets(request),
            "DescribeSecurityGroups" => self.describe_groups(request),
            "DescribeInstanceTypes" => self.describe_kinds(request),
            "CreateTrafficMirrorSession" => self.create_session(request),
            "ModifyTrafficMirrorSession" => self.modify_session(request),
            "DeleteTrafficMirrorSession" => self.delete_session(request),
            "DescribeTrafficMirrorSessions" => self.describe_sessions(request),
            "CreateTrafficMirrorTarget" => self.create_target(request),
            "DeleteTrafficMirrorTarget" => self.delete_target(request),
            "DescribeTrafficMirrorTargets" => self.describe_targets(request),
            "CreateTrafficMirrorFilter" => self.create_filter(request),
            "DeleteTrafficMirrorFilter" => self.delete_filter(request),
            "DescribeTrafficMirrorFilters" => self.describe_filters(request),
            "CreateTrafficMirrorFilterRule" => self.create_rule(request),
            "DeleteTrafficMirrorFilterRule" => self.delete_rule(request),
            "DescribeTrafficMirrorFilterRules" => self.describe_rules(request),
            "ModifyTrafficMirrorFilterNetworkServices" => self.modify_services(request),
            "GetCallerIdentity" => Ok(identity()),
            "CreateTags" => self.create_tags(request),
            "DeleteTags" => self.delete_tags(request),
            other => Err(Refusal::new(
                "InvalidAction",
                format!("The action {other} is not valid for this web service."),
            )),
        }
    }

    /// EC2's buckets: 100 and 20/s of describing calls, 50 and 10/s of those for instances and
    /// interfaces that ask for all of them, 100 and 10/s for tags, 50 and 5/s for all others.
    fn bucket(&mut self, action: &str, now: u64) -> &mut Bucket {
        let (burst, rate) = match action {
            "CreateTags" | "DeleteTags" => (100.0, 10.0),
            _ if action.starts_with("Describe") => (100.0, 20.0),
            _ => (50.0, 5.0),
        };
        self.buckets
            .entry(action.to_owned())
            .or_insert_with(|| Bucket::new(burst, rate, now))
    }

    /// An id that was never given before; the same seed gives the same ones.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.numbers = self.numbers.wrapping_add(1);
        let mixed = mix(self.numbers);
        format!("{prefix}-{:017x}", u128::from(mixed) * 13)
    }

    pub(crate) fn random_vni(&mut self) -> u32 {
        loop {
            self.numbers = self.numbers.wrapping_add(1);
            let vni = u32::try_from(mix(self.numbers) & 0xff_ffff).unwrap_or(1);
            let taken = self.sessions.iter().any(|(_, one)| one.vni == vni);
            if vni > 0 && !taken {
                return vni;
            }
        }
    }

    /// Fails if the call was only a question, after everything else was checked.
    pub(crate) fn stop_if_dry(request: &Request) -> Result<(), Refusal> {
        if request.is_dry_run() {
            return Err(Refusal::dry_run());
        }
        Ok(())
    }
}

/// What the Security Token Service says of every caller.
fn identity() -> Xml {
    let mut xml = Xml::default();
    xml.nest("GetCallerIdentityResult", |xml| {
        xml.leaf(
            "Arn",
            format!("arn:aws:sts::{OWNER}:assumed-role/standin/i"),
        )
        .leaf("UserId", "AROASTANDIN:i")
        .leaf("Account", OWNER);
    });
    xml
}

/// `SplitMix64`.
pub(crate) fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
