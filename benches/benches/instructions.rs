//! Instructions per packet, counted by Valgrind: the same on a busy machine as on an idle one.
//!
//! `cargo bench -p vxscope-benches --bench instructions`. Runs itself under `callgrind` on two
//! captures of the same flows and takes the difference, so that set-up falls out. The second table
//! is about several workers: what the busiest thread executes is what a replay has to wait for.
#![expect(clippy::print_stdout, reason = "the tables are what this is for")]

use std::fs;
use std::io;
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;

use vxscope_benches::{Exports, Frames, Table, Traffic, configuration, folder, replay_once};

const FLOWS: u32 = 1_000;
const PACKETS: [u64; 2] = [20_000, 60_000];
/// Workers of the second table.
const WORKERS: [NonZeroU16; 3] = [
    NonZeroU16::MIN,
    NonZeroU16::new(2).unwrap(),
    NonZeroU16::new(4).unwrap(),
];
/// What the process is told under Valgrind: to replay one capture.
const ONCE: &str = "--once";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [ONCE, exports, workers, capture, out] = arguments.as_slice() {
        return once(exports, workers, Path::new(capture), Path::new(out));
    }
    let folder = folder()?;
    let mut table = Table::new(&["work", "instructions/packet"]);
    for frames in Frames::ALL {
        for exports in Exports::ALL {
            let work = (frames, exports, NonZeroU16::MIN);
            let Some(counts) = per_packet(work, folder.path())? else {
                println!("valgrind is not installed: nothing was counted");
                return Ok(());
            };
            let name = format!("{}, {}", frames.name(), exports.name());
            table.push(&[name, format!("{:.0}", counts.iter().sum::<f64>())]);
        }
    }
    println!("{table}");
    println!("{}", workers(folder.path())?);
    Ok(())
}

/// What the busiest thread executes, by the number of workers.
fn workers(folder: &Path) -> io::Result<Table> {
    let mut table = Table::new(&[
        "work",
        "workers",
        "instructions/packet",
        "of the busiest thread",
        "one worker's / busiest",
    ]);
    for frames in Frames::ALL {
        let mut alone = 0.0;
        for workers in WORKERS {
            let counts = per_packet((frames, Exports::None, workers), folder)?;
            let counts = counts.unwrap_or_default();
            let busiest = counts.iter().copied().fold(0.0, f64::max);
            if workers == NonZeroU16::MIN {
                alone = busiest;
            }
            table.push(&[
                format!("{}, none", frames.name()),
                workers.to_string(),
                format!("{:.0}", counts.iter().sum::<f64>()),
                format!("{busiest:.0}"),
                format!("{:.2}", alone / busiest),
            ]);
        }
    }
    Ok(table)
}

/// The replay that is counted.
fn once(exports: &str, workers: &str, capture: &Path, out: &Path) -> io::Result<()> {
    let exports = Exports::ALL
        .into_iter()
        .find(|known| known.name() == exports);
    let exports = exports.ok_or(io::ErrorKind::InvalidInput)?;
    let mut config = configuration(exports, FLOWS);
    config.workers = workers.parse().map_err(io::Error::other)?;
    replay_once(&config, &[capture.to_owned()], out).map(drop)
}

/// Which packets, what is written of them, and by how many workers.
type Work = (Frames, Exports, NonZeroU16);

/// Instructions of each thread, as far as packets cause them; `None` without Valgrind.
fn per_packet(work: Work, folder: &Path) -> io::Result<Option<Vec<f64>>> {
    let mut counts = [vec![], vec![]];
    for (counts, packets) in counts.iter_mut().zip(PACKETS) {
        match instructions(work, packets, folder)? {
            Some(found) => *counts = found,
            None => return Ok(None),
        }
    }
    let [short, long] = counts;
    let packets = (PACKETS[1] - PACKETS[0]) as f64;
    let each = long.iter().zip(short);
    Ok(Some(
        each.map(|(long, short)| long.saturating_sub(short) as f64 / packets)
            .collect(),
    ))
}

/// Instructions of one replay, thread by thread in the order in which they were started; `None`
/// without Valgrind.
fn instructions(
    (frames, exports, workers): Work,
    packets: u64,
    folder: &Path,
) -> io::Result<Option<Vec<u64>>> {
    let traffic = Traffic {
        frames,
        flows: FLOWS,
        packets,
    };
    let capture = traffic.write(folder)?;
    let counted = folder.join("callgrind");
    let _ = fs::remove_dir_all(&counted);
    fs::create_dir(&counted)?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--separate-threads=yes"]);
    valgrind.arg(format!(
        "--callgrind-out-file={}",
        counted.join("out").display()
    ));
    valgrind.arg(std::env::current_exe()?);
    valgrind.args([ONCE, exports.name(), &workers.to_string()]);
    valgrind.args(&capture.paths).arg(folder.join("out"));
    let output = match valgrind.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("valgrind failed:\n{told}")));
    }
    // One file for each thread, numbered; the one without a number is of nobody.
    let mut files: Vec<_> = fs::read_dir(&counted)?.collect::<io::Result<_>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut threads = Vec::new();
    for file in files {
        let text = fs::read_to_string(file.path())?;
        let total: Option<u64> = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        threads.extend(total);
    }
    Ok(Some(threads))
}
