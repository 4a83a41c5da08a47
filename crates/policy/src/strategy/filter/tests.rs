//! Facts about compiled filters, checked against packets one by one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

#[test]
fn ranges_that_touch_become_one_rule() {
    let services = ["tcp/20-21", "tcp/23", "tcp/22", "tcp/100", "tcp/90-110"];
    check(
        &services,
        Use::Tried,
        &[Family::V4],
        "network service amazon-dns\n\
         10 accept ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 20-23\n\
         20 accept ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 90-110\n",
        0,
    );
}

#[test]
fn blocks_that_touch_become_one_rule() {
    let services = [
        "tcp/1 from 10.0.0.0/25",
        "tcp/1 from 10.0.0.128/25",
        "tcp/1 from 10.0.2.0/24",
    ];
    check(
        &services,
        Use::Tried,
        &Family::BOTH,
        "network service amazon-dns\n\
         10 accept ingress tcp from 10.0.0.0/24 to 0.0.0.0/0 port 1\n\
         20 accept ingress tcp from 10.0.2.0/24 to 0.0.0.0/0 port 1\n",
        0,
    );
}

#[test]
fn what_does_not_fit_is_handed_back() {
    let ports: Vec<String> = (0..12)
        .map(|index| format!("tcp/{}", 1_000 + 10 * index))
        .collect();
    let services = services(&ports);
    let wanted = request("many", &[Family::V4], [(Use::Tried, &services[..])]);
    let compiled = wanted.compile(Widen::Never);
    assert_eq!(compiled.filter.rules.len(), RULES_MAX);
    let omitted: Vec<&str> = compiled
        .omitted
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    assert_eq!(omitted, ["tcp/1100 tried here", "tcp/1110 tried here"]);
    assert!(compiled.widened.is_empty());
    // Nine ports lie between two: two gaps make room for both.
    assert_eq!(wanted.compile(Widen::Gaps(8)).omitted.len(), 2);
    let wider = wanted.compile(Widen::Gaps(9));
    assert!(wider.omitted.is_empty());
    assert_eq!(wider.widened.len(), 2);
    assert_eq!(wider.widened[0].ports(), 9);
}

#[test]
fn what_closes_a_gap_later_makes_room_for_what_was_refused() {
    let mut ports: Vec<String> = (0..10).map(|index| format!("tcp/{}", 10 * index)).collect();
    ports.extend(["tcp/500".to_owned(), "tcp/1-9".to_owned()]);
    let services = services(&ports);
    let compiled =
        request("gap", &[Family::V4], [(Use::Tried, &services[..])]).compile(Widen::Never);
    assert!(compiled.omitted.is_empty(), "{:?}", compiled.omitted);
    assert_eq!(compiled.filter.rules.len(), 10);
}

#[test]
fn a_request_beyond_its_limit_is_cut_by_name() {
    let ports: Vec<String> = (0..200).map(|port| format!("tcp/{port}")).collect();
    let services = services(&ports);
    let compiled =
        request("long", &[Family::V4], [(Use::Tried, &services[..])]).compile(Widen::Never);
    assert_eq!(compiled.filter.rules.len(), 1);
    assert_eq!(compiled.omitted.len(), 200 - CLAUSES_MAX);
}

#[test]
fn exceptions_come_first_and_only_where_they_matter() {
    let all = Clause::all(Direction::Egress, Family::V4);
    let wanted = Request {
        name: "except".to_owned(),
        amazon_dns: false,
        layers: vec![Layer {
            except: vec![
                all.of(TCP).to_ports(Ports::one(873)),
                Clause::all(Direction::Ingress, Family::V4).of(TCP),
            ],
            accept: vec![Wanted {
                clause: all,
                what: String::new(),
                rank: 0,
            }],
        }],
    };
    assert_eq!(
        wanted.compile(Widen::Never).filter.to_string(),
        "10 reject egress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 873\n\
         20 accept egress any from 0.0.0.0/0 to 0.0.0.0/0\n"
    );
}

#[test]
fn ready_filters_are_those_of_the_documentation() {
    let documented = include_str!("../../../../../docs/FILTERS.md");
    for standard in Standard::ALL {
        for families in [&[Family::V4][..], &Family::BOTH] {
            let compiled = standard.compile(families);
            assert!(compiled.filter.rules.len() <= RULES_MAX);
            let block = format!("```text\n{compiled}```\n");
            assert!(
                documented.contains(&block),
                "{} is documented otherwise; it is now\n{block}",
                standard.name()
            );
        }
    }
}

#[test]
fn in_one_family_each_grade_of_filter_holds_the_one_below() {
    let filter = |standard: Standard| standard.compile(&[Family::V4]).filter;
    for system in [System::Linux, System::Windows] {
        let essential = filter(Standard::Essential(system));
        for port in 0..=1_023 {
            let tried = packet(Direction::Ingress, TCP, 40_000, port);
            let asked = packet(Direction::Egress, UDP, 40_000, port);
            let answer = packet(Direction::Ingress, UDP, port, 40_000);
            for packet in [tried, asked, answer] {
                let sentinel = filter(Standard::Sentinel(system)).accepts(&packet);
                assert!(!sentinel || essential.accepts(&packet), "{packet:?}");
                let moderate = filter(Standard::Moderate).accepts(&packet);
                assert!(!essential.accepts(&packet) || moderate, "{packet:?}");
            }
        }
    }
}

#[test]
fn ready_filters_show_what_they_are_for() {
    let inbound = |port| packet(Direction::Ingress, TCP, 40_000, port);
    let sees = |standard: Standard, packet| standard.compile(&[Family::V4]).filter.accepts(&packet);
    let (essential, sentinel) = (
        Standard::Essential(System::Linux),
        Standard::Sentinel(System::Linux),
    );
    assert!(sees(essential, inbound(22)) && !sees(sentinel, inbound(22)));
    assert!(sees(essential, inbound(445)) && sees(sentinel, inbound(445)));
    assert!(!sees(essential, inbound(443)));
    assert!(sees(Standard::Sentinel(System::Windows), inbound(22)));
    let outbound = |from, to| packet(Direction::Egress, TCP, from, to);
    assert!(sees(Standard::Moderate, outbound(40_000, 443)));
    assert!(!sees(Standard::Moderate, outbound(443, 40_000)));
    assert!(sees(Standard::Moderate, outbound(80, 40_000)));
    let query = packet(Direction::Egress, UDP, 40_000, 53);
    assert!(sees(sentinel, query) && sees(essential, query));
    let resolver = Packet {
        amazon_dns: true,
        ..query
    };
    assert!(sees(sentinel, resolver));
}

#[test]
fn a_lower_grade_mirrors_nothing_that_the_sources_own_filter_does_not() {
    let own = request(
        "own",
        &[Family::V4],
        [(Use::Served, &services(&["icmp"])[..])],
    );
    let own = own.compile(Widen::Never).filter;
    let essential = Standard::Essential(System::Linux)
        .request(&[Family::V4])
        .within(&own);
    assert_eq!(essential.compile(Widen::Never).filter.rules, []);
    let inside = ["any from 10.0.0.0/8"];
    let own = request("own", &[Family::V4], [(Use::Tried, &services(&inside)[..])]);
    let own = own.compile(Widen::Never).filter;
    let sentinel = Standard::Sentinel(System::Windows).request(&[Family::V4]);
    assert_eq!(
        sentinel
            .within(&own)
            .compile(Widen::Never)
            .filter
            .to_string(),
        "network service amazon-dns\n\
         10 accept ingress tcp from 10.0.0.0/8 to 0.0.0.0/0 port 22\n\
         20 accept ingress tcp from 10.0.0.0/8 to 0.0.0.0/0 port 2049\n\
         30 accept ingress tcp from 10.0.0.0/8 to 0.0.0.0/0 port 111\n\
         40 accept ingress udp from 10.0.0.0/8 port 53 to 0.0.0.0/0\n"
    );
    let everything = Standard::All.compile(&Family::BOTH).filter;
    let essential = Standard::Essential(System::Linux).request(&[Family::V4]);
    assert_eq!(
        essential.within(&everything).compile(Widen::Never).filter,
        essential.compile(Widen::Never).filter
    );
}

fn any_ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        Just(Ports::ALL),
        (0..40u16, 0..6u16)
            .prop_map(|(first, more)| { Ports::try_new(first, first + more).expect("in order") }),
    ]
}

fn any_net() -> impl Strategy<Value = Net> {
    (0..8u32, prop_oneof![Just(0u8), 29..=32u8]).prop_map(|(low, length)| {
        let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | low));
        Net::try_new(address, length).expect("short enough")
    })
}

fn any_clause() -> impl Strategy<Value = Clause> {
    let way = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    let protocol = prop_oneof![
        Just(None),
        Just(Some(TCP)),
        Just(Some(UDP)),
        Just(Some(ICMP))
    ];
    let ends = (any_net(), any_ports(), any_net(), any_ports());
    (way, protocol, any::<bool>(), ends).prop_map(|(way, protocol, six, ends)| {
        let (source, source_ports, destination, destination_ports) = ends;
        let family = if six { Family::V6 } else { Family::V4 };
        let clause = Clause::all(way, family);
        let clause = protocol.map_or(clause, |protocol| clause.of(protocol));
        let clause = clause.from_ports(source_ports).to_ports(destination_ports);
        let clause = clause.from_net(source).unwrap_or(clause);
        clause.to_net(destination).unwrap_or(clause)
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    let layer = (
        proptest::collection::vec(any_clause(), 0..3),
        proptest::collection::vec((any_clause(), 0..9u32), 0..14),
    );
    let layer = layer.prop_map(|(except, accept)| Layer {
        except,
        accept: accept
            .into_iter()
            .map(|(clause, rank)| Wanted {
                clause,
                what: clause.to_string(),
                rank,
            })
            .collect(),
    });
    (proptest::collection::vec(layer, 1..3), any::<bool>()).prop_map(|(layers, amazon_dns)| {
        Request {
            name: "any".to_owned(),
            amazon_dns,
            layers,
        }
    })
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let way = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    let address = || 0..9u32;
    let protocol = prop_oneof![4 => Just(TCP), 4 => Just(UDP), 1 => Just(ICMP), 1 => Just(47)];
    let dns = prop_oneof![9 => Just(false), 1 => Just(true)];
    let ports = (0..48u16, 0..48u16);
    (
        way,
        address(),
        address(),
        protocol,
        any::<bool>(),
        dns,
        ports,
    )
        .prop_map(
            |(direction, source, destination, protocol, six, amazon_dns, ports)| {
                let address = |low: u32| {
                    if six {
                        IpAddr::from(Ipv6Addr::from_bits(u128::from(low)))
                    } else {
                        IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | low))
                    }
                };
                Packet {
                    direction,
                    source: address(source),
                    destination: address(destination),
                    protocol,
                    source_port: ports.0,
                    destination_port: ports.1,
                    amazon_dns,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_accepted_beyond_the_request(
        request in any_request(),
        gaps in prop_oneof![Just(None), (0..40u32).prop_map(Some)],
        packets in proptest::collection::vec(any_packet(), 200),
    ) {
        let compiled = request.compile(gaps.map_or(Widen::Never, Widen::Gaps));
        prop_assert!(compiled.filter.rules.len() <= RULES_MAX);
        prop_assert!(gaps.is_some() || compiled.widened.is_empty());
        for packet in &packets {
            let accepted = compiled.filter.accepts(packet);
            let widened = compiled.widened.iter().any(|clause| clause.matches(packet));
            let omitted = compiled.omitted.iter().any(|one| one.clause.matches(packet));
            if accepted {
                prop_assert!(request.accepts(packet) || widened, "beyond: {packet:?}\n{}", compiled.filter);
            } else {
                prop_assert!(!request.accepts(packet) || omitted, "lost: {packet:?}\n{}", compiled.filter);
            }
        }
    }

    #[test]
    fn within_a_filter_is_what_both_accept(
        request in any_request(),
        other in any_request(),
        packets in proptest::collection::vec(any_packet(), 200),
    ) {
        let filter = other.compile(Widen::Never).filter;
        let within = request.within(&filter);
        for packet in &packets {
            let both = request.accepts(packet) && filter.accepts(packet);
            if request.layers.len() == 1 {
                prop_assert_eq!(within.accepts(packet), both, "{:?}\n{}", packet, filter);
            } else {
                prop_assert!(both || !within.accepts(packet), "{:?}\n{}", packet, filter);
            }
        }
    }
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

fn services<T: AsRef<str>>(texts: &[T]) -> Vec<Service> {
    let read = |text: &T| text.as_ref().parse().expect("a service");
    texts.iter().map(read).collect()
}

fn check(texts: &[&str], way: Use, families: &[Family], expected: &str, omitted: usize) {
    let services = services(texts);
    let compiled = request("checked", families, [(way, &services[..])]).compile(Widen::Never);
    assert_eq!(compiled.filter.to_string(), expected);
    assert_eq!(compiled.omitted.len(), omitted);
}
