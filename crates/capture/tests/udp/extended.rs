//! The steering program in extended BPF, run by the kernel itself, beside the one in classic BPF.

use std::env;
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use vxscope_capture::live::Backend;
use vxscope_capture::open;
use vxscope_capture::udp::{SocketChoice, Steered};
use vxscope_linux::LoadedProgram;
use vxscope_units::ByteSize;
use vxscope_wire::bpf::Program;
use vxscope_wire::{Tunnel, ethernet};

use crate::mirror::{ENCODINGS, Flow, Random, balanced, vxlan};
use crate::namespace::{INSIDE, WITHOUT, in_namespace, skip};
use crate::receiver::{self, SEED, settings};
use crate::steering;

const TUNNELS: [Tunnel; 2] = [Tunnel::Vxlan, Tunnel::Geneve];
/// A link header that the kernel takes off before such a program runs, but for its last bytes.
const LINK_HEADER: [u8; 14] = [0; 14];
/// With its tunnel it is less than the kernel runs a program on in one piece.
const FRAME_MAX: usize = 3_000;

#[test]
fn without_the_capability_sockets_are_steered_by_classic_bpf() {
    in_namespace("extended::inside_without_the_capability", &WITHOUT);
}

#[test]
#[ignore = "for a namespace of its own"]
fn inside_without_the_capability() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let opened = receiver::open(&settings(2, ByteSize::kib(64)), Backend::Udp);
    let Some(Steered::Classic { declined }) = opened.steered else {
        println!("every user of this host may load programs");
        return;
    };
    assert_eq!(declined, "it takes CAP_BPF and the system call bpf(2)");
    steering::check_no_flow_is_split(Backend::Udp);
    steering::check_the_kernel_runs_the_program_as_we_do();
}

#[test]
fn with_the_capability_sockets_are_steered_by_extended_bpf() {
    let alone = receiver::open(&settings(1, ByteSize::kib(64)), Backend::Udp);
    assert_eq!(alone.steered, None);
    let opened = receiver::open(&settings(2, ByteSize::kib(64)), Backend::Udp);
    let steered = opened.steered.unwrap();
    if has_capability() {
        assert_eq!(steered, Steered::Extended);
    } else {
        skip(&format!("without CAP_BPF: {steered:?}"));
    }
}

#[test]
fn the_kernel_takes_the_program_for_any_number_of_workers() {
    for workers in (1..=64).chain([127, 128, 1_000, u16::MAX]) {
        for tunnel in TUNNELS {
            let Some(_) = load(workers, tunnel) else {
                return;
            };
        }
    }
}

#[test]
fn both_programs_choose_the_same_for_any_datagram() {
    let mut random = Random(23);
    for workers in [2, 3, 7, 64, u16::MAX] {
        for tunnel in TUNNELS {
            let Some(both) = Both::new(workers, tunnel) else {
                return;
            };
            for number in 0..4_000 {
                both.check(&any_datagram(number, &mut random));
            }
            for encoding in &ENCODINGS {
                let flow = any_flow(0, &mut random);
                for datagram in wrapped(flow.vni, &flow.frame(encoding, false)) {
                    (1..=datagram.len()).for_each(|length| both.check(&datagram[..length]));
                }
            }
        }
    }
}

/// Every type, length, flag and protocol that one byte makes, in and around common packets.
#[test]
fn both_programs_choose_the_same_whatever_one_byte_says() {
    let mut random = Random(29);
    for tunnel in TUNNELS {
        let Some(both) = Both::new(5, tunnel) else {
            return;
        };
        for name in ["IPv4 TCP", "IPv6 TCP"] {
            let encoding = ENCODINGS.iter().find(|it| it.name == name).unwrap();
            let flow = any_flow(0, &mut random);
            let [in_vxlan, in_geneve] = wrapped(flow.vni, &flow.frame(encoding, false));
            let mut datagram = match tunnel {
                Tunnel::Vxlan => in_vxlan,
                Tunnel::Geneve => in_geneve,
            };
            for at in 0..datagram.len() {
                let before = datagram[at];
                for byte in 0..=u8::MAX {
                    datagram[at] = byte;
                    both.check(&datagram);
                }
                datagram[at] = before;
            }
        }
    }
}

#[test]
fn both_programs_choose_the_same_for_other_peoples_frames() {
    let both = TUNNELS.map(|tunnel| Both::new(5, tunnel));
    let [Some(of_vxlan), Some(of_geneve)] = both else {
        return;
    };
    let mut frames = 0_u32;
    for path in captures() {
        let Ok(mut input) = open(&path) else { continue };
        let (mut walk, mut scratch) = (input.walk(), Vec::new());
        while let Ok(Some(block)) = input.next_block() {
            for record in walk.records(&block).map_while(Result::ok) {
                let Ok(frame) = ethernet(record.link, record.data, &mut scratch) else {
                    continue;
                };
                let frame = frame.get(..FRAME_MAX).unwrap_or(frame);
                let [in_vxlan, in_geneve] = wrapped(frames % 9, frame);
                of_vxlan.check(&in_vxlan);
                of_geneve.check(&in_geneve);
                frames += 1;
            }
        }
    }
    println!("{frames} frames");
    assert!(frames > 0);
}

/// The program in both forms, and how the kernel answered.
struct Both {
    classic: Program,
    extended: LoadedProgram,
}

impl Both {
    fn new(workers: u16, tunnel: Tunnel) -> Option<Self> {
        let extended = load(workers, tunnel)?;
        let workers = choice(workers, tunnel).workers;
        let classic = Program::steering(SEED, workers, tunnel);
        Some(Self { classic, extended })
    }

    fn check(&self, datagram: &[u8]) {
        let frame = [&LINK_HEADER, datagram].concat();
        let chosen = self.extended.run(&frame).unwrap();
        let expected = self.classic.run(datagram);
        assert_eq!(chosen, expected.cast_signed(), "{datagram:02x?}");
    }
}

/// The program, or none and a note where this process may not; in CI it must be possible.
fn load(workers: u16, tunnel: Tunnel) -> Option<LoadedProgram> {
    let loaded = choice(workers, tunnel).load();
    if loaded.is_err() && !has_capability() {
        skip("it takes CAP_BPF");
        return None;
    }
    Some(loaded.unwrap())
}

/// CAP_BPF, as the kernel numbers it.
fn has_capability() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let effective = lines.find_map(|it| it.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 39) != 0
}

fn choice(workers: u16, tunnel: Tunnel) -> SocketChoice {
    SocketChoice {
        seed: SEED,
        workers: NonZeroU16::new(workers).unwrap(),
        tunnel,
    }
}

fn wrapped(vni: u32, frame: &[u8]) -> [Vec<u8>; 2] {
    [vxlan(vni, frame), balanced(vni, frame)]
}

/// Built as it should be, damaged, cut, or nothing at all.
fn any_datagram(number: u32, random: &mut Random) -> Vec<u8> {
    let encoding = &ENCODINGS[random.next() as usize % ENCODINGS.len()];
    let flow = any_flow(number, random);
    let frame = flow.frame(encoding, number.is_multiple_of(2));
    let [in_vxlan, in_geneve] = wrapped(flow.vni, &frame);
    let mut datagram = match random.next() % 5 {
        0 | 1 => in_vxlan,
        2 | 3 => in_geneve,
        _ => (0..random.next() % 120)
            .map(|_| random.next().to_be_bytes()[0])
            .collect(),
    };
    for _ in 0..random.next() % 4 {
        if let Some(at) = (random.next() as usize).checked_rem(datagram.len()) {
            datagram[at] = random.next().to_be_bytes()[0];
        }
    }
    if random.next().is_multiple_of(4) {
        datagram.truncate(random.next() as usize % (datagram.len() + 1));
    }
    // The kernel runs no program on nothing.
    if datagram.is_empty() {
        datagram.push(8);
    }
    datagram
}

fn any_flow(number: u32, random: &mut Random) -> Flow {
    Flow {
        number,
        vni: random.next() & 0xff_ffff,
        hosts: [random.next(), random.next()],
        ports: [random.port(), random.port()],
    }
}

/// Those of the project, and those of others where they are at hand.
fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = fs::read_dir(root.join("../../pcaps")).unwrap();
    let mut files: Vec<_> = ours.map(|entry| entry.unwrap().path()).collect();
    let corpus = root.join("../../../shared/corpus");
    match fs::read_to_string(corpus.join("MANIFEST.tsv")) {
        Ok(manifest) => files.extend(
            manifest
                .lines()
                .skip(1)
                .filter_map(|row| Some(corpus.join(row.split('\t').next()?))),
        ),
        Err(_) => println!("without {}, which is not there", corpus.display()),
    }
    files
}
