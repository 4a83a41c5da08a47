//! Other projects' captures and what other programs say of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One capture of the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Path within the corpus.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Records, as counted by whoever made the manifest; none for files that do not parse.
    pub(crate) packets: Option<u64>,
    /// Files with other programs' answers, within the corpus.
    pub(crate) expected: Vec<String>,
}

/// The folder of captures, or a note that it is not there.
pub(crate) fn root() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: the captures of other projects are not there ({})",
        folder.display()
    );
    None
}

/// Every capture of the manifest.
pub(crate) fn entries(root: &Path) -> Vec<Entry> {
    table(&root.join("MANIFEST.tsv"))
        .into_iter()
        .map(|row| Entry {
            path: root.join(&row["file"]),
            name: row["file"].clone(),
            bytes: row["bytes"].parse().unwrap(),
            packets: row["packets"].parse().ok(),
            expected: row["expected"].split(';').map(str::to_owned).collect(),
        })
        .collect()
}

/// Answers of another program: pairs of capture and table, for the folders below
/// `expected/<program>` that are named, or for all of them.
pub(crate) fn answers(root: &Path, program: &str, folders: &[&str]) -> Vec<(String, PathBuf)> {
    let mut pairs = Vec::new();
    for folder in list(&root.join("expected").join(program)) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if !folders.is_empty() && !folders.contains(&name.as_str()) {
            continue;
        }
        for table in list(&folder) {
            let capture = table.file_stem().unwrap().to_str().unwrap();
            let capture = format!("{name}/{capture}");
            // Some answers are to captures of another set.
            if root.join(&capture).is_file() {
                pairs.push((capture, table));
            }
        }
    }
    pairs
}

/// A table of tab-separated values with titles in its first line.
pub(crate) fn table(file: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let fields = line.split('\t').chain(std::iter::repeat(""));
        let named = titles.iter().zip(fields);
        named
            .map(|(title, field)| ((*title).to_owned(), field.to_owned()))
            .collect()
    };
    lines.map(row).collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
