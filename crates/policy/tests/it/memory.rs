//! What a source costs in memory, with everything filled to its limit.

use vxscope_policy::Observation;
use vxscope_units::Grade;

use crate::world::{World, all_low, talk};

#[test]
fn a_source_holds_less_than_16_kib_with_every_edge_known() {
    let sources = 1_000;
    let mut world = World::new(sources, all_low(), 1);
    let keys = world.sources.clone();
    for _ in 0..3 {
        world.tick(true, |_, grade| {
            (grade == Grade::Full).then_some(Observation {
                edges: &keys,
                ..talk()
            })
        });
    }
    assert!(world.policy.counts().edges_forgotten > 0, "edges are full");
    let each = world.policy.memory_bytes() / sources;
    assert!(each <= 16 * 1_024, "{each} bytes a source");
}
