//! The controller's command line: mirror sessions in step with tags and policy.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage (arguments or configuration).

mod arguments;
mod config;
mod confine;
mod desk;
mod driver;
mod export;
mod failure;
mod hold;
mod host;
mod iam;
mod learned;
mod minutes;
mod names;
mod orders;
mod plan;
mod reap;
mod received;
mod run;
mod seal;
mod sensor;
mod status;
mod steady;
mod stopping;
mod store;
mod template;
#[cfg(test)]
mod trial;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use vxscope_log::Format;

use arguments::{Arguments, Command};
use config::Config;
use failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = &arguments.config;
    // Only for those that a service manager starts is it worth reading the file once more.
    let format = match &arguments.command {
        Command::Run { .. } | Command::Reap { .. } => Config::read(config).map(|it| it.log),
        _ => Ok(Format::Text),
    };
    vxscope_log::start(format.unwrap_or_default(), "warn");
    let result = match &arguments.command {
        Command::Run {
            once,
            apply,
            within,
        } => {
            let options = run::Options {
                once: *once,
                apply: *apply,
                within: *within,
            };
            run::run(config, options)
        }
        Command::Plan { json } => plan::run(config, *json),
        Command::ResumeAll => reap::resume_all(config),
        Command::StopAll { reason } => stopping::stop_all(config, reason),
        Command::Release => stopping::release(config),
        Command::Reap { every } => reap::run(config, *every),
        Command::IamPolicy { setup, check } => iam::run(config, *setup, *check),
        Command::Export { format, role } => export::run(config, *format, role),
        Command::Status { json } => status::run(config, *json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if this cannot be written either.
            let _ = write!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

/// Prints a result. A reader that went away early, as `head` does, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!(
            "standard output: cannot be written: {error}"
        ))),
        _ => Ok(()),
    }
}
