//! Reading an account: every page of everything that enrolment needs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::mirror::{ApiError, Call, ErrorKind, Reply};
use vxscope_control::{Bucket, Random, backoff};
use vxscope_enrolment::inventory::Inventory;

use crate::client::Clients;
use crate::clock::wall;
use crate::error::{api_error, incomplete};
use crate::session::PAGE;
use crate::{filter, instance, network, session, target};

/// How often a page is asked for before the reading is given up.
const ATTEMPTS: u32 = 6;
/// More pages than the largest account has: an answer that never ends is none.
const PAGES_MAX: usize = 1_000;

/// What is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Instances, interfaces, targets, filters, sessions.
    #[default]
    All,
    /// Targets and sessions only: for what has to be quick.
    Mirrors,
}

/// Reads an account, page by page, as fast as the bucket lets it.
pub(crate) struct Surveyor<'a> {
    pub(crate) clients: &'a Clients,
    /// Ours of describing calls; see [`crate::Settings::readings`].
    pub(crate) bucket: &'a RefCell<Bucket>,
    pub(crate) random: &'a RefCell<Random>,
    /// See [`crate::Settings::waits`].
    pub(crate) waits: (Duration, Duration),
}

/// One page, and where the next begins.
pub(crate) type Page<T> = (Vec<T>, Option<String>);

macro_rules! pages {
    ($self:ident, $call:ident, $set:ident, $each:expr) => {
        $self
            .all(async |next: Option<String>| {
                let call = $self.clients.ec2.$call().max_results(PAGE);
                let page = call.set_next_token(next).send().await;
                let page = page.map_err(|error| api_error(&error))?;
                let things = page.$set.ok_or_else(|| incomplete(stringify!($set)))?;
                let things = things.into_iter().flat_map($each).collect();
                Ok((things, page.next_token))
            })
            .await?
    };
}
pub(crate) use pages;

impl Surveyor<'_> {
    pub(crate) async fn read(&self, scope: Scope) -> Result<Inventory, ApiError> {
        let mut inventory = Inventory {
            read_at: wall(),
            account: self.account().await?,
            region: self.clients.region.clone(),
            ..Inventory::default()
        };
        let targets = pages!(
            self,
            describe_traffic_mirror_targets,
            traffic_mirror_targets,
            target::target
        );
        inventory.targets = by_id(targets, |one| one.id.clone());
        let sessions = self.all(async |next| self.session_page(next).await).await?;
        inventory.sessions = by_id(sessions, |one| one.id.clone());
        if scope == Scope::Mirrors {
            return Ok(inventory);
        }
        let filters = pages!(
            self,
            describe_traffic_mirror_filters,
            traffic_mirror_filters,
            filter::filter
        );
        inventory.filters = by_id(filters, |one| one.id.clone());
        let instances = pages!(self, describe_instances, reservations, instance::instances);
        inventory.instances = by_id(instances, |one| one.id.clone());
        let interfaces = pages!(
            self,
            describe_network_interfaces,
            network_interfaces,
            network::interface
        );
        inventory.interfaces = by_id(interfaces, |one| one.id.clone());
        Ok(inventory)
    }

    async fn session_page(
        &self,
        next: Option<String>,
    ) -> Result<Page<vxscope_control::mirror::Session>, ApiError> {
        let call = Call::Describe { next };
        match session::make(&self.clients.ec2, call, false).await? {
            Reply::Page { sessions, next } => Ok((sessions, next)),
            Reply::Created(_) | Reply::Modified | Reply::Deleted => Err(incomplete("sessions")),
        }
    }

    async fn account(&self) -> Result<String, ApiError> {
        let who = self
            .patiently(async || {
                let who = self.clients.sts.get_caller_identity().send().await;
                let who = who.map_err(|error| api_error(&error))?;
                who.account.ok_or_else(|| incomplete("account"))
            })
            .await?;
        Ok(who)
    }

    /// Every page. Half a reading is none.
    pub(crate) async fn all<T>(
        &self,
        page: impl AsyncFn(Option<String>) -> Result<Page<T>, ApiError>,
    ) -> Result<Vec<T>, ApiError> {
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let (things, token) = self.patiently(async || page(next.clone()).await).await?;
            all.extend(things);
            next = token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(incomplete("last page"))
    }

    /// Asks again where asking again can help.
    pub(crate) async fn patiently<T>(
        &self,
        ask: impl AsyncFn() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut failures = 0;
        loop {
            self.wait_for_token().await;
            let error = match ask().await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let passes = matches!(
                error.kind,
                ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::UnknownOutcome
            );
            failures += 1;
            if !passes || failures >= ATTEMPTS {
                return Err(error);
            }
            let wait = backoff(
                failures,
                self.waits.0,
                self.waits.1,
                &mut self.random.borrow_mut(),
            );
            tokio::time::sleep(wait).await;
        }
    }

    async fn wait_for_token(&self) {
        while !self.bucket.borrow_mut().take(wall()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn by_id<T>(things: Vec<T>, id: impl Fn(&T) -> String) -> BTreeMap<String, T> {
    things.into_iter().map(|one| (id(&one), one)).collect()
}
