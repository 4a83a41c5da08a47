//! `vxscope replay`: captures through the sensor.

use vxscope_config::{Choice, Config, ExportKind};
use vxscope_engine::{EngineError, Replay};

use crate::arguments::ReplayArguments;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::report;
use crate::{configuration, print};

const BAR: &str = "{bar:40} {bytes} of {total_bytes}, {msg} packets, {binary_bytes_per_sec}";

/// Runs the replay, prints the result, and fails if anything was not read, written or balanced.
pub(crate) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let replay = Replay {
        config: configure(arguments)?,
        inputs: arguments.files.clone(),
        out: arguments.out.clone(),
        bare: arguments.bare,
        extract: arguments.extract.clone(),
    };
    tracing::debug!(files = replay.inputs.len(), out = %replay.out.display(), "replay starts");
    let bar = Progress::new(BAR, None);
    let outcome = vxscope_engine::replay(&replay, &|now| {
        bar.set_total(now.bytes_total);
        bar.set(now.bytes);
        bar.say(indicatif::HumanCount(now.packets).to_string());
    });
    drop(bar);
    let outcome = outcome.map_err(|error| failure(&error))?;
    print(&report(&outcome, &replay))?;
    let mut errors = outcome.sink_errors;
    if let Some(error) = outcome.summary.input.error {
        errors.push(format!(
            "{}: at byte {}: {}; the outputs hold everything before it",
            error.file, error.offset, error.message
        ));
    }
    if !outcome.unbalanced.is_empty() {
        errors.push("the ledger does not balance; this is a defect of vxscope".to_owned());
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(errors.join("\nvxscope: ")))
    }
}

/// The configuration; the command line's own options override it like assignments.
fn configure(arguments: &ReplayArguments) -> Result<Config, Failure> {
    let mut assignments = arguments.config.set.clone();
    if let Some(workers) = arguments.workers {
        assignments.push(format!("workers.count={workers}"));
    }
    let named = ExportKind::ALL
        .iter()
        .filter(|kind| arguments.export.contains(kind));
    let kinds: Vec<&str> = named.map(|kind| kind.name()).collect();
    if !kinds.is_empty() {
        assignments.push(format!("export.kinds={}", kinds.join(",")));
    }
    configuration::load(arguments.config.config.as_deref(), &assignments)
}

/// What is asked for is wrong, or could not be done.
fn failure(error: &EngineError) -> Failure {
    match error {
        EngineError::NoInput | EngineError::Ports { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    }
}
