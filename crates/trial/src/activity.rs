//! What happens on a fleet apart from attacks: relevant events that mean nothing, and known peers
//! that show up again.
//!
//! A day is drawn at a time, each source from a stream of its own, so that every policy meets the
//! same days and a long trial needs no more memory than a short one.

use std::sync::Arc;

use vxscope_report::{EventKind, Protocol};
use vxscope_sim::random::{Random, hash};
use vxscope_units::EvidenceClass;

use crate::draw;
use crate::fleet::{Fleet, Role};
use crate::recorded::Background;
use crate::time::{self, DAY, HOUR};

/// Deploying makes new edges this many times as usual.
const DEPLOY_EDGES: f64 = 6.0;
/// A new edge, domain or service shows up again after so many hours on average…
const AGAIN_HOURS: f64 = 3.0;
/// …with this chance each time, until it does not.
const AGAIN_CHANCE: f64 = 0.75;

/// Something that a sensor would call a relevant event, if it saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, ms.
    pub at: u64,
    /// Who did it.
    pub source: u32,
    /// What it is.
    pub kind: EventKind,
    /// The source at the other end, if it is one of the fleet.
    pub peer: Option<u32>,
    /// Transport.
    pub protocol: Protocol,
    /// The port that serves.
    pub port: u16,
    /// What is new only once has the same number each time it shows up; what is an event each
    /// time has none.
    pub novelty: Option<u64>,
}

impl Event {
    /// The class of evidence that a grade must show for the event to be seen.
    #[must_use]
    pub const fn class(&self) -> EvidenceClass {
        class(self.kind)
    }

    /// Whether the other end's mirror shows it too.
    #[must_use]
    pub const fn shows_at_peer(&self) -> bool {
        !matches!(
            self.kind,
            EventKind::ManyFailures | EventKind::FirstDomain | EventKind::Alert
        )
    }
}

/// The class of evidence that shows an event of that kind.
#[must_use]
pub const fn class(kind: EventKind) -> EvidenceClass {
    match kind {
        EventKind::NeverHit | EventKind::FirstDomain => EvidenceClass::DnsNever,
        EventKind::ManagementLogin => EvidenceClass::Management,
        EventKind::FirstEdge
        | EventKind::NewService
        | EventKind::ManyFailures
        | EventKind::CleartextLogin => EvidenceClass::Flow,
        EventKind::Alert => EvidenceClass::Payload,
    }
}

/// New flows between two sources that know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When, ms.
    pub at: u64,
    /// Who opened them.
    pub source: u32,
    /// Who answered.
    pub peer: u32,
}

/// One day of a fleet.
#[derive(Clone, Debug, Default)]
pub struct Day {
    /// Events in order of time.
    pub events: Vec<Event>,
    /// Contacts in order of time.
    pub contacts: Vec<Contact>,
}

/// Draws day after day.
#[derive(Clone, Debug)]
pub struct Activity {
    seed: u64,
    day: u64,
    /// Events of later days that earlier ones led to.
    ahead: Vec<Event>,
    /// What really happened, instead of anything drawn.
    recorded: Option<Arc<Background>>,
}

impl Activity {
    /// From the first day.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            day: 0,
            ahead: Vec::new(),
            recorded: None,
        }
    }

    /// From the first day of a recording, again and again.
    #[must_use]
    pub const fn recorded(background: Arc<Background>) -> Self {
        Self {
            seed: 0,
            day: 0,
            ahead: Vec::new(),
            recorded: Some(background),
        }
    }

    /// The next day.
    #[must_use]
    pub fn next_day(&mut self, fleet: &Fleet) -> Day {
        if let Some(background) = &self.recorded {
            self.day += 1;
            return background.day(self.day - 1);
        }
        let span = Span {
            from: self.day * DAY,
            to: (self.day + 1) * DAY,
        };
        let mut day = Day::default();
        let mut ahead = std::mem::take(&mut self.ahead);
        for (index, source) in (0_u32..).zip(&fleet.sources) {
            let from = source.alive.start.max(span.from);
            let to = source.alive.end.min(span.to);
            if from < to {
                let random = draw::stream(self.seed, hash(4, self.day), u64::from(index));
                let mut writer = Writer {
                    fleet,
                    source: index,
                    span: Span { from, to },
                    random,
                };
                writer.events(&mut ahead);
                writer.contacts(&mut day.contacts);
            }
        }
        for event in ahead {
            if event.at < span.to {
                day.events.push(event);
            } else {
                self.ahead.push(event);
            }
        }
        day.events
            .sort_by_key(|event| (event.at, event.source, event.port));
        day.contacts
            .sort_by_key(|contact| (contact.at, contact.source, contact.peer));
        self.day += 1;
        day
    }
}

#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
}

/// Draws one source's part of a day.
struct Writer<'a> {
    fleet: &'a Fleet,
    source: u32,
    span: Span,
    random: Random,
}

impl Writer<'_> {
    fn role(&self) -> &Role {
        self.fleet.role(self.source)
    }

    fn events(&mut self, out: &mut Vec<Event>) {
        let role = self.role();
        let rates = [
            (EventKind::FirstEdge, role.first_edges_per_day),
            (EventKind::FirstDomain, role.first_domains_per_day),
            (EventKind::ManyFailures, role.failures_per_day),
            (EventKind::NeverHit, role.never_hits_per_day),
            (EventKind::ManagementLogin, role.management_logins_per_day),
            (EventKind::CleartextLogin, role.cleartext_logins_per_day),
            (EventKind::Alert, role.false_alerts_per_day),
        ];
        for (kind, per_day) in rates {
            self.of_kind(kind, per_day, out);
        }
        self.new_service(out);
    }

    /// A Poisson process whose rate follows the calendar, by thinning.
    fn of_kind(&mut self, kind: EventKind, per_day: f64, out: &mut Vec<Event>) {
        let deploying = if kind == EventKind::FirstEdge {
            DEPLOY_EDGES
        } else {
            1.0
        };
        let most = per_day / DAY as f64 * deploying;
        let mut at = self.span.from;
        loop {
            at = at.saturating_add(time::from_float(draw::exponential(&mut self.random, most)));
            if at >= self.span.to {
                return;
            }
            let calendar = &self.fleet.spec.calendar;
            let now = if calendar.deploys(at) { deploying } else { 1.0 };
            let kept = calendar.activity(at) * now / deploying;
            if draw::share(&mut self.random) < kept {
                self.happen(kind, at, out);
            }
        }
    }

    fn new_service(&mut self, out: &mut Vec<Event>) {
        let calendar = &self.fleet.spec.calendar;
        let at = self.span.from / DAY * DAY + calendar.deploy_hour * HOUR;
        let deploys = calendar.deploys(at) && (self.span.from..self.span.to).contains(&at);
        if deploys && draw::share(&mut self.random) < self.role().new_services_per_deploy {
            let after = self.random.below(calendar.deploy_hours * HOUR);
            self.happen(EventKind::NewService, at + after, out);
        }
    }

    fn happen(&mut self, kind: EventKind, at: u64, out: &mut Vec<Event>) {
        let (protocol, port) = service(kind, &mut self.random);
        let new = matches!(
            kind,
            EventKind::FirstEdge | EventKind::FirstDomain | EventKind::NewService
        );
        let mut event = Event {
            at,
            source: self.source,
            kind,
            peer: self.peer(kind, at),
            protocol,
            port,
            novelty: new.then(|| self.random.next()),
        };
        if event.at < self.span.to {
            out.push(event);
        }
        while new && draw::share(&mut self.random) < AGAIN_CHANCE {
            let wait = draw::exponential(&mut self.random, 1.0 / AGAIN_HOURS) * HOUR as f64;
            event.at = event.at.saturating_add(time::from_float(wait));
            if !self.fleet.sources[self.source as usize]
                .alive
                .contains(&event.at)
            {
                return;
            }
            out.push(event);
        }
    }

    /// The other end: half of the new edges and most logins are inside the fleet.
    fn peer(&mut self, kind: EventKind, at: u64) -> Option<u32> {
        let inside = match kind {
            EventKind::FirstEdge | EventKind::NewService => 0.5,
            EventKind::ManagementLogin | EventKind::NeverHit => 0.8,
            EventKind::CleartextLogin => 0.9,
            EventKind::FirstDomain | EventKind::ManyFailures | EventKind::Alert => 0.0,
        };
        if draw::share(&mut self.random) >= inside {
            return None;
        }
        let slot = self.random.index(self.fleet.slots.len());
        let peer = self.fleet.at(u32::try_from(slot).ok()?, at)?;
        (peer != self.source).then_some(peer)
    }

    /// Contacts with known peers: by Zipf's law, half the rate at rank three.
    fn contacts(&mut self, out: &mut Vec<Contact>) {
        let role = self.role();
        let (rate, exponent) = (role.edges_per_hour, role.peer_exponent);
        let slot = self.fleet.sources[self.source as usize].slot;
        let peers = &self.fleet.slots[slot as usize].peers;
        for (rank, peer) in peers.iter().enumerate() {
            let weight = ((rank + 1) as f64 / 2.0).powf(-exponent).min(2.0);
            let rate = rate * weight / peers.len() as f64 / HOUR as f64;
            let mut at = self.span.from;
            loop {
                let wait = draw::exponential(&mut self.random, rate);
                at = at.saturating_add(time::from_float(wait));
                if at >= self.span.to {
                    break;
                }
                let kept = self.fleet.spec.calendar.activity(at).max(0.2);
                if draw::share(&mut self.random) < kept
                    && let Some(peer) = self.fleet.at(*peer, at)
                {
                    let source = self.source;
                    out.push(Contact { at, source, peer });
                }
            }
        }
    }
}

/// A transport and port that go with a kind of event.
pub(crate) fn service(kind: EventKind, random: &mut Random) -> (Protocol, u16) {
    let port = |ports: &[u16], random: &mut Random| ports[random.index(ports.len())];
    match kind {
        EventKind::FirstDomain => (Protocol::Udp, 53),
        EventKind::NeverHit => (Protocol::Tcp, port(&[21, 445, 3_389, 111], random)),
        EventKind::ManagementLogin => (Protocol::Tcp, port(&[22, 3_389, 5_985], random)),
        EventKind::CleartextLogin => (Protocol::Tcp, port(&[21, 23, 110, 389], random)),
        EventKind::ManyFailures => (Protocol::Tcp, 0),
        EventKind::FirstEdge | EventKind::NewService | EventKind::Alert => {
            let high = u16::try_from(random.below(20_000)).unwrap_or(0) + 10_000;
            let usual = port(&[443, 80, 8_080, 5_432], random);
            (Protocol::Tcp, if random.coin() { usual } else { high })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{STANDARD, Spec};

    #[test]
    fn days_are_in_order_and_within_lives() {
        let fleet = Fleet::new(Spec::parse(STANDARD).unwrap(), 200, 3, 1);
        let mut activity = Activity::new(1);
        for day in 0..3_u64 {
            let drawn = activity.next_day(&fleet);
            assert!(drawn.events.is_sorted_by_key(|event| event.at));
            assert!(drawn.contacts.is_sorted_by_key(|contact| contact.at));
            assert!(drawn.events.len() > 200, "{}", drawn.events.len());
            for event in &drawn.events {
                assert_eq!(event.at / DAY, day);
                assert!(
                    fleet.sources[event.source as usize]
                        .alive
                        .contains(&event.at)
                );
            }
            for contact in &drawn.contacts {
                assert_ne!(contact.source, contact.peer);
            }
        }
    }

    #[test]
    fn rates_are_those_of_the_file_on_a_working_day() {
        let fleet = Fleet::new(Spec::parse(STANDARD).unwrap(), 2_000, 1, 9);
        let day = Activity::new(9).next_day(&fleet);
        let role = fleet.spec.role("desktop").unwrap();
        let logins = |event: &&Event| {
            event.kind == EventKind::ManagementLogin
                && fleet.sources[event.source as usize].role == role
        };
        let count = day.events.iter().filter(logins).count() as f64;
        let calendar = &fleet.spec.calendar;
        let active: f64 = (0..24).map(|hour| calendar.activity(hour * HOUR)).sum();
        let expected = 100.0 * fleet.spec.roles[role].management_logins_per_day * active / 24.0;
        assert!((count / expected - 1.0).abs() < 0.2, "{count} {expected}");
    }
}
