//! What is said to whoever looks after the mirrors, from any thread: orders with their answers,
//! and alerts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use vxscope_policy::rules::{Mode, Rules};
use vxscope_report::MirrorStatus;
use vxscope_steward::Command;
use vxscope_units::MirrorSource;

use crate::alert::Alert;

/// Orders that wait, and answers that nobody has read: more than anybody gives in a tick. A
/// further order is refused, and of answers the oldest is forgotten.
const ORDERS_MAX: usize = 64;
/// Sources that alerts wait for, one each with the worst of them: more than a sensor may have.
/// Reached: alerts for further sources are not taken.
const ALERTED_MAX: usize = 16_384;
/// How long an order may take. It takes a tick, unless a disk is slow.
const ANSWER_MAX: Duration = Duration::from_secs(4);

/// One order.
#[derive(Clone, Debug)]
pub enum Order {
    /// Other rules from now on, as a whole.
    Rules(Box<Rules>),
    /// Something about one or all mirrors.
    Command(Command),
    /// Another mode, whatever the rules say; `None`: theirs again.
    Mode(Option<Mode>),
    /// How do they stand?
    Status,
}

/// What was done, or why not, for people.
pub(super) type Answer = Result<Reply, String>;

/// What an order led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// It is done, and the operator should know this.
    Says(String),
    /// How the mirrors stand.
    Status(Box<MirrorStatus>),
}

/// An order, and who waits for the answer.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) order: Order,
    pub(super) asker: Option<Sender<Answer>>,
}

/// Where orders are left. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
struct Place {
    orders: VecDeque<Given>,
    alerts: BTreeMap<MirrorSource, Alert>,
    answers: VecDeque<String>,
}

impl Orders {
    /// Leaves an order. False if too many wait already: nobody takes them any more.
    #[must_use]
    pub fn give(&self, order: Order) -> bool {
        self.leave(Given { order, asker: None })
    }

    /// Leaves an order and waits for what comes of it.
    pub(crate) fn ask(&self, order: Order) -> Answer {
        let (asker, answer): (_, Receiver<Answer>) = bounded(1);
        let asker = Some(asker);
        if !self.leave(Given { order, asker }) {
            return Err("too many orders wait already".to_owned());
        }
        let late = "whoever looks after the mirrors did not answer in time; ask how they stand";
        let answer = answer.recv_timeout(ANSWER_MAX);
        answer.unwrap_or_else(|_| Err(late.to_owned()))
    }

    fn leave(&self, given: Given) -> bool {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = place.orders.len() < ORDERS_MAX;
        if room {
            place.orders.push_back(given);
        }
        room
    }

    /// Leaves an alert; of several about one source the worst stays, and of equals the latest.
    /// False if too many sources are named already.
    pub(crate) fn alert(&self, alert: Alert) -> bool {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alerts = &mut place.alerts;
        let worse = |known: &Alert| known.severe && !alert.severe;
        if alerts.get(&alert.source).is_some_and(worse) {
            return true;
        }
        let room = alerts.len() < ALERTED_MAX || alerts.contains_key(&alert.source);
        if room {
            alerts.insert(alert.source, alert);
        }
        room
    }

    /// What was said to the orders so far, for people.
    #[must_use]
    pub fn take_answers(&self) -> Vec<String> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.answers.drain(..).collect()
    }

    pub(super) fn take(&self) -> (Vec<Given>, BTreeMap<MirrorSource, Alert>) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alerts = std::mem::take(&mut place.alerts);
        (place.orders.drain(..).collect(), alerts)
    }

    /// Says something to whoever looks at the run.
    pub(super) fn answer(&self, answer: String) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place.answers.len() == ORDERS_MAX {
            place.answers.pop_front();
        }
        place.answers.push_back(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_units::Vni;

    #[test]
    fn of_many_alerts_about_a_source_the_worst_waits() {
        let orders = Orders::default();
        for (severe, reason) in [(false, "a"), (true, "b"), (false, "c"), (true, "d")] {
            assert!(orders.alert(alert(1, severe, reason)));
        }
        let (_, alerts) = orders.take();
        let left: Vec<_> = alerts.into_values().collect();
        assert_eq!(left, [alert(1, true, "d")]);
    }

    #[test]
    fn alerts_and_orders_that_nobody_takes_are_bounded() {
        let orders = Orders::default();
        let all =
            (0..u32::try_from(ALERTED_MAX).unwrap()).all(|n| orders.alert(alert(n, false, "")));
        assert!(all);
        assert!(!orders.alert(alert(1 << 20, false, "")));
        assert!(orders.alert(alert(7, true, "")), "it is there already");
        let given = (0..).take_while(|_| orders.give(Order::Status)).count();
        assert_eq!(given, ORDERS_MAX);
        assert!(orders.ask(Order::Status).is_err());
    }

    fn alert(number: u32, severe: bool, reason: &str) -> Alert {
        Alert {
            source: MirrorSource {
                address: std::net::Ipv4Addr::from_bits(number).into(),
                vni: Vni::try_new(1).unwrap(),
            },
            peer: None,
            severe,
            reason: reason.to_owned(),
        }
    }
}
