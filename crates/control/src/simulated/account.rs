//! The sessions of a simulated account, as they are and as Describe shows them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vxscope_units::Timestamp;

use crate::budget::Random;
use crate::mirror::{ApiError, Call, Create, Reply, Session, Settings};

/// Sessions of one interface at most (EC2 quota, not adjustable).
const PER_INTERFACE: usize = 3;
/// Sessions of an account at most (EC2 quota, not adjustable).
const PER_ACCOUNT: usize = 10_000;
/// Client tokens remembered; EC2 forgets them some time, too.
const TOKENS: usize = 100_000;

#[derive(Clone, Debug)]
pub(super) struct Account {
    sessions: BTreeMap<String, Session>,
    by_interface: BTreeMap<String, BTreeSet<String>>,
    /// What Describe shows, and what it will show when.
    shown: BTreeMap<String, Session>,
    unshown: VecDeque<(Timestamp, String, Option<Session>)>,
    tokens: BTreeMap<String, (Create, Session)>,
    tokens_in_order: VecDeque<String>,
    ids: Random,
}

impl Account {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sessions: BTreeMap::new(),
            by_interface: BTreeMap::new(),
            shown: BTreeMap::new(),
            unshown: VecDeque::new(),
            tokens: BTreeMap::new(),
            tokens_in_order: VecDeque::new(),
            ids: Random::new(seed ^ 0x1d5),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    fn of(&self, interface: &str) -> impl Iterator<Item = &Session> {
        let ids = self.by_interface.get(interface).into_iter().flatten();
        ids.filter_map(|id| self.sessions.get(id))
    }

    pub(super) fn mirrored(&self, interface: &str) -> Option<&Session> {
        self.of(interface)
            .min_by_key(|session| session.settings.number)
    }

    pub(super) fn put(&mut self, session: Session, at: Timestamp, lag: Duration) {
        let ids = self
            .by_interface
            .entry(session.interface.clone())
            .or_default();
        ids.insert(session.id.clone());
        self.sessions.insert(session.id.clone(), session.clone());
        self.show(at, lag, session.id.clone(), Some(session));
    }

    pub(super) fn remove(&mut self, id: &str, at: Timestamp, lag: Duration) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        if let Some(ids) = self.by_interface.get_mut(&session.interface) {
            ids.remove(id);
        }
        self.show(at, lag, id.to_owned(), None);
        Some(session)
    }

    fn show(&mut self, at: Timestamp, lag: Duration, id: String, session: Option<Session>) {
        let lag = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        self.unshown.push_back((at.plus_nanos(lag), id, session));
    }

    pub(super) fn perform(
        &mut self,
        call: &Call,
        at: Timestamp,
        lag: Duration,
        page: usize,
    ) -> Result<Reply, ApiError> {
        match call {
            Call::Describe { next } => Ok(self.describe(next.as_deref(), at, page)),
            Call::Create(create) => self.create(create, at, lag),
            Call::Modify { id, settings } => self.modify(id, settings, at, lag),
            Call::Delete { id } => match self.remove(id, at, lag) {
                Some(_) => Ok(Reply::Deleted),
                None => Err(not_found(id)),
            },
        }
    }

    /// Changes become visible in their order, each after its lag at the earliest.
    fn describe(&mut self, next: Option<&str>, at: Timestamp, page: usize) -> Reply {
        while let Some((_, id, session)) = self.unshown.pop_front_if(|(due, _, _)| *due <= at) {
            match session {
                Some(session) => self.shown.insert(id, session),
                None => self.shown.remove(&id),
            };
        }
        let rest = self.shown.range::<str, _>((
            next.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded),
            std::ops::Bound::Unbounded,
        ));
        let sessions: Vec<Session> = rest.take(page.max(1)).map(|(_, one)| one.clone()).collect();
        let last = sessions.last().map(|session| session.id.clone());
        let more = last.filter(|last| {
            let after = (
                std::ops::Bound::Excluded(last.as_str()),
                std::ops::Bound::Unbounded,
            );
            self.shown.range::<str, _>(after).next().is_some()
        });
        Reply::Page {
            sessions,
            next: more,
        }
    }

    fn create(&mut self, create: &Create, at: Timestamp, lag: Duration) -> Result<Reply, ApiError> {
        if let Some((before, session)) = self.tokens.get(&create.client_token) {
            // As EC2 does it: success, and nothing is done, even if the session is gone by now.
            return if before == create {
                Ok(Reply::Created(session.clone()))
            } else {
                let message = "the token was used with other parameters";
                Err(ApiError::new("IdempotentParameterMismatch", message))
            };
        }
        self.check(create)?;
        let mut session = Session {
            id: format!("tms-{:016x}", self.ids.next_u64()),
            interface: create.interface.clone(),
            account: String::new(),
            settings: create.settings.clone(),
            tags: create.tags.clone(),
        };
        if session.settings.vni.is_none() {
            session.settings.vni = u32::try_from(self.ids.below(1 << 24)).ok();
        }
        self.remember(create, &session);
        self.put(session.clone(), at, lag);
        Ok(Reply::Created(session))
    }

    fn check(&self, create: &Create) -> Result<(), ApiError> {
        if self.sessions.len() >= PER_ACCOUNT {
            return Err(ApiError::new("TrafficMirrorSessionLimitExceeded", ""));
        }
        if self.of(&create.interface).count() >= PER_INTERFACE {
            let code = "TrafficMirrorSessionsPerInterfaceLimitExceeded";
            return Err(ApiError::new(code, ""));
        }
        let number = create.settings.number;
        if self
            .of(&create.interface)
            .any(|one| one.settings.number == number)
        {
            let message = format!("Session number {number} is already being used");
            return Err(ApiError::new("InvalidParameterValue", &message));
        }
        Ok(())
    }

    fn remember(&mut self, create: &Create, session: &Session) {
        let token = create.client_token.clone();
        self.tokens_in_order.push_back(token.clone());
        self.tokens.insert(token, (create.clone(), session.clone()));
        if self.tokens.len() > TOKENS
            && let Some(oldest) = self.tokens_in_order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    fn modify(
        &mut self,
        id: &str,
        settings: &Settings,
        at: Timestamp,
        lag: Duration,
    ) -> Result<Reply, ApiError> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Err(not_found(id));
        };
        let vni = settings.vni.or(session.settings.vni);
        session.settings = Settings {
            vni,
            ..settings.clone()
        };
        let session = session.clone();
        self.show(at, lag, id.to_owned(), Some(session));
        Ok(Reply::Modified)
    }
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidTrafficMirrorSessionId.NotFound", id)
}
