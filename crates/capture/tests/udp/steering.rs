//! Which worker gets a datagram, through real sockets.

use std::num::NonZeroU16;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vxscope_capture::live::Backend;
use vxscope_capture::udp::{UdpBatch, UdpDatagram, UdpGroup, UdpSettings};
use vxscope_units::{ByteSize, Timestamp};
use vxscope_wire::bpf::Program;
use vxscope_wire::steer::Steering;
use vxscope_wire::{Options, Tunnel, decapsulate_datagram, parse_frame};

use crate::mirror::{ENCODINGS, Encoding, Flow, Random, Senders, balanced, flow_number, vxlan};
use crate::receiver::{EndOnDrop, SEED, open, receive_while, settings};

const FLOWS: u32 = 1_000;
const WORKERS: u16 = 4;
const BUFFER: ByteSize = ByteSize::mib(4);

/// How the hosts of the flows are numbered.
#[derive(Clone, Copy, Debug)]
enum Plan {
    RandomHosts,
    OnePair,
    ManyClients,
}

#[test]
fn no_flow_is_split_in_any_encoding_plan_direction_or_tunnel() {
    check_no_flow_is_split(Backend::Udp);
}

pub(crate) fn check_no_flow_is_split(backend: Backend) {
    for encoding in ENCODINGS {
        for plan in [Plan::RandomHosts, Plan::OnePair, Plan::ManyClients] {
            let workers = workers_of_flows(&encoding, plan, backend);
            let mut load = [0_u32; WORKERS as usize];
            for worker in workers {
                load[worker] += 1;
            }
            // Without ports, one pair of hosts in one network is one flow.
            if encoding.protocol != 1 || !matches!(plan, Plan::OnePair) {
                let most = load.iter().max().unwrap() * u32::from(WORKERS);
                assert!(most < FLOWS * 5 / 4, "{} {plan:?}: {load:?}", encoding.name);
            }
        }
    }
}

#[test]
fn the_kernel_runs_the_program_as_we_do() {
    check_the_kernel_runs_the_program_as_we_do();
}

pub(crate) fn check_the_kernel_runs_the_program_as_we_do() {
    // Frames that are cut, damaged or nothing at all: whatever the index, it is the program's.
    let opened = open(&settings(WORKERS, BUFFER), Backend::Udp);
    let ports = [opened.groups[0].port, opened.groups[1].port];
    let workers = NonZeroU16::new(WORKERS).unwrap();
    let programs = [Tunnel::Vxlan, Tunnel::Geneve]
        .map(|tunnel| (tunnel, Program::steering(SEED, workers, tunnel)));
    let observe = |worker: usize, tunnel: Tunnel, datagram: UdpDatagram<'_>| {
        let (_, program) = programs.iter().find(|(of, _)| *of == tunnel).unwrap();
        assert_eq!(
            program.run(datagram.payload) as usize,
            worker,
            "{datagram:02x?}"
        );
    };
    let totals = receive_while(opened, observe, |progress| {
        let mut senders = Senders::new(8);
        let mut random = Random(3);
        for number in 0..40_000_u64 {
            let encoding = &ENCODINGS[random.next() as usize % ENCODINGS.len()];
            let flow = flow(0, Plan::RandomHosts, &mut random);
            let frame = flow.frame(encoding, false);
            let tunnel = random.next() as usize % 2;
            let mut datagram = [vxlan, balanced][tunnel](flow.vni, &frame);
            for _ in 0..random.next() % 4 {
                let at = random.next() as usize % datagram.len();
                datagram[at] = random.next().to_be_bytes()[0];
            }
            if random.next().is_multiple_of(4) {
                datagram.truncate(random.next() as usize % (datagram.len() + 1));
            }
            senders.send(ports[tunnel], &datagram);
            progress.await_lag(number + 1, 64);
        }
        40_000
    });
    assert_eq!(totals.dropped, 0);
}

#[test]
fn no_flow_is_split_while_the_sockets_open() {
    // A port that was free a moment ago.
    let port = settings(1, BUFFER).open().unwrap().groups[0].port;
    let settings = UdpSettings {
        groups: vec![UdpGroup {
            port,
            tunnel: Tunnel::Vxlan,
        }],
        ..settings(WORKERS, BUFFER)
    };
    let ceased = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut senders = Senders::new(8);
            let mut random = Random(5);
            while !ceased.load(Ordering::Acquire) {
                let flow = flow(0, Plan::RandomHosts, &mut random);
                senders.send(port, &vxlan(flow.vni, &flow.frame(&ENCODINGS[0], false)));
            }
        });
        let _end = EndOnDrop(&ceased);
        let program = Program::steering(SEED, settings.workers, Tunnel::Vxlan);
        let (mut received, mut refused) = (0, 0);
        // Until something came at the wrong moment often enough.
        for round in 0..2_000 {
            if round >= 40 && refused >= 10 {
                break;
            }
            let mut opened = settings.open().unwrap();
            let mut batch = UdpBatch::new();
            for (worker, source) in opened.sources.iter_mut().enumerate() {
                for _ in 0..4 {
                    source.receive(&mut batch).unwrap();
                    for datagram in batch.datagrams() {
                        assert_eq!(program.run(datagram.payload) as usize, worker);
                        received += 1;
                    }
                }
                refused += source.refused().unwrap();
            }
        }
        assert!(received > 0 && refused >= 10, "{received} {refused}");
    });
}

/// Sends both directions of each flow through both tunnels; where it arrived, flow by flow.
fn workers_of_flows(encoding: &Encoding, plan: Plan, backend: Backend) -> Vec<usize> {
    let opened = open(&settings(WORKERS, BUFFER), backend);
    let [vxlan_port, geneve_port] = [opened.groups[0].port, opened.groups[1].port];
    let steering = Steering::new(SEED, NonZeroU16::new(WORKERS).unwrap());
    let seen = Mutex::new(vec![Vec::new(); FLOWS as usize]);
    let observe = |worker, tunnel, datagram: UdpDatagram<'_>| {
        assert!(datagram.source.is_loopback() && datagram.timestamp > Timestamp::ZERO);
        assert_eq!(datagram.original_len as usize, datagram.payload.len());
        let options = Options::default();
        let opened = decapsulate_datagram(tunnel, datagram.source, datagram.payload, &options);
        let opened = opened.unwrap();
        let view = parse_frame(opened.frame, opened.original_len);
        assert_eq!(
            steering.arrival(&view, opened.frame, opened.source.vni),
            worker
        );
        seen.lock().unwrap()[flow_number(opened.frame) as usize].push(worker);
    };
    let totals = receive_while(opened, observe, |progress| {
        let mut senders = Senders::new(64);
        let mut random = Random(u64::from(encoding.protocol) + 1_000);
        let mut sent = 0;
        for number in 0..FLOWS {
            let flow = flow(number, plan, &mut random);
            for back in [false, true] {
                let frame = flow.frame(encoding, back);
                senders.send(vxlan_port, &vxlan(flow.vni, &frame));
                senders.send(geneve_port, &balanced(flow.vni, &frame));
                sent += 2;
            }
            progress.await_lag(sent, 64);
        }
        sent
    });
    assert_eq!((totals.received, totals.dropped), (u64::from(FLOWS) * 4, 0));
    let seen = seen.into_inner().unwrap();
    seen.into_iter()
        .map(|workers| {
            assert_eq!(workers.len(), 4);
            assert!(
                workers.iter().all(|worker| *worker == workers[0]),
                "{} {plan:?}: {workers:?}",
                encoding.name
            );
            workers[0]
        })
        .collect()
}

fn flow(number: u32, plan: Plan, random: &mut Random) -> Flow {
    let (vni, hosts, server_port) = match plan {
        Plan::RandomHosts => {
            let hosts = [random.next(), random.next()];
            (random.next() & 0xff_ffff, hosts, random.port())
        }
        Plan::OnePair => (7, [0x0a00_0001, 0x0a00_0002], random.port()),
        Plan::ManyClients => (7, [0x0a00_0100 + random.next() % 250, 0x0a00_0001], 443),
    };
    Flow {
        number,
        vni,
        hosts,
        ports: [random.port(), server_port],
    }
}
