//! What an operator says to whoever looks after the mirrors, from any thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use vxscope_policy::rules::Rules;
use vxscope_steward::Command;

/// Orders that wait, and answers that nobody has read: more than anybody gives in a tick. A
/// further order is refused, and of answers the oldest is forgotten.
const ORDERS_MAX: usize = 64;

/// One order.
#[derive(Clone, Debug)]
pub enum Order {
    /// Other rules from now on, as a whole.
    Rules(Box<Rules>),
    /// Something about one or all mirrors.
    Command(Command),
}

/// Where orders are left. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Mutex<Place>>);

#[derive(Debug, Default)]
struct Place {
    orders: VecDeque<Order>,
    answers: VecDeque<String>,
}

impl Orders {
    /// Leaves an order. False if too many wait already: nobody takes them any more.
    #[must_use]
    pub fn give(&self, order: Order) -> bool {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = place.orders.len() < ORDERS_MAX;
        if room {
            place.orders.push_back(order);
        }
        room
    }

    /// What was said to the orders so far, for people.
    #[must_use]
    pub fn take_answers(&self) -> Vec<String> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.answers.drain(..).collect()
    }

    pub(super) fn take(&self) -> Vec<Order> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.orders.drain(..).collect()
    }

    pub(super) fn answer(&self, answer: String) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place.answers.len() == ORDERS_MAX {
            place.answers.pop_front();
        }
        place.answers.push_back(answer);
    }
}
