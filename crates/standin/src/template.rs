//! What CloudFormation's own checker says of a template.

use std::path::Path;
use std::process::Command;

/// The complaints of cfn-lint, which comes with moto; none where all is right. `None`, with a note,
/// where nobody provides it.
///
/// # Panics
/// In CI, where it must be there.
#[must_use]
#[expect(clippy::print_stdout, reason = "for whoever reads what the tests say")]
pub fn complaints(template: &Path) -> Option<String> {
    let python = std::env::var_os("VXSCOPE_READERS");
    let linter = python.map(|python| Path::new(&python).with_file_name("cfn-lint"));
    let checked = linter.and_then(|linter| Command::new(linter).arg(template).output().ok());
    let Some(checked) = checked else {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "in CI `cargo xtask` says where cfn-lint is");
        println!("skipped: cargo xtask test provides cfn-lint, and says where it is");
        return None;
    };
    let said = |output: &[u8]| String::from_utf8_lossy(output).trim().to_owned();
    let complaints = format!("{}{}", said(&checked.stdout), said(&checked.stderr));
    Some(if checked.status.success() {
        String::new()
    } else {
        format!("{}: {complaints}", checked.status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_does_not_exist_is_found() {
        let template = tempfile::NamedTempFile::with_suffix(".json").unwrap();
        let text = r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Nonsense": 1}}}}"#;
        std::fs::write(template.path(), text).unwrap();
        let Some(said) = complaints(template.path()) else {
            return;
        };
        assert!(said.contains("Nonsense"), "{said}");
    }
}
