//! Filters and targets that have to be made: one step at a time, each safe to repeat.

use std::collections::{BTreeMap, BTreeSet};

use vxscope_control::mirror::ApiError;
use vxscope_ec2::{Chore, ChoreId, Done};
use vxscope_enrolment::inventory::Tags;
use vxscope_enrolment::{BUILDING, FilterNeed, Missing, TargetNeed};
use vxscope_units::Timestamp;

use super::Driver;

/// Chores under way at once: they share the account's rate with resumes.
const OPEN_MAX: usize = 4;
/// Numbers of breadcrumbs begin here.
pub(super) const CRUMBS: ChoreId = 1 << 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Chores {
    epoch: u64,
    next: ChoreId,
    /// What is under way, by what it makes.
    open: BTreeMap<ChoreId, String>,
    /// What was done since the account was read: the plan does not know it yet.
    done: BTreeSet<String>,
    /// A token for each thing until it is seen: so that neither a lost answer nor a crash makes
    /// two of it.
    tokens: BTreeMap<String, String>,
    generation: u64,
    errors: BTreeMap<String, String>,
}

impl Chores {
    pub(super) fn new(epoch: u64, tokens: BTreeMap<String, String>) -> Self {
        Self {
            epoch,
            next: 0,
            open: BTreeMap::new(),
            done: BTreeSet::new(),
            tokens,
            generation: 0,
            errors: BTreeMap::new(),
        }
    }

    pub(super) fn tokens(&self) -> &BTreeMap<String, String> {
        &self.tokens
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// The account was read: what failed may be tried again.
    pub(super) fn begin_anew(&mut self) {
        self.done.clear();
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = String> {
        let errors = self.errors.iter();
        errors.map(|(what, error)| format!("{what}: {error}"))
    }

    /// A token for something; the same until it is forgotten.
    fn token(&mut self, what: &str) -> String {
        if let Some(token) = self.tokens.get(what) {
            return token.clone();
        }
        self.generation += 1;
        let token = format!("vxscope-{:x}-m{:x}", self.epoch, self.generation);
        self.tokens.insert(what.to_owned(), token.clone());
        token
    }

    /// Things that nobody needs any more are there, or were given up: the next of that name is
    /// another one.
    fn retain(&mut self, needed: &[String]) {
        self.tokens.retain(|what, _| needed.contains(what));
        self.errors.retain(|what, _| needed.contains(what));
    }

    fn begin(&mut self, what: String) -> Option<ChoreId> {
        let is_open = self.open.values().any(|open| *open == what) || self.done.contains(&what);
        if is_open || self.open.len() >= OPEN_MAX {
            return None;
        }
        self.next += 1;
        self.open.insert(self.next, what);
        Some(self.next)
    }

    fn handle(&mut self, id: ChoreId, done: Result<Done, ApiError>) {
        let Some(what) = self.open.remove(&id) else {
            return;
        };
        match done {
            Ok(_) => {
                self.errors.remove(&what);
                self.done.insert(what);
            }
            Err(error) => {
                tracing::warn!(what, %error, "EC2 refused");
                self.done.insert(what.clone());
                self.errors.insert(what, error.to_string());
            }
        }
    }
}

impl Driver {
    pub(super) fn take_chores(&mut self, now: Timestamp) {
        while let Some((id, done)) = self.ec2.poll_chore() {
            if id >= CRUMBS {
                self.handle_crumb(id, &done, now);
                continue;
            }
            self.chores.handle(id, done);
            self.order_chores();
            if self.chores.is_idle() {
                // The next step follows from what is there then.
                self.soon(now);
            }
        }
    }

    /// Begins what the plan needs and is not under way.
    pub(super) fn order_chores(&mut self) {
        let wanted: Vec<(String, Chore)> = if self.held.is_some() || !self.lead.acts() {
            Vec::new()
        } else {
            let targets = self.plan.targets.clone();
            let filters = self.plan.filters.clone();
            let targets = targets.iter().map(|need| self.target_chore(need));
            let mut wanted: Vec<(String, Chore)> = targets.collect();
            wanted.extend(filters.iter().flat_map(|need| self.filter_chores(need)));
            wanted
        };
        let names: Vec<String> = wanted.iter().map(|(what, _)| what.clone()).collect();
        self.chores.retain(&names);
        // Tokens first, on the disk, then the calls that have them.
        self.save();
        for (what, chore) in wanted {
            if let Some(id) = self.chores.begin(what) {
                self.ec2.submit_chore(id, chore);
            }
        }
    }

    fn owned(&self, name: &str) -> Tags {
        let owner = &self.config.enrolment.owner;
        [
            (owner.tag.clone(), owner.value.clone()),
            ("Name".to_owned(), name.to_owned()),
        ]
        .into()
    }

    fn target_chore(&mut self, need: &TargetNeed) -> (String, Chore) {
        let what = format!("target {}", need.place.id());
        let chore = Chore::CreateTarget {
            place: need.place.clone(),
            description: format!("{}to {}", self.config.enrolment.owner.marker, need.sensor),
            tags: self.owned(&format!("vxscope {}", need.sensor)),
            token: self.chores.token(&what),
        };
        (what, chore)
    }

    /// What can be done at once for a filter. A filter without all of its rules has a tag that
    /// says so, and that goes last.
    fn filter_chores(&mut self, need: &FilterNeed) -> Vec<(String, Chore)> {
        let name = &need.filter.name;
        let (id, rules, amazon_dns) = match &need.missing {
            Missing::All => {
                let what = format!("filter {name}");
                let mut tags = self.owned(name);
                tags.insert(BUILDING.to_owned(), "yes".to_owned());
                let chore = Chore::CreateFilter {
                    description: format!("{}{name}", self.config.enrolment.owner.marker),
                    tags,
                    token: self.chores.token(&what),
                };
                return vec![(what, chore)];
            }
            Missing::Rest {
                id,
                rules,
                amazon_dns,
            } => (id.clone(), rules, *amazon_dns),
        };
        let mut chores = Vec::new();
        for rule in rules {
            let direction = rule.clause.direction().name();
            let what = format!("filter {id} {direction} rule {}", rule.number);
            let chore = Chore::CreateRule {
                filter: id.clone(),
                rule: *rule,
                token: self.chores.token(&what),
            };
            chores.push((what, chore));
        }
        if amazon_dns {
            let filter = id.clone();
            chores.push((format!("filter {id} amazon-dns"), Chore::AddDns { filter }));
        }
        if chores.is_empty() {
            let keys = vec![BUILDING.to_owned()];
            let what = format!("filter {id} complete");
            chores.push((what, Chore::Untag { resource: id, keys }));
        }
        chores
    }
}
