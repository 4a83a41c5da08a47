//! What holds for any configuration and any text.

use proptest::prelude::*;
use vxscope_config::{
    Choice, Config, ExportKind, FlowScope, PayloadKept, Role, Sources, Target, UnknownSources,
    VlanMode, Way,
};
use vxscope_units::{Binding, ByteSize, Prefix, Vni};

proptest! {
    #[test]
    fn what_is_printed_reads_back_equal(config in config()) {
        let text = config.to_toml();
        prop_assert_eq!(Config::parse(&text), Ok(config), "{}", text);
    }

    #[test]
    fn any_text_gives_a_configuration_or_problems(text in "\\PC*") {
        judge(&text)?;
    }

    #[test]
    fn any_shuffle_of_toml_gives_a_configuration_or_problems(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)
    ) {
        judge(&pieces.concat())?;
    }

    #[test]
    fn a_damaged_reference_gives_a_configuration_or_problems(
        at in any::<prop::sample::Index>(), length in 0_usize..40, with in "[\\PC\n\0]{0,4}"
    ) {
        let mut text = Config::reference();
        let start = at.index(text.len());
        let (start, end) = (boundary(&text, start), boundary(&text, start + length));
        text.replace_range(start..end, &with);
        judge(&text)?;
    }

    #[test]
    fn any_assignment_is_taken_or_refused(assignment in "[a-z.]{0,12}=?\\PC{0,20}") {
        let mut config = Config::default();
        match config.apply_set(&assignment) {
            Ok(()) => prop_assert_eq!(config.check(), Ok(())),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}

#[test]
fn deep_and_wide_text_is_refused_in_time() {
    for text in [
        "[".repeat(200_000),
        format!("seed = {}", "[".repeat(200_000)),
        format!("seed = {}", "{a=".repeat(200_000)),
        format!("{} = 1", "a.".repeat(200_000)),
        format!("seed = {}", "9".repeat(1_000_000)),
        (0..50_000).map(|n| format!("k{n} = 1\n")).collect(),
        format!("decapsulation.vxlan_ports = [{}]", "1,".repeat(100_000)),
        "seed = 1\n".repeat(20_000),
        "\"".repeat(100_001),
    ] {
        let problems = Config::parse(&text).unwrap_err();
        assert!(
            problems
                .iter()
                .all(|problem| problem.to_string().len() < 1_000)
        );
    }
}

fn judge(text: &str) -> Result<(), TestCaseError> {
    match Config::parse(text) {
        Ok(config) => prop_assert_eq!(config.check(), Ok(())),
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                prop_assert!(
                    problem
                        .line()
                        .is_none_or(|line| (1..=lines).contains(&line))
                );
                prop_assert!(!problem.to_string().contains(char::is_control));
            }
        }
    }
    Ok(())
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

const PIECES: &[&str] = &[
    "[flow]",
    "[[flow]]",
    "[[source]]",
    "source",
    "address",
    "'10.0.0.1'",
    "'10.0.0.0/8'",
    "vni",
    "[{",
    "}]",
    "[rings]",
    "[export.eve]",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\n",
    "\n",
    "seed",
    "flow",
    "flows_max",
    "scope",
    "rings",
    "memory",
    "kinds",
    "timeouts",
    "tcp",
    "new",
    "'vni'",
    "\"eve\"",
    "\"\"\"",
    "'''",
    "'1MiB'",
    "1",
    "-1",
    "0x",
    "1e9",
    "inf",
    "nan",
    "true",
    "2026-01-01",
    "#",
    " ",
    "\0",
    "é",
];

fn config() -> impl Strategy<Value = Config> {
    let size = |max: u64| (1..max).prop_map(ByteSize::kib);
    let ports = prop::collection::btree_set(1..30_000_u16, 1..=4);
    (
        (any::<u32>(), 1..64_u16, ports, 0..5_u8),
        (
            prop::sample::select(FlowScope::ALL),
            512..1_u64 << 27,
            1..1_u32 << 24,
            0.01..1.0,
        ),
        (
            1..604_800_u32,
            1..604_800_u32,
            1..604_800_u32,
            0..604_800_u32,
        ),
        (
            size(100),
            size(100),
            size(4_000),
            0.0..0.5,
            0.2..0.8,
            any::<bool>(),
        ),
        (
            prop::sample::subsequence(ExportKind::ALL, 0..=ExportKind::ALL.len()),
            prop::sample::select(VlanMode::ALL),
            any::<bool>(),
        ),
        sources(),
        (
            "[ -!#-Z^-~]{0,64}",
            any::<std::net::SocketAddr>(),
            100..60_000_u32,
        ),
    )
        .prop_map(|(general, flow, timeouts, rings, export, sources, api)| {
            let mut config = Config {
                seed: u64::from(general.0) << 31,
                workers: general.1.try_into().expect("the range starts at 1"),
                ..Config::default()
            };
            config.decapsulation.geneve_ports =
                general.2.iter().map(|port| port + 30_000).collect();
            config.decapsulation.vxlan_ports = general.2.into_iter().collect();
            config.decapsulation.depth = general.3;
            (config.flow.scope, config.flow.flows_max) = (flow.0, flow.1);
            (config.flow.sources_max, config.flow.source_share) = (flow.2.min(16_777_215), flow.3);
            config.flow.timeouts.tcp.new = timeouts.0;
            config.flow.timeouts.icmp.established = timeouts.1;
            config.flow.timeouts.other.new = timeouts.2;
            config.flow.active_timeout_seconds = timeouts.3;
            (config.rings.head, config.rings.tail) = (rings.0, rings.1);
            let private = rings.0.get() + rings.1.get() + rings.2.get();
            config.rings.private = ByteSize::bytes(private.max(4 << 10));
            (config.rings.private_share, config.rings.head_share) = (rings.3, rings.4);
            // So large that every part of it is large enough, unless there is next to no pool.
            config.rings.memory = ByteSize::mib(1 << 20);
            config.rings.enabled = rings.5 && rings.3 > 0.001;
            config.export.kinds = export.0.into_iter().map(way).collect();
            config.export.decap.vlan = export.1;
            config.export.eve.strict = export.2;
            config.sources = sources;
            config.report.sensor = api.0;
            // A scope id is not part of an address that one can write.
            config.api.listen = Some((api.1.ip(), api.1.port()).into());
            (config.api.exposed, config.report.interval_milliseconds) = (true, api.2);
            "tokens".clone_into(&mut config.api.tokens);
            config.signals.roles = roles();
            config
        })
}

/// One that a source may name, and one in place of a known one.
fn roles() -> Vec<Role> {
    let never = ["tcp/22", "udp/161"].map(|port| port.parse().expect("a port"));
    ["printer", "windows"]
        .map(|name| Role {
            name: name.to_owned(),
            never: never.to_vec(),
        })
        .to_vec()
}

/// Different addresses of one length, so that no two overlap.
fn sources() -> impl Strategy<Value = Sources> {
    let one = (
        prop::option::of(0..1_u32 << 24),
        prop::option::of("[^\\p{Cc}]{1,64}"),
        prop::option::of("eni-[0-9a-f]{17}"),
        prop::option::of(("i-[0-9a-f]{17}", "vpc-[0-9a-f]{8}", "[0-9]{12}")),
        prop::option::of(prop::sample::select(vec!["linux", "web-server", "printer"])),
        any::<bool>(),
        prop::option::of(1..=4_094u16),
        prop::option::of(prop::sample::select(PayloadKept::ALL)),
        any::<bool>(),
    );
    let kept = (prop::sample::select(PayloadKept::ALL), 1..=65_535u32);
    let listed = prop::collection::btree_map(any::<u32>(), one, 0..4);
    let all = (prop::sample::select(UnknownSources::ALL), kept, listed);
    all.prop_map(|(unknown, (payload, payload_head), listed)| {
        let listed = listed.into_iter().map(|(address, one)| {
            let (vni, name, eni, ids, role, expected, vlan, payload, forward) = one;
            let address = std::net::Ipv4Addr::from_bits(address).into();
            Binding {
                prefix: Prefix::try_new(address, 32).expect("all bits count"),
                vni: vni.and_then(Vni::try_new),
                name,
                eni,
                instance: ids.as_ref().map(|(instance, ..)| instance.clone()),
                vpc: ids.as_ref().map(|(_, vpc, _)| vpc.clone()),
                account: ids.map(|(.., account)| account),
                role: role.map(ToOwned::to_owned),
                expected,
                vlan,
                payload: payload.map(Into::into),
                forward,
            }
        });
        Sources {
            unknown,
            payload,
            payload_head,
            listed: listed.collect(),
        }
    })
}

/// An output with a target where it needs one.
fn way(kind: ExportKind) -> Way {
    let target = match kind.target() {
        Target::None => None,
        Target::Needed(what) => Some(format!("/some where/\"{what}\"")),
    };
    Way { kind, target }
}
