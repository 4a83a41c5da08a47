//! Packet rings, in a network of their own: the same checks as sockets, and a quiet host.

use std::env;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use vxscope_capture::live::{self, Backend, LiveError, LiveOpened};
use vxscope_capture::ring::RingError;
use vxscope_capture::udp::{Interface, UdpGroup, UdpSettings};
use vxscope_linux::tap_drop::programs_at_ingress;
use vxscope_linux::{ExtendedInstruction, LoadedProgram, Purpose};
use vxscope_units::ByteSize;
use vxscope_wire::bpf::{Ancillary, DROP, OTHER_HOST, PASS_ON, Program, Selection, drop_selected};
use vxscope_wire::{Reject, Tunnel};

use crate::conservation;
use crate::mirror::{ENCODINGS, Flow, Random, vxlan};
use crate::namespace::{INSIDE, WITHOUT, in_namespace, run};
use crate::receiver::{drain, each, open, settings};
use crate::steering;

const RING: ByteSize = ByteSize::mib(4);
/// How often something is looked for that comes within milliseconds, on a machine that is not busy.
const PATIENCE: u32 = 5_000;

macro_rules! in_a_network_of_its_own {
    ($($outside:ident => $inside:ident, $prefix:expr, $body:expr;)*) => {$(
        #[test]
        fn $outside() {
            in_namespace(concat!("ring::", stringify!($inside)), &$prefix);
        }

        #[test]
        #[ignore = "for a namespace of its own"]
        fn $inside() {
            if env::var_os(INSIDE).is_some() {
                $body
            }
        }
    )*};
}

/// Enough for a ring, not for a program at the ingress.
const RAW_ALONE: [&str; 3] = [
    "setpriv",
    "--bounding-set=-all,+net_raw",
    "--inh-caps=-all,+net_raw",
];

in_a_network_of_its_own! {
    no_flow_is_split => inside_no_flow_is_split, [],
        steering::check_no_flow_is_split(Backend::PacketRing);
    nothing_is_dropped_below_capacity => inside_nothing_is_dropped, [],
        conservation::check_nothing_is_dropped_below_capacity(Backend::PacketRing);
    drops_are_exact_above_capacity => inside_drops_are_exact, [],
        conservation::check_drops_are_counted_exactly_above_capacity(Backend::PacketRing);
    drops_at_the_end_of_a_burst_are_counted => inside_drops_at_the_end, [],
        conservation::check_drops_at_the_end_of_a_burst_are_counted_without_another_datagram(
            Backend::PacketRing,
        );
    all_that_was_received_is_handed_out_after_a_stop => inside_stop, [], stop();
    the_host_is_quiet_and_afterwards_as_before => inside_quiet, [], quiet(true);
    without_the_program_the_ports_are_held => inside_held, RAW_ALONE, quiet(false);
    the_kernel_selects_as_we_do => inside_selects, [], selects();
    both_families_options_fragments_and_tags_arrive => inside_shapes, [], shapes();
    a_wrong_checksum_is_told => inside_checksum, [], checksum();
    who_may_not_is_told_and_gets_sockets => inside_without, WITHOUT, without();
    an_interface_that_is_down_is_told => inside_down, [], down();
}

/// Everything that was in the ring when the stop began comes out, however little it is.
fn stop() {
    for count in [0, 1, 63, 64, 65, 5_000] {
        let mut opened = open(&settings(2, RING), Backend::PacketRing);
        let port = opened.groups[0].port;
        fire(port, count);
        for source in &mut opened.sources {
            source.stop().unwrap();
        }
        fire(port, 100);
        let mut received = 0;
        for source in &mut opened.sources {
            drain(source);
            received += source.received() + source.dropped().unwrap();
        }
        assert_eq!(received, count);
    }
}

/// No ICMP for our ports while a ring is there, and for others and afterwards as ever.
fn quiet(dropping: bool) {
    let lo = Interface::find("lo").unwrap();
    let programs = || programs_at_ingress(lo.index()).unwrap_or(0);
    assert_eq!(programs(), 0);
    let opened = open(&settings(2, RING), Backend::PacketRing);
    assert_eq!(
        opened.ring_warnings.is_empty(),
        dropping,
        "{:?}",
        opened.ring_warnings
    );
    assert_eq!(programs(), usize::from(dropping));
    let ports: Vec<u16> = opened.groups.iter().map(|group| group.port).collect();
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let closed = other.local_addr().unwrap().port();
    drop(other);
    for port in &ports {
        assert!(!is_answered(*port, 3), "{port}");
        // Nobody else gets it meanwhile.
        let error = UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
    assert!(is_answered(closed, PATIENCE));
    // Another listener of the host is not disturbed.
    let listener = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    sender
        .send_to(b"for him", listener.local_addr().unwrap())
        .unwrap();
    assert_eq!(listener.recv(&mut [0; 64]).unwrap(), 7);
    let mut sources = opened.sources;
    let mut received = 0;
    for source in &mut sources {
        source.stop().unwrap();
        received += drain(source);
    }
    assert_eq!(received, 2 * 3);
    drop(sources);
    assert_eq!(programs(), 0);
    assert!(ports.iter().all(|port| is_answered(*port, PATIENCE)));
}

/// Whether the kernel says that nobody listens, to one of so many datagrams.
fn is_answered(port: u16, times: u32) -> bool {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    sender.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    (0..times).any(|_| {
        let sent = sender.send(&vxlan(7, &[0; 60]));
        thread::sleep(Duration::from_millis(5));
        sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
}

/// The kernel's verdict on damaged, cut and whole frames is that of the socket filter.
fn selects() {
    let selection = Selection {
        ports: vec![4_789, 6_081],
        address: None,
    };
    let of_ten = Selection {
        address: Some(IpAddr::V4(Ipv4Addr::new(10, 9, 8, 7))),
        ..selection.clone()
    };
    let of_six = Selection {
        address: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ..selection.clone()
    };
    let mut random = Random(17);
    for selection in [selection, of_ten, of_six] {
        let filter = Program::selecting(&selection);
        let program = drop_selected(&selection, 14);
        let program = program.iter().map(|it| ExtendedInstruction {
            code: it.code,
            registers: it.registers,
            offset: it.offset,
            constant: it.constant,
        });
        let loaded = LoadedProgram::load(&program.collect::<Vec<_>>(), Purpose::Ingress).unwrap();
        let mut selected = 0;
        for _ in 0..20_000 {
            let (ether_type, mut packet) = any_packet(&mut random);
            for _ in 0..random.next() % 3 {
                let at = random.next() as usize % packet.len().min(60);
                packet[at] = random.next().to_be_bytes()[0];
            }
            if random.next().is_multiple_of(8) {
                packet.truncate(random.next() as usize % packet.len());
            }
            let elsewhere = random.next().is_multiple_of(16);
            let mut frame = vec![u8::from(elsewhere) * 2; 12];
            frame.extend(ether_type.to_be_bytes());
            frame.extend(&packet);
            let ancillary = Ancillary {
                ether_type,
                addressee: if elsewhere { OTHER_HOST } else { 0 },
            };
            let kept = filter.run_with(&packet, &ancillary) > 0;
            // The kernel takes no frame for a test that has no byte behind the link header.
            let Ok(verdict) = loaded.run(&frame) else {
                continue;
            };
            let expected = if kept { DROP } else { PASS_ON };
            assert_eq!(
                verdict, expected,
                "{selection:?} {ancillary:?} {packet:02x?}"
            );
            selected += u32::from(kept);
        }
        assert!(selected > 1_000, "{selection:?}: {selected}");
    }
}

/// UDP, mostly to our ports, in IP of either version with whatever may stand before it.
fn any_packet(random: &mut Random) -> (u16, Vec<u8>) {
    let ports = [4_789_u16, 6_081, 4_789, 53];
    let port = ports[random.next() as usize % ports.len()].to_be_bytes();
    let udp = [&[1, 2, port[0], port[1], 0, 20, 0, 0][..], &[7; 12]].concat();
    if random.next().is_multiple_of(2) {
        let options = random.next().to_be_bytes()[0] % 3;
        let mut packet = vec![0x45 + options, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0];
        if random.next().is_multiple_of(8) {
            packet[6] = 0x20;
        }
        packet.extend([10, 1, 2, 3, 10, 9, 8, 7]);
        packet.resize(20 + usize::from(options) * 4, 1);
        packet.extend(udp);
        return (0x0800, packet);
    }
    let mut next = 17;
    let mut payload = udp;
    for _ in 0..random.next() % 10 {
        let kind = [0_u8, 43, 44, 60][random.next() as usize % 4];
        let words = if kind == 44 {
            0
        } else {
            random.next().to_be_bytes()[0] % 2
        };
        let header = [
            next,
            words,
            0,
            random.next().to_be_bytes()[0] % 2,
            0,
            0,
            0,
            0,
        ];
        payload = [&header[..], &vec![0; usize::from(words) * 8], &payload].concat();
        next = kind;
    }
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet.extend(Ipv6Addr::LOCALHOST.octets());
    packet.extend(Ipv6Addr::LOCALHOST.octets());
    packet.extend(payload);
    (0x86dd, packet)
}

/// IPv6 outside, datagrams larger than any packet of the link, tags.
fn shapes() {
    run("ip link set lo mtu 1500");
    let all = UdpSettings {
        address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ..settings(2, RING)
    };
    let mut opened = open(&all, Backend::PacketRing);
    let port = opened.groups[0].port;
    for (target, bytes, times) in [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 200, 1),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 200, 1),
        // Reassembled before they are shared.
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000, 3),
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 60_000, 3),
    ] {
        let sender = UdpSocket::bind(SocketAddr::new(target, 0)).unwrap();
        let mut frame = frame(1);
        frame.resize(bytes, 7);
        for _ in 0..times {
            sender.send_to(&vxlan(3, &frame), (target, port)).unwrap();
        }
        let mut seen = 0;
        arrivals(&mut opened, times, |arrival| {
            let (tunnel, datagram) = arrival.opened.unwrap();
            assert_eq!((tunnel, datagram.source), (Tunnel::Vxlan, target));
            assert_eq!(datagram.payload, vxlan(3, &frame));
            seen += 1;
        });
        assert_eq!(seen, times);
    }
    // The kernel reassembles no IPv6 for taps: one fragment of each is told.
    let sender = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    sender
        .send_to(&vxlan(3, &[7; 5_000]), (Ipv6Addr::LOCALHOST, port))
        .unwrap();
    let mut reasons = Vec::new();
    arrivals(&mut opened, 1, |arrival| {
        reasons.push(arrival.opened.unwrap_err())
    });
    assert_eq!(reasons, [Reject::OuterFragment]);
}

/// Datagrams whose checksum is wrong, as no socket would show them.
fn checksum() {
    let packet = |checksum: [u8; 2], port: u16| {
        let [p1, p2] = port.to_be_bytes();
        let mut datagram = vec![0x12, 0x34, p1, p2, 0, 22, checksum[0], checksum[1]];
        datagram.extend(vxlan(3, &[1; 6]));
        datagram
    };
    let mut opened = open(&settings(1, RING), Backend::PacketRing);
    let port = opened.groups[0].port;
    // The sum of all words, as RFC 768 wants it.
    let words = packet([0, 0], port);
    let words = words
        .chunks(2)
        .map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])));
    let sum: u32 = words.sum::<u32>() + 17 + 22 + 2 * (0x7f00 + 1);
    let right = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    for (checksum, expected) in [
        ([0, 0], None),
        (right.to_be_bytes(), None),
        ((right ^ 1).to_be_bytes(), Some(Reject::OuterChecksum)),
    ] {
        send_raw(&packet(checksum, port));
        let mut seen = Vec::new();
        arrivals(&mut opened, 1, |arrival| seen.push(arrival.opened.err()));
        assert_eq!(seen, [expected]);
    }
}

/// Sends the UDP header and payload as they are.
fn send_raw(segment: &[u8]) {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.send_to(segment, &target.into()).unwrap();
}

fn without() {
    let settings = UdpSettings {
        interface: Some(Interface::find("lo").unwrap()),
        ..settings(2, RING)
    };
    let error = live::open(&settings, Some(Backend::PacketRing)).unwrap_err();
    assert!(
        matches!(error, LiveError::Ring(RingError::Denied)),
        "{error}"
    );
    let opened = live::open(&settings, None).unwrap();
    assert_eq!(opened.backend, Backend::Udp);
    assert_eq!(opened.declined.unwrap(), "packet rings take CAP_NET_RAW");
    // A port that somebody has is taken either way.
    let groups = vec![UdpGroup {
        port: opened.groups[0].port,
        tunnel: Tunnel::Vxlan,
    }];
    let again = UdpSettings { groups, ..settings };
    assert!(matches!(live::open(&again, None), Err(LiveError::Udp(_))));
}

fn down() {
    run("ip link add mirror0 type veth peer name far0");
    let settings = UdpSettings {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        interface: Some(Interface::find("mirror0").unwrap()),
        ..settings(1, RING)
    };
    let error = live::open(&settings, Some(Backend::PacketRing)).unwrap_err();
    assert!(
        error.to_string().contains("ip link set mirror0 up"),
        "{error}"
    );
    run("ip link set mirror0 up");
    run("ip link set far0 up");
    let mut opened = live::open(&settings, None).unwrap();
    assert_eq!(
        (opened.backend, opened.declined.clone()),
        (Backend::PacketRing, None)
    );
    // An interface that goes down is no failure, and is heard again when it is up.
    run("ip link set mirror0 down");
    assert_eq!(opened.sources[0].receive().unwrap().len(), 0);
    run("ip address add 192.0.2.1/24 dev mirror0");
    run("ip link set mirror0 up");
    // From the other end of the cable, which is in the same namespace: a frame as it is.
    let port = opened.groups[0].port;
    run("ip address add 192.0.2.2/24 dev far0");
    run("sysctl -q -w net.ipv4.conf.all.accept_local=1");
    run("ip route add 198.51.100.1/32 dev far0");
    let mac = std::fs::read_to_string("/sys/class/net/mirror0/address");
    let mac = mac.unwrap_or_else(|_| "ff:ff:ff:ff:ff:ff".to_owned());
    run(&format!(
        "ip neighbour add 198.51.100.1 lladdr {} dev far0",
        mac.trim()
    ));
    let sender = UdpSocket::bind((Ipv4Addr::new(192, 0, 2, 2), 0)).unwrap();
    sender
        .send_to(&vxlan(3, &frame(1)), "198.51.100.1:9")
        .unwrap();
    sender
        .send_to(&vxlan(3, &frame(1)), (Ipv4Addr::new(198, 51, 100, 1), port))
        .unwrap();
    let mut seen = 0;
    arrivals(&mut opened, 1, |arrival| {
        seen += usize::from(arrival.opened.is_ok())
    });
    assert_eq!(seen, 1);
}

/// Receives until so many have come, and shows them.
fn arrivals(opened: &mut LiveOpened, count: usize, mut observe: impl FnMut(live::Arrival<'_>)) {
    let mut received = 0;
    for _ in 0..PATIENCE {
        for source in &mut opened.sources {
            let batch = source.receive().unwrap();
            received += batch.len();
            each(&batch, &mut observe);
        }
        if received >= count {
            return;
        }
    }
    assert_eq!(received, count, "not all arrived");
}

fn frame(number: u32) -> Vec<u8> {
    let flow = Flow {
        number,
        vni: 3,
        hosts: [number, 2],
        ports: [1_000, 443],
    };
    flow.frame(&ENCODINGS[0], false)
}

fn fire(port: u16, count: u64) {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for number in 0..count {
        let number = u32::try_from(number).unwrap();
        let datagram = vxlan(3, &frame(number));
        sender
            .send_to(&datagram, (Ipv4Addr::LOCALHOST, port))
            .unwrap();
    }
}
