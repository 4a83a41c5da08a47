//! The gate of dynamic mirroring, by random sequences.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use vxscope_control::guard::{Force, Refusal};
use vxscope_testkit::property;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_passes_the_gate_against_its_rules(bytes in sequence()) {
        property::guard(&bytes);
    }
}

/// Otherwise the property above would prove little.
#[test]
fn random_sequences_reach_every_refusal_and_every_force() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let (mut refused, mut forced) = ([0; Refusal::COUNT], [0; Force::COUNT]);
    for _ in 0..1_000 {
        let bytes = sequence().new_tree(&mut runner).unwrap().current();
        let guard = property::guard_played(&bytes);
        for refusal in Refusal::ALL {
            refused[refusal.index()] += guard.refused(*refusal);
        }
        for why in Force::ALL {
            forced[why.index()] += guard.forced(*why);
        }
    }
    for refusal in Refusal::ALL {
        assert!(refused[refusal.index()] > 0, "never {}", refusal.name());
    }
    for why in Force::ALL {
        assert!(forced[why.index()] > 0, "never {}", why.name());
    }
    println!("{refused:?} {forced:?}");
}

/// A fleet of which everybody is seen, off is safe and the on-time is over; then anything.
fn sequence() -> impl Strategy<Value = Vec<u8>> {
    let fleet = vec((0_u8..12, any::<u8>()), 4..12);
    let steps = vec((0_u8..16, 0_u8..12, any::<u8>()), 0..400);
    (any::<u8>(), fleet, steps).prop_map(|(rules, fleet, steps)| {
        let mut bytes = vec![rules];
        bytes.extend(fleet.iter().flat_map(|(row, much)| [10, *row, *much]));
        bytes.extend([12, 0, 5, 7, 0, 0, 9, 0, 61]);
        bytes.extend(
            steps
                .iter()
                .flat_map(|(what, whose, much)| [*what, *whose, *much]),
        );
        bytes
    })
}
