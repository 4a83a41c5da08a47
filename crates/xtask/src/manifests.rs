//! The lint tables of the manifests: unsafe code is forbidden for all and relaxed for two crates.

use crate::Result;
use crate::workspace::Workspace;
use serde_json::Value;
use std::path::Path;
use toml::Table;

/// The two crates that may hold `unsafe`, with a proof for each block.
pub(crate) const UNSAFE_CRATES: &[&str] = &["vxscope-linux", "vxscope-memory"];

/// One sentence for each manifest whose lints are not as they must be.
pub(crate) fn complaints(workspace: &Workspace, metadata: &Value) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let root = parse(&workspace.path("Cargo.toml"))?;
    if lint(&root, &["workspace", "lints", "rust", "unsafe_code"]) != Some("forbid") {
        complaints.push("the root Cargo.toml must forbid unsafe_code for the workspace".to_owned());
    }
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let path = package["manifest_path"]
            .as_str()
            .ok_or("a package without manifest")?;
        complaints.extend(complaint(name, &parse(Path::new(path))?));
    }
    Ok(complaints)
}

fn parse(path: &Path) -> Result<Table> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text
        .parse::<Table>()
        .map_err(|error| format!("{}: {error}", path.display()))?)
}

fn complaint(name: &str, manifest: &Table) -> Option<String> {
    let inherits =
        value(manifest, &["lints", "workspace"]).and_then(toml::Value::as_bool) == Some(true);
    if !UNSAFE_CRATES.contains(&name) {
        return (!inherits)
            .then(|| format!("{name} must inherit the lints: [lints] workspace = true"));
    }
    if inherits {
        return Some(format!(
            "{name} inherits lints that forbid unsafe code: take it off the list of unsafe crates"
        ));
    }
    let missing = [
        ["lints", "clippy", "undocumented_unsafe_blocks"],
        ["lints", "rust", "unsafe_op_in_unsafe_fn"],
    ]
    .into_iter()
    .find(|path| lint(manifest, path) != Some("deny"))?;
    Some(format!(
        "{name} may hold unsafe code and must therefore deny {}",
        missing[2]
    ))
}

/// The level of a lint, written as a string or as a table with `level`.
fn lint<'a>(table: &'a Table, path: &[&str]) -> Option<&'a str> {
    let found = value(table, path)?;
    found
        .as_str()
        .or_else(|| found.get("level").and_then(toml::Value::as_str))
}

fn value<'a>(table: &'a Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |found, key| found.get(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIES: &str = "[lints.rust]\nunsafe_op_in_unsafe_fn = \"deny\"\n\
                          [lints.clippy]\nundocumented_unsafe_blocks = {level = \"deny\"}\n";

    #[test]
    fn crates_inherit_the_lints() {
        check("vxscope-wire", "[lints]\nworkspace = true\n", None);
        check("vxscope-wire", "", Some("must inherit"));
        check("vxscope-wire", DENIES, Some("must inherit"));
    }

    #[test]
    fn the_two_unsafe_crates_deny_what_lacks_a_proof() {
        check("vxscope-linux", DENIES, None);
        check(
            "vxscope-linux",
            "[lints]\nworkspace = true\n",
            Some("take it off"),
        );
        let weak = DENIES.replace("{level = \"deny\"}", "\"warn\"");
        check(
            "vxscope-memory",
            &weak,
            Some("must therefore deny undocumented_unsafe_blocks"),
        );
    }

    fn check(name: &str, manifest: &str, expected: Option<&str>) {
        let table = manifest.parse::<Table>().expect("a manifest");
        match (complaint(name, &table), expected) {
            (None, None) => {}
            (Some(found), Some(part)) => assert!(found.contains(part), "{found}"),
            (found, _) => panic!("{name}: {found:?}, expected {expected:?}"),
        }
    }
}
