//! `status`: what the running controller wrote down last.

use std::fmt::Write as _;
use std::path::Path;

use vxscope_ec2::wall;

use crate::config::Config;
use crate::driver::{Overtaken, State, Tampered};
use crate::failure::Failure;
use crate::plan::summary;
use crate::print;
use crate::store::read_json;

/// The file, in the controller's folder.
pub(crate) const FILE: &str = "status.json";
/// Older than that nobody is running.
const STALE_SECONDS: u64 = 30;

pub(crate) fn run(file: &Path, json: bool) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    let path = config.folder.join(FILE);
    let state: Option<State> = read_json(&path).map_err(Failure::Failed)?;
    let Some(state) = state else {
        return Err(Failure::Failed(format!(
            "{}: no controller has run with this folder",
            path.display()
        )));
    };
    if json {
        let text = serde_json::to_string(&state);
        let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
        return print(&format!("{text}\n"));
    }
    print(&text(&state))?;
    let age = (wall().as_nanos() / 1_000_000_000).saturating_sub(state.at);
    if age > STALE_SECONDS {
        return Err(Failure::Failed(format!(
            "this is {age} s old: no controller is running with {}",
            config.folder.display()
        )));
    }
    Ok(())
}

pub(crate) fn text(state: &State) -> String {
    let mut text = summary(state);
    for source in &state.sources {
        let grade = source.grade.as_deref().unwrap_or("unknown");
        let name = source.name.as_deref().unwrap_or("");
        let blocked = source.blocked.as_ref();
        let blocked = blocked.map_or(String::new(), |why| format!("  blocked: {why}"));
        let _ = writeln!(
            text,
            "{:<24} {:<12} vni {:<9} {:<9} {:<17} {name}{blocked}",
            source.interface,
            source.address,
            source.vni,
            grade,
            source.fares.as_deref().unwrap_or("")
        );
    }
    let overtaken = state.overtaken.iter().map(Overtaken::sentence);
    for line in overtaken.chain(state.tampered.iter().map(Tampered::sentence)) {
        let _ = writeln!(text, "! {line}");
    }
    for line in state.findings.iter().chain(&state.chores_failed) {
        let _ = writeln!(text, "! {line}");
    }
    text
}
