//! The API, asked by a program that knows nothing but its description.

use std::path::Path;
use std::process::Command;

use crate::sensor::{Sensor, free_tcp_port};
use crate::{folder, skip};

const DESCRIPTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/openapi.json");

/// Hundreds of requests, sensible and not: every answer is one that the description announces.
#[test]
fn the_api_is_as_it_is_described() {
    let Some(python) = std::env::var_os("VXSCOPE_READERS") else {
        return skip("cargo xtask test provides schemathesis, and says where it is");
    };
    let schemathesis = Path::new(&python).with_file_name("schemathesis");
    if !schemathesis.exists() {
        return skip("there is no schemathesis");
    }
    let dir = folder();
    let address = format!("127.0.0.1:{}", free_tcp_port());
    let sensor = Sensor::start(
        dir.path(),
        &[
            "--api",
            &address,
            "--set",
            "policy.mode=shadow",
            "--set",
            "report.interval_milliseconds=100",
        ],
    );
    sensor.load(&["--packets", "2000", "--rate", "20000"]);
    let asked = Command::new(schemathesis)
        .current_dir(dir.path())
        .args(["run", DESCRIPTION, "--url", &format!("http://{address}")])
        .args(["--checks", "not_a_server_error,status_code_conformance"])
        .args([
            "--checks",
            "content_type_conformance,response_schema_conformance",
        ])
        .args(["--checks", "negative_data_rejection"])
        // A stream has no end to wait for.
        .args(["--exclude-path", "/api/v1/events"])
        .args(["--max-examples", "40", "--seed", "1", "--no-color"])
        .args(["--generation-database", "none", "--request-timeout", "10"])
        .output()
        .expect("an environment that works");
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{said}");
    sensor.stop();
}
