//! The dependencies between our crates, compared with a table: the drawing of the pipeline cannot
//! rot, and a new edge is a decision somebody writes down here.

use crate::workspace::{Workspace, text_of};
use crate::{Result, heavy, manifests};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Each crate and the crates of ours that it uses outside its tests, by the names of their folders.
/// The order is the order of the pipeline: a crate uses only crates above it.
const EDGES: &[(&str, &str)] = &[
    ("units", ""),
    ("memory", ""),
    ("alert", "units"),
    ("archive", "units"),
    ("linux", ""),
    ("wire", "units"),
    ("pcap", "units"),
    ("report", ""),
    ("coverage", "units"),
    ("log", "units"),
    ("plot", ""),
    ("policy", "units report"),
    ("control", "units"),
    ("enrolment", "units policy control"),
    ("steward", "units report policy control"),
    ("config", "units"),
    ("sim", "units"),
    ("capture", "units wire pcap linux"),
    ("flow", "units wire memory"),
    ("account", "units wire flow"),
    ("signals", "units wire flow account report"),
    ("export", "units wire flow pcap linux"),
    ("api", "units report"),
    (
        "engine",
        "units alert wire memory linux report policy steward coverage flow account signals pcap capture export config api",
    ),
    (
        "testkit",
        "units wire pcap capture flow config control engine",
    ),
    ("trial", "units report plot sim signals policy control"),
    (
        "vxscope",
        "units log wire linux pcap report coverage account export config api engine sim policy control steward trial",
    ),
    ("benches", "units memory linux pcap flow config sim engine"),
    ("standin", "units"),
    ("ec2", "units control enrolment"),
    (
        "controller",
        "units log linux report policy control steward config api enrolment ec2",
    ),
    ("xtask", ""),
];

/// Crates and the internal crates they depend on, tests left out.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Fails with one sentence for each difference between the table and the manifests.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata: Value = serde_json::from_str(&text_of(&mut workspace.cargo(&arguments))?)?;
    let graph = graph_of(&metadata)?;
    let mut complaints = differences(&graph, EDGES);
    complaints.extend(misplaced(EDGES));
    complaints.extend(manifests::complaints(workspace, &metadata)?);
    complaints.extend(heavy::complaints(&metadata));
    if complaints.is_empty() {
        let edges: usize = graph.values().map(BTreeSet::len).sum();
        println!("{} crates, {edges} edges, as the table says", graph.len());
        return Ok(());
    }
    Err(complaints.join("\n").into())
}

fn graph_of(metadata: &Value) -> Result<Graph> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata lists no packages")?;
    let names: BTreeSet<&str> = packages
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let mut graph = Graph::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .ok_or("cargo metadata lists a package without name")?;
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let internal = dependencies
            .filter(|one| one["kind"].as_str() != Some("dev"))
            .filter_map(|one| one["name"].as_str())
            .filter(|dependency| names.contains(dependency))
            .map(|dependency| folder(dependency).to_owned())
            .collect();
        graph.insert(folder(name).to_owned(), internal);
    }
    Ok(graph)
}

/// The folder of a package; only the sensor itself has no prefix.
fn folder(package: &str) -> &str {
    package.strip_prefix("vxscope-").unwrap_or(package)
}

fn differences(graph: &Graph, table: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let rows: BTreeMap<&str, BTreeSet<&str>> = table
        .iter()
        .map(|(name, edges)| (*name, edges.split_whitespace().collect()))
        .collect();
    for (name, found) in graph {
        let Some(allowed) = rows.get(name.as_str()) else {
            complaints.push(format!(
                "{name} has no row in the table of edges: add one that says what it may use"
            ));
            continue;
        };
        for edge in found.iter().filter(|edge| !allowed.contains(edge.as_str())) {
            complaints.push(format!(
                "{name} uses {edge}, which its row in the table of edges does not allow"
            ));
        }
        for edge in allowed.iter().filter(|edge| !found.contains(**edge)) {
            complaints.push(format!(
                "the table of edges lets {name} use {edge}, which it does not do: remove it there"
            ));
        }
    }
    for name in rows.keys().filter(|name| !graph.contains_key(**name)) {
        complaints.push(format!(
            "the table of edges has a row for {name}, which is no crate here"
        ));
    }
    complaints
}

/// Rows that use a crate of a later row: the table reads as the pipeline, from top to bottom.
fn misplaced(table: &[(&str, &str)]) -> Vec<String> {
    let mut above = BTreeSet::new();
    let mut complaints = Vec::new();
    for (name, edges) in table {
        for edge in edges
            .split_whitespace()
            .filter(|edge| !above.contains(edge))
        {
            complaints.push(format!(
                "in the table of edges {name} stands above {edge}, which it uses"
            ));
        }
        above.insert(*name);
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_graphs_give_no_complaint() {
        check(&[("a", ""), ("b", "a")], &[]);
    }

    #[test]
    fn an_edge_outside_the_table_is_named() {
        check(&[("a", ""), ("b", "")], &["b uses a, which"]);
    }

    #[test]
    fn a_row_that_no_longer_holds_is_named() {
        check(&[("a", "b"), ("b", "a")], &["lets a use b"]);
        check(&[("a", ""), ("b", "a"), ("c", "")], &["row for c"]);
    }

    #[test]
    fn a_crate_without_row_is_named() {
        check(&[("a", "")], &["b has no row"]);
    }

    #[test]
    fn the_table_stands_in_the_order_of_the_pipeline() {
        assert_eq!(misplaced(EDGES), Vec::<String>::new());
        assert_eq!(misplaced(&[("b", "a"), ("a", "")]).len(), 1);
    }

    /// Compares a table with the workspace of crate `b`, which uses `a`, and `a` only in tests `b`.
    fn check(table: &[(&str, &str)], expected: &[&str]) {
        let metadata = json!({"packages": [
            {"name": "vxscope-a", "dependencies": [{"name": "b", "kind": "dev"}, {"name": "libc", "kind": null}]},
            {"name": "b", "dependencies": [{"name": "vxscope-a", "kind": null}]},
        ]});
        let graph = graph_of(&metadata).expect("well-formed metadata");
        let complaints = differences(&graph, table);
        assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
        for (complaint, part) in complaints.iter().zip(expected) {
            assert!(complaint.contains(part), "{complaint}");
        }
    }
}
