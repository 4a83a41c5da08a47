//! Rules as text: defaults, selection, and every fault at once.

use super::*;
use std::net::IpAddr;
use vxscope_units::{MirrorSource, Vni};

#[test]
fn an_empty_file_is_manual_with_the_defaults() {
    assert_eq!(parse("").check().unwrap(), Rules::default());
    assert_eq!(Rules::default().mode, Mode::Manual);
}

#[test]
fn the_documented_file_has_every_key_with_its_default() {
    let text = include_str!("../../../../docs/policy.toml");
    assert_eq!(parse(text).check().unwrap(), Rules::default());
    let table: toml::Table = text.parse().unwrap();
    let limits = table["limits"].as_table().unwrap();
    // As many as `RawLimits` has fields.
    assert_eq!(
        limits.len(),
        format!("{:?}", RawLimits::default())
            .matches("None")
            .count()
    );
}

#[test]
fn every_fault_is_told_at_once_and_nothing_holds() {
    let text = r#"
        mode = "auto"
        [importance.standard]
        floor = "half"
        blind_minutes = { payload = -1, flow = 100000 }
        [importance.critical]
        floor = "off"
        [[assign]]
        importance = "high"
        cidr = "10.0.0.1/8"
        [[pin]]
        tag = "role"
        eni = "eni-1"
        [limits]
        refusal = 1.5
        changes_max = 100
        day_parts = 9
    "#;
    let told = parse(text).check().unwrap_err().to_string();
    for key in [
        "mode: \"auto\"",
        "importance.standard.floor",
        "importance.standard.blind_minutes.payload",
        "importance.standard.blind_minutes.flow",
        "importance.critical: critical sources are never lowered",
        "assign[0].importance",
        "assign[0].cidr",
        "pin[0]: needs exactly one",
        "limits.refusal",
        "limits.changes_max",
        "limits.day_parts",
    ] {
        assert!(told.contains(key), "{key} is missing in\n{told}");
    }
    assert_eq!(told.lines().count(), 11, "{told}");
}

#[test]
fn unknown_keys_are_faults() {
    assert!(toml::from_str::<RawRules>("blind = 3").is_err());
    assert!(toml::from_str::<RawRules>("[limits]\nburts = 3").is_err());
}

#[test]
fn the_first_assignment_that_fits_holds_and_pins_lift_the_floor() {
    let rules = parse(
        r#"
        [[assign]]
        importance = "critical"
        group = "dns/a"
        [[assign]]
        importance = "low"
        cidr = "10.1.0.0/16"
        allow_off = false
        [[assign]]
        importance = "standard"
        allow_off = true
        tag = "env=test"
        [[pin]]
        eni = "eni-7"
        grade = "truncated"
        "#,
    )
    .check()
    .unwrap();
    let bare = SourceFacts::bare(source([10, 1, 2, 3]));
    let test = [("env".to_owned(), "test".to_owned())];
    let elsewhere = SourceFacts {
        tags: &test,
        ..SourceFacts::bare(source([10, 2, 2, 3]))
    };
    let table = [
        (
            SourceFacts {
                role: "dns",
                subnet: "a",
                ..bare
            },
            Importance::Critical,
            Grade::Full,
        ),
        (
            SourceFacts {
                role: "dns",
                subnet: "b",
                ..bare
            },
            Importance::Low,
            Grade::Sentinel,
        ),
        (elsewhere, Importance::Standard, Grade::Off),
        (
            SourceFacts {
                eni: Some("eni-7"),
                ..elsewhere
            },
            Importance::Standard,
            Grade::Truncated,
        ),
        (
            SourceFacts {
                tags: &[],
                ..elsewhere
            },
            Importance::Standard,
            Grade::Sentinel,
        ),
    ];
    for (facts, importance, lowest) in table {
        let (found, terms) = rules.terms_of(&facts);
        assert_eq!((found, terms.lowest()), (importance, lowest), "{facts:?}");
    }
}

#[test]
fn the_deadline_of_a_grade_is_the_shortest_of_what_it_hides() {
    let terms = Terms::of(Importance::Standard);
    let minutes = |grade| terms.blind_max_of(grade).map(|b| b.as_secs() / 60);
    assert_eq!(minutes(Grade::Full), None);
    assert_eq!(minutes(Grade::Truncated), Some(120));
    assert_eq!(minutes(Grade::Essential), Some(60));
    assert_eq!(minutes(Grade::Off), Some(60));
}

#[test]
fn networks_are_parsed_or_refused() {
    let contains = |cidr: &str, address: &str| {
        let address: IpAddr = address.parse().unwrap();
        Cidr::parse(cidr).map(|cidr| cidr.contains(address))
    };
    assert_eq!(contains("10.0.0.0/8", "10.255.0.1"), Some(true));
    assert_eq!(contains("10.0.0.0/8", "11.0.0.0"), Some(false));
    assert_eq!(contains("10.0.0.0/8", "::a00:1"), Some(false));
    assert_eq!(contains("0.0.0.0/0", "255.255.255.255"), Some(true));
    assert_eq!(contains("2001:db8::/32", "2001:db8:1::1"), Some(true));
    assert_eq!(contains("::/0", "2001:db8:1::1"), Some(true));
    assert_eq!(contains("10.0.0.9", "10.0.0.9"), Some(true));
    for wrong in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "10.0.0.0/x",
        "::/129",
    ] {
        assert_eq!(Cidr::parse(wrong), None, "{wrong}");
    }
}

fn parse(text: &str) -> RawRules {
    toml::from_str(text).expect("known keys")
}

fn source(address: [u8; 4]) -> MirrorSource {
    MirrorSource {
        address: IpAddr::from(address),
        vni: Vni::ZERO,
    }
}
