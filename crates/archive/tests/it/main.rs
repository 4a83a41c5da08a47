//! The archive from the outside: read back by DuckDB, killed at every step, stored in S3.

mod beside;
mod kill;
mod read_back;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A flow file of two days, with a line that is none.
fn write_flows(folder: &Path, count: usize) {
    let mut text = String::new();
    for number in 0..count {
        let day = 20 + number % 2;
        text.push_str(&format!(
            r#"{{"timestamp":"2026-11-{day}T10:00:00.{number:06}+0000","event_type":"flow","flow_id":{number},"vni":7,"src_ip":"10.0.0.1","src_port":1000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","flow":{{"pkts_toserver":3,"pkts_toclient":2,"bytes_toserver":180,"bytes_toclient":{number},"start":"2026-11-{day}T09:59:00.000000+0000","state":"closed"}},"tcp":{{"syn":true}}}}"#
        ));
        text.push('\n');
    }
    text.push_str("not a record\n");
    fs::write(folder.join("eve.json"), text).expect("a file");
}

fn archive(folder: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vxscope-archive"))
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the binary that cargo built")
}

#[track_caller]
fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The Python with DuckDB and moto; `None`, with a note, where there is none.
#[expect(clippy::print_stdout, reason = "for whoever reads what the tests say")]
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("VXSCOPE_READERS").filter(|it| Path::new(it).exists());
    if python.is_none() {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "in CI `cargo xtask` says where the readers are");
        println!("skipped: cargo xtask test provides DuckDB, and says where it is");
    }
    python
}
