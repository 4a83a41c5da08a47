//! Facts about plans: who is chosen, what it covers, and what it costs.

use std::net::IpAddr;

use vxscope_units::{EvidenceClass, Grade};

use super::filter::{Direction, Packet, TCP, UDP, Widen};
use super::*;
use crate::Importance;
use crate::money::{PriceTable, Usd};

const FLEET: &str = r#"
[[interface]]
id = "eni-database"
role = "database"
region = "us-east-1"
subnet = "a"
addresses = ["10.0.0.1"]
bytes_per_hour = 1_073_741_824
packets_per_hour = 0
path = "cross_az"
[[interface]]
id = "eni-proxy"
role = "proxy"
region = "us-east-1"
subnet = "a"
[[interface]]
id = "eni-web-1"
role = "web"
region = "us-east-1"
subnet = "a"
addresses = ["10.0.0.2"]
bytes_per_hour = 1_073_741_824
packets_per_hour = 0
path = "cross_az"
[[interface]]
id = "eni-web-2"
role = "web"
region = "us-east-1"
subnet = "a"
addresses = ["10.0.0.3"]
behind = ["nlb/front"]
[[interface]]
id = "eni-worker"
role = "worker"
region = "eu-west-9"
subnet = "b"
data = ["payroll"]
"#;

#[test]
fn each_strategy_chooses_what_it_is_for() {
    check(&[Strategy::All], "all all all all all");
    check(
        &[Strategy::Importance],
        "all sentinel sentinel sentinel sentinel",
    );
    check(
        &[Strategy::Information],
        "all sentinel sentinel sentinel all",
    );
    check(&[Strategy::Junctions], "sentinel all sentinel all sentinel");
    check(
        &[Strategy::Access],
        "expected expected expected expected sentinel",
    );
    check(
        &[Strategy::Access, Strategy::Junctions, Strategy::Information],
        "all all expected all all",
    );
}

#[test]
fn a_sample_has_one_of_each() {
    let plan = plan_of(&[Strategy::Sample], Options::default());
    let whole = |ids: &[&str]| {
        let chosen = plan
            .sources
            .iter()
            .filter(|one| ids.contains(&one.id.as_str()));
        chosen.filter(|one| one.extent == Extent::All).count()
    };
    assert_eq!(whole(&["eni-web-1", "eni-web-2"]), 1);
    assert_eq!(whole(&["eni-worker"]), 1);
    assert_eq!(plan.outcomes[0].rotations, Some(2));
    let chance = plan.outcomes[0].chances[0];
    assert_eq!((chance.touched, chance.worst_stratum), (1, 0.5));
    assert!((chance.overall - 0.8).abs() < 1e-12);
}

#[test]
fn importance_decides_how_low_a_source_may_go() {
    let plan = plan_of(
        &[Strategy::Importance, Strategy::Junctions],
        Options::default(),
    );
    let of = |id: &str| {
        plan.sources
            .iter()
            .find(|one| one.id == id)
            .expect("a source")
    };
    assert_eq!(of("eni-database").floor, Grade::Full);
    assert_eq!(of("eni-proxy").floor, Grade::Sentinel);
    assert_eq!(
        of("eni-web-2").importance,
        Importance::Standard,
        "chosen for its place"
    );
    assert_eq!(of("eni-web-1").floor, Grade::Off);
    assert_eq!(of("eni-web-2").because, [Strategy::Junctions]);
    let names: Vec<&str> = plan.outcomes.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["importance", "junctions", "importance+junctions"]);
}

#[test]
fn dns_and_never_traffic_stay_on_whatever_is_chosen() {
    for strategy in Strategy::ALL {
        let plan = plan_of(&[*strategy], Options::default());
        for source in &plan.sources {
            let filter = &plan.filters[source.filter.as_ref().expect("a session")].filter;
            assert!(filter.amazon_dns);
            let port = if source.id == "eni-database" {
                445
            } else {
                3389
            };
            assert!(filter.accepts(&packet(Direction::Ingress, TCP, 40_000, port)));
            assert!(filter.accepts(&packet(Direction::Egress, UDP, 40_000, 53)));
        }
        let shown = plan.outcomes[0].covered[EvidenceClass::DnsNever.index()];
        assert_eq!(shown, plan.sources.len(), "{strategy:?}");
    }
}

#[test]
fn expected_ports_are_mirrored_both_ways_as_far_as_rules_reach() {
    let plan = plan_of(&[Strategy::Access], Options::default());
    let web = &plan.filters["vxscope web IPv4"];
    assert!(
        web.filter
            .accepts(&packet(Direction::Ingress, TCP, 40_000, 443))
    );
    assert!(
        web.filter
            .accepts(&packet(Direction::Egress, TCP, 443, 40_000))
    );
    assert!(
        !web.filter
            .accepts(&packet(Direction::Ingress, TCP, 40_000, 8_080))
    );
    // One for DNS, six for never-traffic, four for two ports, one for what answers DNS: two too many.
    let omitted: Vec<&str> = web.omitted.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(omitted, ["tcp/80 served here", "udp/53 used elsewhere"]);
    let text = plan.to_string();
    assert!(text.contains("omitted: udp/53 used elsewhere"), "{text}");
}

#[test]
fn nothing_is_widened_unless_told() {
    let told = Options {
        widen: Widen::Gaps(60),
        ..Options::default()
    };
    let never = plan_of(&[Strategy::Access], Options::default());
    let gaps = plan_of(&[Strategy::Access], told);
    assert!(never.filters.values().all(|one| one.widened.is_empty()));
    assert!(
        gaps.filters["vxscope web IPv4"]
            .widened
            .iter()
            .all(|one| one.ports() <= 60)
    );
    assert!(gaps.to_string().contains("accepted beyond the request"));
}

#[test]
fn a_month_costs_sessions_and_the_data_that_passes() {
    let plan = plan_of(&[Strategy::Importance], Options::default());
    let outcome = &plan.outcomes[0];
    // Four documented sessions at $10.95, one at 90 to 200 % of it.
    let sessions = outcome.month_sessions;
    assert_eq!(sessions.low, Usd::from_dollars(10.95 * 4.9));
    assert_eq!(sessions.high, Usd::from_dollars(10.95 * 6.0));
    // 730 GiB of the database across zones; of the web server from nothing to 5 %.
    assert_eq!(outcome.month.low, sessions.low + Usd::from_dollars(14.60));
    assert_eq!(
        outcome.month.high,
        sessions.high + Usd::from_dollars(14.60 * 1.05)
    );
    assert_eq!(outcome.bytes_permille, Some(500));
    assert_eq!((outcome.without_bytes, outcome.undocumented), (3, 1));
    let notes = outcome.notes().join("\n");
    assert!(notes.contains("3 sources have no bytes") && notes.contains("1 sources are in"));
}

#[test]
fn the_ceiling_is_what_may_be_paused_for_as_long_as_it_may() {
    let plan = plan_of(&[Strategy::Importance], Options::default());
    let ceiling = plan.outcomes[0].ceiling;
    assert_eq!(ceiling.always_full, plan.outcomes[0].month.high);
    // Off for 240 of 297 minutes: two web servers and the worker, whose price is doubled, and 5 %
    // of the data of one. The database is never lowered, the proxy keeps its session.
    let pausable = Usd::from_dollars(10.95 * 4.0 + 14.60 * 0.05);
    let exact = pausable.scaled(240.0 / 297.0);
    assert!(
        (ceiling.savable - exact).dollars().abs() < 1e-6,
        "{ceiling}"
    );
    assert!(plan.to_string().contains("ceiling   pausing: at most"));
    assert_eq!(plan.outcomes[0].same_zone, 3);
}

#[test]
fn without_a_base_the_rest_has_no_session() {
    let options = Options {
        base: Extent::None,
        ..Options::default()
    };
    let plan = plan_of(&[Strategy::Importance], options);
    assert_eq!(plan.outcomes[0].extents, [4, 0, 0, 1]);
    assert_eq!(
        plan.outcomes[0].month_sessions.high,
        Usd::from_dollars(10.95)
    );
    assert!(plan.sources[1].filter.is_none());
    assert_eq!(plan.outcomes[0].covered, [1; 4]);
}

#[test]
fn an_empty_inventory_is_no_trouble() {
    let inventory = Inventory::from_toml("").expect("an empty file");
    let prices = PriceTable::published().expect("the table that ships");
    let plan = plan(&inventory, &Options::default(), &prices);
    assert!(plan.sources.is_empty());
    assert_eq!(plan.outcomes[0].month.high, Usd::ZERO);
    assert!(plan.outcomes[0].chances.is_empty());
}

fn plan_of(strategies: &[Strategy], options: Options) -> Plan {
    let inventory = Inventory::from_toml(FLEET).expect("a good inventory");
    let options = Options {
        strategies: strategies.to_vec(),
        ..options
    };
    let prices = PriceTable::published().expect("the table that ships");
    plan(&inventory, &options, &prices)
}

fn packet(direction: Direction, protocol: u8, source_port: u16, destination_port: u16) -> Packet {
    Packet {
        direction,
        source: IpAddr::from([10, 0, 0, 1]),
        destination: IpAddr::from([10, 0, 0, 2]),
        protocol,
        source_port,
        destination_port,
        amazon_dns: false,
    }
}

fn check(strategies: &[Strategy], extents: &str) {
    let plan = plan_of(strategies, Options::default());
    let found: Vec<&str> = plan.sources.iter().map(|one| one.extent.name()).collect();
    assert_eq!(found.join(" "), extents, "{strategies:?}");
}
