//! Runs of the engine inside the test, with as little memory as the capture needs.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vxscope_config::Config;
use vxscope_engine::{Outcome, Replay, replay};
use vxscope_units::ByteSize;

/// How a capture is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Tunnels are opened.
    Mirror,
    /// Records are the frames.
    Bare,
}

/// Tables and rings that a capture of this size cannot fill, whatever the number of workers: a
/// flow beyond head and tail has at least 80 KiB of it, one source may hold half of the private
/// rings, and one worker may get all of them.
pub(crate) fn config(bytes: u64, workers: u16) -> Config {
    let workers = NonZeroU16::new(workers).unwrap();
    let mut config = Config {
        workers,
        ..Config::default()
    };
    config.flow.flows_max = 4_096 + bytes / 4;
    config.flow.sources_max = 64;
    config.flow.fragments_max = 1_024;
    let mebibytes = 2 * u64::from(workers.get()) + bytes * 64 / (1 << 20);
    config.rings.memory = ByteSize::mib(mebibytes);
    config.rings.private = ByteSize::kib(128);
    config
}

/// A finished run and its outputs.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) dir: TempDir,
}

impl Ran {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Runs one capture with one worker.
pub(crate) fn run(capture: &Path, reading: Reading) -> Ran {
    run_with(
        config(fs::metadata(capture).unwrap().len(), 1),
        capture,
        reading,
    )
}

/// Runs one capture with a configuration of the test's own.
pub(crate) fn run_with(config: Config, capture: &Path, reading: Reading) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let replayed = replay(&job(config, capture, reading, dir.path()), &|_| ());
    let outcome = replayed.unwrap_or_else(|error| panic!("{}: {error}", capture.display()));
    assert_eq!(
        outcome.unbalanced,
        Vec::<String>::new(),
        "{}",
        capture.display()
    );
    assert_eq!(
        outcome.sink_errors,
        Vec::<String>::new(),
        "{}",
        capture.display()
    );
    Ran { outcome, dir }
}

/// One capture to `out`, with all outputs.
pub(crate) fn job(config: Config, capture: &Path, reading: Reading, out: &Path) -> Replay {
    Replay {
        config,
        inputs: vec![PathBuf::from(capture)],
        out: out.to_owned(),
        bare: reading == Reading::Bare,
        extract: Vec::new(),
    }
}
