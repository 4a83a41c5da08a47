//! Looking for flows: each way to name them, open and closed, in steps of any size.

use vxscope_units::{MirrorSource, Vni};
use vxscope_wire::protocol;

use super::{Harness, limits, mirror, view};
use crate::{FlowLimits, FlowScope, Search, Sighting, Sources, Which};

#[test]
fn a_flow_is_found_by_each_of_its_names_open_and_closed() {
    for scope in [FlowScope::Source, FlowScope::Vni] {
        let mut table = Harness::new(FlowLimits { scope, ..limits() });
        for other in 3..20 {
            table.udp(10, 1, (other, 1000), (2, 53), 100);
        }
        table.udp(10, 1, (1, 1000), (2, 53), 100);
        table.udp(11, 1, (2, 53), (1, 1000), 100);
        let ends = ends((1, 1000), (2, 53));
        let open = find(&table, &ends, Some(7));
        let [flow] = &open[..] else {
            panic!("one flow, not {open:?}")
        };
        assert_eq!((flow.packets, flow.open), (2, true));
        let names = [
            ends,
            Which::ends(protocol::UDP, address(2, 53), address(1, 1000)).unwrap(),
            Which::Flow(flow.flow_id),
            Which::Community(flow.community_id()),
            Which::Address(address(1, 0).0),
            Which::Pair([address(2, 0).0, address(1, 0).0], Some(protocol::UDP)),
        ];
        check(&table, &names, flow.flow_id, true);
        table.finish();
        // The newest to close are kept; that its place in the order is by id is of no matter here.
        let kept = find(&table, &Which::Any, None);
        assert_eq!(kept.len(), 16);
        if kept.iter().any(|one| one.flow_id == flow.flow_id) {
            check(&table, &names, flow.flow_id, false);
        }
    }
}

#[test]
fn other_tenants_and_other_ports_are_not_found() {
    let mut table = Harness::new(limits());
    table.udp(10, 1, (1, 1000), (2, 53), 100);
    table.udp(10, 2, (1, 1000), (2, 53), 100);
    assert_eq!(find(&table, &ends((1, 1000), (2, 53)), None).len(), 2);
    assert_eq!(find(&table, &ends((1, 1000), (2, 53)), Some(8)).len(), 0);
    assert_eq!(find(&table, &ends((1, 1001), (2, 53)), None).len(), 0);
    let which = ends((1, 1000), (2, 53));
    let mut search = Search::new(which, None, Some(mirror(2).address));
    let found = all(&table, &mut search, usize::MAX);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].source, mirror(2));
}

#[test]
fn what_has_no_ports_is_found_without_them() {
    let mut table = Harness::new(limits());
    table.observe(10, 1, view(47, (1, 0), (2, 0), 100));
    let which = Which::ends(47, address(2, 9), address(1, 9)).unwrap();
    assert_eq!(find(&table, &which, Some(7)).len(), 1);
}

#[test]
fn closed_flows_are_forgotten_oldest_first() {
    let mut table = Harness::new(limits());
    for second in 0..40_u32 {
        table.udp(
            u64::from(second) * 100,
            1,
            (second + 1, 1000),
            (99, 53),
            100,
        );
        table.tick(u64::from(second) * 100 + 99);
    }
    let kept = find(&table, &Which::Any, None);
    let starts: Vec<u64> = kept.iter().map(|flow| flow.start.seconds() / 100).collect();
    let newest_first: Vec<u64> = (24..40).rev().collect();
    assert_eq!(starts, newest_first);
    assert_eq!(table.flows.closed(), (40, 16));
}

#[test]
fn the_packets_of_a_closed_flow_are_still_there() {
    let mut table = Harness::new(limits());
    table.connection(10);
    table.finish();
    let [flow] = &find(&table, &Which::Any, None)[..] else {
        panic!("one flow")
    };
    let mut reading = table.flows.reading(flow).unwrap();
    let mut packets = 0;
    while table.flows.read(&mut reading, 64, &mut |_| packets += 1) {}
    assert_eq!((packets, flow.packets), (7, 7));
}

/// Each name leads to this flow, whatever the size of a step.
fn check(table: &Harness, names: &[Which], flow_id: u64, open: bool) {
    for which in names {
        for steps in [1, 2, 7, usize::MAX] {
            let mut search = Search::new(which.clone(), Some(mirror(1).vni), None);
            let found = all(table, &mut search, steps);
            let ids: Vec<_> = found.iter().map(|flow| (flow.flow_id, flow.open)).collect();
            assert_eq!(ids, [(flow_id, open)], "{which:?} in steps of {steps}");
        }
    }
}

fn find(table: &Harness, which: &Which, vni: Option<u32>) -> Vec<Sighting> {
    let vni = vni.map(|vni| Vni::try_new(vni).unwrap());
    all(table, &mut Search::new(which.clone(), vni, None), 3)
}

fn all(table: &Harness, search: &mut Search, steps: usize) -> Vec<Sighting> {
    let mut sources = Sources::new(8, 1);
    for number in 0..8 {
        sources.intern(MirrorSource {
            vni: mirror(number).vni,
            ..mirror(number)
        });
    }
    let mut found = Vec::new();
    while !search.is_done() {
        let mut left = steps;
        found.extend(table.flows.search(search, &sources, &mut left));
    }
    found
}

fn ends(one: (u32, u16), other: (u32, u16)) -> Which {
    Which::ends(
        protocol::UDP,
        address(one.0, one.1),
        address(other.0, other.1),
    )
    .unwrap()
}

fn address(number: u32, port: u16) -> (std::net::IpAddr, u16) {
    (std::net::Ipv4Addr::from_bits(number).into(), port)
}
