//! What a decision costs: `cargo bench -p vxscope-benches --bench policy [-- FILTER]`.
//!
//! `observe` is per source and tick; `decide` is one cycle over 10,000 sources with 32 edges each:
//! the worst one, when a whole fleet was enrolled at once and its pins end together, and usual ones.
#![expect(clippy::print_stdout, reason = "figures beside the timings")]

use std::net::IpAddr;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use vxscope_policy::money::{Pause, Prices};
use vxscope_policy::rules::{RawRules, Rules, SourceFacts};
use vxscope_policy::{Bytes, Observation, Policy, SensorKey, SourceKey, Usd, Wish};
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

const SOURCES: u32 = 10_000;
const GROUP: u32 = 50;
const EDGES: u32 = 32;
const START: u64 = 1_793_577_600;
const TICK: u64 = 600;
const DAY: u64 = 86_400;

criterion_group!(policy, observe, decide);
criterion_main!(policy);

struct BySecond;

impl Prices for BySecond {
    fn saving(&self, pause: &Pause) -> Usd {
        if pause.to > Grade::Off {
            return Usd::ZERO;
        }
        Usd::from_dollars(0.015 * (pause.seconds.0 + pause.seconds.1) / 7_200.0)
    }

    fn paid_until(&self, _: Timestamp, now: Timestamp) -> Timestamp {
        now
    }
}

fn observe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("observe");
    group.throughput(Throughput::Elements(u64::from(SOURCES)));
    let mut fleet = Fleet::new();
    group.bench_function("10,000 sources, a tick without edges", |bencher| {
        bencher.iter(|| fleet.tick(false));
    });
    group.bench_function("10,000 sources, a tick with 32 edges each", |bencher| {
        bencher.iter(|| fleet.tick(true));
    });
    group.finish();
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let mut fleet = Fleet::new();
    for tick in 0..DAY / TICK {
        fleet.tick(tick % 100 == 0);
    }
    println!(
        "memory: {} bytes a source with {EDGES} edges each",
        fleet.policy.memory_bytes() / SOURCES as usize
    );
    let due = |fleet: &Fleet| (fleet.policy.clone(), fleet.now);
    group.bench_function("10,000 sources, the pins of all just ended", |bencher| {
        bencher.iter_batched_ref(
            || due(&fleet),
            |(policy, now)| decide_once(policy, *now),
            BatchSize::PerIteration,
        );
    });
    for _ in 0..DAY / TICK {
        fleet.tick(false);
        decide_once(&mut fleet.policy, fleet.now);
    }
    println!("lowered after two days: {}", fleet.policy.lowered());
    fleet.tick(false);
    group.bench_function("10,000 sources, ten minutes later", |bencher| {
        bencher.iter_batched_ref(
            || due(&fleet),
            |(policy, now)| decide_once(policy, *now),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Decides, and obeys at once. Returns the number of wishes.
fn decide_once(policy: &mut Policy, now: u64) -> usize {
    let now = Timestamp::new(now, 0);
    let mut wishes = Vec::new();
    let mut take = |wish: &Wish| wishes.push(*wish);
    policy.decide(now, &BySecond, &mut take);
    for wish in &wishes {
        policy.handle_grade(wish.source, wish.grade, now, now);
    }
    wishes.len()
}

/// Quiet sources of low importance, each with a few peers next to it.
struct Fleet {
    policy: Policy,
    now: u64,
    edges: Vec<Vec<SourceKey>>,
}

impl Fleet {
    fn new() -> Self {
        let mut policy = Policy::new(rules(), 1);
        for row in 0..SOURCES {
            let facts = SourceFacts {
                role: "web",
                subnet: &format!("subnet-{}", row / GROUP),
                ..SourceFacts::bare(MirrorSource {
                    address: IpAddr::from((0x0a00_0000 + row).to_be_bytes()),
                    vni: Vni::try_new(row).expect("below 2²⁴"),
                })
            };
            let key = policy.enroll(&facts, Grade::Full, Timestamp::new(START, 0));
            assert_eq!(key.map(SourceKey::get), Some(row));
        }
        let peers = |row: u32| {
            let peer = |step| SourceKey::new((row + 1 + step * 7) % SOURCES);
            (0..EDGES / 2).map(peer).collect()
        };
        Self {
            policy,
            now: START,
            edges: (0..SOURCES).map(peers).collect(),
        }
    }

    fn tick(&mut self, with_edges: bool) {
        let from = Timestamp::new(self.now, 0);
        self.now += TICK;
        let to = Timestamp::new(self.now, 0);
        self.policy
            .handle_tick(SensorKey::default(), from, to, true);
        for (row, edges) in (0..).zip(&self.edges) {
            let key = SourceKey::new(row);
            if self.policy.planned(key).is_some_and(|it| it > Grade::Off) {
                let mut observation = talk();
                if with_edges {
                    observation.edges = edges;
                }
                self.policy.observe(key, &observation);
            }
        }
    }
}

fn rules() -> Rules {
    let raw: RawRules = serde_json::from_str(
        r#"{"mode": "dynamic", "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    )
    .expect("known keys");
    raw.check().expect("valid rules")
}

fn talk() -> Observation<'static> {
    Observation {
        packets: 100,
        bytes: Bytes {
            other: 50_000,
            ..Bytes::default()
        },
        ingress_bytes: 25_000,
        egress_bytes: 25_000,
        ..Observation::default()
    }
}
