//! Instructions per packet, counted by Valgrind: the same on a busy machine as on an idle one.
//!
//! `cargo bench -p vxscope-benches --bench instructions`. Runs itself under `callgrind` on two
//! captures of the same flows and takes the difference, so that set-up falls out.
#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use std::io;
use std::path::Path;
use std::process::Command;

use vxscope_benches::{Exports, Frames, Table, Traffic, configuration, folder, replay_once};

const FLOWS: u32 = 1_000;
const PACKETS: [u64; 2] = [20_000, 60_000];
/// What the process is told under Valgrind: to replay one capture.
const ONCE: &str = "--once";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [ONCE, exports, capture, out] = arguments.as_slice() {
        return once(exports, Path::new(capture), Path::new(out));
    }
    let folder = folder()?;
    let mut table = Table::new(&["work", "instructions/packet"]);
    for frames in Frames::ALL {
        for exports in Exports::ALL {
            let mut counts = [0; 2];
            for (count, packets) in counts.iter_mut().zip(PACKETS) {
                match instructions(frames, exports, packets, folder.path())? {
                    Some(found) => *count = found,
                    None => {
                        println!("valgrind is not installed: nothing was counted");
                        return Ok(());
                    }
                }
            }
            let [short, long] = counts;
            let packets = PACKETS[1] - PACKETS[0];
            let per_packet = long.saturating_sub(short) as f64 / packets as f64;
            let name = format!("{}, {}", frames.name(), exports.name());
            table.push(&[name, format!("{per_packet:.0}")]);
        }
    }
    println!("{table}");
    Ok(())
}

/// The replay that is counted.
fn once(exports: &str, capture: &Path, out: &Path) -> io::Result<()> {
    let exports = Exports::ALL
        .into_iter()
        .find(|known| known.name() == exports);
    let exports = exports.ok_or(io::ErrorKind::InvalidInput)?;
    let config = configuration(exports, FLOWS);
    replay_once(&config, &[capture.to_owned()], out).map(drop)
}

/// Instructions of one replay, all threads; `None` without Valgrind.
fn instructions(
    frames: Frames,
    exports: Exports,
    packets: u64,
    folder: &Path,
) -> io::Result<Option<u64>> {
    let traffic = Traffic {
        frames,
        flows: FLOWS,
        packets,
    };
    let capture = traffic.write(folder)?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(std::env::current_exe()?);
    valgrind.args([ONCE, exports.name()]);
    valgrind.args(&capture.paths).arg(folder.join("out"));
    let output = match valgrind.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(Some(count)),
        _ => Err(io::Error::other(format!("valgrind failed:\n{told}"))),
    }
}
