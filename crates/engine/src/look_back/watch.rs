//! Packets to come: what a worker looks for in each packet while there are pins.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use vxscope_export::Packets;
use vxscope_flow::{Packet, Which};
use vxscope_units::{MirrorSource, Vni};
use vxscope_wire::{Addresses, Class};

/// Boxes for packets of each worker. When all are under way packets are shed, counted by pin.
const BOXES: usize = 8;
/// Bytes of a box.
const BOX_BYTES: usize = 64 << 10;
/// Frames of a box.
const BOX_FRAMES: usize = 512;
/// How long a packet may wait in its box.
const PASS_ON_EVERY: Duration = Duration::from_millis(100);
/// Bits of the filter that spares most packets the list of watches.
const FILTER_WORDS: usize = 64;

/// Packets that somebody wants from now on.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// The pin.
    pub(crate) pin: u32,
    pub(crate) which: Which,
    pub(crate) vni: Option<Vni>,
    /// Of the mirror source.
    pub(crate) address: Option<IpAddr>,
    pub(crate) hauls: Sender<Haul>,
    /// Packets that found no box.
    pub(crate) shed: Arc<AtomicU64>,
}

impl Watch {
    fn wants(&self, packet: &Packet) -> bool {
        let MirrorSource { address, vni } = packet.mirror;
        self.vni.is_none_or(|wanted| wanted == vni)
            && self.address.is_none_or(|wanted| wanted == address)
            && self.which.has_packet(&packet.view.tuple)
    }
}

/// Packets for pins, in a box that goes back to its worker.
#[derive(Debug)]
pub(crate) struct Haul {
    /// Whose each packet is.
    pub(crate) pins: Vec<u32>,
    pub(crate) packets: Packets,
    home: Sender<Self>,
}

impl Haul {
    /// Gives the box back.
    pub(crate) fn go_home(mut self) {
        self.pins.clear();
        self.packets.clear();
        let home = self.home.clone();
        // There is room for every box, and a worker that is gone needs none.
        let _ = home.try_send(self);
    }
}

/// The watches of one worker.
#[derive(Debug)]
pub(crate) struct Watches {
    list: Vec<Watch>,
    filter: [u64; FILTER_WORDS],
    current: Option<Haul>,
    /// Empty boxes, made with the first watch.
    boxes: Receiver<Haul>,
    home: Sender<Haul>,
    made: bool,
    passed_on: Duration,
}

impl Watches {
    pub(crate) fn new() -> Self {
        let (home, boxes) = bounded(BOXES);
        Self {
            list: Vec::new(),
            filter: [0; FILTER_WORDS],
            current: None,
            boxes,
            home,
            made: false,
            passed_on: Duration::ZERO,
        }
    }

    /// Whether there is any.
    #[inline]
    pub(crate) fn are_there(&self) -> bool {
        !self.list.is_empty()
    }

    pub(crate) fn add(&mut self, watch: Watch) {
        if !std::mem::replace(&mut self.made, true) {
            for _ in 0..BOXES {
                let _ = self.home.try_send(Haul {
                    pins: Vec::with_capacity(BOX_FRAMES),
                    packets: Packets::with_capacity(BOX_BYTES, BOX_FRAMES),
                    home: self.home.clone(),
                });
            }
        }
        self.list.push(watch);
        self.build_filter();
    }

    pub(crate) fn remove(&mut self, pin: u32) {
        // What it has is the pin's.
        self.pass_on();
        self.list.retain(|watch| watch.pin != pin);
        self.build_filter();
    }

    fn build_filter(&mut self) {
        self.filter = [0; FILTER_WORDS];
        for watch in &self.list {
            let marks = match &watch.which {
                Which::Tuple(tuple) => pair_mark(&tuple.addresses),
                Which::Pair([one, other], _) => pair_of(fold(*one), fold(*other)),
                Which::Address(address) => end_mark(fold(*address)),
                // Every packet of the sources that it names, which are one VNI or all.
                Which::Any | Which::Flow(_) | Which::Community(_) => match watch.vni {
                    Some(vni) => vni_mark(vni),
                    None => {
                        self.filter = [u64::MAX; FILTER_WORDS];
                        return;
                    }
                },
            };
            self.filter[marks.0] |= marks.1;
        }
    }

    /// Keeps a packet that somebody wants.
    #[inline]
    pub(crate) fn observe(&mut self, packet: &Packet, frame: &[u8]) {
        if packet.view.class != Class::Ip {
            return;
        }
        let addresses = &packet.view.tuple.addresses;
        let (source, destination) = folds(addresses);
        let marks = [
            pair_mark(addresses),
            end_mark(source),
            end_mark(destination),
            vni_mark(packet.mirror.vni),
        ];
        if marks
            .iter()
            .any(|(word, bit)| self.filter[*word] & bit != 0)
        {
            self.keep(packet, frame);
        }
    }

    #[inline(never)]
    fn keep(&mut self, packet: &Packet, frame: &[u8]) {
        for at in 0..self.list.len() {
            let Some(watch) = self.list.get(at).filter(|watch| watch.wants(packet)) else {
                continue;
            };
            let (pin, shed) = (watch.pin, watch.shed.clone());
            if self
                .current
                .as_ref()
                .is_some_and(|haul| !haul.packets.fits(frame.len()))
            {
                self.pass_on();
            }
            if self.current.is_none() {
                self.current = self.boxes.try_recv().ok();
            }
            match &mut self.current {
                Some(haul) if haul.packets.fits(frame.len()) => {
                    haul.pins.push(pin);
                    let original_len = packet.view.original_len;
                    haul.packets.push(packet.timestamp, frame, original_len);
                }
                _ => _ = shed.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    /// Passes on what has waited long enough.
    pub(crate) fn tick(&mut self, elapsed: Duration) {
        if elapsed >= self.passed_on + PASS_ON_EVERY {
            self.passed_on = elapsed;
            self.pass_on();
        }
    }

    /// Nothing more is to come.
    pub(crate) fn finish(&mut self) {
        self.pass_on();
    }

    fn pass_on(&mut self) {
        let Some(haul) = self.current.take_if(|haul| !haul.packets.is_empty()) else {
            return;
        };
        let Some(hauls) = self.list.first().map(|watch| watch.hauls.clone()) else {
            return haul.go_home();
        };
        if let Err(TrySendError::Full(haul) | TrySendError::Disconnected(haul)) =
            hauls.try_send(haul)
        {
            for pin in &haul.pins {
                if let Some(watch) = self.list.iter().find(|watch| watch.pin == *pin) {
                    watch.shed.fetch_add(1, Ordering::Relaxed);
                }
            }
            haul.go_home();
        }
    }
}

/// A place in the filter: a word and a bit.
type Mark = (usize, u64);

fn mark(value: u64, kind: u64) -> Mark {
    let mixed = (value ^ kind).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (
        (mixed >> 58) as usize % FILTER_WORDS,
        1 << (mixed >> 52 & 63),
    )
}

/// That of a conversation, in both directions.
fn pair_mark(addresses: &Addresses) -> Mark {
    let (source, destination) = folds(addresses);
    pair_of(source, destination)
}

fn pair_of(one: u64, other: u64) -> Mark {
    mark(one.wrapping_add(other), 0x5bd1)
}

fn end_mark(address: u64) -> Mark {
    mark(address, 0xa7c3_0000)
}

fn vni_mark(vni: Vni) -> Mark {
    mark(u64::from(vni.get()), 0x1f2e_0000_0000)
}

fn folds(addresses: &Addresses) -> (u64, u64) {
    match addresses {
        Addresses::V4 {
            source,
            destination,
        } => (u64::from(*source), u64::from(*destination)),
        Addresses::V6 {
            source,
            destination,
        } => (fold_v6(*source), fold_v6(*destination)),
    }
}

fn fold(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => fold_v6(address.octets()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of an address")]
fn fold_v6(octets: [u8; 16]) -> u64 {
    let number = u128::from_be_bytes(octets);
    (number >> 64) as u64 ^ (number as u64).rotate_left(17)
}

#[cfg(test)]
mod tests {
    use vxscope_units::Timestamp;
    use vxscope_wire::FrameView;

    use super::*;

    #[test]
    fn a_watch_has_its_packets_and_no_others() {
        let (hauls, taken) = bounded(64);
        let mut watches = Watches::new();
        let one: IpAddr = [10, 0, 0, 1].into();
        let two: IpAddr = [10, 0, 0, 2].into();
        let flow = Which::ends(6, (one, 1000), (two, 80)).unwrap();
        watches.add(watch(1, flow, Some(7), &hauls));
        watches.add(watch(2, Which::Address(two), None, &hauls));
        watches.add(watch(3, Which::Any, Some(9), &hauls));
        check(&mut watches, &taken, packet(7, 1, 1000, 2, 80), &[1, 2]);
        check(&mut watches, &taken, packet(7, 2, 80, 1, 1000), &[1, 2]);
        check(&mut watches, &taken, packet(8, 1, 1000, 2, 80), &[2]);
        check(&mut watches, &taken, packet(7, 1, 1001, 2, 80), &[2]);
        check(&mut watches, &taken, packet(7, 1, 1000, 3, 80), &[]);
        check(&mut watches, &taken, packet(9, 5, 1, 6, 2), &[3]);
        watches.remove(2);
        check(&mut watches, &taken, packet(8, 1, 1000, 2, 80), &[]);
    }

    #[test]
    fn without_a_box_packets_are_shed_and_counted() {
        let (hauls, taken) = bounded(64);
        let mut watches = Watches::new();
        let everything = watch(1, Which::Any, None, &hauls);
        let shed = everything.shed.clone();
        watches.add(everything);
        let sent = BOXES * BOX_FRAMES + 10;
        for _ in 0..sent {
            watches.observe(&packet(7, 1, 1000, 2, 80), &[0; 60]);
        }
        watches.pass_on();
        let kept: usize = taken.try_iter().map(|haul| haul.packets.len()).sum();
        assert_eq!(kept as u64 + shed.load(Ordering::Relaxed), sent as u64);
        assert_eq!(shed.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn boxes_come_back() {
        let (hauls, taken) = bounded(64);
        let mut watches = Watches::new();
        let everything = watch(1, Which::Any, None, &hauls);
        let shed = everything.shed.clone();
        watches.add(everything);
        for _ in 0..10 * BOXES {
            watches.observe(&packet(7, 1, 1000, 2, 80), &[0; 60]);
            watches.pass_on();
            taken.try_iter().for_each(Haul::go_home);
        }
        assert_eq!(shed.load(Ordering::Relaxed), 0);
    }

    fn check(watches: &mut Watches, taken: &Receiver<Haul>, packet: Packet, expected: &[u32]) {
        watches.observe(&packet, &[1; 60]);
        watches.pass_on();
        let hauls: Vec<Haul> = taken.try_iter().collect();
        let pins: Vec<u32> = hauls.iter().flat_map(|haul| haul.pins.clone()).collect();
        assert_eq!(pins, expected);
        hauls.into_iter().for_each(Haul::go_home);
    }

    fn watch(pin: u32, which: Which, vni: Option<u32>, hauls: &Sender<Haul>) -> Watch {
        Watch {
            pin,
            which,
            vni: vni.and_then(Vni::try_new),
            address: None,
            hauls: hauls.clone(),
            shed: Arc::default(),
        }
    }

    fn packet(vni: u32, source: u8, from: u16, destination: u8, to: u16) -> Packet {
        let mut view = FrameView {
            class: Class::Ip,
            ..FrameView::default()
        };
        view.tuple.addresses = Addresses::V4 {
            source: u32::from_be_bytes([10, 0, 0, source]),
            destination: u32::from_be_bytes([10, 0, 0, destination]),
        };
        (view.tuple.source_port, view.tuple.destination_port) = (from, to);
        view.tuple.protocol = 6;
        Packet {
            timestamp: Timestamp::new(5, 0),
            mirror: MirrorSource {
                address: [192, 0, 2, 1].into(),
                vni: Vni::try_new(vni).unwrap(),
            },
            view,
            ..Packet::default()
        }
    }
}
