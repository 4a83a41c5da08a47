//! Mirror sources: sums over all of them, and the busiest one by one.

use std::cmp::Reverse;
use std::sync::Arc;

use vxscope_report::{Category, Direction, EventKind, SourceStatus};

use super::text::Text;

/// Writes the sums, and at most `sources_max` sources.
pub(super) fn write(text: &mut Text, sources: &[Arc<SourceStatus>], sources_max: usize) {
    text.gauge("sources", "Mirror sources seen.", sources.len());
    text.gauge(
        "sources_omitted",
        "Mirror sources without metrics of their own, because there are too many.",
        sources.len().saturating_sub(sources_max),
    );
    sums(text, sources);
    let mut shown: Vec<&SourceStatus> = sources.iter().map(AsRef::as_ref).collect();
    // By what never shrinks, so that the choice does not change back and forth.
    shown.sort_by_key(|it| (Reverse(it.report.signals.packets), it.key()));
    shown.truncate(sources_max);
    each(text, &shown);
}

fn sums(text: &mut Text, sources: &[Arc<SourceStatus>]) {
    text.family(
        "category_bytes",
        "Captured bytes of all sources by what they are for.",
        true,
    );
    for direction in Direction::ALL {
        for category in Category::ALL {
            let bytes = sources
                .iter()
                .map(|it| it.report.signals.bytes[direction.index()][category.index()]);
            let labels = [
                ("direction", direction.name()),
                ("category", category.name()),
            ];
            text.sample(&labels, bytes.sum::<u64>());
        }
    }
    text.family("events", "Relevant events of all sources.", true);
    for kind in EventKind::ALL {
        let events = sources.iter().map(|it| it.report.signals.events_of(*kind));
        text.sample(&[("kind", kind.name())], events.sum::<u64>());
    }
}

fn each(text: &mut Text, sources: &[&SourceStatus]) {
    let mut family = |name: &str, help: &str, of: fn(&SourceStatus) -> u64| {
        text.family(name, help, true);
        for source in sources {
            label(source, |labels| text.sample(labels, of(source)));
        }
    };
    family("source_packets", "Frames of a source.", |it| {
        it.report.signals.packets
    });
    family(
        "source_ip_bytes",
        "Bytes of a source by the inner IP headers.",
        |it| it.ip_bytes,
    );
    family(
        "source_flows",
        "Flows that a source's traffic opened.",
        |it| it.report.signals.flows,
    );
    family(
        "source_failed_flows",
        "Flows that nobody answered or that were refused.",
        |it| it.report.signals.failed,
    );
    family(
        "source_truncated_packets",
        "Frames of a source that were cut.",
        |it| it.report.signals.truncated,
    );
    text.family(
        "source_bytes",
        "Captured bytes of a source by direction.",
        true,
    );
    for source in sources {
        for (direction, bytes) in [
            ("ingress", source.ingress_bytes),
            ("egress", source.egress_bytes),
            ("unknown", source.unknown_direction_bytes),
        ] {
            label(source, |labels| {
                let mut labels = labels.to_vec();
                labels.push(("direction", direction));
                text.sample(&labels, bytes);
            });
        }
    }
    text.family(
        "source_last_seen_seconds",
        "Arrival of a source's last frame, in seconds since 1970.",
        false,
    );
    for source in sources {
        label(source, |labels| {
            text.sample(labels, source.last_seen as f64 / 1e6);
        });
    }
}

/// A source by its address, its VNI, and its interface if that is known.
fn label(source: &SourceStatus, with: impl FnOnce(&[(&str, &str)])) {
    let address = source.report.outer_ip.to_string();
    let vni = source.report.vni.to_string();
    let labels = [
        ("source", address.as_str()),
        ("vni", vni.as_str()),
        ("eni", source.report.eni.as_deref().unwrap_or_default()),
    ];
    // An empty label is the same as none.
    let count = if source.report.eni.is_some() { 3 } else { 2 };
    with(labels.get(..count).unwrap_or(&labels));
}
