//! One worker's sockets.

use std::net::SocketAddr;
use std::time::Duration;

use vxscope_linux::udp::UdpSocket;
use vxscope_linux::{Waker, settle, wait_readable};
use vxscope_wire::Tunnel;

use super::batch::UdpBatch;
use super::error::UdpError;
use super::settings::option;

/// How long [`UdpSource::receive`] waits for a datagram, so that a quiet worker gets on with its
/// other work.
pub const POLL_LIMIT: Duration = Duration::from_millis(20);

/// One worker's sockets: one for each port.
#[derive(Debug)]
pub struct UdpSource {
    ports: Vec<Port>,
    waker: Waker,
    /// Which port to look at first, so that a busy one does not starve the others.
    next: usize,
    received: u64,
    stopped: bool,
}

/// A socket, and what the kernel gave up there.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    address: SocketAddr,
    tunnel: Tunnel,
    /// Dropped since the socket was made, by the kernel's count, which wraps.
    given_up: u64,
    last_count: u32,
    /// What of it was refused before the socket was open.
    refused_before: u64,
    /// `given_up` when the stop began.
    at_stop: Option<u64>,
}

impl UdpSource {
    /// Opens the sockets, which were shut. If one fails, dropping the source closes them all.
    pub(super) fn open(ports: Vec<Port>) -> Result<Self, UdpError> {
        let waker = Waker::new().map_err(option("an event counter"))?;
        let mut source = Self {
            ports,
            waker,
            next: 0,
            received: 0,
            stopped: false,
        };
        for port in &mut source.ports {
            port.open()?;
        }
        Ok(source)
    }

    /// Fills the batch with datagrams of one port, and returns how many. Ports take turns. If
    /// none has any, waits up to [`POLL_LIMIT`] and may return 0; after [`UdpSource::stop`] it
    /// does not wait, and 0 means that everything that was received has been handed out.
    ///
    /// # Errors
    /// [`UdpError::Receive`].
    #[inline]
    pub fn receive(&mut self, batch: &mut UdpBatch) -> Result<usize, UdpError> {
        let count = self.receive_waiting(batch)?;
        batch.waited = count == 0 && !self.stopped;
        if !batch.waited || !self.wait()? {
            return Ok(count);
        }
        self.receive_waiting(batch)
    }

    /// Refuses what comes from now on; what has been received stays and is handed out by
    /// [`UdpSource::receive`]. Takes some milliseconds, until no delivery is under way.
    ///
    /// # Errors
    /// [`UdpError::Option`].
    pub fn stop(&mut self) -> Result<(), UdpError> {
        if self.stopped {
            return Ok(());
        }
        for port in &mut self.ports {
            port.shut()?;
        }
        settle();
        self.stopped = true;
        Ok(())
    }

    /// Takes in what comes from now on, after a stop: it waits for the next run, for as long as
    /// somebody else holds the sockets.
    ///
    /// # Errors
    /// [`UdpError::Option`].
    pub fn leave_open(&mut self) -> Result<(), UdpError> {
        let mut sockets = self.sockets();
        sockets.try_for_each(|it| it.reopen().map_err(option("the end of a filter")))
    }

    /// One for each port, in the order of the settings.
    pub fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.ports.iter().map(|port| &port.socket)
    }

    /// Ends a wait of this worker for datagrams: there is something else to do.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Datagrams handed out.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Datagrams that the kernel dropped before they could be handed out, because the receive
    /// buffer was full or the outer checksum wrong, until the stop began. Exact at any time: one
    /// system call per port.
    ///
    /// # Errors
    /// [`UdpError::Option`].
    pub fn dropped(&mut self) -> Result<u64, UdpError> {
        self.sum(Port::dropped)
    }

    /// Datagrams that came before the sockets were open or after the stop began.
    ///
    /// # Errors
    /// [`UdpError::Option`].
    pub fn refused(&mut self) -> Result<u64, UdpError> {
        self.sum(Port::refused)
    }

    fn sum(&mut self, count: impl Fn(&Port) -> u64) -> Result<u64, UdpError> {
        let mut sum: u64 = 0;
        for port in &mut self.ports {
            port.read_count()?;
            sum = sum.saturating_add(count(port));
        }
        Ok(sum)
    }

    #[inline]
    fn receive_waiting(&mut self, batch: &mut UdpBatch) -> Result<usize, UdpError> {
        batch.slots.clear();
        let count = self.ports.len();
        for at in (self.next..count).chain(0..self.next) {
            let Some(port) = self.ports.get(at) else {
                break;
            };
            let received = port.socket.receive(&mut batch.slots);
            let received = received.map_err(|source| UdpError::Receive {
                address: port.address,
                source,
            })?;
            if received > 0 {
                batch.tunnel = port.tunnel;
                self.next = if at + 1 < count { at + 1 } else { 0 };
                self.received = self.received.saturating_add(received as u64);
                return Ok(received);
            }
        }
        Ok(0)
    }

    #[cold]
    fn wait(&self) -> Result<bool, UdpError> {
        let sockets = self.ports.iter().map(|port| &port.socket);
        wait_readable(sockets, &self.waker, POLL_LIMIT).map_err(option("poll"))
    }
}

impl Port {
    /// Around a socket that is bound and shut.
    pub(super) const fn new(socket: UdpSocket, address: SocketAddr, tunnel: Tunnel) -> Self {
        Self {
            socket,
            address,
            tunnel,
            given_up: 0,
            last_count: 0,
            refused_before: 0,
            at_stop: None,
        }
    }

    /// Around a socket that has received before, and may be open.
    pub(super) fn inherited(
        socket: UdpSocket,
        address: SocketAddr,
        tunnel: Tunnel,
    ) -> Result<Self, UdpError> {
        // What was dropped earlier is not dropped by this run.
        let last_count = socket.dropped().map_err(option("SO_MEMINFO"))?;
        Ok(Self {
            last_count,
            ..Self::new(socket, address, tunnel)
        })
    }

    fn open(&mut self) -> Result<(), UdpError> {
        self.socket
            .reopen()
            .map_err(option("the end of a filter"))?;
        self.read_count()?;
        self.refused_before = self.given_up;
        Ok(())
    }

    fn shut(&mut self) -> Result<(), UdpError> {
        self.read_count()?;
        self.socket.shut().map_err(option("a filter"))?;
        self.at_stop = Some(self.given_up);
        Ok(())
    }

    /// Must be called once in 2³² drops: at ten million a second, in seven minutes.
    fn read_count(&mut self) -> Result<(), UdpError> {
        let count = self.socket.dropped().map_err(option("SO_MEMINFO"))?;
        let more = count.wrapping_sub(self.last_count);
        self.given_up = self.given_up.saturating_add(more.into());
        self.last_count = count;
        Ok(())
    }

    fn dropped(&self) -> u64 {
        let given_up = self.at_stop.unwrap_or(self.given_up);
        given_up.saturating_sub(self.refused_before)
    }

    fn refused(&self) -> u64 {
        let given_up = self.at_stop.unwrap_or(self.given_up);
        let after = self.given_up.saturating_sub(given_up);
        self.refused_before.saturating_add(after)
    }
}
