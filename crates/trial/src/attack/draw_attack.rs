//! Draws attacks: their kind, place, length, evidence and signs.

use vxscope_policy::Importance;
use vxscope_report::EventKind;
use vxscope_sim::random::Random;
use vxscope_units::EvidenceClass;

use super::{Attack, Kind, Leg, Pattern};
use crate::activity::{Event, service};
use crate::draw;
use crate::fleet::Fleet;
use crate::time::{self, DAY, HOUR, MINUTE, SECOND};

/// No attack is shorter.
const SHORTEST: u64 = MINUTE;
/// Nobody breaks in and grabs for longer.
const SMASH_LONGEST: u64 = 25 * MINUTE;
/// Share of the attacks that are prepared by something a sensor could notice.
const PREPARED: f64 = 0.7;
/// Signs come so long before an attack at least and at most.
const LEAD: (u64, u64) = (3 * MINUTE, 3 * HOUR);
/// Share of attackers from outside who use a name nobody asked for before.
const NEW_NAME: f64 = 0.45;

/// How many attacks, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Attacks a source and 30 days.
    pub per_source_month: f64,
    /// The longest, by the importance of the source.
    pub longest: [u64; Importance::COUNT],
}

/// Attacks with signs, in order of their start.
#[must_use]
pub fn draw_attacks(fleet: &Fleet, mix: &Mix, seed: u64) -> Vec<Attack> {
    let mut attacks = draw_all(fleet, mix, seed, 5);
    for (index, attack) in (0_u64..).zip(&mut attacks) {
        let mut random = draw::stream(seed, 6, index);
        extend(fleet, attack, &mut random);
        add_signs(fleet, attack, &mut random);
    }
    attacks
}

/// Attacks that leave no sign and touch no other source: whatever a policy does, it does not do it
/// because of them.
#[must_use]
pub fn draw_placebos(fleet: &Fleet, mix: &Mix, seed: u64) -> Vec<Attack> {
    draw_all(fleet, mix, seed, 7)
}

/// Attacks of one leg each, as a Poisson process over the life of each source.
fn draw_all(fleet: &Fleet, mix: &Mix, seed: u64, purpose: u64) -> Vec<Attack> {
    let rate = mix.per_source_month / (30 * DAY) as f64;
    let mut attacks = Vec::new();
    for (index, source) in (0_u32..).zip(&fleet.sources) {
        let mut random = draw::stream(seed, purpose, u64::from(index));
        let mut at = source.alive.start;
        loop {
            at = at.saturating_add(time::from_float(draw::exponential(&mut random, rate)));
            if at + SHORTEST > source.alive.end {
                break;
            }
            let kind = Kind::ALL[random.index(Kind::ALL.len())];
            let longest = match kind {
                Kind::SmashAndGrab => SMASH_LONGEST,
                _ => mix.longest[source.importance.index()],
            };
            let length = log_between(&mut random, SHORTEST, longest.max(2 * SHORTEST));
            let end = (at + length).min(source.alive.end);
            attacks.push(Attack {
                kind,
                legs: vec![leg(kind, index, at..end, &mut random)],
                signs: Vec::new(),
                precursors: false,
            });
        }
    }
    attacks.sort_by_key(|attack| (attack.start(), attack.legs[0].source));
    attacks
}

fn log_between(random: &mut Random, low: u64, high: u64) -> u64 {
    time::from_float(draw::log_uniform(random, low as f64, high as f64))
}

fn leg(kind: Kind, source: u32, span: std::ops::Range<u64>, random: &mut Random) -> Leg {
    let length = span.end - span.start;
    let mut between = |low, high| log_between(random, low, high);
    let (traffic, evidence, pattern, needed) = match kind {
        Kind::Scan => (
            EvidenceClass::Flow,
            EvidenceClass::Flow,
            Pattern::Steady(Some(SECOND)),
            between(15 * SECOND, 90 * SECOND),
        ),
        Kind::BruteForce => (
            EvidenceClass::Management,
            EvidenceClass::Management,
            Pattern::Steady(Some(4 * SECOND)),
            between(30 * SECOND, 4 * MINUTE),
        ),
        Kind::Lateral => (
            EvidenceClass::Management,
            EvidenceClass::Flow,
            Pattern::Steady(Some(5 * MINUTE)),
            between(20 * SECOND, 3 * MINUTE),
        ),
        Kind::Beacon => {
            let period = between(20 * SECOND, 12 * MINUTE).min(length.max(2));
            let burst = between(SECOND, 6 * SECOND).min(period / 2).max(1);
            let count = 1 + random.below(3);
            (
                EvidenceClass::Flow,
                EvidenceClass::Flow,
                Pattern::Bursts { period, burst },
                count * period + burst,
            )
        }
        Kind::Exfiltration => (
            EvidenceClass::Flow,
            EvidenceClass::Flow,
            Pattern::Steady(None),
            between(2 * MINUTE, 12 * MINUTE),
        ),
        Kind::SmashAndGrab => (
            EvidenceClass::Flow,
            EvidenceClass::Payload,
            Pattern::Steady(Some(30 * SECOND)),
            between(3 * SECOND, 25 * SECOND),
        ),
    };
    Leg {
        source,
        peer: None,
        span,
        traffic,
        evidence,
        pattern,
        needed,
    }
}

/// Gives an attack its other hosts: one at the other end of a scan or a brute force, a chain of
/// them where somebody moves on.
fn extend(fleet: &Fleet, attack: &mut Attack, random: &mut Random) {
    let first = attack.legs[0].clone();
    match attack.kind {
        Kind::Scan | Kind::BruteForce => {
            attack.legs[0].peer = other(fleet, first.source, first.span.start, random);
        }
        Kind::Lateral => {
            let hops = 1 + random.below(3);
            let length = first.length() / hops;
            let mut here = first.source;
            attack.legs.clear();
            for hop in 0..hops {
                let from = first.span.start + hop * length;
                let peer = other(fleet, here, from, random);
                attack.legs.push(Leg {
                    source: here,
                    peer,
                    span: from..from + length.max(1),
                    ..first.clone()
                });
                let Some(next) = peer else { break };
                if fleet.sources[next as usize].alive.end <= from + 2 * length {
                    break;
                }
                here = next;
            }
        }
        Kind::Beacon | Kind::Exfiltration | Kind::SmashAndGrab => {}
    }
}

/// Another source that lives then: a known peer half of the time, else any.
fn other(fleet: &Fleet, source: u32, at: u64, random: &mut Random) -> Option<u32> {
    let slot = &fleet.slots[fleet.sources[source as usize].slot as usize];
    let slot = if random.coin() && !slot.peers.is_empty() {
        slot.peers[random.index(slot.peers.len())]
    } else {
        u32::try_from(random.index(fleet.slots.len())).ok()?
    };
    fleet.at(slot, at).filter(|other| *other != source)
}

/// What a sensor could notice: while it goes on, and for most attacks before.
fn add_signs(fleet: &Fleet, attack: &mut Attack, random: &mut Random) {
    let mut signs = Vec::new();
    for leg in &attack.legs {
        signs.extend(signs_of(attack.kind, leg, random));
    }
    if draw::share(random) < PREPARED {
        let count = signs.len();
        prepare(fleet, attack, random, &mut signs);
        attack.precursors = signs.len() > count;
    }
    let alive = |event: &Event| {
        fleet.sources[event.source as usize]
            .alive
            .contains(&event.at)
    };
    signs.retain(alive);
    signs.sort_by_key(|event| event.at);
    attack.precursors &= signs.first().is_some_and(|sign| sign.at < attack.start());
    attack.signs = signs;
}

fn sign(kind: EventKind, at: u64, source: u32, peer: Option<u32>, random: &mut Random) -> Event {
    let (protocol, port) = service(kind, random);
    let new = matches!(
        kind,
        EventKind::FirstEdge | EventKind::FirstDomain | EventKind::NewService
    );
    Event {
        at,
        source,
        kind,
        peer,
        protocol,
        port,
        novelty: new.then(|| random.next()),
    }
}

/// Signs of one leg while it goes on.
fn signs_of(kind: Kind, leg: &Leg, random: &mut Random) -> Vec<Event> {
    let (at, source, peer) = (leg.span.start, leg.source, leg.peer);
    let kinds: &[EventKind] = match kind {
        Kind::Scan => &[EventKind::FirstEdge, EventKind::ManyFailures],
        Kind::BruteForce => &[EventKind::ManagementLogin, EventKind::ManyFailures],
        Kind::Lateral => &[EventKind::FirstEdge, EventKind::ManagementLogin],
        Kind::Beacon | Kind::Exfiltration => &[EventKind::FirstEdge, EventKind::FirstDomain],
        Kind::SmashAndGrab => &[EventKind::FirstEdge],
    };
    let mut signs = Vec::new();
    for kind in kinds {
        if *kind == EventKind::FirstDomain && draw::share(random) >= NEW_NAME {
            continue;
        }
        let first = sign(*kind, at, source, peer, random);
        let again = match *kind {
            EventKind::ManyFailures => 6 * MINUTE,
            EventKind::FirstEdge | EventKind::FirstDomain => 40 * MINUTE,
            _ => 15 * MINUTE,
        };
        let times = (leg.length() / again).min(24);
        signs.extend((0..=times).map(|time| Event {
            at: at + time * again,
            ..first
        }));
    }
    signs
}

/// Signs before it: the attacker looks around, from the source or at its neighbours.
fn prepare(fleet: &Fleet, attack: &Attack, random: &mut Random, signs: &mut Vec<Event>) {
    let lead = log_between(random, LEAD.0, LEAD.1);
    let start = attack.start();
    let Some(begin) = start.checked_sub(lead) else {
        return;
    };
    let source = attack.legs[0].source;
    let steps = 2 + random.below(4);
    for step in 0..steps {
        let at = begin + step * lead / steps;
        let (kind, peer) = match random.below(5) {
            0 => (EventKind::ManyFailures, None),
            1 => (EventKind::FirstDomain, None),
            2 => (EventKind::NeverHit, other(fleet, source, at, random)),
            _ => (EventKind::FirstEdge, other(fleet, source, at, random)),
        };
        signs.push(sign(kind, at, source, peer, random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{STANDARD, Spec};

    #[test]
    fn attacks_lie_within_the_lives_of_their_sources() {
        let (fleet, mix) = stage();
        let attacks = draw_attacks(&fleet, &mix, 1);
        assert!((60..200).contains(&attacks.len()), "{}", attacks.len());
        for attack in &attacks {
            assert!(!attack.legs.is_empty() && !attack.signs.is_empty());
            for leg in &attack.legs {
                let alive = &fleet.sources[leg.source as usize].alive;
                assert!(alive.start <= leg.span.start && leg.span.start < leg.span.end);
                assert_ne!(leg.peer, Some(leg.source));
            }
            let early = attack.signs[0].at < attack.start();
            assert_eq!(attack.precursors, early);
        }
        let prepared = attacks.iter().filter(|attack| attack.precursors).count();
        assert!(prepared * 2 > attacks.len() && prepared < attacks.len());
    }

    #[test]
    fn lengths_are_even_in_their_logarithm() {
        let (fleet, mut mix) = stage();
        mix.per_source_month = 90.0;
        let lengths: Vec<f64> = draw_placebos(&fleet, &mix, 2)
            .iter()
            .filter(|attack| attack.kind != Kind::SmashAndGrab)
            .map(|attack| attack.legs[0].length() as f64)
            .collect();
        let longest = mix.longest[0] as f64;
        let middle = (longest * SHORTEST as f64).sqrt();
        let below = lengths.iter().filter(|length| **length < middle).count() as f64;
        let share = below / lengths.len() as f64;
        assert!((share - 0.5).abs() < 0.05, "{share}");
    }

    #[test]
    fn placebos_leave_no_sign() {
        let (fleet, mix) = stage();
        for attack in draw_placebos(&fleet, &mix, 3) {
            assert!(attack.signs.is_empty() && !attack.precursors);
            assert!(attack.legs.len() == 1 && attack.legs[0].peer.is_none());
        }
    }

    fn stage() -> (Fleet, Mix) {
        let fleet = Fleet::new(Spec::parse(STANDARD).expect("well-formed"), 200, 6, 1);
        let mix = Mix {
            per_source_month: 3.0,
            longest: [8 * HOUR; Importance::COUNT],
        };
        (fleet, mix)
    }
}
