//! What the ways out cost: `cargo bench -p vxscope-benches --bench ways_out`, as root for the TAP.
//!
//! CPU time for the same frames, against the plainest program that does the same: one that writes
//! ready records to a file, sends ready datagrams, writes ready frames to a TAP. Nobody sniffs on
//! the TAP, and nobody reads what is sent.
#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

use std::fs::File;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};
use vxscope_benches::{Cpu, Ratio, Table, Work, interleave, median};
use vxscope_export::files::{CaptureFiles, FileFormat, FileSettings};
use vxscope_export::stream::Haste;
use vxscope_export::{FrameChunk, Tap, TapSettings, Truncated, VlanMode, Vxlan, WayOut};
use vxscope_linux::TapQueue;
use vxscope_units::{BindTable, MirrorSource, Timestamp, Vni};

const ROUNDS: usize = 7;
/// Times that a chunk is handed over in a round.
const TIMES: usize = 200;

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let heading = [
        "way out",
        "frame bytes",
        "ns a frame",
        "CPU to the plain program",
    ];
    let mut table = Table::new(&heading);
    let chunks = [64, 1_400].map(chunk);
    for chunk in &chunks {
        files(&mut table, chunk, folder.path())?;
        vxlan(&mut table, chunk)?;
    }
    // From here on in a network of our own: no interface is left behind.
    let alone = unshare(CloneFlags::CLONE_NEWNET).is_ok();
    for chunk in chunks.iter().filter(|_| alone) {
        tap(&mut table, chunk)?;
    }
    println!("{table}");
    if !alone {
        println!("No TAP: a network of its own takes root.");
    }
    Ok(())
}

fn files(table: &mut Table, chunk: &FrameChunk, folder: &Path) -> io::Result<()> {
    let mut plain = || {
        let mut file = File::create(folder.join("plain"))?;
        repeat(|| file.write_all(chunk.records(0..chunk.len())))
    };
    let way = |format: FileFormat, vlan: VlanMode| {
        move || {
            let folder = folder.join(format.name());
            let folder = folder.to_string_lossy();
            let mut files = CaptureFiles::open(&folder, vlan, settings(format)).map_err(other)?;
            let took = repeat(|| hand_over(&mut files, chunk));
            Box::new(files).finish();
            took
        }
    };
    let mut pcap = way(FileFormat::Pcap, VlanMode::None);
    let mut tagged = way(FileFormat::Pcap, VlanMode::Map);
    let mut pcapng = way(FileFormat::Pcapng, VlanMode::None);
    let names = ["a file", "pcap", "pcap, vlan = map", "pcapng"];
    compare(
        table,
        chunk,
        &names,
        &mut [&mut plain, &mut pcap, &mut tagged, &mut pcapng],
    )
}

fn vxlan(table: &mut Table, chunk: &FrameChunk) -> io::Result<()> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let target = receiver.local_addr()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(target)?;
    let datagram = vec![0; 8 + chunk.get(0).map_or(0, |frame| frame.bytes.len())];
    let mut plain = || {
        repeat(|| {
            for _ in 0..chunk.len() {
                // A receiver that is full is no matter here.
                let _ = socket.send(&datagram);
            }
            Ok(())
        })
    };
    let mut vxlan = || {
        let mut vxlan = Vxlan::open(&target.to_string(), None, &[]).map_err(other)?;
        repeat(|| hand_over(&mut vxlan, chunk))
    };
    compare(
        table,
        chunk,
        &["send", "vxlan"],
        &mut [&mut plain, &mut vxlan],
    )
}

fn tap(table: &mut Table, chunk: &FrameChunk) -> io::Result<()> {
    let queue = TapQueue::open("plain0", 9_216, 1, true)?;
    let mut plain = || {
        repeat(|| {
            for frame in chunk.frames(0..chunk.len()) {
                queue.write([frame.bytes, &[], &[]])?;
            }
            Ok(())
        })
    };
    let settings = TapSettings {
        mtu: 9_216,
        lanes: 1,
        truncated: Truncated::Drop,
        haste: Haste::Live,
    };
    let open = |name: &str, vlan: VlanMode| -> io::Result<Tap> {
        let lanes = Tap::open(name, &vlan.into(), &settings).map_err(other)?;
        lanes
            .into_iter()
            .next()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let (mut as_is, mut tagged) = (
        open("bench0", VlanMode::None)?,
        open("bench1", VlanMode::QinQ)?,
    );
    let mut tap = || repeat(|| hand_over(&mut as_is, chunk));
    let mut qinq = || repeat(|| hand_over(&mut tagged, chunk));
    let names = ["a TAP", "tap", "tap, vlan = qinq"];
    compare(table, chunk, &names, &mut [&mut plain, &mut tap, &mut qinq])
}

/// A row for each piece of work; the first is the plain program.
fn compare(
    table: &mut Table,
    chunk: &FrameChunk,
    names: &[&str],
    works: &mut [&mut Work<'_>],
) -> io::Result<()> {
    let times = interleave(ROUNDS, works)?;
    let length = chunk.get(0).map_or(0, |frame| frame.bytes.len());
    let frames = u32::try_from(chunk.len() * TIMES).unwrap_or(u32::MAX);
    for (name, took) in names.iter().zip(&times) {
        let each = median(took, Cpu::total) / frames;
        let plain = times.first().map_or(&[][..], Vec::as_slice);
        let ratio = Ratio::of(took, plain).to_string();
        table.push(&[
            (*name).to_owned(),
            length.to_string(),
            each.as_nanos().to_string(),
            ratio,
        ]);
    }
    Ok(())
}

fn hand_over(way: &mut dyn WayOut, chunk: &FrameChunk) -> io::Result<()> {
    way.frames(chunk, 0..chunk.len());
    Ok(())
}

fn repeat(mut once: impl FnMut() -> io::Result<()>) -> io::Result<Cpu> {
    let before = Cpu::of_process()?;
    (0..TIMES).try_for_each(|_| once())?;
    Ok(Cpu::of_process()?.since(before))
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

fn settings(format: FileFormat) -> FileSettings {
    FileSettings {
        format,
        by_source: false,
        bytes_max: 16 << 20,
        nanos_max: None,
        packets_max: None,
        budget: Some(32 << 20),
        open_max: 1,
        suricata: None,
        names: Arc::new(BindTable::default()),
        haste: Haste::Live,
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}
