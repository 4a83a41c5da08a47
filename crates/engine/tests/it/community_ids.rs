//! Community IDs, each with its packets, beside those of the reference library.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::output::{self, packets_of, text};
use crate::support::run::{self, Reading};
use crate::support::{Comparison, corpus};

/// Captures whose packets are counted otherwise, with the reason.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "sctp/arkime__diameter_synthetic.pcap",
        "the reference's parser leaves out SCTP COOKIE ACK, a chunk without data",
    ),
    (
        "tcp4/pcapplusplus__many_interfaces-1.pcapng",
        "the reference reads only packets of the first interface's link type",
    ),
];

#[test]
fn community_ids_have_the_packets_that_the_reference_gives_them() {
    let Some(root) = corpus::root() else { return };
    let mut comparison = Comparison::new(DIFFERENCES);
    let (mut ids, mut packets) = (0, 0);
    for (capture, table) in corpus::answers(&root, "communityid-1.5.0", &[]) {
        let theirs: BTreeMap<String, u64> = corpus::table(&table)
            .into_iter()
            .map(|row| (row["community_id"].clone(), row["packets"].parse().unwrap()))
            .collect();
        let ran = run::run(&root.join(&capture), Reading::Bare);
        let mut ours = BTreeMap::new();
        for record in output::eve(ran.path()) {
            *ours
                .entry(text(&record, "community_id").to_owned())
                .or_insert(0) += packets_of(&record);
        }
        if comparison.note(&capture, &differences(&ours, &theirs)) {
            ids += theirs.len();
            packets += theirs.values().sum::<u64>();
        }
    }
    let captures = comparison.agreeing();
    println!("community ids: {captures} captures, {ids} ids, {packets} packets agree");
    comparison.finish();
    assert!(
        captures >= 160 && packets >= 3_000,
        "{captures} captures, {packets} packets"
    );
}

fn differences(ours: &BTreeMap<String, u64>, theirs: &BTreeMap<String, u64>) -> Vec<String> {
    let ids: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differing = ids
        .into_iter()
        .filter(|id| ours.get(*id) != theirs.get(*id));
    differing
        .map(|id| format!("{id}: {:?}, they say {:?}", ours.get(id), theirs.get(id)))
        .collect()
}
