//! Asks the system where a name leads, on a thread that nobody waits for: a name server that does
//! not answer takes its time there.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::start;

/// See [`vxscope_export::LookUp`]. Whoever asks waits for one answer at a time, so there is one
/// thread for each sink at most.
pub(crate) fn look_up(target: &str) -> Receiver<io::Result<SocketAddr>> {
    let (sender, receiver) = sync_channel(1);
    let target = target.to_owned();
    // Without a thread the channel ends, and that is an answer, too.
    let _ = start::detach("look-up", move || {
        let found = target.to_socket_addrs().and_then(|mut addresses| {
            let none = || io::Error::other("the name has no address");
            addresses.next().ok_or_else(none)
        });
        let _ = sender.send(found);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::look_up;

    #[test]
    fn names_and_addresses_lead_somewhere_and_the_rest_is_an_error() {
        let found = look_up("localhost:4739").recv().unwrap().unwrap();
        assert!(found.ip().is_loopback() && found.port() == 4739, "{found}");
        let found = look_up("192.0.2.1:9").recv().unwrap().unwrap();
        assert_eq!(found, ([192, 0, 2, 1], 9).into());
        assert!(look_up("no port").recv().unwrap().is_err());
    }
}
