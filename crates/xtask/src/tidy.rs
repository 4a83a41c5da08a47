//! Checks of files that no compiler makes: each source opens with a sentence, `unsafe` stays in
//! its two crates, nothing names the machine of its author, and links lead somewhere.

use crate::workspace::Workspace;
use crate::{Result, links, promised, rust_text};
use std::path::Path;

/// The folders of the crates that may hold `unsafe`.
const UNSAFE_FOLDERS: &[&str] = &["crates/linux/", "crates/memory/"];

/// Text that belongs to one machine or to unfinished work, and why it must not be here. Written in
/// halves, so that this file passes its own check.
const BANNED: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "it is a path of one machine"),
    (concat!("/ro", "ot/"), "it is a path of one machine"),
    (concat!("/ho", "me/"), "it is a path of one machine"),
    (concat!("/Us", "ers/"), "it is a path of one machine"),
    (concat!("/tmp/", "bash"), "it is a path of one machine"),
    (concat!("TO", "DO"), "work is finished or is an issue"),
    (concat!("FIX", "ME"), "work is finished or is an issue"),
    (
        concat!("unimple", "mented!("),
        "work is finished or is an issue",
    ),
];

/// Fails with one line for each fault.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let files = workspace.files()?;
    let mut complaints = Vec::new();
    for file in &files {
        let bytes = std::fs::read(workspace.root().join(file))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        complaints.extend(
            faults(file, &bytes)
                .into_iter()
                .map(|fault| format!("{}{fault}", file.display())),
        );
        if file.extension().is_some_and(|extension| extension == "md") {
            complaints.extend(dead_links(
                workspace,
                file,
                &String::from_utf8_lossy(&bytes),
            ));
        }
    }
    complaints.extend(promised::missing(workspace, &files)?);
    if complaints.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    Err(complaints.join("\n").into())
}

/// What is wrong with one file, each fault as `:line: sentence`.
fn faults(file: &Path, bytes: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    for (text, reason) in BANNED {
        if let Some(at) = position(bytes, text.as_bytes()) {
            let line = bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            faults.push(format!(":{line}: holds `{text}`: {reason}"));
        }
    }
    if file.extension().is_none_or(|extension| extension != "rs") {
        return faults;
    }
    let source = String::from_utf8_lossy(bytes);
    if !source.starts_with("//!") {
        faults.push(":1: must open with a `//!` sentence that says what the file is".to_owned());
    }
    let name = file.to_string_lossy();
    if !UNSAFE_FOLDERS.iter().any(|folder| name.starts_with(folder)) {
        let lines = rust_text::lines_with_word(&source, "unsafe");
        faults.extend(lines.into_iter().map(|line| {
            format!(
                ":{line}: holds `unsafe`, which only {} may",
                UNSAFE_FOLDERS.join(" and ")
            )
        }));
    }
    faults
}

/// Where the text stands as a path or word of its own, not as the tail of a longer path.
fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let starts_alone = |at: usize| {
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"_.}~-".contains(byte))
    };
    bytes
        .windows(text.len())
        .enumerate()
        .find(|(at, window)| *window == text && starts_alone(*at))
        .map(|(at, _)| at)
}

fn dead_links(workspace: &Workspace, file: &Path, markdown: &str) -> Vec<String> {
    let folder = workspace
        .root()
        .join(file.parent().unwrap_or_else(|| Path::new("")));
    links::file_targets(markdown)
        .into_iter()
        .filter(|target| !folder.join(target).exists())
        .map(|target| {
            format!(
                "{}: links to {target}, which does not exist",
                file.display()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_opens_with_a_sentence() {
        check("crates/wire/src/lib.rs", "//! Words.\n", &[]);
        check(
            "crates/wire/src/lib.rs",
            "fn main() {}\n",
            &[":1: must open"],
        );
        check("docs/A.md", "# Words\n", &[]);
    }

    #[test]
    fn unsafe_stays_in_its_crates() {
        let source = "//! Words, unsafe or not.\nfn a() { unsafe {} }\n";
        check("crates/linux/src/lib.rs", source, &[]);
        check("crates/wire/src/lib.rs", source, &[":2: holds `unsafe`"]);
    }

    #[test]
    fn machine_paths_are_found_with_their_line() {
        let home = concat!("/ho", "me/");
        check(
            "docs/A.md",
            &format!("one\n`{home}somebody`\n"),
            &[":2: holds"],
        );
        check(
            "docs/A.md",
            &format!("see docs{home}x and target/..{home}x\n"),
            &[],
        );
        check("pcaps/a.pcap", &format!("\0{home}x"), &[":1: holds"]);
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("docs")).expect("a folder");
        std::fs::write(folder.path().join("README.md"), "").expect("a file");
        let workspace = Workspace::at(folder.path());
        let dead = dead_links(
            &workspace,
            Path::new("docs/A.md"),
            "[a](../README.md) [b](B.md)",
        );
        assert_eq!(dead, ["docs/A.md: links to B.md, which does not exist"]);
    }

    fn check(file: &str, text: &str, expected: &[&str]) {
        let found = faults(Path::new(file), text.as_bytes());
        assert_eq!(found.len(), expected.len(), "{file}: {found:?}");
        for (fault, part) in found.iter().zip(expected) {
            assert!(fault.contains(part), "{fault}");
        }
    }
}
