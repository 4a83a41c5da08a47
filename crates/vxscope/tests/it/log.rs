//! `log.format = "json"`: every line on standard error is an object, and none holds a secret.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use crate::api::ask;
use crate::folder;
use crate::sensor::{free_port, until};

const KNOWN: &str = "known-0123456789abcdef0123456789abcdef";
const UNKNOWN: &str = "unknown-0123456789abcdef0123456789abcdef";

#[test]
fn a_program_reads_every_line_and_finds_no_token() {
    let dir = folder();
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, format!("boss metadata,control {KNOWN}\n")).unwrap();
    fs::set_permissions(&tokens, Permissions::from_mode(0o600)).unwrap();
    let mut sensor = start(
        dir.path(),
        &["--set", "decapsulation.depth=1", "--workers", "2"],
    );
    let receiving = until("the start", || {
        let mut lines = objects(dir.path()).into_iter();
        lines.find(|it| it["message"] == "receiving")
    });
    let answering = receiving["fields"]["answering"].as_str().unwrap();
    let (_, address) = answering.split_once("http://").unwrap();
    for (token, status) in [(KNOWN, 200), (UNKNOWN, 401)] {
        let head = format!("authorization: Bearer {token}\r\n");
        assert_eq!(ask(address, "GET /api/v1/status", &head).0, status);
    }
    assert_eq!(receiving["fields"]["receive"], "UDP sockets in batches");
    // More often than a place in the program may write within a minute.
    for times in 1..=12 {
        signal(&sensor, "HUP");
        until("the answer to a reload", || {
            let lines = objects(dir.path()).into_iter();
            let answers = lines.filter(|it| it["message"] == "reload: nothing has changed");
            (answers.count() == times).then_some(())
        });
    }
    signal(&sensor, "TERM");
    assert!(sensor.wait().unwrap().success());
    let lines = objects(dir.path());
    let ended = lines.iter().find(|it| it["message"] == "ended").unwrap();
    assert_eq!(ended["fields"]["is_balanced"], true);
    assert_eq!(fs::read_to_string(dir.path().join("said")).unwrap(), "");
    let keys = ["timestamp", "level", "target", "message", "fields"];
    for line in &lines {
        assert!(keys.iter().all(|key| line.get(key).is_some()), "{line}");
    }
    // The setting is one that the sensor warns of.
    let warned = |line: &Value| line["level"] == "WARN" && line["target"] == "vxscope::run";
    assert!(lines.iter().any(warned), "{lines:?}");
    let text = fs::read_to_string(dir.path().join("log")).unwrap();
    for secret in [KNOWN, UNKNOWN] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_ends_a_run_badly_is_an_object_too() {
    let dir = folder();
    let mut sensor = start(dir.path(), &[]);
    assert_eq!(sensor.wait().unwrap().code(), Some(1));
    let lines = objects(dir.path());
    let last = lines.last().expect("a reason");
    assert_eq!(last["level"], "ERROR");
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("tokens: cannot be read"), "{message}");
}

/// A sensor that says everything it can, into the file `log`.
fn start(dir: &Path, options: &[&str]) -> Child {
    let listen = format!("127.0.0.1:{}", free_port());
    let other = format!("decapsulation.geneve_ports=[{}]", free_port());
    Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(["run", "--listen", &listen, "--out", "out", "--set", &other])
        .args(["--set", "rings.memory=32MiB", "--set", "log.format=json"])
        .args(["--api", "127.0.0.1:0", "--set", "api.tokens=tokens"])
        .args(options)
        .current_dir(dir)
        .env("VXSCOPE_LOG", "trace")
        .stdout(File::create(dir.join("said")).expect("a folder of ours"))
        .stderr(File::create(dir.join("log")).expect("a folder of ours"))
        .spawn()
        .expect("the binary that cargo built")
}

fn signal(sensor: &Child, name: &str) {
    let id = sensor.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("a program that starts").success());
}

/// What was logged so far, each line an object. The last may be half written.
fn objects(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("log")).expect("a file of ours");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}
