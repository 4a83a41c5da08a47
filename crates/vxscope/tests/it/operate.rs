//! What ships beside the program: alert rules, dashboards, units, held to what the program says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::sensor::{Sensor, free_tcp_port};
use crate::{folder, skip};

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");

#[test]
fn alert_rules_fire_when_they_should() {
    let rules = format!("{PACKAGING}/prometheus");
    let promtool = |arguments: &[&str]| {
        let mut promtool = Command::new("promtool");
        promtool.args(arguments).current_dir(&rules).output()
    };
    let Ok(checked) = promtool(&["check", "rules", "vxscope.rules.yml"]) else {
        return skip("there is no promtool");
    };
    for output in [
        checked,
        promtool(&["test", "rules", "vxscope.rules.test.yml"]).unwrap(),
    ] {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

/// A rule or a chart about a metric that is not there never fires, and nobody notices.
#[test]
fn rules_and_dashboards_know_only_metrics_that_there_are() {
    let dir = folder();
    let address = format!("127.0.0.1:{}", free_tcp_port());
    let options = ["--api", &address, "--set", "policy.mode=shadow"];
    let sensor = Sensor::start(dir.path(), &options);
    let there: BTreeSet<String> = crate::sensor::until("metrics of the mirrors", || {
        let metrics = crate::api::get(&address, "/metrics");
        let names = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        let names: BTreeSet<String> = names
            .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
            .collect();
        names.contains("vxscope_mirrors").then_some(names)
    });
    sensor.stop();
    for file in ["prometheus/vxscope.rules.yml", "grafana/vxscope.json"] {
        let text = std::fs::read_to_string(Path::new(PACKAGING).join(file)).unwrap();
        let mut known = 0;
        for name in metrics_in(&text) {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(&name);
            assert!(there.contains(name), "{file}: {name}");
            known += 1;
        }
        assert!(known > 10, "{file}");
    }
}

fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let names = words.filter(|word| word.starts_with("vxscope_"));
    names.map(str::to_owned).collect()
}
