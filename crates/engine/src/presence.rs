//! Whether the interface that traffic must come through is still there.
//!
//! A removed interface takes its traffic along in silence. When it is made anew under its name it
//! is another one for the kernel, and sockets bound to the old one receive nothing for good.

use std::time::Duration;

use vxscope_capture::udp::{Interface, Rebinder};

/// How often somebody looks: one list of interfaces from the kernel.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The interface as it was last seen.
#[derive(Debug)]
pub(crate) struct Presence {
    watched: Option<Watched>,
    next: Duration,
}

#[derive(Debug)]
struct Watched {
    name: String,
    rebinder: Rebinder,
    /// The number of the interface that the sockets are bound to.
    bound: u32,
    state: State,
    /// How often it was gone or down.
    lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Gone,
    /// It is there, and the sockets cannot be bound to it.
    Deaf,
}

impl Presence {
    /// Nothing to watch without an interface.
    pub(crate) fn new(watched: Option<(&Interface, Rebinder)>) -> Self {
        let watched = watched.map(|(interface, rebinder)| Watched {
            name: interface.name().to_owned(),
            rebinder,
            bound: interface.index(),
            state: state(interface),
            lost: 0,
        });
        let next = LOOK_EVERY;
        Self { watched, next }
    }

    /// A sentence if something has changed, once in a while.
    pub(crate) fn poll(&mut self, elapsed: Duration) -> Option<String> {
        let watched = self.watched.as_mut()?;
        if elapsed < self.next {
            return None;
        }
        self.next = elapsed + LOOK_EVERY;
        let found = Interface::find(&watched.name).ok();
        let seen = found.as_ref().map(|it| (it.index(), state(it)));
        watched.see(seen)
    }

    /// A sentence for the summary, if it was away.
    pub(crate) fn finish(self) -> Option<String> {
        let watched = self.watched.filter(|watched| watched.lost > 0)?;
        let Watched { name, lost, .. } = watched;
        Some(format!(
            "interface {name} was gone or down {lost} times; what was sent meanwhile is missing"
        ))
    }
}

fn state(interface: &Interface) -> State {
    if interface.is_up() {
        State::Up
    } else {
        State::Down
    }
}

impl Watched {
    /// Takes in the number and the state of what has the name now.
    fn see(&mut self, seen: Option<(u32, State)>) -> Option<String> {
        let is_other = seen.is_some_and(|(index, _)| index != self.bound);
        let (mut state, before) = (seen.map_or(State::Gone, |(_, state)| state), self.state);
        if is_other && before == State::Deaf {
            return None;
        }
        let mut refused = None;
        if is_other {
            match self.rebinder.bind(&self.name) {
                Ok(()) => self.bound = seen.map_or(self.bound, |(index, _)| index),
                Err(error) => (state, refused) = (State::Deaf, Some(error)),
            }
        }
        self.state = state;
        if state == before && !is_other {
            return None;
        }
        if before == State::Up {
            self.lost += 1;
        }
        let name = &self.name;
        Some(match (state, refused) {
            (State::Gone, _) => {
                format!("interface {name} is gone; nothing is received until it is back")
            }
            (_, Some(error)) => format!(
                "interface {name} was made anew, and nothing is received from it: {error}; \
                 restart the sensor, or give it CAP_NET_RAW"
            ),
            (State::Down, None) => {
                format!("interface {name} is down; nothing is received until it is up")
            }
            (State::Up | State::Deaf, None) => format!("interface {name} is back"),
        })
    }
}
