//! Developer commands: `cargo xtask ci` is what CI runs, and the other subcommands are its parts,
//! the bundled captures and the lab that records them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to the person who started it"
)]

mod capture_file;
mod captures;
mod ci;
mod clean_root;
mod deb;
mod edges;
mod heavy;
mod instructions;
mod lab;
mod links;
mod manifests;
mod manual;
mod pcaps;
mod profiled;
mod promised;
mod readers;
mod readme;
mod rust_text;
mod sensor;
mod step;
mod tidy;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use workspace::Workspace;

/// The result of everything here; the error is a sentence for the person at the keyboard.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[derive(Parser)]
#[command(about = "Developer commands of vxscope")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything CI runs, step by step, with a closing table
    Ci,
    /// The tools the tests call, then the tests
    Test,
    /// Compare the dependencies between our crates with the table in xtask
    Edges,
    /// Check files: opening comments, `unsafe`, machine paths, links of the documentation, and
    /// the tests that it names
    Tidy,
    /// List the bundled captures with size, packets and what each proves
    Pcaps {
        /// Write the generated captures again with `vxscope gen`
        #[arg(long, conflicts_with = "check")]
        make: bool,
        /// Generate again elsewhere and fail if a byte differs
        #[arg(long)]
        check: bool,
    },
    /// Count the instructions that a packet takes in the release sensor, and compare them with the
    /// committed figures
    Instructions {
        /// Commit to what was counted
        #[arg(long)]
        update: bool,
    },
    /// Make the Debian package of the sensor, from a release build or from a program
    Deb {
        /// The program to put into it, already built
        program: Option<String>,
    },
    /// Build the sensor by what one that counts its branches did with traffic; prints its path
    Profiled,
    /// Install, use and remove the Debian package of this program in a fresh Debian (root)
    CleanRoot {
        /// The program to package, already built
        program: PathBuf,
    },
    /// Record real traffic of two tenants in network namespaces of our own (root)
    Lab {
        /// Where the captures go; the folder of bundled captures if absent
        #[arg(long)]
        out: Option<PathBuf>,
        /// Set by the command itself once it runs in its own namespaces
        #[arg(long, hide = true)]
        inside: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Ci => ci::run_everything(&workspace),
        Command::Test => ci::run_tests(&workspace),
        Command::Edges => edges::check(&workspace),
        Command::Tidy => tidy::check(&workspace),
        Command::Pcaps { make: true, .. } => pcaps::make(&workspace),
        Command::Pcaps { check: true, .. } => pcaps::check_with_built_sensor(&workspace),
        Command::Pcaps { .. } => pcaps::list(&workspace),
        Command::Instructions { update } => instructions::with_built_sensor(&workspace, update),
        Command::Deb { program } => {
            let package = deb::make(&workspace, program.as_deref())?;
            println!("{}", package.display());
            Ok(())
        }
        Command::Profiled => {
            println!("{}", profiled::make(&workspace)?.display());
            Ok(())
        }
        Command::CleanRoot { program } => match clean_root::check(&workspace, &program)? {
            step::Outcome::Passed(note) => {
                println!("ok {note}");
                Ok(())
            }
            step::Outcome::Skipped(why) => Err(why.into()),
        },
        Command::Lab { out, inside } => {
            let out = out.unwrap_or_else(|| workspace.path("pcaps"));
            if inside {
                lab::record(&out)
            } else {
                lab::enter(&out)
            }
        }
    }
}
