//! The steering program against the steering function: frames of any shape, other people's captures.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of a test: a panic is its failure, a print its note"
)]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use vxscope_pcap::{Reader, Step};
use vxscope_wire::bpf::Program;
use vxscope_wire::steer::Steering;
use vxscope_wire::{Class, Options, Tunnel, decapsulate_datagram, ethernet, parse_frame};

const SEED: u32 = 0x7365_6564;
const WORKERS: NonZeroU16 = NonZeroU16::new(7).unwrap();

static PROGRAMS: LazyLock<[(Tunnel, Program); 2]> = LazyLock::new(|| {
    [Tunnel::Vxlan, Tunnel::Geneve].map(|tunnel| (tunnel, Program::steering(SEED, WORKERS, tunnel)))
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn frames_of_any_shape_go_to_the_same_worker(
        frame in any_frame(),
        vni in any::<u32>(),
        wrap in any_wrap(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let datagram = wrap.around(&frame, vni);
        // Built as it should be, it opens; cut or damaged it need not.
        prop_assert!(agree(&datagram).is_some());
        agree(&datagram[..cut.index(datagram.len() + 1)]);
        let mut damaged = datagram;
        for (at, byte) in flips {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        agree(&damaged);
    }

    #[test]
    fn any_bytes_go_to_the_same_worker(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        vni in any::<u32>(),
    ) {
        agree(&bytes);
        agree(&Wrap::Vxlan.around(&bytes, vni));
        agree(&Wrap::Geneve { words: 2 }.around(&bytes, vni));
    }

    #[test]
    fn both_directions_through_any_tunnel_meet(
        frame in any_frame().prop_filter("IP", |frame| parse_frame(frame, 0).class == Class::Ip),
        vni in any::<u32>(),
        wraps in (any_wrap(), any_wrap()),
    ) {
        let there = agree(&wraps.0.around(&frame, vni)).unwrap();
        let back = agree(&wraps.1.around(&reversed(&frame), vni)).unwrap();
        prop_assert_eq!(there, back);
    }
}

#[test]
fn frames_of_other_peoples_captures_go_to_the_same_worker() {
    let Some(corpus) = corpus() else { return };
    let mut scratch = Vec::new();
    let (mut frames, mut spread) = (0_u32, [0_u32; WORKERS.get() as usize]);
    for capture in captures(&corpus) {
        each_record(&capture, |link, record| {
            let Ok(frame) = ethernet(link, record, &mut scratch) else {
                return;
            };
            for wrap in [
                Wrap::Vxlan,
                Wrap::Geneve { words: 0 },
                Wrap::Balancer { words: 8 },
            ] {
                // Longer than a UDP length can say.
                if frame.len() > 65_000 {
                    continue;
                }
                let worker = agree(&wrap.around(frame, frames % 9)).unwrap();
                spread[worker] += 1;
            }
            frames += 1;
        });
    }
    println!("{frames} frames, by worker: {spread:?}");
    assert!(frames >= 70_000, "{frames}");
    assert!(spread.iter().all(|count| *count > 0));
}

/// The worker of this datagram, if there is a frame in it; program and function agree.
fn agree(datagram: &[u8]) -> Option<usize> {
    let steering = Steering::new(SEED, WORKERS);
    let sender = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut found = None;
    for (tunnel, program) in PROGRAMS.iter() {
        let Ok(opened) = decapsulate_datagram(*tunnel, sender, datagram, &Options::default())
        else {
            continue;
        };
        let view = parse_frame(opened.frame, opened.original_len);
        let worker = steering.arrival(&view, opened.frame, opened.source.vni);
        assert_eq!(
            program.run(datagram) as usize,
            worker,
            "{view:?} {datagram:02x?}"
        );
        // Bytes that are VXLAN and GENEVE at once are as good as any: the flags differ.
        found = Some(worker);
    }
    found
}

/// The headers between the UDP header outside and the frame.
#[derive(Clone, Copy, Debug)]
enum Wrap {
    Vxlan,
    /// So many words of options.
    Geneve {
        words: u8,
    },
    /// A Gateway Load Balancer's: GENEVE, IPv4, UDP, VXLAN.
    Balancer {
        words: u8,
    },
    /// The same over IPv6, behind an extension header of so many times eight bytes.
    Balancer6 {
        words: u8,
        extension: u8,
    },
}

impl Wrap {
    fn around(self, frame: &[u8], vni: u32) -> Vec<u8> {
        let [v1, v2, v3, _] = (vni << 8).to_be_bytes();
        let vxlan = [&[8, 0, 0, 0, v1, v2, v3, 0], frame].concat();
        let geneve = |words: u8, protocol: u16, payload: &[u8]| {
            let [p1, p2] = protocol.to_be_bytes();
            let vni = if protocol == 0x6558 {
                [v1, v2, v3]
            } else {
                [0; 3]
            };
            let options = vec![0; usize::from(words) * 4];
            [&[words, 0, p1, p2], &vni[..], &[0], &options, payload].concat()
        };
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let udp = |payload: &[u8]| {
            let [l1, l2] = length(payload.len() + 8);
            [&[0xff, 0xdc, 0x12, 0xb5, l1, l2, 0, 0], payload].concat()
        };
        match self {
            Self::Vxlan => vxlan,
            Self::Geneve { words } => geneve(words, 0x6558, frame),
            Self::Balancer { words } => {
                let segment = udp(&vxlan);
                let [l1, l2] = length(segment.len() + 20);
                let header = [
                    0x45, 0, l1, l2, 0, 0, 0, 0, 255, 17, 0, 0, 10, 0, 0, 5, 10, 0, 0, 9,
                ];
                geneve(words, 0x0800, &[&header[..], &segment].concat())
            }
            Self::Balancer6 { words, extension } => {
                let mut payload = vec![17, extension, 0, 0, 0, 0, 0, 0];
                payload.resize((usize::from(extension) + 1) * 8, 0);
                payload.extend(udp(&vxlan));
                let [l1, l2] = length(payload.len());
                let header = [0x60, 0, 0, 0, l1, l2, 60, 64];
                geneve(words, 0x86dd, &[&header[..], &[7; 32], &payload].concat())
            }
        }
    }
}

fn any_wrap() -> impl Strategy<Value = Wrap> {
    let words = 0..=63_u8;
    prop_oneof![
        Just(Wrap::Vxlan),
        words.clone().prop_map(|words| Wrap::Geneve { words }),
        words.clone().prop_map(|words| Wrap::Balancer { words }),
        (words, 0..4_u8).prop_map(|(words, extension)| Wrap::Balancer6 { words, extension }),
    ]
}

/// Ethernet, up to nine tags, then IPv4 with options, IPv6 with up to nine extension headers, or
/// something else; behind that a protocol with or without ports, which may be cut short.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select([0x8100_u16, 0x88a8, 0x9100].as_slice());
    let tags = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((tag, any::<u16>()), 0..10),
    ];
    let other = (any::<u16>(), prop::collection::vec(any::<u8>(), 0..40));
    let packet = prop_oneof![4 => any_ipv4(), 4 => any_ipv6(), 1 => other];
    (prop::array::uniform12(any::<u8>()), tags, packet).prop_map(
        |(addresses, tags, (ether_type, packet))| {
            let mut frame = addresses.to_vec();
            for (kind, control) in tags {
                frame.extend(kind.to_be_bytes());
                frame.extend(control.to_be_bytes());
            }
            frame.extend(ether_type.to_be_bytes());
            frame.extend(packet);
            frame
        },
    )
}

fn any_segment() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop_oneof![
        5 => prop::sample::select([6_u8, 17, 132, 1, 58].as_slice()),
        1 => any::<u8>(),
    ];
    (protocol, prop::collection::vec(any::<u8>(), 0..30))
}

fn any_ipv4() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let options = prop_oneof![2 => Just(0_u8), 1 => 0..=10_u8];
    let fragment = prop_oneof![3 => Just(0x4000_u16), 1 => any::<u16>()];
    let total = prop_oneof![4 => Just(None), 1 => (0..90_u16).prop_map(Some)];
    (any::<u64>(), options, fragment, total, any_segment()).prop_map(
        |(addresses, options, fragment, total, (protocol, segment))| {
            let options = vec![1; usize::from(options) * 4];
            let whole = u16::try_from(20 + options.len() + segment.len()).unwrap();
            let version_ihl = 0x45 + u8::try_from(options.len() / 4).unwrap();
            let mut packet = vec![version_ihl, 0];
            packet.extend(total.unwrap_or(whole).to_be_bytes());
            packet.extend([0xab, 0xcd]);
            packet.extend(fragment.to_be_bytes());
            packet.extend([64, protocol, 0, 0]);
            packet.extend(addresses.to_be_bytes());
            packet.extend(options);
            packet.extend(segment);
            (0x0800, packet)
        },
    )
}

fn any_ipv6() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let kind = prop::sample::select([0_u8, 43, 44, 51, 60, 135, 139, 140].as_slice());
    let extension = (
        kind,
        0..3_u8,
        prop_oneof![4 => Just(0_u16), 1 => any::<u16>()],
    );
    let extensions = prop_oneof![
        1 => Just(Vec::new()),
        2 => prop::collection::vec(extension, 0..10),
    ];
    let length = prop_oneof![4 => Just(None), 1 => (0..120_u16).prop_map(Some)];
    (
        prop::array::uniform32(any::<u8>()),
        extensions,
        length,
        any_segment(),
    )
        .prop_map(|(addresses, extensions, length, (protocol, segment))| {
            let (next, payload) = extensions.into_iter().fold(
                (protocol, segment),
                |(next, rest), (kind, words, field)| {
                    let [high, low] = field.to_be_bytes();
                    let (words, bytes) = match kind {
                        44 => (words, 8),
                        51 => (words + 1, (usize::from(words) + 3) * 4),
                        _ => (words, (usize::from(words) + 1) * 8),
                    };
                    let mut header = vec![next, words, high, low];
                    header.resize(bytes, 0);
                    (kind, [header, rest].concat())
                },
            );
            let whole = u16::try_from(payload.len()).unwrap();
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend(length.unwrap_or(whole).to_be_bytes());
            packet.extend([next, 64]);
            packet.extend(addresses);
            packet.extend(payload);
            (0x86dd, packet)
        })
}

/// The frame in the other direction: MAC addresses, IP addresses and ports swapped.
fn reversed(frame: &[u8]) -> Vec<u8> {
    let view = parse_frame(frame, 0);
    let mut frame = frame.to_vec();
    frame[..12].rotate_left(6);
    let network = usize::from(view.network_offset);
    let (start, half) = match view.ether_type {
        0x0800 => (network + 12, 4),
        _ => (network + 8, 16),
    };
    frame[start..start + 2 * half].rotate_left(half);
    let transport = usize::from(view.transport_offset);
    if transport != 0 && matches!(view.tuple.protocol, 6 | 17 | 132) {
        frame[transport..transport + 4].rotate_left(2);
    }
    frame
}

/// Walks a capture up to its end or its first error.
fn each_record(capture: &Path, mut observe: impl FnMut(vxscope_units::LinkType, &[u8])) {
    let bytes = fs::read(capture).unwrap();
    let mut reader = Reader::new();
    let mut rest = bytes.as_slice();
    loop {
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                observe(record.link, record.data);
                rest = &rest[consumed..];
            }
            Ok(Step::Skip { consumed }) => rest = &rest[consumed..],
            Ok(Step::NeedMore { .. }) | Err(_) => return,
        }
    }
}

fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

/// The files in the corpus's folders; what is no capture is read as one without records.
fn captures(corpus: &Path) -> Vec<PathBuf> {
    let inside = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    let folders = inside(corpus).filter(|path| path.is_dir());
    let mut files: Vec<_> = folders
        .flat_map(|folder| inside(&folder).collect::<Vec<_>>())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}
