//! Sockets that go from one run to the next.

use std::num::NonZeroU16;
use std::os::fd::OwnedFd;

use vxscope_capture::live::{self, Backend, LiveOpened};
use vxscope_capture::udp::{UdpGroup, UdpSettings};
use vxscope_units::ByteSize;
use vxscope_wire::Tunnel;
use vxscope_wire::bpf::Program;

use crate::mirror::{ENCODINGS, Flow, Random, Senders, balanced, vxlan};
use crate::receiver::{SEED, Totals, drain, each, open, settings};

const WORKERS: u16 = 4;
const BUFFER: ByteSize = ByteSize::mib(4);
const SENT: u64 = 400;

#[test]
fn what_comes_between_two_runs_waits_with_its_worker() {
    // The one before was killed, or ended in order.
    for in_order in [false, true] {
        let (settings, mut before) = first_run();
        send(&settings);
        for source in &mut before.sources {
            drain(source);
        }
        let held = held(&before, &settings);
        if in_order {
            let sources = before.sources.iter_mut();
            sources.for_each(|it| it.stop().unwrap());
            send(&settings);
            let totals = Totals::of(&mut before.sources);
            assert_eq!((totals.received, totals.refused), (SENT, SENT));
            let sources = before.sources.iter_mut();
            sources.for_each(|it| it.leave_open().unwrap());
        }
        drop(before);
        send(&settings);
        let next = live::take_over(&settings, Some(Backend::Udp), held);
        let mut next = next.unwrap().unwrap();
        let inherited = next.inherited.unwrap();
        assert_eq!(inherited.sockets, usize::from(WORKERS) * 2);
        assert!(inherited.waiting_bytes > SENT * 64, "{inherited:?}");
        assert_eq!(inherited.dropped, if in_order { SENT } else { 0 });
        send(&settings);
        check_steered(&mut next);
        let totals = Totals::of(&mut next.sources);
        assert_eq!(
            (totals.received, totals.dropped, totals.refused),
            (2 * SENT, 0, 0)
        );
        // And so on.
        assert_eq!(
            names(&next.holdings(&settings)),
            names(&self::held(&next, &settings))
        );
    }
}

type Held = Vec<(String, OwnedFd)>;
/// What it is, and how to make it so.
type Change<T> = (&'static str, fn(&mut T));

#[test]
fn what_is_not_what_would_be_opened_is_closed() {
    let changes: [Change<UdpSettings>; 6] = [
        ("workers", |it| it.workers = NonZeroU16::new(2).unwrap()),
        ("seed", |it| it.seed += 1),
        ("port", |it| it.groups[0].port = 4_789),
        ("tunnel", |it| it.groups[1].tunnel = Tunnel::Vxlan),
        ("groups", |it| it.groups.truncate(1)),
        ("address", |it| it.address = [127, 0, 0, 2].into()),
    ];
    for (what, change) in changes {
        let (settings, opened) = first_run();
        let held = held(&opened, &settings);
        drop(opened);
        let mut changed = settings.clone();
        change(&mut changed);
        let taken = live::take_over(&changed, Some(Backend::Udp), held).unwrap();
        assert!(taken.is_none(), "{what}");
        // Nobody has the ports any more.
        assert!(settings.open().is_ok(), "{what}");
    }
    // One too few, one of another kind, and for rings all of them.
    let broken: [Change<Held>; 2] = [
        ("missing", |it| drop(it.pop())),
        ("a file", |it| {
            it[0].1 = std::fs::File::open("/dev/null").unwrap().into();
        }),
    ];
    for (what, damage) in broken {
        let (settings, opened) = first_run();
        let mut held = held(&opened, &settings);
        drop(opened);
        damage(&mut held);
        let taken = live::take_over(&settings, Some(Backend::Udp), held).unwrap();
        assert!(taken.is_none(), "{what}");
    }
    let (settings, opened) = first_run();
    let held = held(&opened, &settings);
    let taken = live::take_over(&settings, Some(Backend::PacketRing), held).unwrap();
    assert!(taken.is_none());
}

/// Opened on ports of the kernel's choice, and the settings that name them.
fn first_run() -> (UdpSettings, LiveOpened) {
    let any = settings(WORKERS, BUFFER);
    let opened = open(&any, Backend::Udp);
    let settings = UdpSettings {
        groups: opened.groups.clone(),
        ..any
    };
    (settings, opened)
}

/// As a service manager holds them.
fn held(opened: &LiveOpened, settings: &UdpSettings) -> Held {
    let holdings = opened.holdings(settings).into_iter();
    holdings
        .map(|(name, socket)| (name, socket.try_clone_to_owned().unwrap()))
        .collect()
}

fn names<T>(holdings: &[(String, T)]) -> Vec<&str> {
    holdings.iter().map(|(name, _)| name.as_str()).collect()
}

/// Different flows through both tunnels.
fn send(settings: &UdpSettings) {
    let mut senders = Senders::new(8);
    let mut random = Random(11);
    for number in 0..u32::try_from(SENT).unwrap() {
        let flow = Flow {
            number,
            vni: 7,
            hosts: [random.next(), random.next()],
            ports: [random.port(), random.port()],
        };
        let frame = flow.frame(&ENCODINGS[0], false);
        let UdpGroup { port, tunnel } = settings.groups[number as usize % 2];
        let datagram = match tunnel {
            Tunnel::Vxlan => vxlan(flow.vni, &frame),
            Tunnel::Geneve => balanced(flow.vni, &frame),
        };
        senders.send(port, &datagram);
    }
}

/// Everything that waits is at the worker that the program names, and all workers have some.
fn check_steered(opened: &mut LiveOpened) {
    let workers = NonZeroU16::new(WORKERS).unwrap();
    for (worker, source) in opened.sources.iter_mut().enumerate() {
        let mut seen = 0;
        loop {
            let batch = source.receive().unwrap();
            if batch.is_empty() {
                break;
            }
            each(&batch, |arrival| {
                let (tunnel, datagram) = arrival.opened.unwrap();
                let program = Program::steering(SEED, workers, tunnel);
                assert_eq!(program.run(datagram.payload) as usize, worker);
                seen += 1;
            });
        }
        assert!(seen > 0, "worker {worker}");
    }
}
