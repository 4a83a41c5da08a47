//! tcpdump in the target's namespace, and the proof that it missed nothing.

use super::namespace::Namespace;
use super::service::{Process, wait_until};
use crate::Result;
use crate::capture_file::{ETHERNET, Mirror, mirror_of, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A running tcpdump.
pub(super) struct Recorder {
    process: Process,
    path: PathBuf,
}

/// A finished recording and its packets by mirror.
pub(super) struct Recording {
    path: PathBuf,
    packets: BTreeMap<Mirror, u64>,
}

/// Starts tcpdump and waits until it listens.
pub(super) fn start(target: &Namespace, path: &Path) -> Result<Recorder> {
    let mut command = target.command("tcpdump");
    command
        .args([
            "-i",
            "br0",
            "-n",
            "--immediate-mode",
            "-B",
            "16384",
            "-Z",
            "root",
            "-w",
        ])
        .arg(path)
        .arg("udp dst port 4789");
    let process = Process::start("tcpdump", command, &path.with_extension("log"))?;
    wait_until("tcpdump listens", || {
        Ok(process.log()?.contains("listening on"))
    })?;
    Ok(Recorder {
        process,
        path: path.to_path_buf(),
    })
}

impl Recorder {
    /// Ends tcpdump; a packet that it or the kernel dropped is an error.
    pub(super) fn stop(self) -> Result<Recording> {
        let log = self.process.interrupt()?;
        let clean = log
            .lines()
            .any(|line| line.trim() == "0 packets dropped by kernel");
        if !clean {
            return Err(format!("tcpdump lost packets: {log}").into());
        }
        let bytes = std::fs::read(&self.path)?;
        let mut packets = BTreeMap::new();
        let records = read(&bytes)?;
        if records.link_type != ETHERNET {
            return Err(format!("tcpdump recorded link type {}", records.link_type).into());
        }
        for frame in records.frames {
            let mirror = mirror_of(frame).ok_or("a recorded packet is not VXLAN over IPv4")?;
            *packets.entry(mirror).or_insert(0) += 1;
        }
        Ok(Recording {
            path: self.path,
            packets,
        })
    }
}

impl Recording {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All packets.
    pub(super) fn packets(&self) -> u64 {
        self.packets.values().sum()
    }

    /// The packets of one mirror.
    pub(super) fn packets_of(&self, mirror: Mirror) -> u64 {
        self.packets.get(&mirror).copied().unwrap_or(0)
    }
}
