//! The page, as a person with a browser finds it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{folder, skip};

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/page.py");

#[test]
fn a_person_finds_out_why_a_source_is_paused() {
    let Some(python) = std::env::var_os("VXSCOPE_READERS") else {
        return skip("cargo xtask test provides the browser's driver, and says where it is");
    };
    if !Path::new("/usr/bin/chromium").exists() {
        return skip("there is no chromium");
    }
    let dir = folder();
    let port = crate::sensor::free_tcp_port();
    let address = format!("127.0.0.1:{port}");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        // Until somebody has seen everything, however slow the browser is.
        .args(["demo", "--seconds", "120", "--api", &address])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("our own program");
    crate::sensor::until("somebody who listens", || {
        std::net::TcpStream::connect(&address).ok()
    });
    let pictures = crate::pictures(dir.path());
    let looked = Command::new(python)
        .arg(DRIVER)
        .arg(&address)
        .arg(&pictures)
        .output()
        .expect("a Python");
    let _ = demo.kill();
    let _ = demo.wait();
    let said = String::from_utf8_lossy(&looked.stderr);
    assert!(looked.status.success(), "{said}");
    check(
        &serde_json::from_slice(&looked.stdout).expect("JSON"),
        &address,
    );
}

fn check(found: &Value, address: &str) {
    assert!(found["cards"].as_u64() >= Some(5), "{found}");
    // One click on the card, and the reason is there in numbers; nothing says until when.
    let why = found["why"].as_str().expect("a reason");
    assert!(why.starts_with("Why it is paused\n"), "{why}");
    assert!(why.contains("goes from full to off: "), "{why}");
    assert!(why.contains("comparable hours"), "{why}");
    assert!(!why.contains("until"), "{why}");
    let detail = found["detail"].as_str().expect("text");
    assert!(
        detail.contains("a token with metadata shows it"),
        "{detail}"
    );
    assert!(found["decisions"].as_u64() >= Some(3), "{found}");
    assert!(found["flows"].as_u64() >= Some(1), "{found}");
    let given = found["given"].as_str().expect("an answer");
    let counts: Vec<u64> = given
        .split(" of ")
        .filter_map(|it| it.parse().ok())
        .collect();
    assert!(
        matches!(counts.as_slice(), [found, seen] if found == seen && *seen > 0),
        "{given}"
    );
    assert!(
        ["d4c3b2a1", "4d3cb2a1"]
            .iter()
            .any(|magic| found["capture"] == *magic),
        "{found}"
    );
    // What somebody types, or a packet says, is text.
    assert!(
        found["error"]
            .as_str()
            .is_some_and(|it| it.contains("<img"))
    );
    assert_eq!(found["injected"], 0);
    // Neither on a screen nor on a phone has anybody to scroll sideways.
    assert_eq!(
        found["overflow"],
        serde_json::json!([0, 0]),
        "{}",
        found["wide"]
    );
    assert_eq!(found["complaints"], serde_json::json!([]));
    for url in found["asked"].as_array().expect("addresses") {
        let ours = format!("http://{address}/");
        assert!(
            url.as_str().is_some_and(|url| url.starts_with(&ours)),
            "{url}"
        );
    }
}
