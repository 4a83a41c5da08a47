//! Other programs, where they are installed.

use std::ffi::OsStr;
use std::process::Command;

/// What a program printed, or `None` with a note where it is not installed. In CI it must be.
pub(crate) fn output(name: &str, arguments: &[impl AsRef<OsStr>]) -> Option<String> {
    let output = match Command::new(name).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            let ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "{name} must be there in CI: {error}");
            println!("skipped: {name} is not installed");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}: {errors}",
        output.status
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
