//! The sensor as a newcomer gets it: built cold in release mode, then told the README's first
//! command.

use crate::step::timed;
use crate::workspace::{Workspace, run};
use crate::{Result, readme};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A cold build on two cores is promised to take less; more is printed, and is no failure, since
/// the machine under CI may be a slow one.
const COLD_BUILD_MAX: Duration = Duration::from_secs(120);

/// A release build in a folder of its own, which goes when this value goes.
pub(crate) struct ColdBuild {
    folder: TempDir,
}

impl ColdBuild {
    /// Builds the sensor and all it depends on; also returns a remark on the time it took.
    pub(crate) fn new(workspace: &Workspace) -> Result<(Self, String)> {
        // The sources are fetched first: the promise is about compiling, not about a network.
        run(&mut workspace.cargo(&["fetch", "--quiet"]))?;
        let folder = tempfile::Builder::new().prefix("vxscope-cold-").tempdir()?;
        let mut build = workspace.cargo(&["build", "--release", "--quiet", "--package", "vxscope"]);
        let (result, elapsed) = timed(|| run(build.env("CARGO_TARGET_DIR", folder.path())));
        result?;
        let verdict = if elapsed <= COLD_BUILD_MAX {
            "within"
        } else {
            "OVER"
        };
        let remark = format!(
            "{:.1} s, {verdict} the goal of {} s",
            elapsed.as_secs_f64(),
            COLD_BUILD_MAX.as_secs()
        );
        println!("cold release build of vxscope: {remark}");
        Ok((Self { folder }, remark))
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.folder.path().join("release/vxscope")
    }
}

/// Asks the default build for TLS, which it does not have.
pub(crate) fn says_what_it_lacks(sensor: &Path) -> Result<()> {
    let mut command = Command::new(sensor);
    command.arg("check-config");
    for setting in ["listen=127.0.0.1:0", "tls_certificate=a", "tls_key=b"] {
        command.arg("--set").arg(format!("api.{setting}"));
    }
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match (output.status.code(), said.contains("--features tls")) {
        (Some(2), true) => Ok(()),
        _ => Err(format!("a build without TLS does not say so: {output:?}").into()),
    }
}

/// Runs the README's first command in an empty folder that shows the bundled captures.
pub(crate) fn run_first_command(workspace: &Workspace, sensor: &Path) -> Result<String> {
    let path = workspace.path("README.md");
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let arguments = readme::first_command(&text)?;
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(workspace.path("pcaps"), folder.path().join("pcaps"))?;
    let mut command = Command::new(sensor);
    command
        .args(&arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null());
    run(&mut command)?;
    let Some(out) = value_of(&arguments, "--out") else {
        return Ok(format!("vxscope {}", arguments.join(" ")));
    };
    let summary = folder.path().join(out).join("summary.json");
    let summary: Value = serde_json::from_str(
        &std::fs::read_to_string(&summary)
            .map_err(|error| format!("{}: {error}", summary.display()))?,
    )?;
    judge(&summary)
}

fn value_of<'a>(arguments: &'a [String], option: &str) -> Option<&'a str> {
    arguments
        .iter()
        .zip(arguments.iter().skip(1))
        .find(|(name, _)| *name == option)
        .map(|(_, value)| value.as_str())
}

/// The law that a reader of `summary.json` can check: every packet is accounted for.
fn judge(summary: &Value) -> Result<String> {
    let packets = &summary["packets"];
    let count = |name: &str| {
        packets[name]
            .as_u64()
            .ok_or_else(|| format!("summary.json lacks packets.{name}"))
    };
    let (received, decapsulated) = (count("received")?, count("decapsulated")?);
    let reasons = packets["rejected"]
        .as_object()
        .ok_or("summary.json lacks packets.rejected")?;
    let rejected: u64 = reasons.values().filter_map(Value::as_u64).sum();
    if decapsulated == 0 {
        return Err("the README's first command decapsulated nothing".into());
    }
    if received != decapsulated + rejected {
        return Err(format!(
            "the ledger does not balance: received {received}, decapsulated {decapsulated}, rejected {rejected}"
        )
        .into());
    }
    Ok(format!(
        "received {received} = decapsulated {decapsulated} + rejected {rejected}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_balanced_summary_passes() {
        check(
            json!({"packets": {"received": 5, "decapsulated": 3, "rejected": {"a": 1, "b": 1}}}),
            true,
        );
    }

    #[test]
    fn a_summary_that_loses_packets_or_shows_none_fails() {
        check(
            json!({"packets": {"received": 5, "decapsulated": 3, "rejected": {"a": 1}}}),
            false,
        );
        check(
            json!({"packets": {"received": 1, "decapsulated": 0, "rejected": {"a": 1}}}),
            false,
        );
        check(
            json!({"packets": {"received": 1, "decapsulated": 1}}),
            false,
        );
    }

    #[test]
    fn the_value_of_an_option_follows_it() {
        let arguments = ["replay", "--out", "here"].map(ToOwned::to_owned);
        assert_eq!(value_of(&arguments, "--out"), Some("here"));
        assert_eq!(value_of(&arguments, "--to"), None);
    }

    fn check(summary: Value, expected: bool) {
        assert_eq!(judge(&summary).is_ok(), expected, "{summary}");
    }
}
