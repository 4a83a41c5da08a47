//! Wrong usage ends with exit code 2 and says what is wrong; all of it, for configurations.

use std::fs;

use crate::{folder, vxscope};

#[test]
fn wrong_arguments_are_refused_and_named() {
    let dir = folder();
    for (arguments, part) in [
        (&["replay"][..], "<FILE>"),
        (&["replay", "a.pcap"], "--out"),
        (
            &["replay", "a.pcap", "--out", "o", "--workers", "0"],
            "1..=64",
        ),
        (
            &["replay", "a.pcap", "--out", "o", "--export", "ipfax"],
            "eve, conn-log, decap",
        ),
        (
            &["replay", "a.pcap", "--out", "o", "--extract", "flow=x"],
            "flow_id",
        ),
        (
            &["replay", "a.pcap", "--out", "o", "--extract", "x"],
            "community-id",
        ),
        (&["gen"], "--pcap"),
        (&["gen"], "--to"),
        (&["gen", "--pcap", "p", "--to", "127.0.0.1:4789"], "--pcap"),
        (&["gen", "--to", "localhost"], "--to"),
        (&["gen", "--to", "127.0.0.1:0"], "port 0"),
        (&["gen", "--to", "10.0.0.1:4789"], "--allow-remote"),
        (&["gen", "--to", "0.0.0.0:4789"], "--allow-remote"),
        (&["gen", "--to", "[::ffff:10.0.0.1]:4789"], "--allow-remote"),
        (&["gen", "--pcap", "p", "--allow-remote"], "--allow-remote"),
        (
            &[
                "gen",
                "--to",
                "127.0.0.1:9",
                "--sources",
                "751",
                "--flows",
                "751",
            ],
            "at most 750",
        ),
        (
            &["gen", "--to", "127.0.0.1:9", "--scenario", "malformed"],
            "corrupt=SHARE",
        ),
        (&["gen", "--to", "[::1]:9", "--one-vni"], "a VNI each"),
        (
            &["gen", "--pcap", "p", "--faults", "loss"],
            "loss, reorder, duplicate",
        ),
        (
            &["gen", "--pcap", "p", "--faults", "loss=0.7,corrupt=0.7"],
            "at most 1 together",
        ),
        (&["gen", "--pcap", "p", "--size", "63"], "64 to 9015"),
        (&["gen", "--pcap", "p", "--scenario", "worm"], "east-west"),
        (&["gen", "--pcap", "p", "--flows", "3"], "flows: from 4"),
        (&["gen", "--pcap", "p", "--packets=-1"], "--packets"),
        (&["gen", "--pcap", "p", "--ipv6", "2"], "share from 0 to 1"),
        (
            &["check-config", "--print-default", "--set", "seed=1"],
            "--print-default",
        ),
        (&["fly"], "fly"),
    ] {
        let complaint = vxscope(dir.path(), arguments).fails(2);
        assert!(complaint.contains(part), "{arguments:?}: {complaint}");
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing was written"
    );
}

#[test]
fn version_and_help_are_no_failures() {
    let dir = folder();
    assert_eq!(
        vxscope(dir.path(), &["--version"]).ok(),
        concat!("vxscope ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = vxscope(dir.path(), &["--help"]).ok();
    for command in ["replay", "gen", "check-config"] {
        assert!(help.contains(command), "{help}");
    }
}

#[test]
fn every_problem_of_a_configuration_is_listed() {
    let dir = folder();
    let text = "[flow]\nflow_max = 5\nscope = 'all'\n[rings]\nmemory = = 3\n";
    fs::write(dir.path().join("bad.toml"), text).unwrap();
    let expected = [
        "bad.toml: line 2: flow.flow_max: unknown key; did you mean flow.flows_max?",
        "bad.toml: line 3: flow.scope: found 'all'; allowed: \"source\" or \"vni\"",
        "bad.toml: line 5: not TOML: ",
        "vxscope: --set seed=x: seed: found \"x\"; allowed: ",
        "4 problems in the configuration; `vxscope check-config --print-default` explains every key.",
    ];
    for command in [
        &["check-config", "bad.toml", "--set", "seed=x"][..],
        &[
            "replay", "a.pcap", "--out", "o", "--config", "bad.toml", "--set", "seed=x",
        ],
    ] {
        let complaint = vxscope(dir.path(), command).fails(2);
        assert_eq!(complaint.lines().count(), expected.len(), "{complaint}");
        for (line, start) in complaint.lines().zip(expected) {
            assert!(line.starts_with(start), "{line}");
        }
    }
    assert!(!dir.path().join("o").exists());
}

#[test]
fn the_default_configuration_is_printed_and_passes_its_own_check() {
    let dir = folder();
    let reference = vxscope(dir.path(), &["check-config", "--print-default"]).ok();
    fs::write(dir.path().join("c.toml"), reference).unwrap();
    assert_eq!(
        vxscope(dir.path(), &["check-config", "c.toml"]).ok(),
        "c.toml: ok\n"
    );
    assert_eq!(vxscope(dir.path(), &["check-config"]).ok(), "ok\n");
}

#[test]
fn what_is_no_configuration_file_is_named() {
    let dir = folder();
    fs::write(dir.path().join("binary"), b"seed = \xff").unwrap();
    fs::write(dir.path().join("long"), "#".repeat((1 << 20) + 1)).unwrap();
    for (file, part) in [
        ("none", "none: cannot be read"),
        ("binary", "binary: not UTF-8 at byte 7"),
        ("long", "long: longer than 1 MiB"),
    ] {
        let complaint = vxscope(dir.path(), &["check-config", file]).fails(2);
        assert!(complaint.contains(part), "{complaint}");
    }
}
