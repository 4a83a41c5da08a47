//! Connections to programs that may stand still: none of them is waited for more than once.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

/// Sends datagrams. One that finds no room within the socket's timeout is given up, and so are
/// those after it for which there is no room at once, until the next tick: a stalled network must
/// not hold up a stop once for every frame.
#[derive(Debug)]
pub(crate) struct PatientUdp {
    socket: UdpSocket,
    waits: bool,
}

impl PatientUdp {
    /// `socket` has a write timeout.
    pub(crate) const fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            waits: true,
        }
    }

    /// # Errors
    /// There is no room, or what the network says of this datagram or an earlier one.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let sent = self.socket.send(datagram);
        if self.waits && matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.set_waits(false);
        }
        sent.map(drop)
    }

    /// A full socket may be waited for again.
    pub(crate) fn tick(&mut self) {
        if !self.waits {
            self.set_waits(true);
        }
    }

    /// An open socket is not refused this; if it were, it would go on as before.
    fn set_waits(&mut self, waits: bool) {
        if self.socket.set_nonblocking(!waits).is_ok() {
            self.waits = waits;
        }
    }
}

/// Connects to a unix socket, without waiting for a program whose queue of clients is full, and
/// which would otherwise be waited for without end. What is written to the stream does not wait.
///
/// # Errors
/// Nobody listens, or the queue is full.
pub(crate) fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::connect_unix;

    #[test]
    fn who_does_not_accept_is_not_waited_for() {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("socket");
        assert!(connect_unix(&path).is_err());
        let _listener = UnixListener::bind(&path).unwrap();
        // One who has gone again keeps its place in the queue; there are 4,096 by default.
        let refused = (0..1_000_000).find_map(|_| connect_unix(&path).err());
        let refused = refused.map(|error| error.kind());
        assert_eq!(refused, Some(std::io::ErrorKind::WouldBlock));
    }
}
