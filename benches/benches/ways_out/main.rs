//! What the ways out cost: `cargo bench -p vxscope-benches --bench ways_out`, as root for the TAP.
//!
//! CPU time of the thread for the same frames or records, against the plainest program that does
//! the same: one that writes ready bytes to a file or a reader, sends ready datagrams, writes ready
//! frames to a TAP or through a socket of the kind `AF_PACKET`.
#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

mod files;
mod network;
mod records;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};

use nix::sched::{CloneFlags, unshare};
use vxscope_benches::{Cpu, Ratio, Table, Work, interleave, median};
use vxscope_export::{FrameChunk, WayOut};
use vxscope_units::{MirrorSource, Timestamp, Vni};

const ROUNDS: usize = 7;
/// Times that a chunk, or as many records, are handed over in a round.
const TIMES: usize = 200;

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let heading = [
        "way out",
        "of",
        "ns each",
        "millions a CPU second",
        "CPU to the plain program",
    ];
    let mut table = Table::new(&heading);
    let chunks = [64, 1_400].map(chunk);
    for chunk in &chunks {
        files::measure(&mut table, chunk, folder.path())?;
        streams::measure(&mut table, chunk, folder.path())?;
        network::vxlan(&mut table, chunk)?;
    }
    records::measure(&mut table, folder.path())?;
    // From here on in a network of our own: no interface is left behind.
    let alone = unshare(CloneFlags::CLONE_NEWNET).is_ok();
    for chunk in chunks.iter().filter(|_| alone) {
        network::tap(&mut table, chunk)?;
    }
    println!("{table}");
    if !alone {
        println!("No TAP: a network of its own takes root.");
    }
    Ok(())
}

/// What is handed over each time.
struct What {
    each: String,
    count: usize,
}

fn frames(chunk: &FrameChunk) -> What {
    let length = chunk.get(0).map_or(0, |frame| frame.bytes.len());
    What {
        each: format!("frames of {length} B"),
        count: chunk.len(),
    }
}

/// A row for each piece of work; the first is the plain program.
fn compare(
    table: &mut Table,
    what: &What,
    names: &[&str],
    works: &mut [&mut Work<'_>],
) -> io::Result<()> {
    let times = interleave(ROUNDS, works)?;
    let count = (what.count * TIMES) as f64;
    for (name, took) in names.iter().zip(&times) {
        let seconds = median(took, Cpu::total).as_secs_f64() / count;
        let plain = times.first().map_or(&[][..], Vec::as_slice);
        let ratio = Ratio::of(took, plain).to_string();
        table.push(&[
            (*name).to_owned(),
            what.each.clone(),
            format!("{:.0}", seconds * 1e9),
            format!("{:.2}", 1e-6 / seconds),
            ratio,
        ]);
    }
    Ok(())
}

/// Addresses need no look-up.
fn nobody(_: &str) -> Receiver<io::Result<SocketAddr>> {
    sync_channel(1).1
}

fn hand_over(way: &mut dyn WayOut, chunk: &FrameChunk) -> io::Result<()> {
    way.frames(chunk, 0..chunk.len());
    Ok(())
}

fn repeat(mut once: impl FnMut() -> io::Result<()>) -> io::Result<Cpu> {
    let before = Cpu::of_thread()?;
    (0..TIMES).try_for_each(|_| once())?;
    Ok(Cpu::of_thread()?.since(before))
}

/// A full chunk of frames of four sources.
fn chunk(length: usize) -> FrameChunk {
    let mut chunk = FrameChunk::with_capacity(256 << 10);
    let mut frame = vec![7; length];
    frame.splice(12..14, [8, 0]);
    let mut index = 0;
    loop {
        let source = MirrorSource {
            address: [192, 0, 2, 1].into(),
            vni: Vni::try_new(u32::try_from(index % 4).unwrap_or(0)).unwrap_or_default(),
        };
        if !chunk.push(index, Timestamp::new(index, 0), source, &frame, 0) {
            return chunk;
        }
        index += 1;
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
