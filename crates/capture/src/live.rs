//! Live input, whichever way it comes: UDP sockets or packet rings.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use thiserror::Error;
use vxscope_linux::Waker;
use vxscope_units::Timestamp;
use vxscope_wire::{Reject, Tunnel};

use crate::ring::{self, RingBatch, RingError, RingSource, RingWarning};
use crate::udp::{
    Inherited, Rebinder, Steered, UdpBatch, UdpDatagram, UdpError, UdpGroup, UdpOpened,
    UdpSettings, UdpSource, UdpWarning,
};

/// Which way traffic comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// UDP sockets: any user may.
    Udp,
    /// A packet ring on an interface: about a third of the kernel's work, for who may.
    PacketRing,
}

impl Backend {
    /// As it is configured and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::PacketRing => "packet-ring",
        }
    }
}

/// Why nothing can be received.
#[derive(Debug, Error)]
pub enum LiveError {
    /// Through UDP sockets.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// Through packet rings.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// What was opened.
#[derive(Debug)]
pub struct LiveOpened {
    /// One source for each worker, in the workers' order.
    pub sources: Vec<LiveSource>,
    /// The ports as they are bound, in the order of the settings.
    pub groups: Vec<UdpGroup>,
    /// Which way it is.
    pub backend: Backend,
    /// Why it is not the better one, if that was tried.
    pub declined: Option<String>,
    /// How the kernel chooses among the sockets of a port, if there are several.
    pub steered: Option<Steered>,
    /// What is less than was asked for.
    pub warnings: Vec<UdpWarning>,
    /// What costs more than it should.
    pub ring_warnings: Vec<RingWarning>,
    /// What was taken over, if these are the sockets of an earlier run.
    pub inherited: Option<Inherited>,
}

/// Opens one way, or with `None` the best that is possible here.
///
/// # Errors
/// [`LiveError`] of the way that was asked for, or of UDP.
pub fn open(settings: &UdpSettings, backend: Option<Backend>) -> Result<LiveOpened, LiveError> {
    let declined = match backend {
        Some(Backend::Udp) => None,
        Some(Backend::PacketRing) => return Ok(through_ring(settings)?),
        None => match through_ring(settings) {
            Ok(opened) => return Ok(opened),
            // UDP would need the same ports.
            Err(RingError::Ports(error)) => return Err(error.into()),
            Err(error) => Some(error.to_string()),
        },
    };
    Ok(LiveOpened {
        declined,
        ..through_sockets(settings.open()?)
    })
}

/// Goes on with sockets of an earlier run, each with its name, if they are what [`open`] would
/// make. `None` if not: they are closed then.
///
/// # Errors
/// [`LiveError::Udp`].
pub fn take_over(
    settings: &UdpSettings,
    backend: Option<Backend>,
    handed: Vec<(String, OwnedFd)>,
) -> Result<Option<LiveOpened>, LiveError> {
    let declined = match backend {
        Some(Backend::Udp) => None,
        Some(Backend::PacketRing) => return Ok(None),
        None => match ring::try_one(settings) {
            Ok(()) => return Ok(None),
            Err(error) => Some(error.to_string()),
        },
    };
    let Some(inheritance) = settings.inherit(handed) else {
        return Ok(None);
    };
    let (opened, inherited) = settings.take_over(inheritance)?;
    Ok(Some(LiveOpened {
        declined,
        inherited: Some(inherited),
        ..through_sockets(opened)
    }))
}

fn through_sockets(opened: UdpOpened) -> LiveOpened {
    LiveOpened {
        sources: opened.sources.into_iter().map(LiveSource::udp).collect(),
        groups: opened.groups,
        backend: Backend::Udp,
        declined: None,
        steered: opened.steered,
        warnings: opened.warnings,
        ring_warnings: Vec::new(),
        inherited: None,
    }
}

impl LiveOpened {
    /// What another process may hold for the next run, each with its name: the sockets, but
    /// nothing of a ring, whose place only its reader knows.
    pub fn holdings(&self, settings: &UdpSettings) -> Vec<(String, BorrowedFd<'_>)> {
        let names = settings.socket_names(&self.groups);
        let sources = self.sources.iter().filter_map(|source| match source {
            LiveSource::Udp(source, _) => Some(source),
            LiveSource::Ring(_) => None,
        });
        let sockets = sources.flat_map(|it| it.sockets().map(AsFd::as_fd));
        names.into_iter().flatten().zip(sockets).collect()
    }

    /// Second hands on the sockets, for whoever watches the interface.
    ///
    /// # Errors
    /// [`UdpError::Option`]: no more descriptors.
    pub fn rebinder(&self) -> Result<Rebinder, UdpError> {
        let sockets = self.sources.iter().map(|source| match source {
            LiveSource::Udp(source, _) => Some(source),
            LiveSource::Ring(_) => None,
        });
        let sockets: Option<Vec<_>> = sockets.collect();
        sockets.map_or_else(|| Ok(Rebinder::none()), Rebinder::new)
    }
}

fn through_ring(settings: &UdpSettings) -> Result<LiveOpened, RingError> {
    let opened = ring::open(settings)?;
    Ok(LiveOpened {
        sources: opened.sources.into_iter().map(LiveSource::Ring).collect(),
        groups: opened.groups,
        backend: Backend::PacketRing,
        declined: None,
        steered: None,
        warnings: opened.udp_warnings,
        ring_warnings: opened.warnings,
        inherited: None,
    })
}

/// One worker's input.
#[derive(Debug)]
pub enum LiveSource {
    /// Sockets, and the batch that is filled from them.
    Udp(UdpSource, Box<UdpBatch>),
    /// A ring, which batches borrow from.
    Ring(RingSource),
}

/// Some datagrams.
#[derive(Clone, Debug)]
pub enum LiveBatch<'b> {
    /// Of one port's socket.
    Udp(&'b UdpBatch),
    /// Of a ring's block.
    Ring(RingBatch<'b>),
}

/// One datagram, or why there is none in what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'b> {
    /// When it came, by the kernel's clock.
    pub timestamp: Timestamp,
    /// Bytes that count as received: the UDP payload's, or what could not be opened.
    pub bytes: u64,
    /// The datagram and what comes on its port.
    pub opened: Result<(Tunnel, UdpDatagram<'b>), Reject>,
}

impl LiveSource {
    fn udp(source: UdpSource) -> Self {
        Self::Udp(source, Box::default())
    }

    /// The next datagrams. If there are none, waits up to [`POLL_LIMIT`](crate::udp::POLL_LIMIT)
    /// and may return none; after [`LiveSource::stop`] none means that everything that was
    /// received has been handed out.
    ///
    /// # Errors
    /// [`LiveError`].
    #[inline]
    pub fn receive(&mut self) -> Result<LiveBatch<'_>, LiveError> {
        match self {
            Self::Udp(source, batch) => {
                source.receive(batch)?;
                Ok(LiveBatch::Udp(batch))
            }
            Self::Ring(source) => Ok(LiveBatch::Ring(source.receive()?)),
        }
    }

    /// Refuses what comes from now on; what has been received stays.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn stop(&mut self) -> Result<(), LiveError> {
        match self {
            Self::Udp(source, _) => Ok(source.stop()?),
            Self::Ring(source) => Ok(source.stop()?),
        }
    }

    /// Takes in what comes after a stop, for the next run to find.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn leave_open(&mut self) -> Result<(), LiveError> {
        match self {
            Self::Udp(source, _) => Ok(source.leave_open()?),
            Self::Ring(_) => Ok(()),
        }
    }

    /// Ends a wait of this worker: there is something else to do.
    #[must_use]
    pub fn waker(&self) -> Waker {
        match self {
            Self::Udp(source, _) => source.waker(),
            Self::Ring(source) => source.waker(),
        }
    }

    /// Datagrams handed out.
    #[must_use]
    pub const fn received(&self) -> u64 {
        match self {
            Self::Udp(source, _) => source.received(),
            Self::Ring(source) => source.received(),
        }
    }

    /// Datagrams that the kernel dropped before they could be handed out. Exact at any time.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn dropped(&mut self) -> Result<u64, LiveError> {
        match self {
            Self::Udp(source, _) => Ok(source.dropped()?),
            Self::Ring(source) => Ok(source.dropped()?),
        }
    }

    /// Datagrams that came before the input was open or after the stop began, where the kernel
    /// counts them: a ring's are not counted.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn refused(&mut self) -> Result<u64, LiveError> {
        match self {
            Self::Udp(source, _) => Ok(source.refused()?),
            Self::Ring(_) => Ok(0),
        }
    }
}

impl LiveBatch<'_> {
    /// How many datagrams there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Udp(batch) => batch.len(),
            Self::Ring(batch) => batch.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they had to be waited for.
    #[must_use]
    #[inline]
    pub const fn has_waited(&self) -> bool {
        match self {
            Self::Udp(batch) => batch.waited,
            Self::Ring(batch) => batch.has_waited(),
        }
    }

    /// When the first of them came.
    #[inline]
    pub fn oldest(&self) -> Option<Timestamp> {
        match self {
            Self::Udp(batch) => batch.datagrams().next().map(|it| it.timestamp),
            Self::Ring(batch) => {
                let first = batch.frames().next();
                first.map(|it| Timestamp::from_nanos(it.stamp_ns))
            }
        }
    }
}
