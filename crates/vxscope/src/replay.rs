//! `vxscope replay`: captures through the sensor.

use std::io::{self, Write};

use vxscope_api::ApiError;
use vxscope_config::{Config, Way};
use vxscope_engine::{EngineError, Outcome, Replay};

use crate::arguments::ReplayArguments;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::report;
use crate::{configuration, print};

const BAR: &str = "{bar:40} {bytes} of {total_bytes}, {msg} packets, {binary_bytes_per_sec}";

/// Runs the replay and prints the result.
pub(crate) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let replay = Replay {
        config: configuration::with_options(&arguments.options, None)?,
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
    let text = report(&outcome, &replay.out, !replay.extract.is_empty());
    tell(&replay.config, &text)?;
    conclude(outcome)
}

/// Prints a result: to standard error where standard output is a capture.
pub(crate) fn tell(config: &Config, text: &str) -> Result<(), Failure> {
    let takes_output = |way: &Way| way.target.as_deref() == Some("-");
    if config.export.kinds.iter().any(takes_output) {
        // Nobody may be reading, and the result is in the summary as well.
        let _ = io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    print(text)
}

/// Fails if anything was not read, written or balanced.
pub(crate) fn conclude(outcome: Outcome) -> Result<(), Failure> {
    let mut errors = outcome.sink_errors;
    if let Some(error) = outcome.summary.input.error {
        errors.push(format!(
            "{}: at byte {}: {}; the outputs hold everything before it",
            error.file, error.offset, error.message
        ));
    }
    errors.extend(outcome.cut);
    if !outcome.unbalanced.is_empty() {
        errors.push("the ledger does not balance; this is a defect of vxscope".to_owned());
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(errors.join("\nvxscope: ")))
    }
}

/// What is asked for is wrong, or could not be done.
pub(crate) fn failure(error: &EngineError) -> Failure {
    match error {
        EngineError::NoInput
        | EngineError::Ports { .. }
        | EngineError::Api(ApiError::Tokens(_)) => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    }
}
