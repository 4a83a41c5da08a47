//! A ratchet on what a packet costs: instructions of the release sensor, counted by Valgrind,
//! compared with the figures that were committed.
//!
//! Instructions do not depend on how busy a machine is, only on the compiler and the program. The
//! sensor replays two captures of the same flows; the difference is packets alone.

use crate::step::Outcome;
use crate::workspace::{Workspace, run};
use crate::{Result, pcaps, tools};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// The committed figures.
const FIGURES: &str = "benches/instructions.json";
/// Worse than this fails; as much better asks for new figures.
const TOLERANCE: f64 = 0.03;
/// Packets of the two captures.
const PACKETS: [u64; 2] = [10_000, 40_000];
/// Inner frames and exports, which name a figure.
const WORKS: [(&str, &str); 5] = [
    ("64", "[]"),
    ("imix", "[]"),
    ("1400", "[]"),
    ("64", "[\"eve\"]"),
    ("64", "[\"decap\"]"),
];
const HOW: &str = "`cargo xtask instructions --update` writes new figures; say in the commit why";

/// With a release build of the sensor in the usual target folder.
pub(crate) fn with_built_sensor(workspace: &Workspace, update: bool) -> Result<()> {
    run(&mut workspace.cargo(&["build", "--release", "--quiet", "--package", "vxscope"]))?;
    let sensor = pcaps::target_folder(workspace)?.join("release/vxscope");
    let outcome = check(workspace, &sensor, update)?;
    let (Outcome::Passed(told) | Outcome::Skipped(told)) = outcome;
    println!("{told}");
    Ok(())
}

/// Counts, and compares or writes.
pub(crate) fn check(workspace: &Workspace, sensor: &Path, update: bool) -> Result<Outcome> {
    if tools::program("valgrind").is_err() {
        let why = "valgrind is not installed (package valgrind)";
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            return Err(format!("{why}, and in CI it must be").into());
        }
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    let path = workspace.path(FIGURES);
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for (size, exports) in WORKS {
        let mut counts = [0; 2];
        for (count, packets) in counts.iter_mut().zip(PACKETS) {
            *count = instructions(sensor, folder.path(), size, exports, packets)?;
        }
        let more = counts[1].saturating_sub(counts[0]) as f64;
        let figure = more / (PACKETS[1] - PACKETS[0]) as f64;
        println!(
            "{:<24} {figure:7.1} instructions a packet",
            name(size, exports)
        );
        figures.push((name(size, exports), figure));
    }
    if update {
        let figures = figures
            .iter()
            .map(|(name, figure)| (name.clone(), Value::from(figure.round())));
        let figures = Value::Object(figures.collect());
        std::fs::write(&path, format!("{figures:#}\n"))?;
        return Ok(Outcome::Passed(format!("written to {FIGURES}")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{FIGURES}: {error}"))?;
    compare(&figures, &serde_json::from_str(&text)?).map(Outcome::Passed)
}

fn name(size: &str, exports: &str) -> String {
    let exports = exports.trim_matches(['[', ']', '"']);
    let exports = if exports.is_empty() { "none" } else { exports };
    format!("{size}, {exports}")
}

/// A remark, or what is worse by how much.
fn compare(figures: &[(String, f64)], committed: &Value) -> Result<String> {
    let (mut worse, mut better) = (Vec::new(), Vec::new());
    for (name, figure) in figures {
        let before = committed[name.as_str()]
            .as_f64()
            .ok_or_else(|| format!("{FIGURES} has no \"{name}\"; {HOW}"))?;
        let change = figure / before - 1.0;
        let told = format!(
            "{name}: {figure:.0} instead of {before:.0} ({:+.1} %)",
            change * 100.0
        );
        match change {
            change if change > TOLERANCE => worse.push(told),
            change if change < -TOLERANCE => better.push(told),
            _ => {}
        }
    }
    if !worse.is_empty() {
        return Err(format!(
            "a packet takes more instructions: {}; {HOW}",
            worse.join(", ")
        )
        .into());
    }
    Ok(match better.as_slice() {
        [] => "as committed".to_owned(),
        better => format!("fewer than committed: {}; {HOW}", better.join(", ")),
    })
}

/// Instructions of one replay, all threads.
fn instructions(
    sensor: &Path,
    folder: &Path,
    size: &str,
    exports: &str,
    packets: u64,
) -> Result<u64> {
    let capture = folder.join("traffic.pcap");
    let mut generate = Command::new(sensor);
    generate
        .args([
            "gen", "--size", size, "--flows", "1000", "--rate", "1000000",
        ])
        .args(["--packets", &packets.to_string(), "--pcap"])
        .arg(&capture)
        .stdout(Stdio::null());
    run(&mut generate)?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(sensor)
        .arg("replay")
        .arg(&capture)
        .args(["--set", &format!("export.kinds={exports}"), "--out"])
        .arg(folder.join("out"))
        .stdin(Stdio::null());
    let output = valgrind.output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("valgrind failed: {told}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use serde_json::json;

    #[test]
    fn three_percent_more_is_refused_and_told() {
        let committed = json!({"64, none": 1_000.0});
        let figures = |figure: f64| [("64, none".to_owned(), figure)];
        assert_eq!(
            compare(&figures(1_029.0), &committed).unwrap(),
            "as committed"
        );
        let worse = compare(&figures(1_031.0), &committed)
            .unwrap_err()
            .to_string();
        assert!(worse.contains("1031 instead of 1000 (+3.1 %)"), "{worse}");
        assert!(worse.contains("--update"), "{worse}");
        let better = compare(&figures(900.0), &committed).unwrap();
        assert!(better.starts_with("fewer than committed"), "{better}");
        assert!(compare(&[("imix, none".to_owned(), 1.0)], &committed).is_err());
    }
}
