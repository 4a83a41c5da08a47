//! A thread for each worker, and the totals at the end.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vxscope_capture::live::{self, Arrival, Backend, LiveBatch, LiveOpened, LiveSource};
use vxscope_capture::udp::{Interface, UdpDatagram, UdpGroup, UdpSettings};
use vxscope_units::ByteSize;
use vxscope_wire::Tunnel;

pub(crate) const SEED: u32 = 0x5eed_5eed;

/// VXLAN and GENEVE on ports of the kernel's choice.
pub(crate) fn settings(workers: u16, receive_buffer: ByteSize) -> UdpSettings {
    let group = |tunnel| UdpGroup { port: 0, tunnel };
    UdpSettings {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        groups: vec![group(Tunnel::Vxlan), group(Tunnel::Geneve)],
        interface: None,
        workers: NonZeroU16::new(workers).unwrap(),
        seed: SEED,
        receive_buffer,
    }
}

/// Opens it this way; a ring is the loopback interface's.
pub(crate) fn open(settings: &UdpSettings, backend: Backend) -> LiveOpened {
    let interface = match backend {
        Backend::Udp => settings.interface.clone(),
        Backend::PacketRing => Some(Interface::find("lo").unwrap()),
    };
    let settings = UdpSettings {
        interface,
        ..settings.clone()
    };
    live::open(&settings, Some(backend)).unwrap()
}

/// Shows each datagram of a batch.
pub(crate) fn each<'b>(batch: &LiveBatch<'b>, mut observe: impl FnMut(Arrival<'b>)) {
    match batch {
        LiveBatch::Udp(batch) => batch.arrivals().for_each(&mut observe),
        LiveBatch::Ring(batch) => batch.arrivals().for_each(&mut observe),
    }
}

/// Reads everything that is there, and returns how much it was.
pub(crate) fn drain(source: &mut LiveSource) -> usize {
    let mut sum = 0;
    loop {
        match source.receive().unwrap().len() {
            0 => return sum,
            count => sum += count,
        }
    }
}

/// What the sockets of all workers say at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) refused: u64,
}

impl Totals {
    pub(crate) fn of(sources: &mut [LiveSource]) -> Self {
        let mut totals = Self::default();
        for source in sources {
            totals.received += source.received();
            totals.dropped += source.dropped().unwrap();
            totals.refused += source.refused().unwrap();
        }
        totals
    }

    pub(crate) const fn sum(self) -> u64 {
        self.received + self.dropped + self.refused
    }
}

/// What a sender may ask about the receivers.
pub(crate) struct Progress<'a> {
    received: &'a AtomicU64,
    failed: &'a AtomicBool,
}

impl Progress<'_> {
    /// Waits until the receivers are at most so many datagrams behind, or one has failed.
    pub(crate) fn await_lag(&self, sent: u64, lag: u64) {
        while sent > self.received.load(Ordering::Acquire) + lag {
            assert!(!self.failed.load(Ordering::Acquire), "a receiver failed");
            thread::yield_now();
        }
    }
}

/// Tells the sender that the receiver's thread panicked.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

/// Ends a thread that runs until told otherwise, also when a test fails before it tells.
pub(crate) struct EndOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Receives with a thread per worker while `send` runs, which returns how much it sent; then
/// stops. `observe` sees every datagram with its worker. Asserts the law before it returns.
pub(crate) fn receive_while(
    opened: LiveOpened,
    observe: impl Fn(usize, Tunnel, UdpDatagram<'_>) + Sync,
    send: impl FnOnce(&Progress<'_>) -> u64,
) -> Totals {
    let (received, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let failed = AtomicBool::new(false);
    let (sent, mut sources) = thread::scope(|scope| {
        let (received, stop, failed, observe) = (&received, &stop, &failed, &observe);
        let workers = opened
            .sources
            .into_iter()
            .enumerate()
            .map(|(worker, mut source)| {
                scope.spawn(move || {
                    let _alarm = Alarm(failed);
                    loop {
                        let stopping = stop.load(Ordering::Acquire);
                        if stopping {
                            source.stop().unwrap();
                        }
                        let batch = source.receive().unwrap();
                        let (count, mut seen) = (batch.len(), 0);
                        each(&batch, |arrival| {
                            let (tunnel, datagram) = arrival.opened.unwrap();
                            observe(worker, tunnel, datagram);
                            seen += 1;
                        });
                        assert_eq!(count, seen);
                        received.fetch_add(count as u64, Ordering::Release);
                        if count == 0 && stopping {
                            return source;
                        }
                    }
                })
            });
        let workers: Vec<_> = workers.collect();
        let end = EndOnDrop(stop);
        let sent = send(&Progress { received, failed });
        drop(end);
        let sources: Vec<_> = workers.into_iter().map(|it| it.join().unwrap()).collect();
        (sent, sources)
    });
    let totals = Totals::of(&mut sources);
    assert_eq!(totals.received, received.into_inner());
    assert_eq!(totals.sum(), sent, "{totals:?}");
    totals
}
