//! Sinks that stall, sinks that do not, and where the chunks are meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use vxscope_config::Config;
use vxscope_export::{Anomaly, Entry, FrameChunk, Offered, Shed, SinkCount, SinkOutcome, WayOut};
use vxscope_units::{MirrorSource, Timestamp, Vni};

use super::{CHUNKS_PER_SINK, Exit, Handoff, Hands, Owned, QUEUE};
use crate::accounting::Board;
use crate::clock::LiveClock;
use crate::outlet::ITEMS;
use crate::plan::Plan;
use crate::start;
use crate::stop::{Deadline, Stop};

const FRAMES: u64 = 10;
const SOURCE: MirrorSource = MirrorSource {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    vni: Vni::ZERO,
};

#[test]
fn a_sink_that_stalls_sheds_alone_and_holds_no_more_than_its_share_of_chunks() {
    let (stalled, free) = (Gate::new(true), Gate::new(false));
    let exits = vec![exit("stalled", &stalled), exit("free", &free)];
    let mut handoff = started(exits, Hands::Live(live(), 8));
    let (pool, home) = bounded(64);
    let mut sent = 0;
    for _ in 0..64 {
        send(&mut handoff, &pool);
        sent += FRAMES;
        // The sink that does not stall takes everything before more comes.
        wait_until(|| free.taken.load(Ordering::Relaxed) == sent);
    }
    wait_until(|| home.len() + CHUNKS_PER_SINK >= 64);
    stalled.open();
    let outcomes = finish(handoff);
    let [stalled, free] = outcomes.as_slice() else {
        panic!("two sinks")
    };
    assert_eq!((free.name.as_str(), free.count.written()), ("free", sent));
    assert_eq!(stalled.count.offered(), sent);
    let shed = stalled.count.shed(Shed::QueueFull);
    assert!(shed > 0 && stalled.count.written() >= FRAMES * QUEUE as u64);
    wait_until(|| home.len() == 64);
}

#[test]
fn of_a_finite_input_nothing_is_shed() {
    let gate = Gate::new(true);
    let mut handoff = started(vec![exit("slow", &gate)], Hands::Finite);
    let opener = start::detach("opener", move || {
        std::thread::sleep(Duration::from_millis(50));
        gate.open();
    })
    .unwrap();
    let (pool, home) = bounded(64);
    for _ in 0..4 * QUEUE {
        send(&mut handoff, &pool);
    }
    let outcomes = finish(handoff);
    opener.join().unwrap();
    let written: Vec<u64> = outcomes.iter().map(|it| it.count.written()).collect();
    assert_eq!(written, [4 * QUEUE as u64 * FRAMES]);
    assert_eq!(home.len(), 4 * QUEUE);
}

#[test]
fn what_held_a_chunk_is_there_for_the_next_once_its_sink_has_read_it() {
    let gate = Gate::new(true);
    let mut handoff = started(vec![exit("only", &gate)], Hands::Finite);
    let (pool, home) = bounded(4);
    send(&mut handoff, &pool);
    assert!(handoff.shell().is_none() && home.is_empty());
    gate.open();
    wait_until(|| handoff.shell().is_some());
    assert_eq!(home.len(), 1);
}

#[test]
fn a_part_that_stalls_holds_no_chunk_of_which_it_reads_nothing() {
    let (stalled, free) = (Gate::new(true), Gate::new(false));
    let parts = Exit {
        lanes: vec![gated(&stalled), gated(&free)],
        ..exit("parts", &free)
    };
    let record = Exit {
        takes_copies: true,
        ..exit("record", &free)
    };
    let mut handoff = started(vec![parts, record], Hands::Live(live(), 8));
    let (pool, home) = bounded(64);
    for sent in 1..=QUEUE {
        let chunks = [0, 1, 2].map(|worker| chunk(worker, &pool));
        handoff.frames(&chunks[0], 0..3);
        handoff.frames(&chunks[1], 0..3);
        handoff.copies(&chunks[2], 0..3);
        drop(chunks);
        handoff.pass_on();
        // The part that stalls reads the first one alone.
        wait_until(|| home.len() == 2 * sent);
    }
    stalled.open();
    let outcomes = finish(handoff);
    let counts = outcomes.iter().map(|it| it.count);
    let counts: Vec<_> = counts
        .map(|it| (it.written(), it.shed(Shed::Duplicate)))
        .collect();
    let sent = QUEUE as u64;
    assert_eq!(counts, [(6 * sent, 3 * sent), (9 * sent, 0)]);
    assert_eq!(home.len(), 3 * QUEUE);
}

#[test]
fn copies_go_to_who_records_what_came_and_are_counted_at_the_others() {
    for hands in [Hands::Finite, Hands::Own, Hands::Live(live(), 8)] {
        let record = Exit {
            takes_copies: true,
            ..exit("record", &Gate::new(false))
        };
        let mut handoff = started(vec![record, exit("other", &Gate::new(false))], hands);
        let (pool, home) = bounded(4);
        let owned = chunk(0, &pool);
        handoff.frames(&owned, 0..4);
        handoff.copies(&owned, 4..6);
        handoff.frames(&owned, 6..10);
        drop(owned);
        let outcomes = finish(handoff);
        let counts = outcomes.iter().map(|it| it.count);
        let counts: Vec<_> = counts
            .map(|it| (it.written(), it.shed(Shed::Duplicate)))
            .collect();
        assert_eq!(counts, [(10, 0), (8, 2)]);
        assert_eq!(home.len(), 1);
    }
}

/// As many as 100,000 flows tell when their interim records are due together.
#[test]
fn a_sink_of_records_that_stalls_has_room_for_a_burst_and_counts_what_is_beyond() {
    const BATCHES: usize = 100_000_usize.div_ceil(ITEMS);
    let waiting = Plan::try_new(&Config::default()).unwrap().batches_waiting();
    let gate = Gate::new(true);
    let records = Exit {
        offered: Offered::RecordsAndAnomalies,
        ..exit("records", &gate)
    };
    let mut handoff = started(vec![records], Hands::Live(live(), waiting));
    (0..BATCHES).for_each(|_| tell(&mut handoff));
    assert_eq!(handoff.queues[0].lost(), SinkCount::default());
    // One batch may be in the sink's hands.
    let beyond = waiting + 2 - BATCHES;
    (0..beyond).for_each(|_| tell(&mut handoff));
    gate.open();
    let outcomes = finish(handoff);
    let count = outcomes[0].count;
    assert_eq!(count.offered(), ((BATCHES + beyond) * ITEMS) as u64);
    let shed = count.shed(Shed::QueueFull);
    assert!(shed > 0 && shed <= 2 * ITEMS as u64, "{count:?}");
}

#[test]
fn a_sink_of_records_holds_no_chunk() {
    let exit = Exit {
        offered: Offered::Records,
        ..exit("records", &Gate::new(true))
    };
    let mut handoff = started(vec![exit], Hands::Live(live(), 8));
    let (pool, home) = bounded(4);
    send(&mut handoff, &pool);
    assert_eq!(home.len(), 1);
    assert_eq!(finish(handoff).len(), 1);
}

fn started(exits: Vec<Exit>, hands: Hands) -> Handoff {
    let mut handoff = Handoff::new(exits, hands);
    handoff.start(&Board::default()).unwrap();
    handoff
}

/// Hands a batch of what goes among records over.
fn tell(handoff: &mut Handoff) {
    for _ in 0..ITEMS {
        handoff.entry(Entry::Anomaly(Anomaly {
            event: "never_hit",
            time: Timestamp::ZERO,
            flow_id: 1,
            source: SOURCE,
            originator: (SOURCE.address, 1),
            responder: (SOURCE.address, 2),
            protocol: 6,
            role: String::new(),
        }));
    }
    handoff.pass_on();
}

/// Hands a chunk of [`FRAMES`] over.
fn send(handoff: &mut Handoff, pool: &Sender<FrameChunk>) {
    let owned = chunk(0, pool);
    handoff.frames(&owned, 0..owned.chunk.len());
    drop(owned);
    handoff.pass_on();
}

fn chunk(worker: usize, pool: &Sender<FrameChunk>) -> Arc<Owned> {
    let mut chunk = FrameChunk::with_capacity(0);
    for index in 0..FRAMES {
        assert!(chunk.push(index, Timestamp::ZERO, SOURCE, &[0; 60], 60));
    }
    Arc::new(Owned {
        worker,
        chunk,
        pool: Some(pool.clone()),
    })
}

fn finish(handoff: Handoff) -> Vec<SinkOutcome> {
    let mut outcomes = Vec::new();
    handoff.finish(&mut |outcome| outcomes.push(outcome));
    outcomes
}

fn live() -> Arc<Deadline> {
    let stop = Arc::new(Stop::new());
    Arc::new(Deadline::new(
        stop,
        LiveClock::start(),
        Duration::from_secs(60),
    ))
}

fn exit(name: &str, gate: &Arc<Gate>) -> Exit {
    Exit {
        name: name.to_owned(),
        offered: Offered::Frames,
        takes_copies: false,
        lanes: vec![gated(gate)],
    }
}

fn gated(gate: &Arc<Gate>) -> Box<dyn WayOut> {
    Box::new(Gated {
        gate: gate.clone(),
        count: SinkCount::default(),
    })
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// While it is shut, the sink behind it stalls.
#[derive(Debug)]
struct Gate {
    shut: AtomicBool,
    taken: AtomicU64,
}

impl Gate {
    fn new(shut: bool) -> Arc<Self> {
        Arc::new(Self {
            shut: AtomicBool::new(shut),
            taken: AtomicU64::new(0),
        })
    }

    fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
    }
}

/// Counts frames, and stalls while its gate is shut.
#[derive(Debug)]
struct Gated {
    gate: Arc<Gate>,
    count: SinkCount,
}

impl WayOut for Gated {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        wait_until(|| !self.gate.shut.load(Ordering::Relaxed));
        assert!(positions.end <= chunk.len());
        let frames = positions.len() as u64;
        self.gate.taken.fetch_add(frames, Ordering::Relaxed);
        self.count.add_written(positions.len() as u64);
    }

    fn records(&mut self, entries: &[Entry]) {
        wait_until(|| !self.gate.shut.load(Ordering::Relaxed));
        self.count.add_written(entries.len() as u64);
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        SinkOutcome {
            name: String::new(),
            offered: Offered::Frames,
            count: self.count,
            readers: Vec::new(),
            details: Vec::new(),
            error: None,
        }
    }
}
