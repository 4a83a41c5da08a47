//! `vxscope plan`: coverage, cost and filters of strategies over an inventory.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::vxscope;

const INVENTORY: &str = r#"
[[interface]]
id = "eni-1"
role = "database"
region = "us-east-1"
subnet = "a"
addresses = ["10.0.0.1"]
[[interface]]
id = "eni-2"
role = "web"
region = "us-east-1"
subnet = "a"
addresses = ["10.0.0.2"]
"#;

#[test]
fn a_plan_says_what_is_covered_what_it_costs_and_what_did_not_fit() {
    let dir = folder(INVENTORY);
    let arguments = [
        "plan",
        "--inventory",
        "fleet.toml",
        "--strategy",
        "importance",
    ];
    let text = vxscope(
        dir.path(),
        &[&arguments[..], &["--strategy", "access"]].concat(),
    )
    .ok();
    for part in [
        "importance\n  for       what matters most",
        "importance+access\n  sources   1 whole, 1 expected ports, 0 DNS and never-traffic, 0 none",
        "  con       ",
        "  tip       ",
        "of which sessions $21.9000",
        "omitted: tcp/80 served here (egress tcp from 0.0.0.0/0 port 80 to 0.0.0.0/0)",
        "STA - Mirror Filter - All: 4 rules, for 1 sources",
        "prices of 20",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let rules = vxscope(dir.path(), &[&arguments[..], &["--filters"]].concat()).ok();
    assert!(rules.contains("accept ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 445"));
}

#[test]
fn the_json_has_rules_as_ec2_names_them() {
    let dir = folder(INVENTORY);
    let arguments = [
        "plan",
        "--inventory",
        "fleet.toml",
        "--strategy",
        "access",
        "--json",
    ];
    let json = json(dir.path(), &arguments);
    let rule = &json["filters"]["vxscope database IPv4"]["rules"][1];
    assert_eq!(rule["direction"], "egress");
    assert_eq!(rule["protocol"], 17);
    assert_eq!(rule["destination_port_range"], serde_json::json!([53, 53]));
    assert_eq!(rule["source_cidr"], "0.0.0.0/0");
    assert_eq!(json["sources"][0]["floor"], "full");
    assert_eq!(json["outcomes"][0]["covered"]["dns_never"], 2);
    assert_eq!(json["outcomes"][0]["month_sessions"]["low"], 21.9);
}

#[test]
fn an_inventory_may_be_json_and_prices_ones_own() {
    let dir = folder("");
    let interface = r#"{"interface":[{"id":"eni-1","role":"web","region":"moon-1","subnet":"a"}]}"#;
    fs::write(dir.path().join("fleet.json"), interface).unwrap();
    let prices = "[region.moon-1]\nsession_hour = \"1\"";
    fs::write(dir.path().join("prices.toml"), prices).unwrap();
    let arguments = [
        "plan",
        "--inventory",
        "fleet.json",
        "--prices",
        "prices.toml",
        "--json",
    ];
    let json = json(dir.path(), &arguments);
    assert_eq!(json["outcomes"][0]["month_sessions"]["high"], 730.0);
    let shipped = vxscope(dir.path(), &["plan", "--print-prices"]).ok();
    assert!(shipped.contains("[region.us-east-1]"));
}

#[test]
fn wrong_files_are_refused_with_all_their_problems() {
    let dir = folder(
        &INVENTORY
            .replace("\"web\"", "\"moon\"")
            .replace("10.0.0.1", "ten"),
    );
    let run = vxscope(dir.path(), &["plan", "--inventory", "fleet.toml"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr
            .contains("fleet.toml: eni-1: `ten` is no IP address"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("fleet.toml: eni-2: role moon is not known"),
        "{}",
        run.stderr
    );
    let run = vxscope(dir.path(), &["plan", "--inventory", "none.toml"]);
    assert!(run.code == Some(2) && run.stderr.contains("none.toml: cannot be read"));
    let run = vxscope(
        dir.path(),
        &["plan", "--inventory", "fleet.toml", "--strategy", "luck"],
    );
    assert!(run.code == Some(2) && run.stderr.contains("one of all, importance"));
    assert_eq!(vxscope(dir.path(), &["plan"]).code, Some(2));
}

fn folder(inventory: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("fleet.toml"), inventory).expect("a file");
    dir
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&vxscope(dir, arguments).ok()).expect("JSON")
}
