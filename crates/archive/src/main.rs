//! `vxscope-archive`: finished flow files of a folder become Parquet in a folder or a bucket.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vxscope_archive::{ArchiveError, Done, Job, Store, Target, run};

/// Finished flow files become Parquet for Athena, DuckDB and Spark: never twice, never lost.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Folder of finished flow files: eve.json, conn.json, netflow.json, vpc-flow-logs.log,
    /// ocsf.json, and the same with something behind a dash.
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Folder, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "TARGET")]
    to: Target,
    /// Folder of the ledger that says what is archived [default: DIR/.archive]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Remove each file once it is archived.
    #[arg(long)]
    remove: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = archive(arguments);
    // Nobody is left to tell if this cannot be written.
    match result {
        Ok(done) => {
            let _ = writeln!(std::io::stdout(), "{}", text(&done));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vxscope-archive: {error}");
            ExitCode::from(1)
        }
    }
}

fn archive(arguments: Arguments) -> Result<Done, ArchiveError> {
    let state = arguments
        .state
        .unwrap_or_else(|| arguments.from.join(".archive"));
    let job = Job {
        from: arguments.from,
        state,
        remove: arguments.remove,
    };
    let store = Store::open(&arguments.to)?;
    run(&job, &store, &mut |_| {})
}

fn text(done: &Done) -> String {
    let Done {
        files,
        known,
        rows,
        malformed,
        parts,
        removed: _,
    } = done;
    format!(
        "{files} files archived: {rows} rows in {parts} parts, {malformed} malformed lines; \
         {known} files were archived already"
    )
}
