//! Sinks with a thread of their own: nothing is lost on the way to them, and the number of
//! workers does not show.

use std::fs;
use std::path::Path;

use serde_json::Value;
use vxscope_config::{ExportKind, Way};
use vxscope_engine::replay;

use crate::support::output::{self, number};
use crate::support::run::{self, Reading};

#[test]
fn the_json_connection_log_says_what_the_connection_log_says() {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/two-tenants.pcap");
    let mut texts = Vec::new();
    for workers in [1, 2, 4] {
        let out = tempfile::tempdir().unwrap();
        let mut config = run::config(8 << 20, workers);
        config.export.kinds = [ExportKind::ConnLog, ExportKind::ConnJson]
            .map(Way::of)
            .to_vec();
        let job = run::job(config, &capture, Reading::Mirror, out.path());
        replay(&job, &|_| ()).unwrap();
        let text = fs::read_to_string(out.path().join("conn.json")).unwrap();
        let log = fs::read_to_string(out.path().join("conn.log")).unwrap();
        let summary = output::json(out.path(), "summary.json");
        let written = number(&summary, "/sinks/conn-json/written");
        assert_eq!(written, number(&summary, "/sinks/conn-log/written"));
        assert_eq!(same_lines(&log, &text) as u64, written);
        texts.push(text);
    }
    assert!(texts.windows(2).all(|two| two[0] == two[1]));
}

/// How many lines both have, each with the same values.
fn same_lines(log: &str, json: &str) -> usize {
    let names: Vec<&str> = log
        .lines()
        .find_map(|line| line.strip_prefix("#fields\t"))
        .unwrap()
        .split('\t')
        .collect();
    let rows: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    let objects: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), objects.len());
    for (row, object) in rows.iter().zip(&objects) {
        for (name, value) in names.iter().zip(row.split('\t')) {
            match object.get(name) {
                None => assert_eq!(value, "-", "{name}"),
                Some(Value::String(text)) => assert_eq!(value, text, "{name}"),
                Some(found) => assert_eq!(value.parse().ok(), found.as_f64(), "{name}"),
            }
        }
    }
    rows.len()
}
