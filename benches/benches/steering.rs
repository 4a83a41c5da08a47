//! What it costs that the kernel chooses among sockets: by each form of the steering program,
//! beside a program that does not look.
//!
//! On loopback the kernel delivers in the sender's time. One thread sends a burst to two sockets
//! of a group and reads both, so its CPU time is all there is: sender, delivery, program, reader.
//! The three are measured in turn, and differences taken round by round.
//!
//! `cargo bench -p vxscope-benches --bench steering [-- --quick] [--rounds N]`: takes CAP_BPF.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as Plain};
use std::num::NonZeroU16;

use vxscope_benches::{Cpu, Request, Table};
use vxscope_capture::udp::SocketChoice;
use vxscope_linux::Instruction;
use vxscope_linux::udp::{DatagramBatch, UdpSocket};
use vxscope_wire::Tunnel;

const WORKERS: NonZeroU16 = NonZeroU16::new(2).unwrap();
const SEED: u32 = 0x7365_6564;
/// Sent before they are read: less than a socket's queue holds.
const BURST: u16 = 64;
/// Of one measurement.
const BURSTS: u64 = 40;
const ROUNDS: usize = 601;

/// How a socket is chosen.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Always the first: only the group costs.
    Nothing,
    Classic,
    Extended,
}

impl By {
    const ALL: [Self; 3] = [Self::Nothing, Self::Classic, Self::Extended];
}

/// `BPF_RET | BPF_K`: the first socket.
const FIRST: [Instruction; 1] = [Instruction {
    code: 0x06,
    jt: 0,
    jf: 0,
    k: 0,
}];

fn main() -> io::Result<()> {
    let rounds = Request::from_command_line(ROUNDS)?.rounds;
    let mut table = Table::new(&[
        "datagrams",
        "ns/packet without a look",
        "classic BPF adds",
        "extended BPF adds",
        "the difference, half of the rounds",
    ]);
    for shape in Shape::ALL {
        let times = measure(shape, rounds)?;
        let middle = |figure: fn(&[f64; 3]) -> f64| quartiles(&times, figure)[1];
        let [low, between, high] = quartiles(&times, |[_, classic, extended]| extended - classic);
        table.push(&[
            shape.name().to_owned(),
            format!("{:.0}", middle(|[nothing, ..]| *nothing)),
            format!("{:.0}", middle(|[nothing, classic, _]| classic - nothing)),
            format!("{:.0}", middle(|[nothing, _, extended]| extended - nothing)),
            format!("{between:+.0} ({low:+.0} to {high:+.0})"),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Nanoseconds of a packet in each round, in the order of [`By::ALL`].
fn measure(shape: Shape, rounds: usize) -> io::Result<Vec<[f64; 3]>> {
    let datagrams = shape.datagrams();
    let groups = By::ALL.map(|by| Group::new(by, shape.tunnel()));
    let groups = groups.into_iter().collect::<io::Result<Vec<_>>>()?;
    let mut measured = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let mut times = [0.0; By::ALL.len()];
        let mut turns: Vec<_> = groups.iter().zip(&mut times).collect();
        // None of them is always the first.
        turns.rotate_left(round % By::ALL.len());
        for (group, time) in turns {
            *time = group.measure(&datagrams)?;
        }
        // The first round only warms up.
        if round > 0 {
            measured.push(times);
        }
    }
    Ok(measured)
}

/// What comes.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Ipv4,
    Ipv6,
    Tagged,
    Balanced,
}

impl Shape {
    const ALL: [Self; 4] = [Self::Ipv4, Self::Ipv6, Self::Tagged, Self::Balanced];

    const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4 in VXLAN",
            Self::Ipv6 => "IPv6 in VXLAN",
            Self::Tagged => "IPv4 behind a VLAN tag in VXLAN",
            Self::Balanced => "IPv4 in VXLAN in GENEVE",
        }
    }

    const fn tunnel(self) -> Tunnel {
        match self {
            Self::Balanced => Tunnel::Geneve,
            _ => Tunnel::Vxlan,
        }
    }

    /// One of each flow.
    fn datagrams(self) -> Vec<Vec<u8>> {
        (0..BURST).map(|flow| self.datagram(flow)).collect()
    }

    fn datagram(self, flow: u16) -> Vec<u8> {
        let [high, low] = flow.wrapping_mul(977).to_be_bytes();
        let segment = [
            &[high, low, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10][..],
            &[0; 6],
        ]
        .concat();
        let packet = match self {
            Self::Ipv6 => ipv6(low, 6, &segment),
            _ => ipv4(low, 6, &segment),
        };
        let types: &[u8] = match self {
            Self::Ipv6 => &[0x86, 0xdd],
            Self::Tagged => &[0x81, 0, 0, 7, 8, 0],
            _ => &[8, 0],
        };
        let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &[2; 12], types, &packet].concat();
        match self {
            Self::Balanced => {
                let length = u16::try_from(vxlan.len() + 8)
                    .unwrap_or(u16::MAX)
                    .to_be_bytes();
                let udp = [&[0xff, 0xdc, 0x12, 0xb5][..], &length, &[0, 0], &vxlan].concat();
                let options = [1, 8, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8].repeat(2);
                let header = [
                    u8::try_from(options.len() / 4).unwrap_or(0),
                    0,
                    8,
                    0,
                    0,
                    0,
                    0,
                    0,
                ];
                [&header[..], &options, &ipv4(9, 17, &udp)].concat()
            }
            _ => vxlan,
        }
    }
}

fn ipv4(host: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [l1, l2] = u16::try_from(payload.len() + 20)
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let header = [
        0x45, 0, l1, l2, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, host, 10, 0, 1, 1,
    ];
    [&header[..], payload].concat()
}

fn ipv6(host: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let [l1, l2] = u16::try_from(payload.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let header = [0x60, 0, 0, 0, l1, l2, next, 64];
    [&header[..], &[host; 16], &[0xfd; 16], payload].concat()
}

/// Sockets that share a port, and whoever sends there.
struct Group {
    sockets: Vec<UdpSocket>,
    sender: Plain,
}

impl Group {
    fn new(by: By, tunnel: Tunnel) -> io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (mut sockets, mut address) = (Vec::new(), any);
        for _ in 0..WORKERS.get() {
            let socket = UdpSocket::new(address.ip())?;
            socket.share_port()?;
            socket.bind(address)?;
            address = socket.local_address()?;
            sockets.push(socket);
        }
        let sender = Plain::bind(any)?;
        sender.connect(address)?;
        let group = Self { sockets, sender };
        group.steer(by, tunnel)?;
        Ok(group)
    }

    fn steer(&self, by: By, tunnel: Tunnel) -> io::Result<()> {
        let choice = SocketChoice {
            seed: SEED,
            workers: WORKERS,
            tunnel,
        };
        let Some(first) = self.sockets.first() else {
            return Ok(());
        };
        match by {
            By::Nothing => first.steer(&FIRST),
            By::Classic => choice.attach_classic(first).map_err(io::Error::other),
            By::Extended => first.steer_extended(&choice.load()?),
        }
    }

    /// Nanoseconds of a packet.
    fn measure(&self, datagrams: &[Vec<u8>]) -> io::Result<f64> {
        let mut batch = DatagramBatch::new();
        let mut received = 0;
        let before = Cpu::of_thread()?;
        for _ in 0..BURSTS {
            for datagram in datagrams {
                self.sender.send(datagram)?;
            }
            for socket in &self.sockets {
                while socket.receive(&mut batch)? > 0 {
                    received += batch.len() as u64;
                }
            }
        }
        let took = Cpu::of_thread()?.since(before).total();
        let sent = BURSTS * u64::from(BURST);
        if received != sent {
            return Err(io::Error::other(format!("{received} of {sent}")));
        }
        Ok(took.as_nanos() as f64 / received as f64)
    }
}

/// The lower quarter, the middle, the upper quarter.
fn quartiles(times: &[[f64; 3]], figure: fn(&[f64; 3]) -> f64) -> [f64; 3] {
    let mut figures: Vec<f64> = times.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let at = figures.len() * quarter / 4;
        figures.get(at).copied().unwrap_or(f64::NAN)
    })
}
