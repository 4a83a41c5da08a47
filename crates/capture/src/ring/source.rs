//! One worker's ring.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use vxscope_linux::ring::{Frame, Frames, PacketRing};
use vxscope_linux::{Waker, settle, wait_readable};
use vxscope_units::Timestamp;
use vxscope_wire::{Options, Reject, checksum_holds, open_packet};

use super::error::{RingError, option};
use super::settings::Quiet;
use crate::live::Arrival;
use crate::udp::{POLL_LIMIT, UdpDatagram};

/// Most packets handed out at once: the rest of what a worker does, it does between batches.
pub const RING_BATCH: usize = 64;

/// How often a stop waits for the kernel to hand over the last block, which it does after some
/// milliseconds. What has not come then counts as dropped.
const DRAIN_WAITS: u32 = 100;

/// One worker's ring.
#[derive(Debug)]
pub struct RingSource {
    ring: PacketRing,
    options: Options,
    waker: Waker,
    received: u64,
    /// Packets that passed the filter, by the kernel's count.
    passed: u64,
    dropped: u64,
    stopped: bool,
    waits_left: u32,
    _quiet: Arc<Quiet>,
}

/// Up to [`RING_BATCH`] packets, borrowed from the ring.
#[derive(Clone, Debug)]
pub struct RingBatch<'r> {
    frames: Frames<'r>,
    options: &'r Options,
    waited: bool,
}

impl RingSource {
    pub(super) fn new(
        ring: PacketRing,
        options: Options,
        quiet: Arc<Quiet>,
    ) -> Result<Self, RingError> {
        Ok(Self {
            ring,
            options,
            waker: Waker::new().map_err(option("an event counter"))?,
            received: 0,
            passed: 0,
            dropped: 0,
            stopped: false,
            waits_left: DRAIN_WAITS,
            _quiet: quiet,
        })
    }

    /// The next packets. If there are none, waits up to [`POLL_LIMIT`] and may return none; after
    /// [`RingSource::stop`] none means that everything that was received has been handed out.
    ///
    /// # Errors
    /// [`RingError::Option`].
    #[inline]
    pub fn receive(&mut self) -> Result<RingBatch<'_>, RingError> {
        let waited = !self.ring.is_ready();
        if waited {
            self.wait()?;
        }
        let frames = self.ring.receive(RING_BATCH);
        self.received = self.received.saturating_add(frames.left() as u64);
        Ok(RingBatch {
            frames,
            options: &self.options,
            waited,
        })
    }

    /// Refuses what comes from now on; what has been received stays and is handed out by
    /// [`RingSource::receive`]. Takes some milliseconds, until no delivery is under way.
    ///
    /// # Errors
    /// [`RingError::Option`].
    pub fn stop(&mut self) -> Result<(), RingError> {
        if !self.stopped {
            self.ring.shut().map_err(option("a filter"))?;
            settle();
            self.stopped = true;
            self.read_counts()?;
        }
        Ok(())
    }

    /// Ends a wait of this worker for packets: there is something else to do.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Packets handed out.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that found no room in the ring. Exact at any time: one system call.
    ///
    /// # Errors
    /// [`RingError::Option`].
    pub fn dropped(&mut self) -> Result<u64, RingError> {
        self.read_counts()?;
        Ok(self.dropped)
    }

    /// The kernel forgets what it tells, and counts to 2³².
    fn read_counts(&mut self) -> Result<(), RingError> {
        let counts = self.ring.take_counts();
        let counts = counts.map_err(option("PACKET_STATISTICS"))?;
        self.passed = self.passed.saturating_add(counts.passed.into());
        self.dropped = self.dropped.saturating_add(counts.dropped.into());
        Ok(())
    }

    /// Waits for packets; when it is stopped, for those that the kernel has and has not handed
    /// over yet.
    #[cold]
    fn wait(&mut self) -> Result<(), RingError> {
        if !self.stopped {
            return self.wait_once(POLL_LIMIT);
        }
        while !self.ring.is_ready() {
            let missing = self.passed.saturating_sub(self.dropped + self.received);
            if missing == 0 {
                return Ok(());
            }
            if self.waits_left == 0 {
                self.dropped = self.dropped.saturating_add(missing);
                return Ok(());
            }
            self.waits_left -= 1;
            self.wait_once(Duration::from_millis(5))?;
        }
        Ok(())
    }

    fn wait_once(&self, limit: Duration) -> Result<(), RingError> {
        let rings = slice::from_ref(&self.ring);
        let awake = wait_readable(rings, &self.waker, limit).map_err(option("poll"))?;
        if awake {
            // That the interface went down is told by those who watch it.
            let _ = self.ring.take_error();
        }
        Ok(())
    }
}

impl<'r> RingBatch<'r> {
    /// How many packets there are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.frames.left()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they had to be waited for.
    pub(crate) const fn has_waited(&self) -> bool {
        self.waited
    }

    /// The packets, in the order of their arrival.
    #[must_use]
    pub fn frames(&self) -> Frames<'r> {
        self.frames.clone()
    }

    /// What they carry.
    #[inline]
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival<'r>> {
        let options = self.options;
        self.frames.clone().map(move |frame| open(&frame, options))
    }
}

#[inline(always)]
fn open<'r>(frame: &Frame<'r>, options: &Options) -> Arrival<'r> {
    let timestamp = Timestamp::from_nanos(frame.stamp_ns);
    let opened = open_packet(frame.packet, options).and_then(|carried| {
        let doubtful = carried.has_checksum && !frame.checksum_ok;
        if doubtful && !checksum_holds(frame.packet, &carried) {
            return Err(Reject::OuterChecksum);
        }
        Ok(carried)
    });
    match opened {
        Ok(carried) => Arrival {
            timestamp,
            bytes: carried.payload.len() as u64,
            opened: Ok((
                carried.tunnel,
                UdpDatagram {
                    timestamp,
                    source: carried.source,
                    payload: carried.payload,
                    original_len: carried.original_len,
                },
            )),
        },
        Err(reason) => Arrival {
            timestamp,
            bytes: frame.packet.len() as u64,
            opened: Err(reason),
        },
    }
}
