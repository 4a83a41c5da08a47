//! The stages of the pipeline one by one, each beside its ceiling: `cargo bench -p
//! vxscope-benches --bench stages [-- FILTER]`.
//!
//! Times are per packet: a batch of packets counts as so many elements. Criterion measures one
//! thing after the other by the wall clock, so these figures are for finding what changed; the
//! ratios to quote are those of `replay`, whose rounds are interleaved.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vxscope_benches::{Frames, Store, Traffic, Unrecorded, copy_each, walk};
use vxscope_capture::{Batch, Input};
use vxscope_flow::{Crossing, FlowLimits, FlowScope, Flows, Packet, Prepared, RingSizes, Timeouts};
use vxscope_memory::prefetch;
use vxscope_pcap::{Precision, classic};
use vxscope_units::{LinkType, MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{Addresses, FrameView, Options, decapsulate_record, parse_frame};

/// Packets of the captures in memory: those of 64 bytes stay in the second-level cache.
const PACKETS: usize = 8_192;
/// Packets that are looked up together, as a worker does.
const PASS: usize = 32;
/// Packets of one round of lookups.
const LOOKUPS: usize = 65_536;
const FLOWS: [u32; 3] = [1_000, 100_000, 1_000_000];

criterion_group!(stages, records, open, lookups, rings);
criterion_main!(stages);

/// From bytes to records: the ceiling reads only the lengths.
fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for frames in Frames::ALL {
        let file = file(frames);
        group.bench_with_input(
            BenchmarkId::new("ceiling: walk", frames.name()),
            &file,
            |bencher, file| bencher.iter(|| walk(file)),
        );
        let fill = BenchmarkId::new("fill batches", frames.name());
        group.bench_with_input(fill, &file, |bencher, file| {
            bencher.iter_batched_ref(
                || Input::from_bytes("memory", file.clone()),
                count_records,
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn count_records(input: &mut Input) -> usize {
    let mut records = 0;
    let mut walk = input.walk();
    while let Ok(Some(block)) = input.next_block() {
        let mut batch = Batch::new();
        while matches!(walk.fill(&block, &mut batch), Ok(1..)) {
            records += black_box(batch.records()).len();
        }
    }
    records
}

/// From a record to the view of the inner frame, and to its worker: the ceiling reads one byte of
/// every header that must be read.
fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    group.throughput(Throughput::Elements(PACKETS as u64));
    let steering = Steering::new(7, NonZeroU16::new(4).unwrap_or(NonZeroU16::MIN));
    let options = Options::default();
    for frames in Frames::ALL {
        let records = packets(frames);
        let name = frames.name();
        let ceiling = BenchmarkId::new("ceiling: touch headers", name);
        group.bench_with_input(ceiling, &records, |bencher, records| {
            bencher.iter(|| {
                records
                    .iter()
                    .map(|one| touch(one))
                    .fold(0, u64::wrapping_add)
            });
        });
        let opened = BenchmarkId::new("decapsulate and parse", name);
        group.bench_with_input(opened, &records, |bencher, records| {
            bencher.iter(|| {
                for record in records {
                    if let Ok(opened) =
                        decapsulate_record(LinkType::Ethernet, black_box(record), &options)
                    {
                        black_box(&parse_frame(opened.frame, opened.original_len));
                    }
                }
            });
        });
        let views: Vec<_> = records.iter().filter_map(|one| view(one)).collect();
        let steered = BenchmarkId::new("steer", name);
        group.bench_with_input(steered, &views, |bencher, views| {
            bencher.iter(|| {
                let worker = |(view, frame, vni): &(FrameView, &[u8], Vni)| {
                    steering.worker(view, frame, *vni)
                };
                views.iter().map(worker).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn touch(record: &[u8]) -> u64 {
    // Outer Ethernet type, IP protocol, UDP port, VNI; inner type, protocol and ports.
    let places = [12, 23, 37, 48, 62, 73, 84, 86];
    places
        .into_iter()
        .map(|at| u64::from(record.get(at).copied().unwrap_or(0)))
        .fold(0, u64::wrapping_add)
}

fn view(record: &[u8]) -> Option<(FrameView, &[u8], Vni)> {
    let opened = decapsulate_record(LinkType::Ethernet, record, &Options::default()).ok()?;
    let view = parse_frame(opened.frame, opened.original_len);
    Some((view, opened.frame, opened.source.vni))
}

/// A packet to its flow: the ceiling counts in one cache line per flow, fetched ahead.
fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flows");
    group.throughput(Throughput::Elements(LOOKUPS as u64));
    for flows in FLOWS {
        let numbers = numbers(flows);
        let mut lines = vec![Line::default(); flows as usize];
        group.bench_function(BenchmarkId::new("ceiling: one line", flows), |bencher| {
            bencher.iter(|| count_in_lines(&mut lines, &numbers));
        });
        drop(lines);
        let mut bench = FlowBench::new(flows, None, 64);
        group.bench_function(
            BenchmarkId::new("prepare, prefetch, observe", flows),
            |bencher| {
                bencher.iter(|| bench.observe(&numbers));
            },
        );
    }
    group.finish();
}

/// What the rings add: observing with rings and without, on the same packets. The ceiling copies
/// the same bytes, record headers included, one behind the other.
fn rings(criterion: &mut Criterion) {
    const MIB: usize = 1 << 20;
    let mut group = criterion.benchmark_group("rings");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for (frames, length) in [(Frames::Small, 64), (Frames::Large, 1_400)] {
        let Ok(mut store) = Store::try_new() else {
            continue;
        };
        let file = file(frames);
        let copy = BenchmarkId::new("ceiling: walk and copy", frames.name());
        group.bench_function(copy, |bencher| {
            bencher.iter(|| copy_each(&file, &mut store));
        });
        drop(store);
        let sizes = RingSizes {
            head_log: 96 * MIB,
            tail_log: 96 * MIB,
            pool: 64 * MIB,
            // No flow outgrows the logs: this is about appending.
            head: u32::MAX / 4,
            tail: 1 << 10,
            private: 256 << 10,
        };
        let numbers = numbers(100_000);
        let numbers = numbers.get(..PACKETS).unwrap_or_default();
        for (name, rings) in [("observe without", None), ("observe with", Some(sizes))] {
            let mut bench = FlowBench::new(100_000, rings, length);
            group.bench_function(BenchmarkId::new(name, frames.name()), |bencher| {
                bencher.iter(|| bench.observe(numbers));
            });
        }
    }
    group.finish();
}

/// A flow table with all its flows open.
struct FlowBench {
    flows: Flows,
    view: FrameView,
    frame: Vec<u8>,
    index: u64,
}

impl FlowBench {
    fn new(flows: u32, rings: Option<RingSizes>, length: usize) -> Self {
        let limits = FlowLimits {
            scope: FlowScope::Source,
            flows_max: 1 << 20,
            sources_max: 16,
            source_flows_max: 1 << 20,
            timeouts: Timeouts::default(),
            active_timeout: 0,
            id_seed: 0,
            hash_seed: 1,
            rings,
            closed_max: 0,
        };
        let mut tables = Flows::try_new(limits).expect("memory for a million flows");
        tables.prefault();
        let frame = inner_frame(length);
        let mut bench = Self {
            flows: tables,
            view: parse_frame(&frame, 0),
            frame,
            index: 0,
        };
        let all: Vec<u32> = (0..flows).collect();
        bench.observe(&all);
        assert_eq!(bench.flows.live(), flows as usize, "every flow is open");
        bench
    }

    fn observe(&mut self, numbers: &[u32]) {
        let (source, mirror) = (SourceId::default(), mirror());
        let now = Timestamp::new(1_767_225_600, 0);
        for pass in numbers.chunks(PASS) {
            let mut views = [self.view; PASS];
            for (view, number) in views.iter_mut().zip(pass) {
                view.tuple.addresses = Addresses::V4 {
                    source: 0x0a00_0000 | number,
                    destination: 0xac10_0001,
                };
            }
            let views = views.get(..pass.len()).unwrap_or_default();
            let mut prepared = [Prepared::default(); PASS];
            for (prepared, view) in prepared.iter_mut().zip(views) {
                self.flows.prepare(prepared, source, mirror.vni, view);
            }
            for prepared in prepared.iter_mut().take(views.len()) {
                self.flows.prefetch(prepared);
            }
            for (prepared, view) in prepared.iter().zip(views) {
                self.index += 1;
                let packet = Packet {
                    index: self.index,
                    timestamp: now,
                    now,
                    source,
                    mirror,
                    view: *view,
                    crossing: Crossing::Unknown,
                };
                black_box(
                    self.flows
                        .observe(prepared, &packet, &self.frame, &mut Unrecorded),
                );
            }
        }
    }
}

/// What a flow costs at least.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    packets: u64,
    bytes: u64,
}

fn count_in_lines(lines: &mut [Line], numbers: &[u32]) {
    for pass in numbers.chunks(PASS) {
        for number in pass {
            prefetch(lines, *number as usize);
        }
        for number in pass {
            if let Some(line) = lines.get_mut(*number as usize) {
                line.packets += 1;
                line.bytes += 64;
            }
        }
    }
    black_box(lines);
}

fn mirror() -> MirrorSource {
    MirrorSource {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 16)),
        vni: Vni::ZERO,
    }
}

/// A UDP datagram in an Ethernet frame of this length.
fn inner_frame(length: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(length - 14).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, high, low, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 1, 172, 16, 0, 1]);
    let [high, low] = u16::try_from(length - 34).unwrap_or(u16::MAX).to_be_bytes();
    frame.extend([0x80, 0, 0, 53, high, low, 0, 0]);
    frame.resize(length, 0);
    frame
}

/// Flow numbers below `flows` in an order that no prefetcher guesses (`SplitMix64`).
fn numbers(flows: u32) -> Vec<u32> {
    let random = |counter: u64| {
        let value = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ value >> 31) % u64::from(flows)
    };
    let numbers = (1..=LOOKUPS as u64).map(random);
    numbers
        .map(|number| u32::try_from(number).unwrap_or(0))
        .collect()
}

/// Packets of `gen`, from their outer Ethernet header.
fn packets(frames: Frames) -> Vec<Vec<u8>> {
    let traffic = Traffic {
        frames,
        flows: 1_000,
        packets: PACKETS as u64,
    };
    let mut packets = Vec::new();
    let taken = traffic.each(|_, bytes| {
        packets.push(bytes.to_vec());
        Ok(())
    });
    taken.expect("the generator takes these numbers");
    packets
}

/// The same as a capture.
fn file(frames: Frames) -> Vec<u8> {
    let mut file = classic::file_header(Precision::Micros, LinkType::Ethernet, 262_144).to_vec();
    for packet in packets(frames) {
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let header = classic::record_header(Timestamp::ZERO, length, length, Precision::Micros);
        file.extend(header);
        file.extend(packet);
    }
    file
}
