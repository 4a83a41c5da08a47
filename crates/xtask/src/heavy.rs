//! The crates that are too heavy for every build: over the AWS SDK, minutes and gigabytes each,
//! and over Parquet and object stores, minutes.

use serde_json::Value;
use std::collections::BTreeSet;

/// Built and tested in a step of their own, and by no command that does not name them.
pub(crate) const HEAVY: [&str; 3] = ["vxscope-ec2", "vxscope-controller", ARCHIVE];

/// Those over the AWS SDK.
pub(crate) const SDK: [&str; 2] = ["vxscope-ec2", "vxscope-controller"];

/// Over Parquet and object stores.
pub(crate) const ARCHIVE: &str = "vxscope-archive";

/// Members that no command needs to name, but that are built only with `--workspace`.
const APART: [&str; 1] = ["vxscope-benches"];

/// `--exclude` for each of them.
pub(crate) fn excluded() -> Vec<&'static str> {
    HEAVY.map(|name| ["--exclude", name]).concat()
}

/// `--package` for each of these.
pub(crate) fn packages(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().flat_map(|name| ["--package", name]).collect()
}

/// One sentence for each member that is on the wrong side of `default-members`.
pub(crate) fn complaints(metadata: &Value) -> Vec<String> {
    let ids = |key: &str| -> BTreeSet<&str> {
        let list = metadata[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).collect()
    };
    let defaults = ids("workspace_default_members");
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let named =
        packages.filter_map(|package| Some((package["name"].as_str()?, package["id"].as_str()?)));
    let mut complaints = Vec::new();
    for (name, id) in named {
        let is_default = defaults.contains(id);
        let is_light = !HEAVY.contains(&name) && !APART.contains(&name);
        if is_light && !is_default {
            complaints.push(format!(
                "{name} is missing in default-members of Cargo.toml"
            ));
        }
        if HEAVY.contains(&name) && is_default {
            complaints.push(format!("{name} is too heavy for default-members"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_light_member_is_a_default_and_no_heavy_one() {
        let metadata = |defaults: &[&str]| {
            json!({
                "packages": [
                    {"name": "vxscope-wire", "id": "w"},
                    {"name": "vxscope-ec2", "id": "e"},
                    {"name": "vxscope-benches", "id": "b"},
                ],
                "workspace_default_members": defaults,
            })
        };
        assert_eq!(complaints(&metadata(&["w"])), Vec::<String>::new());
        assert_eq!(
            complaints(&metadata(&["e"])),
            [
                "vxscope-wire is missing in default-members of Cargo.toml",
                "vxscope-ec2 is too heavy for default-members"
            ]
        );
    }
}
