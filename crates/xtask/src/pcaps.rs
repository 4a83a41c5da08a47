//! The bundled captures: what is there, what the README says of each, and how the generated ones
//! are made again.

use crate::captures::GENERATED;
use crate::workspace::{Workspace, run, text_of};
use crate::{Result, capture_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// All bundled captures together stay below this: a clone must stay quick. More is an error.
const TOTAL_BYTES_MAX: u64 = 6 << 20;

/// One bundled capture.
#[derive(Debug)]
struct Capture {
    name: String,
    bytes: u64,
    packets: usize,
}

/// Prints the captures with size, packets and README line; fails if the folder and the README
/// disagree.
pub(crate) fn list(workspace: &Workspace) -> Result<()> {
    let readme = std::fs::read_to_string(workspace.path("pcaps/README.md"))?;
    let captures = captures_in(&workspace.path("pcaps"))?;
    for capture in &captures {
        let line = line_about(&readme, &capture.name).unwrap_or_default();
        println!(
            "{:28} {:>9} bytes {:>6} packets  {}",
            capture.name,
            capture.bytes,
            capture.packets,
            meaning(line)
        );
    }
    let complaints = complaints(&captures, &readme);
    if complaints.is_empty() {
        return Ok(());
    }
    Err(complaints.join("\n").into())
}

/// Writes the generated captures again, with the sensor built from this checkout.
pub(crate) fn make(workspace: &Workspace) -> Result<()> {
    generate(&built_sensor(workspace)?, &workspace.path("pcaps"))
}

/// Generates elsewhere with a sensor built from this checkout and compares.
pub(crate) fn check_with_built_sensor(workspace: &Workspace) -> Result<()> {
    check(workspace, &built_sensor(workspace)?)
}

/// Generates the captures elsewhere and fails with the names of those that differ.
pub(crate) fn check(workspace: &Workspace, sensor: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    generate(sensor, folder.path())?;
    let mut different = Vec::new();
    for one in GENERATED {
        let bundled = std::fs::read(workspace.path("pcaps").join(one.file)).map_err(|error| {
            format!(
                "pcaps/{}: {error}; `cargo xtask pcaps --make` writes it",
                one.file
            )
        })?;
        if bundled != std::fs::read(folder.path().join(one.file))? {
            different.push(one.file);
        }
    }
    if different.is_empty() {
        println!(
            "{} generated captures are the same byte for byte",
            GENERATED.len()
        );
        return Ok(());
    }
    Err(format!(
        "`vxscope gen` no longer makes {}: if that is meant, run `cargo xtask pcaps --make`",
        different.join(", ")
    )
    .into())
}

fn generate(sensor: &Path, folder: &Path) -> Result<()> {
    for one in GENERATED {
        let mut command = Command::new(sensor);
        command
            .arg("gen")
            .args(one.arguments.split_whitespace())
            .arg("--pcap");
        let report = text_of(command.arg(folder.join(one.file)))?;
        let packets = packets_in(&folder.join(one.file))?;
        let report: serde_json::Value = serde_json::from_str(&report)
            .map_err(|error| format!("`vxscope gen` for {} printed no JSON: {error}", one.file))?;
        if report["sent"].as_u64() != u64::try_from(packets).ok() {
            return Err(format!(
                "{} holds {packets} packets, gen says {}",
                one.file, report["sent"]
            )
            .into());
        }
        println!("{:28} {packets} packets", one.file);
    }
    Ok(())
}

/// Builds the sensor in the development profile and returns where it is.
fn built_sensor(workspace: &Workspace) -> Result<PathBuf> {
    run(&mut workspace.cargo(&["build", "--quiet", "--package", "vxscope"]))?;
    Ok(target_folder(workspace)?.join("debug/vxscope"))
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(workspace: &Workspace) -> Result<PathBuf> {
    let mut query = workspace.cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: serde_json::Value = serde_json::from_str(&text_of(query.stdin(Stdio::null()))?)?;
    let target = metadata["target_directory"]
        .as_str()
        .ok_or("cargo names no target directory")?;
    Ok(PathBuf::from(target))
}

fn captures_in(folder: &Path) -> Result<Vec<Capture>> {
    let mut captures = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".pcap") || name.ends_with(".pcapng") {
            let bytes = entry.metadata()?.len();
            captures.push(Capture {
                name,
                bytes,
                packets: packets_in(&entry.path())?,
            });
        }
    }
    captures.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(captures)
}

fn packets_in(path: &Path) -> Result<usize> {
    let bytes = std::fs::read(path)?;
    let records =
        capture_file::read(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(records.frames.len())
}

fn complaints(captures: &[Capture], readme: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for capture in captures {
        if line_about(readme, &capture.name).is_none() {
            complaints.push(format!(
                "pcaps/README.md has no line about {}",
                capture.name
            ));
        }
    }
    for one in GENERATED {
        let command = format!("`vxscope gen {}`", one.arguments);
        if line_about(readme, one.file).is_some_and(|line| !line.contains(&command)) {
            complaints.push(format!(
                "the line about {} in pcaps/README.md must hold {command}",
                one.file
            ));
        }
    }
    let present: BTreeSet<&str> = captures
        .iter()
        .map(|capture| capture.name.as_str())
        .collect();
    for name in names_in(readme)
        .into_iter()
        .chain(GENERATED.iter().map(|one| one.file))
    {
        if !present.contains(name) {
            complaints.push(format!("pcaps/{name} is described but not there"));
        }
    }
    let total: u64 = captures.iter().map(|capture| capture.bytes).sum();
    if total > TOTAL_BYTES_MAX {
        complaints.push(format!(
            "the captures hold {total} bytes, more than {TOTAL_BYTES_MAX}"
        ));
    }
    complaints.dedup();
    complaints
}

/// The row of the README table that opens with the name of the file.
fn line_about<'a>(readme: &'a str, name: &str) -> Option<&'a str> {
    readme
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")))
}

fn names_in(readme: &str) -> Vec<&str> {
    readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name)
        .collect()
}

/// The second column of a row: what the capture proves.
fn meaning(line: &str) -> &str {
    line.split('|')
        .nth(2)
        .unwrap_or("(no line in pcaps/README.md)")
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_folder_gives_no_complaint() {
        let (captures, readme) = complete();
        assert_eq!(complaints(&captures, &readme), Vec::<String>::new());
    }

    #[test]
    fn a_capture_without_line_is_named() {
        let (mut captures, readme) = complete();
        captures.push(capture("new.pcapng", 1));
        check(&captures, &readme, "no line about new.pcapng");
    }

    #[test]
    fn a_line_without_capture_is_named() {
        let (captures, readme) = complete();
        check(
            &captures,
            &format!("{readme}| `gone.pcap` | words | lab |\n"),
            "pcaps/gone.pcap is described",
        );
    }

    #[test]
    fn a_line_with_other_arguments_is_named() {
        let (captures, readme) = complete();
        check(
            &captures,
            &readme.replace("--seed 1`", "--seed 99`"),
            "must hold `vxscope gen",
        );
    }

    #[test]
    fn captures_that_grow_too_large_are_named() {
        let (mut captures, readme) = complete();
        captures[0].bytes = TOTAL_BYTES_MAX + 1;
        check(&captures, &readme, "more than");
    }

    #[test]
    fn the_meaning_is_the_second_column() {
        assert_eq!(
            meaning("| `a.pcap` | what it proves | lab |"),
            "what it proves"
        );
    }

    fn check(captures: &[Capture], readme: &str, expected: &str) {
        let found = complaints(captures, readme);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }

    fn complete() -> (Vec<Capture>, String) {
        let captures = GENERATED.iter().map(|one| capture(one.file, 0)).collect();
        let lines = GENERATED.iter().map(|one| {
            format!(
                "| `{}` | words | `vxscope gen {}` |\n",
                one.file, one.arguments
            )
        });
        (captures, lines.collect())
    }

    fn capture(name: &str, bytes: u64) -> Capture {
        Capture {
            name: name.to_owned(),
            bytes,
            packets: 0,
        }
    }
}
