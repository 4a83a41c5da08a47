//! What somebody who writes packets would like to break, and what it costs.

use std::fs;

use vxscope_testkit::{Frame, Vxlan};
use vxscope_units::Timestamp;

use crate::support::capture::{self, Packet};
use crate::support::run::{Ran, Reading, config, run_with};

/// Somebody's packet in two fragments.
const SIZE: usize = 600;

#[test]
fn a_flood_of_first_fragments_costs_ports_and_no_packet() {
    const FLOOD: u64 = 20_000;
    let split = |client: &str, id: u32| {
        let frame = Frame::udp(client, "10.0.0.9:53").payload(&[7; SIZE]);
        frame.id(id).fragments(SIZE / 2 + 4)
    };
    let [victim, attacker] = [1, 2].map(|vni| Vxlan::new("172.31.0.1", vni));
    let early = split("10.0.0.5:4000", 1);
    let late = split("10.0.0.5:4001", 2);
    let mut records = vec![victim.wrap(&early[0])];
    records.extend((0..FLOOD).map(|id| {
        let first = split("10.0.0.5:4000", u32::try_from(id).unwrap()).swap_remove(0);
        attacker.wrap(&first)
    }));
    // What was remembered of the early one is forgotten by now; the late one is as ever.
    records.extend(early[1..].iter().chain(&late).map(|it| victim.wrap(it)));
    let ran = ran(&records);
    let rows = &ran.outcome.statement.rows;
    let row = rows.iter().find(|(source, _)| source.vni.get() == 1);
    let (_, row) = row.unwrap();
    let joined = [
        row.fragments_first,
        row.fragments_later,
        row.fragments_orphan,
    ];
    assert_eq!(joined, [2, 1, 1]);
    let totals = ran.outcome.statement.totals();
    assert_eq!((totals.packets, totals.tracked), (FLOOD + 4, FLOOD + 4));
}

/// Neat tuples are what somebody can choose who does not know the seed.
#[test]
fn neat_tuples_collide_no_more_than_others() {
    let tunnel = Vxlan::new("172.31.0.1", 1);
    let tuples = (0..200_u16).flat_map(|host| (0..150_u16).map(move |port| (host, port)));
    let records: Vec<Vec<u8>> = tuples
        .map(|(host, port)| {
            let server = format!("10.0.{}.{}:{}", host >> 6, host & 63, port << 8);
            tunnel.wrap(&Frame::udp("10.9.9.9:4096", &server).bytes())
        })
        .collect();
    // Each run draws a seed of its own.
    for _ in 0..3 {
        let ran = ran(&records);
        assert_eq!(ran.outcome.statement.totals().flows, 200 * 150);
        let longest = ran.outcome.longest_probe;
        assert!(longest <= 50, "{longest}");
    }
}

fn ran(records: &[Vec<u8>]) -> Ran {
    let packets = records.iter().cloned();
    let packets: Vec<Packet> = packets
        .map(|bytes| Packet::whole(Timestamp::new(1, 0), bytes))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = capture::write(&folder.path().join("in.pcap"), &packets);
    let config = config(fs::metadata(&file).unwrap().len(), 2);
    run_with(config, &file, Reading::Mirror)
}
