//! docs/REFERENCE.md is what the program says of itself; docs/RUNBOOK.md has a page for each alert.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::sensor::{Sensor, free_tcp_port, until};
use crate::{folder, vxscope};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/REFERENCE.md");
const RUNBOOK: &str = include_str!("../../../../docs/RUNBOOK.md");
const RULES: &str = include_str!("../../packaging/prometheus/vxscope.rules.yml");

/// `VXSCOPE_UPDATE=1 cargo test -p vxscope --test it reference::` writes it anew.
#[test]
fn the_reference_is_what_the_program_says() {
    let dir = folder();
    let text = reference(dir.path());
    if std::env::var_os("VXSCOPE_UPDATE").is_some() {
        std::fs::write(REFERENCE, &text).unwrap();
    }
    let there = std::fs::read_to_string(REFERENCE).unwrap();
    for (one, other) in there.lines().zip(text.lines()) {
        assert_eq!(one, other, "run the test with VXSCOPE_UPDATE=1");
    }
    assert_eq!(there.lines().count(), text.lines().count());
}

fn reference(dir: &Path) -> String {
    let mut text = String::from(
        "# Reference\n\nMade from the program by the test `reference::`; do not edit.\n\n\
         ## Commands\n",
    );
    let top = vxscope(dir, &["--help"]).ok();
    let listed = top.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(names.contains(&"run"), "{top}");
    for name in names {
        let help = vxscope(dir, &[name, "--help"]).ok();
        let _ = write!(
            text,
            "\n### vxscope {name}\n\n```text\n{}\n```\n",
            lean(&help)
        );
    }
    let keys = vxscope(dir, &["check-config", "--print-default"]).ok();
    let _ = write!(
        text,
        "\n## Configuration\n\n```toml\n{}\n```\n",
        lean(&keys)
    );
    text.push_str("\n## Metrics\n\n| name | kind | what it is |\n|---|---|---|\n");
    for (name, kind, help) in metrics(dir) {
        let _ = writeln!(text, "| `{name}` | {kind} | {help} |");
    }
    text
}

fn lean(text: &str) -> String {
    let lines = text.lines().map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n")
}

/// Name, kind and meaning of every metric of a sensor that looks after its mirrors.
fn metrics(dir: &Path) -> Vec<(String, String, String)> {
    let address = format!("127.0.0.1:{}", free_tcp_port());
    let options = [
        "--api",
        &address,
        "--set",
        "policy.mode=shadow",
        "--set",
        "handoff.duplicates=count",
    ];
    let sensor = Sensor::start(dir, &options);
    let text = until("metrics of the mirrors", || {
        let text = crate::api::get(&address, "/metrics");
        text.contains("vxscope_mirrors{").then_some(text)
    });
    sensor.stop();
    let kinds: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let helps = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let mut metrics: Vec<(String, String, String)> = helps
        .filter_map(|(name, help)| {
            let kind = kinds.iter().find(|(it, _)| *it == name)?.1;
            Some((name.to_owned(), kind.to_owned(), help.to_owned()))
        })
        .collect();
    metrics.sort();
    metrics
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    let pages = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## "));
    let pages: BTreeSet<&str> = pages.filter(|page| page.starts_with("Vxscope")).collect();
    assert_eq!(alerts, pages);
    assert!(alerts.len() > 10);
    for alert in alerts {
        let link = format!("runbook: docs/RUNBOOK.md#{}", alert.to_ascii_lowercase());
        assert!(RULES.contains(&link), "{link}");
    }
}
