//! What a configuration says back: to good text, to bad text, and to hostile text.

mod property;
mod role;
mod source;

use vxscope_config::{Choice, Config, ExportKind, FlowScope, Place, Target, VlanMode, Way};
use vxscope_units::ByteSize;

#[test]
fn nothing_written_is_the_default() {
    assert_eq!(Config::parse(""), Ok(Config::default()));
    assert_eq!(Config::default().check(), Ok(()));
}

#[test]
fn the_reference_is_the_default_and_explains_every_key() {
    let reference = Config::reference();
    assert_eq!(Config::parse(&reference), Ok(Config::default()));
    let keys = reference
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'))
        .count();
    let allowed = reference
        .lines()
        .filter(|line| line.starts_with("# Allowed: "))
        .count();
    assert_eq!(keys, allowed);
    assert!(keys > 50);
    for line in [
        "[flow.timeouts]",
        "tcp.established = 600",
        "memory = \"256MiB\"",
        "seed = 0",
    ] {
        assert!(reference.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn every_section_is_read() {
    let config = Config::parse(
        r#"
        seed = 7
        workers.count = 4
        [decapsulation]
        vxlan_ports = [4_789, 8472]
        depth = 0x2
        [flow]
        scope = "vni"
        flows_max = 1000
        source_share = 1
        timeouts = { tcp = { new = 5 }, icmp.established = 9 }
        [rings]
        enabled = false
        memory = 1048576
        head = "1 KiB"
        [export]
        kinds = ["decap"]
        decap.vlan = "qinq"
        eve = { strict = true }
        "#,
    )
    .unwrap();
    assert_eq!((config.seed, config.workers.get()), (7, 4));
    assert_eq!(config.decapsulation.vxlan_ports, [4789, 8472]);
    assert_eq!(
        (
            config.decapsulation.geneve_ports,
            config.decapsulation.depth
        ),
        (vec![6081], 2)
    );
    assert_eq!(
        (config.flow.scope, config.flow.flows_max),
        (FlowScope::Vni, 1000)
    );
    assert_eq!(config.flow.source_share.to_bits(), 1.0_f64.to_bits());
    assert_eq!(
        (
            config.flow.timeouts.tcp.new,
            config.flow.timeouts.tcp.closed
        ),
        (5, 60)
    );
    assert_eq!(
        (
            config.flow.timeouts.icmp.new,
            config.flow.timeouts.icmp.established
        ),
        (30, 9)
    );
    assert_eq!(
        (config.rings.memory, config.rings.head),
        (ByteSize::mib(1), ByteSize::kib(1))
    );
    assert_eq!(
        (config.export.kinds, config.export.decap.vlan),
        (vec![Way::of(ExportKind::Decap)], VlanMode::Qinq)
    );
    assert!(config.export.eve.strict && !config.rings.enabled);
}

#[test]
fn a_wrong_value_says_what_was_found_and_what_is_allowed() {
    let number = "a whole number from 8 to 134217728";
    check(
        "[flow]\nflows_max = 'many'",
        &format!("line 2: flow.flows_max: found 'many'; allowed: {number}"),
    );
    check(
        "[flow]\nflows_max = 7",
        &format!("line 2: flow.flows_max: found 7; allowed: {number}"),
    );
    check(
        "flow.flows_max = -9",
        &format!("line 1: flow.flows_max: found -9; allowed: {number}"),
    );
    check(
        "flow.flows_max = 1e3",
        &format!("line 1: flow.flows_max: found 1e3; allowed: {number}"),
    );
    check(
        "flow.flows_max = 99999999999999999999999",
        &format!("line 1: flow.flows_max: found 99999999999999999999999; allowed: {number}"),
    );
    check(
        "flow.flows_max = 2026-11-21",
        &format!("line 1: flow.flows_max: found 2026-11-21 (a date); allowed: {number}"),
    );
    check(
        "flow.flows_max = {}",
        &format!("line 1: flow.flows_max: found a table; allowed: {number}"),
    );
    check(
        "workers.count = 0",
        "line 1: workers.count: found 0; allowed: a whole number from 1 to 64",
    );
    check(
        "seed = 9223372036854775808",
        "line 1: seed: found 9223372036854775808; allowed: a whole number from 0 to 9223372036854775807",
    );
    check(
        "flow.scope = 'Source'",
        "line 1: flow.scope: found 'Source'; allowed: \"source\" or \"vni\"",
    );
    check(
        "flow.source_share = nan",
        "line 1: flow.source_share: found nan; allowed: a number from 0.01 to 1.0",
    );
    check(
        "rings.head = '16 kB'",
        "line 1: rings.head: found '16 kB'; allowed: a size from \"1KiB\" to \"64MiB\"",
    );
    check(
        "rings.enabled = 1",
        "line 1: rings.enabled: found 1; allowed: true or false",
    );
    for ports in ["[0]", "[65536]", "['a']", "4789", "[5, 5]", "[[5]]"] {
        let allowed = "a list of at most 4 different ports from 1 to 65535, like [4789]";
        let message = format!("found {ports}; allowed: {allowed}");
        check(
            &format!("decapsulation.vxlan_ports = {ports}"),
            &format!("line 1: decapsulation.vxlan_ports: {message}"),
        );
    }
    for kinds in ["['eve', 'eve']", "['evee']", "['eve=there']", "'eve'"] {
        let forms: Vec<String> = ExportKind::ALL.iter().map(form).collect();
        let allowed = format!("a list of outputs, each at most once: {}", forms.join(", "));
        check(
            &format!("export.kinds = {kinds}"),
            &format!("line 1: export.kinds: found {kinds}; allowed: {allowed}"),
        );
    }
}

/// An output as it is written.
fn form(kind: &ExportKind) -> String {
    match kind.target() {
        Target::None => kind.to_string(),
        Target::Needed(what) => format!("{kind}={what}"),
    }
}

#[test]
fn an_unknown_key_is_met_with_a_suggestion() {
    check(
        "[flow]\nflow_max = 5",
        "line 2: flow.flow_max: unknown key; did you mean flow.flows_max?",
    );
    check(
        "flows_max = 5",
        "line 1: flows_max: unknown key; did you mean flow.flows_max?",
    );
    check(
        "[ring]\nhead = '1KiB'",
        "line 1: ring: unknown key; known here: seed, workers, capture, decapsulation, sources, flow, rings, signals, export, policy, report, canary, api, look_back, detectors, handoff, log, security, role, source",
    );
    check(
        "[export.decap]\ncolour = 1",
        "line 2: export.decap.colour: unknown key; known here: vlan",
    );
    check(
        "workers = 4",
        "line 1: workers: found 4; allowed: a table of keys",
    );
    check(
        "[[flow]]\nscope = 'vni'",
        "line 1: flow: found [[flow]]; allowed: a table of keys",
    );
    check(
        "seed.x = 1",
        "line 1: seed: found a table; allowed: a whole number from 0 to 9223372036854775807",
    );
}

#[test]
fn an_address_or_a_path_needs_no_quotes_in_an_assignment() {
    let mut config = Config::default();
    config.apply_set("api.listen=127.0.0.1:9477").unwrap();
    config
        .apply_set("api.control_socket=/run/vxscope/control.sock")
        .unwrap();
    assert_eq!(config.api.listen, "127.0.0.1:9477".parse().ok());
    assert_eq!(config.api.control_socket, "/run/vxscope/control.sock");
    config.apply_set("api.listen=localhost").unwrap_err();
    config.apply_set("api.listen=").unwrap();
    assert_eq!(config.api.listen, None);
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    check(
        "api.listen = '0.0.0.0:9477'",
        "line 1: api.listen: 0.0.0.0:9477 can be reached from other machines; use 127.0.0.1, or set api.exposed = true and name a file of tokens with api.tokens",
    );
    check(
        "decapsulation.geneve_ports = [4789]",
        "line 1: decapsulation.geneve_ports: port 4789 is in decapsulation.vxlan_ports as well; \
         it can carry only one",
    );
    check(
        "[decapsulation]\ngeneve_ports = []\nvxlan_ports = []",
        "line 2: decapsulation.geneve_ports: no port for VXLAN and none for GENEVE; nothing could be opened",
    );
    check(
        "flow.flows_max = 100\nworkers.count = 64",
        "line 1: flow.flows_max: 100 flows are too few for 64 workers; at least 512 are needed",
    );
    check(
        "rings.head = '250KiB'",
        "line 1: rings.head: rings.private (256KiB) must hold rings.head (250KiB) and rings.tail (64KiB)",
    );
    check(
        "workers.count = 64\nrings.memory = '16MiB'",
        "line 2: rings.memory: rings.memory (16MiB) for 64 workers leaves 98304 bytes for the head log \
         of each; 131072 are needed: raise rings.memory, or lower rings.head, rings.tail, \
         rings.private or workers.count",
    );
    // Without rings their sizes do not matter, and without a pool neither does private_share.
    let off = "workers.count = 64\nrings.memory = '16MiB'\nrings.enabled = false";
    assert!(Config::parse(off).is_ok());
    assert!(Config::parse("rings.memory = '1MiB'\nrings.private_share = 0").is_ok());
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_lines() {
    let text = "\
seed = -1
colour = 'red'
[workers]
count = 65
[flow]
flows_max = = 3
scope = 'all'
[rings]
private = '80KiB'
head = '32KiB'
[export]
kinds = ['evil']
";
    let lines: Vec<String> = problems(text);
    let starts = [
        "line 1: seed: found -1",
        "line 2: colour: unknown key",
        "line 4: workers.count: found 65",
        "line 6: not TOML: ",
        "line 7: flow.scope: found 'all'",
        "line 9: rings.private: rings.private (80KiB) must hold",
        "line 12: export.kinds: found ['evil']",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn text_that_is_not_toml_names_its_lines() {
    for (text, line) in [
        ("seed", 1),
        ("seed = 1\nseed = 2", 2),
        ("[flow\nscope = 'vni'", 1),
        ("[flow]\nscope = 'vni", 2),
        ("\n\nseed = ", 3),
        ("[flow]\n[flow]", 2),
        ("seed = 1 2", 1),
        ("a = [1,\n", 1),
    ] {
        let problems = Config::parse(text).unwrap_err();
        assert!(
            problems[0].to_string().contains("not TOML: "),
            "{text}: {problems:?}"
        );
        assert!(
            problems.iter().any(|problem| problem.line() == Some(line)),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn problems_know_their_column() {
    let problems = Config::parse("[flow]\n  scope = 'x'").unwrap_err();
    assert_eq!(
        problems[0].place,
        Place::Line {
            line: 2,
            column: 11
        }
    );
}

#[test]
fn an_assignment_changes_one_key() {
    let mut config = Config::default();
    for assignment in [
        "flow.flows_max=5_000",
        "flow.scope = vni",
        "rings.memory=1GiB",
        "rings.head=\"8KiB\"",
        "export.kinds=eve,conn-log",
        "decapsulation.vxlan_ports=4789,4790",
        "decapsulation.geneve_ports=[]",
        "flow.timeouts.tcp={new=10, closed=3}",
        "export.eve.strict=true",
        "flow.source_share=0.25",
    ] {
        config
            .apply_set(assignment)
            .unwrap_or_else(|problems| panic!("{problems:?}"));
    }
    assert_eq!(
        (config.flow.flows_max, config.flow.scope),
        (5_000, FlowScope::Vni)
    );
    assert_eq!(
        (config.rings.memory, config.rings.head),
        (ByteSize::mib(1024), ByteSize::kib(8))
    );
    assert_eq!(
        config.export.kinds,
        [ExportKind::Eve, ExportKind::ConnLog].map(Way::of)
    );
    assert_eq!(config.decapsulation.vxlan_ports, [4789, 4790]);
    assert!(config.decapsulation.geneve_ports.is_empty() && config.export.eve.strict);
    assert_eq!(
        (
            config.flow.timeouts.tcp.new,
            config.flow.timeouts.tcp.closed
        ),
        (10, 3)
    );
}

#[test]
fn a_wrong_assignment_changes_nothing_and_says_why() {
    for (assignment, message) in [
        (
            "flow.flows_max",
            "--set flow.flows_max: write key=value, like flow.flows_max=1000",
        ),
        (
            "flow.flow_max=3",
            "--set flow.flow_max=3: flow.flow_max: unknown key; did you mean flow.flows_max?",
        ),
        (
            "flow.scope=all",
            "--set flow.scope=all: flow.scope: found \"all\"; allowed: \"source\" or \"vni\"",
        ),
        (
            "flow={scope=3,flows_max=9}",
            "--set flow={scope=3,flows_max=9}: flow.scope: found 3; allowed: \"source\" or \"vni\"",
        ),
        ("=3", "--set =3: write key=value, like flow.flows_max=1000"),
        ("seed=", "--set seed=: "),
        (
            "seed=1\n[flow]",
            "--set seed=1\\n[flow]: seed: not a TOML value: ",
        ),
        (
            "rings.tail=1MiB",
            "--set rings.tail=1MiB: rings.tail: rings.private (256KiB) must hold",
        ),
    ] {
        let mut config = Config::default();
        let problems = config.apply_set(assignment).unwrap_err();
        assert!(
            problems[0].to_string().starts_with(message),
            "{}",
            problems[0]
        );
        assert_eq!(config, Config::default());
    }
}

#[test]
fn assignments_override_the_file_and_are_compared_only_at_the_end() {
    let sets = |sets: &[&str]| sets.iter().map(|&set| set.to_owned()).collect::<Vec<_>>();
    let both = sets(&["rings.tail=1MiB", "rings.private=2MiB"]);
    let config = Config::parse_with("seed = 3", &both).unwrap();
    assert_eq!((config.seed, config.rings.private), (3, ByteSize::mib(2)));
    let problems = Config::parse_with("seed = -3", &sets(&["seed=-4", "x=1"])).unwrap_err();
    assert_eq!(problems.len(), 3);
}

#[test]
fn a_hand_made_configuration_is_checked() {
    let mut config = Config::default();
    config.flow.flows_max = 3;
    config.decapsulation.depth = 9;
    let keys: Vec<String> = config
        .check()
        .unwrap_err()
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    assert_eq!(keys, ["decapsulation.depth", "flow.flows_max"]);
}

/// The text's only problem is `expected`.
fn check(text: &str, expected: &str) {
    assert_eq!(problems(text), [expected], "{text}");
}

fn problems(text: &str) -> Vec<String> {
    Config::parse(text)
        .expect_err("a problem")
        .iter()
        .map(ToString::to_string)
        .collect()
}
