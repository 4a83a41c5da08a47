//! Where a collector or a reader is, whose name somebody has to be asked for who may never answer.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Begins to look up a `HOST:PORT` and returns at once. One answer comes; none if the channel ends
/// before. Whoever has threads looks up.
pub type LookUp = fn(&str) -> Receiver<io::Result<SocketAddr>>;

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// This is it, as of the last answer.
    Known(SocketAddr),
    /// Nobody has answered yet.
    Asked,
    /// There is none, as of the last answer; it is asked for anew next time.
    Unknown,
}

/// A `HOST:PORT`. A name is looked up once for each attempt to connect, one at a time, and nobody
/// waits for the answer: what was found before is good until there is a newer one.
#[derive(Debug)]
pub(crate) struct Host {
    target: String,
    look_up: LookUp,
    asked: Option<Receiver<io::Result<SocketAddr>>>,
    known: Option<SocketAddr>,
    is_literal: bool,
}

impl Host {
    pub(crate) fn new(target: &str, look_up: LookUp) -> Self {
        let literal = target.parse().ok();
        Self {
            target: target.to_owned(),
            look_up,
            asked: None,
            known: literal,
            is_literal: literal.is_some(),
        }
    }

    /// The address for one attempt to connect.
    pub(crate) fn address(&mut self) -> Sought {
        if self.is_literal {
            return self.known.map_or(Sought::Unknown, Sought::Known);
        }
        let answer = match &self.asked {
            None => {
                self.asked = Some((self.look_up)(&self.target));
                return self.known.map_or(Sought::Asked, Sought::Known);
            }
            Some(asked) => asked.try_recv(),
        };
        match answer {
            Err(TryRecvError::Empty) => return self.known.map_or(Sought::Asked, Sought::Known),
            Ok(Ok(address)) => self.known = Some(address),
            // Who is known already may still be there.
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => {}
        }
        self.asked = None;
        self.known.map_or(Sought::Unknown, Sought::Known)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::{Host, Sought};
    use crate::testing::never_answers;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn finds(_: &str) -> Receiver<io::Result<SocketAddr>> {
        answers(Some(Ok(at(4739))))
    }

    fn finds_nothing(_: &str) -> Receiver<io::Result<SocketAddr>> {
        answers(Some(Err(io::ErrorKind::NotFound.into())))
    }

    fn dies(_: &str) -> Receiver<io::Result<SocketAddr>> {
        answers(None)
    }

    fn answers(answer: Option<io::Result<SocketAddr>>) -> Receiver<io::Result<SocketAddr>> {
        let (sender, receiver) = sync_channel(1);
        answer.into_iter().for_each(|it| sender.send(it).unwrap());
        receiver
    }

    #[test]
    fn an_address_is_known_as_soon_as_somebody_answers_and_until_somebody_else_does() {
        let mut host = Host::new("collector:4739", finds);
        assert_eq!(host.address(), Sought::Asked);
        assert_eq!(host.address(), Sought::Known(at(4739)));
        for look_up in [finds_nothing, dies, never_answers] {
            host.look_up = look_up;
            for _ in 0..3 {
                assert_eq!(host.address(), Sought::Known(at(4739)));
            }
        }
    }

    #[test]
    fn what_has_no_address_is_asked_for_again() {
        for look_up in [finds_nothing, dies] {
            let mut host = Host::new("collector:4739", look_up);
            let found = [(); 3].map(|()| host.address());
            assert_eq!(found, [Sought::Asked, Sought::Unknown, Sought::Asked]);
            host.look_up = finds;
            let found = [(); 3].map(|()| host.address());
            let known = Sought::Known(at(4739));
            assert_eq!(found, [Sought::Unknown, Sought::Asked, known]);
        }
    }

    #[test]
    fn an_address_is_nobodys_name() {
        let mut host = Host::new("192.0.2.1:4739", never_answers);
        assert_eq!(host.address(), Sought::Known(at(4739)));
    }

    #[test]
    fn nobody_is_asked_twice_at_once() {
        let mut host = Host::new("collector:4739", never_answers);
        for _ in 0..3 {
            assert_eq!(host.address(), Sought::Asked);
        }
        // Would be taken for an answer if it were asked.
        host.look_up = finds;
        assert_eq!([(); 2].map(|()| host.address()), [Sought::Asked; 2]);
    }
}
