//! What is written in a history once, and what more often.

use super::{check, opened};

#[test]
fn rst_letters_repeat_for_another_place_only() {
    let rest = [
        ('>', "R", 101, 0, 0),
        ('>', "R", 101, 0, 0),
        ('>', "R", 150, 0, 0),
    ];
    check(&opened(&rest), "RSTO", "ShARR", [0, 0, 0]);
}

#[test]
fn contradicting_flags_have_letters_of_their_own() {
    check(&[('>', "SF", 100, 0, 0)], "SH", "Q", [0, 0, 0]);
    check(
        &[('>', "FR", 100, 0, 0), ('>', "FR", 100, 0, 0)],
        "OTH",
        "I",
        [0, 0, 0],
    );
}

#[test]
fn counted_letters_come_at_powers_of_ten() {
    let mut steps = opened(&[('>', "A", 101, 501, 10)]);
    steps.extend([('>', "A", 101, 501, 10); 100]);
    check(&steps, "S1", "ShADTTT", [10, 0, 0]);
}

#[test]
fn zero_windows_count_until_the_peer_has_nothing_more_to_send() {
    check(
        &opened(&[('<', "A0", 501, 101, 0)]),
        "S1",
        "ShAaw",
        [0, 0, 0],
    );
    let after_fin = [('>', "FA", 101, 501, 0), ('<', "A0", 501, 102, 0)];
    check(&opened(&after_fin), "S2", "ShAFa", [0, 0, 0]);
    check(
        &opened(&[('<', "R0", 501, 0, 0)]),
        "RSTR",
        "ShAr",
        [0, 0, 0],
    );
}
