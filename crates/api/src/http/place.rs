//! Who may have a place when all are taken: whoever keeps one without asking loses it first.
//!
//! A connection that has not yet sent a whole request, or sends none after its last answer, only
//! waits. While there are places it may do so in peace. Then each newcomer takes the place of one
//! that waits: of the address that holds most, the one that has waited longest. So a crowd of slow
//! clients pushes out its own, and who asks is answered.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// So much time an answer has to leave the process once all of it is there; only then its
/// connection counts as one that waits.
const REST_MIN: Duration = Duration::from_secs(1);
/// One address gets at most this share of all places, but for this machine's own: there everybody
/// may come through one proxy.
const ADDRESS_SHARE: usize = 4;
/// This share of all places is for this machine alone, so that its operator always gets in.
const LOCAL_SHARE: usize = 16;

/// Not asked anything yet.
const NEW: u64 = 0;
/// Somebody is being answered.
const ANSWERED: u64 = u64::MAX;

/// What a connection is doing; shared by it and its place.
#[derive(Debug)]
pub(super) struct Turn {
    opened: Instant,
    /// [`NEW`], [`ANSWERED`], or when its last answer ended, in ms after it was opened, plus one.
    state: AtomicU64,
}

/// What a connection is doing, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// It has sent no whole request yet.
    Beginning,
    /// It had its answers, and asks for nothing.
    Resting,
    /// It is being answered, or just was.
    Answered,
}

impl Turn {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            state: AtomicU64::new(NEW),
        }
    }

    /// A whole request came.
    pub(super) fn begin(&self) {
        self.state.store(ANSWERED, Ordering::Relaxed);
    }

    /// The answer was handed over.
    pub(super) fn rest(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since = since.saturating_add(1).min(ANSWERED - 1);
        self.state.store(since, Ordering::Relaxed);
    }

    fn doing(&self) -> Doing {
        match self.state.load(Ordering::Relaxed) {
            NEW => Doing::Beginning,
            ANSWERED => Doing::Answered,
            since => {
                let rested = Duration::from_millis(since - 1) + REST_MIN;
                match self.opened.elapsed() >= rested {
                    true => Doing::Resting,
                    false => Doing::Answered,
                }
            }
        }
    }
}

/// The places of one listener, in the order in which they were taken.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    held: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    network: IpAddr,
    turn: Arc<Turn>,
    task: AbortHandle,
}

/// What there is for a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// If the one with this number goes.
    Instead(usize),
    Full,
}

/// What became of a newcomer.
pub(super) enum Admitted {
    /// It has a place, and somebody lost one for it or not.
    Yes {
        turn: Arc<Turn>,
        evicted: bool,
    },
    No,
}

impl Places {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            held: Vec::new(),
        }
    }

    /// Makes room for somebody from there, if there can be; then [`Places::take`] follows.
    pub(super) fn admit(&mut self, from: IpAddr) -> Admitted {
        self.held.retain(|place| !place.task.is_finished());
        let seen = self.held.iter();
        let seen: Vec<(IpAddr, Doing)> = seen
            .map(|place| (place.network, place.turn.doing()))
            .collect();
        let evicted = match room(&seen, network(from), self.most) {
            Room::Free => false,
            Room::Instead(number) => {
                self.held.remove(number).task.abort();
                true
            }
            Room::Full => return Admitted::No,
        };
        Admitted::Yes {
            turn: Arc::new(Turn::new()),
            evicted,
        }
    }

    /// The place is taken by this task.
    pub(super) fn take(&mut self, from: IpAddr, turn: Arc<Turn>, task: AbortHandle) {
        self.held.push(Place {
            network: network(from),
            turn,
            task,
        });
    }
}

/// See the module. Whoever came earlier stands further in front.
fn room(held: &[(IpAddr, Doing)], from: IpAddr, most: usize) -> Room {
    let of = |network: IpAddr| held.iter().filter(|(it, _)| *it == network).count();
    let others = held.iter().filter(|(it, _)| !it.is_loopback()).count();
    let is_local = from.is_loopback();
    let has_its_share = !is_local && of(from) >= most / ADDRESS_SHARE;
    let is_full = held.len() >= most || !is_local && others >= most - most / LOCAL_SHARE;
    if !has_its_share && !is_full {
        return Room::Free;
    }
    // Nobody from elsewhere takes a place of this machine, and one address none but its own once
    // it has its share.
    let may_go = |network: IpAddr| match has_its_share {
        true => network == from,
        false => is_local || !network.is_loopback(),
    };
    let waiting = held.iter().enumerate();
    let waiting = waiting.filter(|(_, (it, doing))| *doing != Doing::Answered && may_go(*it));
    // Of equals `min_by_key` takes the first, who has waited longest.
    let first = waiting.min_by_key(|(_, (it, doing))| (*doing, usize::MAX - of(*it)));
    first.map_or(Room::Full, |(number, _)| Room::Instead(number))
}

/// What counts as one address: of IPv6 the /64 that one machine usually has to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let high = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(high))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Doing::{Answered, Beginning, Resting};

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const A: [u8; 4] = [10, 0, 0, 1];
    const B: [u8; 4] = [10, 0, 0, 2];

    #[test]
    fn who_waits_makes_room_and_who_is_answered_stays() {
        // 32 places: 2 for this machine alone, 8 for each other address.
        for (held, from, expected) in [
            (vec![(HERE, Beginning, 31)], HERE, Room::Free),
            (vec![(HERE, Beginning, 32)], HERE, Room::Instead(0)),
            (vec![(HERE, Answered, 32)], HERE, Room::Full),
            // Whoever had an answer stays longer than whoever never asked.
            (
                vec![(HERE, Resting, 16), (HERE, Beginning, 16)],
                HERE,
                Room::Instead(16),
            ),
            (vec![(HERE, Resting, 32)], HERE, Room::Instead(0)),
            // The address with most of them loses one.
            (
                vec![(A, Beginning, 4), (HERE, Answered, 21), (B, Beginning, 7)],
                HERE,
                Room::Instead(25),
            ),
            // One address has its share, whatever room there is.
            (vec![(A, Beginning, 8)], A, Room::Instead(0)),
            (vec![(A, Answered, 8)], A, Room::Full),
            (vec![(A, Answered, 8)], B, Room::Free),
            // Places of this machine are not for others, waiting or not.
            (vec![(HERE, Beginning, 32)], A, Room::Full),
            (vec![(HERE, Beginning, 31)], A, Room::Free),
        ] {
            let held: Vec<(IpAddr, Doing)> = held
                .into_iter()
                .flat_map(|(from, doing, count)| vec![(IpAddr::from(from), doing); count])
                .collect();
            assert_eq!(room(&held, from.into(), 32), expected, "{held:?} {from:?}");
        }
    }

    #[test]
    fn others_leave_places_for_this_machine() {
        let held: Vec<(IpAddr, Doing)> = (0..30)
            .map(|number| (IpAddr::from([10, 0, 0, number]), Answered))
            .collect();
        assert_eq!(room(&held, [10, 0, 1, 1].into(), 32), Room::Full);
        assert_eq!(room(&held, HERE.into(), 32), Room::Free);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert!(of("::1").is_loopback());
    }
}
