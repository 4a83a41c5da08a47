//! The sensor's command line: arguments in, a result on standard output, and an exit code.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage (arguments or configuration).

mod arguments;
mod ask;
mod banner;
mod bench;
mod configuration;
mod confine;
mod coverage;
mod demo;
mod doctor;
mod extract;
mod failure;
mod generate;
mod mirroring;
mod mirrors;
mod place;
mod plan;
mod progress;
mod reload;
mod replay;
mod report;
mod run;
mod screen;
mod service;
mod signal;
mod simulate;
mod table;
mod token;
mod top;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use vxscope_log::Format;

use arguments::{Arguments, Command};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A run of a sensor says in its configuration how it logs.
    if !matches!(arguments.command, Command::Run(_)) {
        vxscope_log::start(Format::Text, run::LOGGED);
    }
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Gen(arguments) => generate::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Status(arguments) => ask::status(&arguments),
        Command::Sources(arguments) => ask::sources(&arguments),
        Command::Mirrors(arguments) => mirrors::run(&arguments),
        Command::Extract(arguments) => extract::run(&arguments),
        Command::Pin(arguments) => extract::pin(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Coverage(arguments) => coverage::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::CheckConfig(arguments) => configuration::check(&arguments),
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
