//! Outputs read back as their readers would.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The outputs that must not depend on the number of workers.
pub(crate) const FILES: [&str; 5] = [
    "eve.json",
    "conn.log",
    "decap.pcap",
    "sources.json",
    "summary.json",
];

/// A document.
pub(crate) fn json(dir: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(name)).unwrap()).unwrap()
}

/// The records of `eve.json`.
pub(crate) fn eve(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("eve.json")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Packets of both directions of one record of `eve.json`.
pub(crate) fn packets_of(record: &Value) -> u64 {
    number(record, "/flow/pkts_toserver") + number(record, "/flow/pkts_toclient")
}

/// Captured bytes of both directions of one record of `eve.json`.
pub(crate) fn bytes_of(record: &Value) -> u64 {
    number(record, "/flow/bytes_toserver") + number(record, "/flow/bytes_toclient")
}

/// The number at a JSON pointer.
pub(crate) fn number(document: &Value, pointer: &str) -> u64 {
    let value = document.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number at {pointer} in {document}"))
}

/// The sum of the numbers in the object at a JSON pointer.
pub(crate) fn sum(document: &Value, pointer: &str) -> u64 {
    let object = document.pointer(pointer).and_then(Value::as_object);
    let object = object.unwrap_or_else(|| panic!("no object at {pointer} in {document}"));
    object.values().map(|value| value.as_u64().unwrap()).sum()
}

/// The text at a key.
pub(crate) fn text<'v>(document: &'v Value, key: &str) -> &'v str {
    document[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {document}"))
}

/// One line of a Zeek log: columns by name.
pub(crate) type Line = BTreeMap<String, String>;

/// The lines of `conn.log`.
pub(crate) fn conn_log(dir: &Path) -> Vec<Line> {
    zeek_log(&dir.join("conn.log"))
}

/// The lines of a Zeek log. A log without `#fields` has its titles in the first line.
pub(crate) fn zeek_log(file: &Path) -> Vec<Line> {
    let text = fs::read_to_string(file).unwrap();
    let mut titles: Option<Vec<&str>> = None;
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        if line.starts_with("#fields\t") {
            titles = Some(fields[1..].to_vec());
        } else if !line.starts_with('#') {
            match &titles {
                None => titles = Some(fields),
                Some(titles) => {
                    let named = titles.iter().zip(fields);
                    lines.push(
                        named
                            .map(|(t, f)| ((*t).to_owned(), f.to_owned()))
                            .collect(),
                    );
                }
            }
        }
    }
    lines
}

/// `summary.json` but for the time that the run took.
pub(crate) fn timeless(summary: &[u8]) -> String {
    let text = String::from_utf8(summary.to_vec()).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.contains("\"elapsed_seconds\""));
    lines.collect::<Vec<_>>().join("\n")
}
