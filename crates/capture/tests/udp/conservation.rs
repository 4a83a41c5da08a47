//! sent = received + dropped, exactly, at the end of every run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vxscope_capture::live::Backend;
use vxscope_units::ByteSize;

use crate::mirror::{ENCODINGS, Flow, Random, Senders, balanced, vxlan};
use crate::receiver::{EndOnDrop, Progress, Totals, drain, open, receive_while, settings};

const WORKERS: [u16; 3] = [1, 2, 4];

/// Datagrams that are fired at once while receivers stop.
const BURST: u64 = 64;

/// Smaller than one burst of the tests, whatever the kernel makes of it.
const SMALL: ByteSize = ByteSize::kib(16);

#[test]
fn nothing_is_dropped_below_capacity() {
    check_nothing_is_dropped_below_capacity(Backend::Udp);
}

pub(crate) fn check_nothing_is_dropped_below_capacity(backend: Backend) {
    for workers in WORKERS {
        let opened = open(&settings(workers, ByteSize::mib(4)), backend);
        let ports = [opened.groups[0].port, opened.groups[1].port];
        let totals = receive_while(
            opened,
            |_, _, _| {},
            |progress| fire(ports, 30_000, Some(progress)),
        );
        assert_eq!(
            (totals.received, totals.dropped, totals.refused),
            (30_000, 0, 0)
        );
    }
}

#[test]
fn drops_are_counted_exactly_above_capacity() {
    check_drops_are_counted_exactly_above_capacity(Backend::Udp);
}

pub(crate) fn check_drops_are_counted_exactly_above_capacity(backend: Backend) {
    for workers in WORKERS {
        let opened = open(&settings(workers, SMALL), backend);
        let ports = [opened.groups[0].port, opened.groups[1].port];
        let slow = |_, _, _: vxscope_capture::udp::UdpDatagram<'_>| {
            for _ in 0..200 {
                thread::yield_now();
            }
        };
        let totals = receive_while(opened, slow, |_| fire(ports, 30_000, None));
        println!("{workers} workers: {totals:?}");
        assert!(totals.dropped > 0 && totals.received > 0, "{totals:?}");
        assert_eq!(totals.refused, 0);
    }
}

#[test]
fn drops_at_the_end_of_a_burst_are_counted_without_another_datagram() {
    check_drops_at_the_end_of_a_burst_are_counted_without_another_datagram(Backend::Udp);
}

pub(crate) fn check_drops_at_the_end_of_a_burst_are_counted_without_another_datagram(
    backend: Backend,
) {
    for workers in WORKERS {
        let mut opened = open(&settings(workers, SMALL), backend);
        let ports = [opened.groups[0].port, opened.groups[1].port];
        for burst in 1..=3 {
            fire(ports, 5_000, None);
            // The count is there before anything is read.
            let before = Totals::of(&mut opened.sources);
            assert!(before.dropped > 0);
            for source in &mut opened.sources {
                drain(source);
            }
            let after = Totals::of(&mut opened.sources);
            assert_eq!((after.dropped, after.refused), (before.dropped, 0));
            assert_eq!(after.sum(), burst * 5_000);
        }
    }
}

#[test]
fn stopping_under_fire_hands_out_all_that_was_received() {
    let backend = Backend::Udp;
    for round in 0..12 {
        let workers = WORKERS[round % 3];
        let mut opened = open(&settings(workers, ByteSize::mib(4)), backend);
        let ports = [opened.groups[0].port, opened.groups[1].port];
        let (ceased, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ceased.load(Ordering::Acquire) {
                    sent.fetch_add(fire(ports, BURST, None), Ordering::Release);
                }
            });
            let _end = EndOnDrop(&ceased);
            while sent.load(Ordering::Acquire) < 2_000 {
                thread::yield_now();
            }
            // Nothing has been read: all that arrived is queued when the stop begins.
            for source in &mut opened.sources {
                source.stop().unwrap();
                source.stop().unwrap();
                drain(source);
                // The fire goes on, and nothing comes through.
                assert_eq!(source.receive().unwrap().len(), 0);
            }
            // One burst may have begun before the stop; the next one comes too late.
            let before = sent.load(Ordering::Acquire);
            while sent.load(Ordering::Acquire) < before + 2 * BURST {
                thread::yield_now();
            }
        });
        let totals = Totals::of(&mut opened.sources);
        assert_eq!(totals.sum(), sent.into_inner(), "{totals:?}");
        assert!(totals.received >= 300 && totals.refused > 0, "{totals:?}");
    }
}

/// Sends so many datagrams of many flows, alternately to both ports; in step with the receivers
/// if they are given. Returns the number.
fn fire([vxlan_port, geneve_port]: [u16; 2], count: u64, progress: Option<&Progress<'_>>) -> u64 {
    let mut senders = Senders::new(8);
    let mut random = Random(99);
    for number in 0..count {
        let flow = Flow {
            number: 0,
            vni: random.next() & 0xff,
            hosts: [random.next(), random.next()],
            ports: [random.port(), 443],
        };
        let frame = flow.frame(&ENCODINGS[0], false);
        if number % 2 == 0 {
            senders.send(vxlan_port, &vxlan(flow.vni, &frame));
        } else {
            senders.send(geneve_port, &balanced(flow.vni, &frame));
        }
        if let Some(progress) = progress {
            progress.await_lag(number + 1, 256);
        }
    }
    count
}
