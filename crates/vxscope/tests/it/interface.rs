//! An interface that goes away while the sensor runs, in a network of its own.

use std::path::Path;
use std::process::Command;

use crate::{Run, folder, json, skip};

/// The sensor looks once a second; what it says is waited for.
const SCRIPT: &str = r#"
set -e
trap 'cat said; kill -KILL $sensor 2> /dev/null || true' EXIT
ip link set lo up
says() { until grep -q -- "$1" said; do sleep 0.05; kill -0 $sensor; done; }
cable() {
    ip link add mirror0 type veth peer name far0
    ip link set far0 up
    ip link set mirror0 up
}
cable
$AS "$SENSOR" run --interface mirror0 --out out --set rings.memory=8MiB 2> said &
sensor=$!
says '^interrupt'
ip link delete mirror0
says 'is gone'
cable
says "$EXPECTED"
kill -TERM $sensor
wait $sensor
"#;

#[test]
fn an_interface_that_goes_away_is_told_and_heard_again_when_it_is_back() {
    check("", "warning: interface mirror0 is back\n");
}

#[test]
fn without_the_capability_to_hear_it_again_that_is_told() {
    let without = "setpriv --bounding-set=-all --inh-caps=-all";
    check(without, "restart the sensor, or give it CAP_NET_RAW\n");
}

/// Runs the sensor by `program`, takes its interface away and brings it back.
fn check(program: &str, expected: &str) {
    let dir = folder();
    let Some(run) = in_network(dir.path(), program, expected) else {
        skip("no network of its own for a test here");
        return;
    };
    let text = &run.stdout;
    assert_eq!(run.code, Some(0), "{run:?}");
    let gone = "warning: interface mirror0 is gone; nothing is received until it is back\n";
    let (before, after) = text.split_once(gone).expect(text);
    assert!(
        !before.contains("is back") && after.contains(expected),
        "{text}"
    );
    assert!(!after.contains(gone), "{text}");
    let summary = json(&dir.path().join("out/summary.json"));
    let warnings = summary["warnings"].to_string();
    assert!(
        warnings.contains("mirror0 was gone or down 1 times"),
        "{warnings}"
    );
}

fn in_network(dir: &Path, program: &str, expected: &str) -> Option<Run> {
    let networks = [&["--net"][..], &["--map-root-user", "--net"]];
    let can = |options: &&&[&str]| {
        let link = "ip link add near0 type veth peer name far0";
        let tried = Command::new("unshare")
            .args(**options)
            .args(["sh", "-c", link])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let options = networks.iter().find(can)?;
    let output = Command::new("unshare")
        .args(*options)
        .args(["sh", "-c", SCRIPT])
        .env("SENSOR", env!("CARGO_BIN_EXE_vxscope"))
        .env("AS", program)
        .env("EXPECTED", expected.trim_end())
        .env_remove("VXSCOPE_LOG")
        .current_dir(dir)
        .output();
    Some(Run::from(output.expect("as it was tried")))
}
