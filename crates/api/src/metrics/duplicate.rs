//! Packets that were mirrored at both of their ends: sums, and the busiest pairs of sources.

use vxscope_report::DuplicatePairStatus;

use super::text::Text;
use crate::hub::Snapshot;

/// Writes the sums, and at most `pairs_max` pairs; nothing if nobody looks for such packets.
pub(super) fn write(text: &mut Text, snapshot: &Snapshot, pairs_max: usize) {
    let Some(totals) = snapshot.status.duplicates else {
        return;
    };
    for (name, help, count) in [
        (
            "duplicate_packets",
            "Frames that were another source's copy of one that came within a second before.",
            totals.frames,
        ),
        (
            "duplicate_suppressed_packets",
            "Of these, kept from other programs.",
            totals.suppressed,
        ),
        (
            "duplicate_forgotten_packets",
            "Frames that were forgotten within their second: their copies were not noticed.",
            totals.forgotten,
        ),
    ] {
        text.counter(name, help, count);
    }
    let shown = pairs_max.min(snapshot.duplicate_pairs.len());
    let (shown, omitted) = snapshot.duplicate_pairs.split_at(shown);
    text.family(
        "duplicate_pair_packets",
        "Packets that two sources both mirrored.",
        true,
    );
    for pair in shown {
        label(pair, |labels| text.sample(labels, pair.frames));
    }
    let omitted: u64 = omitted.iter().map(|pair| pair.frames).sum();
    text.gauge(
        "duplicate_pairs_omitted_packets",
        "Packets of pairs without metrics of their own, because there are too many.",
        totals.pairs_omitted_frames + omitted,
    );
}

fn label(pair: &DuplicatePairStatus, with: impl FnOnce(&[(&str, &str)])) {
    let [one, other] = pair.sources;
    let texts = [one.outer_ip.to_string(), other.outer_ip.to_string()];
    let vnis = [one.vni.to_string(), other.vni.to_string()];
    with(&[
        ("source", &texts[0]),
        ("vni", &vnis[0]),
        ("other_source", &texts[1]),
        ("other_vni", &vnis[1]),
    ]);
}
