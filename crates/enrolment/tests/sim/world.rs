//! One life: two controllers, a reaper, a store and an account, second by second.

use std::collections::BTreeMap;

use vxscope_control::Random;
use vxscope_control::journal::Saved;
use vxscope_control::mirror::{Call, CallId, MirrorApi, Session, Settings};
use vxscope_control::reconcile::{Owner, Subject};
use vxscope_control::simulated::Simulated;
use vxscope_enrolment::lead::Standing;
use vxscope_units::{EvidenceClass, Grade, Timestamp};

use super::actor::{Actor, Wants};
use super::judge::{Judge, Verdict};
use super::reaper::Reaper;
use super::store::Store;
use super::trouble::{BUSY, QUIET, Trouble, within};

const SECOND: u64 = 1_000_000_000;
const BEGIN: u64 = 1_700_000_000;

pub(crate) fn interface(row: u32) -> String {
    format!("eni-{row:04}")
}

pub(crate) fn owner() -> Owner {
    Owner {
        tag: "managed-by".to_owned(),
        value: "us".to_owned(),
        marker: "ours: ".to_owned(),
    }
}

pub(crate) fn subject(row: u32) -> Subject {
    Subject {
        saved: Saved {
            interface: interface(row),
            settings: Settings {
                target: "tmt-1".to_owned(),
                filter: "tmf-all".to_owned(),
                number: 2,
                packet_length: None,
                vni: Some(1_000 + row),
                description: "ours: mirror".to_owned(),
            },
            tags: [("managed-by".to_owned(), "us".to_owned())].into(),
        },
        essential: Some("tmf-essential".to_owned()),
        sentinel: Some("tmf-sentinel".to_owned()),
        truncated: 512,
    }
}

/// The grade that a session shows.
pub(crate) fn shown(session: Option<&Session>) -> Grade {
    session.map_or(Grade::Off, |session| {
        let row = session.settings.vni.unwrap_or(0).wrapping_sub(1_000);
        let grade = subject(row).grade_of(&session.settings);
        grade.unwrap_or(Grade::Off)
    })
}

/// Who sent a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Which controller, in which run of it, and what it might do.
    Controller(usize, u64, Standing),
    Reaper,
}

pub(crate) struct World {
    /// True time in seconds since the beginning, and in ns since 1970.
    second: u64,
    pub(crate) now: u64,
    pub(crate) sources: u32,
    pub(crate) api: Simulated,
    pub(crate) store: Store,
    pub(crate) trouble: Trouble,
    actors: [Option<Actor>; 2],
    runs: u64,
    /// Parts in a million by which each controller's clock is too fast, less 50.
    drift: [u64; 2],
    reaper: Reaper,
    calls: BTreeMap<CallId, (Sender, CallId, Call)>,
    count: u64,
    random: Random,
    seed: u64,
    judge: Judge,
    foreign: Vec<Session>,
}

impl World {
    pub(crate) fn live(seed: u64) -> Verdict {
        let mut world = Self::new(seed);
        for second in 0..BUSY + QUIET {
            world.step(second);
        }
        world.finish()
    }

    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let trouble = Trouble::draw(&mut random);
        let sources = 2 + u32::try_from(random.below(12)).expect("below 12");
        let at = |second: u64| Timestamp::new(BEGIN + second, 0);
        let mut api = Simulated::new(trouble.faults(at), seed, at(0));
        let foreign = foreign(sources, &mut random);
        for session in &foreign {
            api.create_foreign(session.clone(), at(0));
        }
        let judge = Judge::new(sources, BEGIN * SECOND);
        Self {
            second: 0,
            now: BEGIN * SECOND,
            sources,
            api,
            store: Store::new(seed, trouble.lost),
            trouble,
            actors: [None, None],
            runs: 0,
            drift: [random.below(100), random.below(100)],
            reaper: Reaper::default(),
            calls: BTreeMap::new(),
            count: 0,
            random,
            seed,
            judge,
            foreign,
        }
    }

    fn stamp(&self) -> Timestamp {
        Timestamp::ZERO.plus_nanos(self.now)
    }

    /// A controller's own clock, which does not jump, begins anywhere, and is a bit wrong.
    fn mono(&self, who: usize) -> u64 {
        let since = self.second * SECOND;
        let begin = [40 * SECOND, 9_000 * SECOND][who];
        begin + since - since / 1_000_000 * 50 + since / 1_000_000 * self.drift[who]
    }

    /// What its machine believes the time is.
    fn wall(&self, who: usize) -> u64 {
        let jumps = self.trouble.jumps[who].iter();
        let by: i64 = jumps
            .take_while(|(at, _)| *at <= self.second)
            .map(|(_, by)| by * 1_000_000_000)
            .sum();
        self.now.saturating_add_signed(by)
    }

    fn step(&mut self, second: u64) {
        self.second = second;
        self.now = (BEGIN + second) * SECOND;
        self.answers();
        for who in 0..2 {
            self.actor(who);
        }
        self.reap();
        self.note();
    }

    fn answers(&mut self) {
        while let Some((id, result)) = self.api.poll(self.stamp()) {
            let Some((sender, own, _)) = self.calls.remove(&id) else {
                continue;
            };
            match sender {
                Sender::Reaper => self.reaper.handle(own, result, self.now),
                Sender::Controller(who, run, _) => {
                    let (mono, now) = (self.mono(who), self.now);
                    if let Some(actor) = self.present(who, run) {
                        actor.handle_date(mono, now);
                        actor.handle_api(own, result, mono);
                    }
                }
            }
        }
        for (who, run, reply) in self.store.poll(self.now) {
            let (mono, now) = (self.mono(who), self.now);
            if let Some(actor) = self.present(who, run) {
                if !reply.is_unknown() {
                    actor.handle_date(mono, now);
                }
                actor.handle_store(reply, mono);
            }
        }
    }

    /// That run of a controller, if it still runs. One that stands still hears later what came;
    /// an answer that it never hears is the same to it as one that was lost.
    fn present(&mut self, who: usize, run: u64) -> Option<&mut Actor> {
        self.actors[who].as_mut().filter(|actor| actor.run == run)
    }

    fn actor(&mut self, who: usize) {
        if within(&self.trouble.down[who], self.second) {
            self.actors[who] = None;
            return;
        }
        if within(&self.trouble.stalls[who], self.second) {
            return;
        }
        let (mono, wall) = (self.mono(who), self.wall(who));
        if self.actors[who].is_none() {
            self.runs += 1;
            self.actors[who] = Some(Actor::new(who, self.runs, self.sources, self.seed));
        }
        let Some(actor) = &mut self.actors[who] else {
            return;
        };
        if self.second < BUSY && self.second.is_multiple_of(10) {
            actor.wish(&mut self.random, mono);
        }
        let run = actor.run;
        let Wants { questions, calls } = actor.step(mono, wall);
        let standing = actor.standing(mono);
        let out =
            within(&self.trouble.store, self.second) || within(&self.trouble.cut[who], self.second);
        for question in questions {
            self.store.ask(who, run, question, self.now, out);
        }
        for (id, call, under) in calls {
            debug_assert_eq!(under, standing);
            self.submit(Sender::Controller(who, run, under), id, call);
        }
    }

    fn submit(&mut self, sender: Sender, own: CallId, call: Call) {
        self.count += 1;
        let id = CallId::new(self.count);
        self.judge
            .sent(&self.api, &self.store, sender, &call, self.now);
        self.calls.insert(id, (sender, own, call.clone()));
        let now = self.stamp();
        self.api.submit(id, call, now);
    }

    fn reap(&mut self) {
        if within(&self.trouble.reaper, self.second) {
            return self.reaper.end();
        }
        let out = within(&self.trouble.store, self.second);
        if self.second % 60 == 30 && !out {
            self.store.reaper_beat = self.now / 1_000;
            self.reaper.begin(self.store.crumbs.clone(), self.now);
        }
        for call in self.reaper.poll(self.now) {
            self.count += 1;
            let own = CallId::new(self.count);
            self.reaper.sent(own, call.clone());
            self.submit(Sender::Reaper, own, call);
        }
    }

    /// What the account really mirrors from now on, and whether anybody can bring anything back.
    fn note(&mut self) {
        while let Some(change) = self.api.poll_change() {
            self.judge.changed(&change);
        }
        let up = |who: usize| {
            let actor = self.actors[who].as_ref();
            let still = within(&self.trouble.stalls[who], self.second);
            actor.is_some_and(|actor| {
                !still
                    && actor.keeper.is_some()
                    && actor.standing(self.mono(who)) != Standing::Watches
            })
        };
        let store = !within(&self.trouble.store, self.second);
        let reaper = store && !within(&self.trouble.reaper, self.second);
        let able = (up(0) || up(1) || reaper) && !within(&self.trouble.api, self.second);
        self.judge.second(self.now, able);
        for who in 0..2 {
            let actor = self.actors[who].as_ref();
            let acts = actor
                .is_some_and(|actor| matches!(actor.standing(self.mono(who)), Standing::Acts(_)));
            self.judge.acts(who, acts, self.now);
        }
    }

    fn finish(mut self) -> Verdict {
        let takeovers = self
            .actors
            .iter()
            .flatten()
            .map(|actor| actor.takeovers)
            .sum();
        self.judge.takeovers(takeovers);
        let sources = self.sources;
        for session in &self.foreign {
            let there = self.api.sessions().find(|one| one.id == session.id);
            self.judge
                .demand(there == Some(session), "a foreign session was touched");
        }
        for row in 0..sources {
            let on = self
                .api
                .sessions()
                .filter(|one| one.interface == interface(row));
            let ours: Vec<&Session> = on.filter(|one| owner().owns(one)).collect();
            self.judge
                .demand(ours.len() == 1, "one session each in the end");
            let full = ours
                .first()
                .is_some_and(|one| shown(Some(one)) == Grade::Full);
            self.judge.demand(full, "full in the end");
        }
        let fences = &self.store.fences;
        let sorted = fences.windows(2).all(|pair| pair[0] <= pair[1]);
        self.judge.demand(sorted, "fencing numbers go down");
        self.judge.verdict(self.seed, &EvidenceClass::ALL)
    }
}

/// Sessions of others: some with our tag, some with our marker, with higher numbers.
fn foreign(sources: u32, random: &mut Random) -> Vec<Session> {
    let mut all = Vec::new();
    for n in 0..random.below(4) {
        let row = u32::try_from(random.below(u64::from(sources))).expect("below a u32");
        let mut session = Session {
            id: format!("tms-foreign-{n}"),
            interface: interface(row),
            settings: subject(row).saved.settings,
            ..Session::default()
        };
        session.settings.number = 100 + u16::try_from(n).expect("below 4");
        if n % 2 == 0 {
            session.settings.description = "theirs".to_owned();
            session.tags = subject(row).saved.tags;
        }
        // At most two on one interface: ours needs a place.
        if all
            .iter()
            .filter(|one: &&Session| one.interface == session.interface)
            .count()
            < 2
        {
            all.push(session);
        }
    }
    all
}
