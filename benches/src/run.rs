//! One replay in this process, with the CPU time of all its threads.

use std::io;
use std::path::{Path, PathBuf};

use vxscope_config::{Config, ExportKind, Way};
use vxscope_engine::{Outcome, Replay, replay};

use crate::usage::Cpu;

/// What a replay writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exports {
    /// Only the summary: flows, rings and ledger are all on.
    None,
    /// Suricata's flow records.
    Eve,
    /// The inner frames.
    Decap,
}

impl Exports {
    /// All, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::None, Self::Eve, Self::Decap];

    /// As tables call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Eve => "eve",
            Self::Decap => "decap",
        }
    }

    fn kinds(self) -> Vec<ExportKind> {
        match self {
            Self::None => vec![],
            Self::Eve => vec![ExportKind::Eve],
            Self::Decap => vec![ExportKind::Decap],
        }
    }
}

/// A replay that was done.
#[derive(Debug)]
pub struct Once {
    /// Used by all threads, from opening the files to the written summary.
    pub cpu: Cpu,
    /// What it gave.
    pub outcome: Outcome,
}

/// The defaults, with rings that hold every packet of the traffic: a thousand flows outgrow the
/// shared logs, and each needs a private ring of its own.
#[must_use]
pub fn configuration(exports: Exports, flows: u32) -> Config {
    let mut config = Config::default();
    config.export.kinds = exports.kinds().into_iter().map(Way::of).collect();
    if flows <= 1_000 {
        config.rings.private = vxscope_units::ByteSize::kib(128);
        config.rings.private_share = 0.75;
    }
    config
}

/// Runs a replay to its end and checks that nothing went wrong.
///
/// # Errors
/// A replay that fails, or a ledger that does not balance: then a figure would mean nothing.
pub fn replay_once(config: &Config, inputs: &[PathBuf], out: &Path) -> io::Result<Once> {
    let job = Replay {
        config: config.clone(),
        inputs: inputs.to_vec(),
        out: out.to_owned(),
        bare: false,
        extract: vec![],
    };
    let before = Cpu::of_process()?;
    let outcome = replay(&job, &|_| {}).map_err(io::Error::other)?;
    let cpu = Cpu::of_process()?.since(before);
    if !outcome.is_success() {
        let faults = [&outcome.unbalanced[..], &outcome.sink_errors[..]].concat();
        return Err(io::Error::other(format!(
            "the replay failed: {}",
            faults.join("; ")
        )));
    }
    Ok(Once { cpu, outcome })
}
