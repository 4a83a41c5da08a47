//! The binary from the outside: what is typed, what comes back, what the exit code is.

mod api;
mod bench;
mod canary;
mod captures;
mod clock;
mod coverage;
mod crowd;
mod disk;
mod doctor;
mod duplicates;
mod frozen;
mod generate;
mod held;
mod interface;
mod learned;
mod life;
mod live;
mod log;
mod look_back;
mod manager;
mod memory;
mod mirrors;
mod neighbour;
mod operate;
mod page;
mod payload;
mod plan;
mod records;
mod reference;
mod replay;
mod ring;
mod rotated;
mod run;
mod schema;
mod sensor;
mod simulate;
mod sources;
mod stalled;
mod starved;
mod stop;
mod streams;
mod tap;
mod tls;
mod top;
mod usage;
mod vxlan;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary in `dir`.
fn vxscope(dir: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("VXSCOPE_LOG")
        .output()
        .expect("the binary that cargo built");
    Run::from(output)
}

/// What a run left behind.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Run {
    /// The output of a run that must succeed, and say nothing beside it.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(
            (self.code, self.stderr.as_str()),
            (Some(0), ""),
            "{}",
            self.stdout
        );
        self.stdout
    }

    /// The complaint of a run that must fail with `code`.
    #[track_caller]
    fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.stderr.is_empty());
        self.stderr
    }
}

/// Notes that a test could not do what it is for. In CI that is a failure.
#[expect(clippy::print_stdout, reason = "for whoever reads what the tests say")]
fn skip(why: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "in CI this must be possible: {why}");
    println!("skipped: {why}");
}

/// A folder that is gone after the test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Where a test leaves what a person would have seen: CI keeps it, in the target folder.
fn pictures(else_here: &Path) -> std::path::PathBuf {
    let kept = std::env::var_os("VXSCOPE_PICTURES");
    let folder = kept.map_or_else(|| else_here.to_owned(), Into::into);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).expect("a file that was written");
    serde_json::from_str(&text).expect("JSON")
}
