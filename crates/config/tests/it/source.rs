//! Listed sources: what they may say, and what they say when they may not.

use vxscope_config::{Config, UnknownSources};
use vxscope_units::{BindTable, Unknown};

#[test]
fn a_source_has_an_address_and_perhaps_more() {
    let config = Config::parse(
        r#"
        sources.unknown = "drop"
        [[source]]
        address = "10.0.0.0/24"
        vni = 7
        name = "broker \"1\""
        eni = "eni-0123456789abcdef0"
        expected = true
        [[source]]
        address = "2001:db8::5"
        "#,
    );
    let config = config.unwrap();
    assert_eq!(config.sources.unknown, UnknownSources::Drop);
    let [broker, agent] = &config.sources.listed[..] else {
        panic!("two sources: {:?}", config.sources)
    };
    assert_eq!(broker.to_string(), "10.0.0.0/24 vni 7");
    assert_eq!(broker.name.as_deref(), Some("broker \"1\""));
    assert_eq!(broker.eni.as_deref(), Some("eni-0123456789abcdef0"));
    assert!(broker.expected);
    assert_eq!(agent.to_string(), "2001:db8::5");
    assert_eq!((&agent.name, agent.expected), (&None, false));
    assert_eq!(Config::parse(&config.to_toml()), Ok(config));
}

#[test]
fn an_assignment_replaces_the_list() {
    let mut config = Config::parse("[[source]]\naddress = '10.0.0.1'").unwrap();
    config
        .apply_set("source=[{address='10.0.0.2'}, {address='10.0.0.3'}]")
        .unwrap();
    assert_eq!(config.sources.listed.len(), 2);
    config.apply_set("workers.count=2").unwrap();
    assert_eq!(config.sources.listed.len(), 2);
    let problems = config.apply_set("source=[{vni=1}]").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "--set source=[{vni=1}]: source.address: a source needs an address, like \"10.0.0.5\" or \
         \"10.0.0.0/24\""
    );
}

#[test]
fn the_word_auto_goes_by_whether_a_source_is_known() {
    let table = |text| BindTable::try_new(Config::parse(text).unwrap().sources.listed).unwrap();
    let (empty, one) = (table(""), table("[[source]]\naddress = '10.0.0.1'"));
    for (word, without, with) in [
        ("auto", Unknown::Accept, Unknown::Quarantine),
        ("accept", Unknown::Accept, Unknown::Accept),
        ("quarantine", Unknown::Quarantine, Unknown::Quarantine),
        ("drop", Unknown::Drop, Unknown::Drop),
    ] {
        let config = Config::parse(&format!("sources.unknown = '{word}'")).unwrap();
        let unknown = config.sources.unknown;
        assert_eq!((unknown.with(&empty), unknown.with(&one)), (without, with));
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = r#"[[source]]
address = "10.0.0.0/8"
vni = 16777216
[[source]]
address = "10.0.0.5/24"
[[source]]
name = ""
adress = "10.0.0.1"
[[source]]
vni = 7
[[source]]
address = 10
eni = "eni-1"
expected = 1
[[source]]
address = "10.1.0.0/16"
[[source]]
address = "10.1.0.0/16"
[[source]]
address = "10.0.0.0/9"
vni = 7
"#;
    let problems = Config::parse(text).unwrap_err();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let number = "a whole number from 0 to 16777215";
    let example = "10.0.0.5, 10.0.0.0/24, 2001:db8::5 or 2001:db8::/32";
    let expected = [
        format!("line 3: source.vni: found 16777216; allowed: {number}"),
        "line 5: source.address: 10.0.0.5 has bits beyond the first 24; the network is 10.0.0.0/24"
            .to_owned(),
        "line 7: source.name: found \"\"; allowed: 1 to 64 characters, none of them a control \
         character"
            .to_owned(),
        "line 8: source.adress: unknown key; known here: address, vni, name, eni, instance, vpc, account, role, expected, vlan, payload, forward"
            .to_owned(),
        "line 9: source.address: a source needs an address, like \"10.0.0.5\" or \"10.0.0.0/24\""
            .to_owned(),
        format!("line 12: source.address: found 10, which is not an address; write {example}"),
        "line 13: source.eni: found \"eni-1\"; allowed: the id of a network interface, like \
         \"eni-0123456789abcdef0\""
            .to_owned(),
        "line 14: source.expected: found 1; allowed: true or false".to_owned(),
        "line 18: source.address: the same as 10.1.0.0/16 of line 16; keep one of them".to_owned(),
        "line 20: source.address: overlaps 10.1.0.0/16 of line 16, and neither is within the \
         other; add a source with the longer prefix and the VNI of the other"
            .to_owned(),
    ];
    assert_eq!(problems, expected);
}

#[test]
fn what_is_no_list_of_tables_is_refused() {
    let allowed = "allowed: one [[source]] table for each source";
    for (text, expected) in [
        ("source = 1", format!("line 1: source: found 1; {allowed}")),
        (
            "[source]\naddress = '::1'",
            format!("line 1: source: found a table; {allowed}"),
        ),
        (
            "source = ['::1']",
            format!("line 1: source: found '::1'; {allowed}"),
        ),
    ] {
        let problems = Config::parse(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].to_string(), expected);
    }
}
