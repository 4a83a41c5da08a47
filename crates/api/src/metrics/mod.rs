//! Metrics in the text formats of Prometheus and OpenMetrics.

mod duplicate;
mod ledger;
mod mirror;
mod source;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::hub::{Door, Shared};
pub(crate) use text::Format;
use text::Text;

/// Everything there is: the latest snapshot, and what is true right now.
pub(crate) fn text(shared: &Shared, format: Format, sources_max: usize) -> Bytes {
    let shown = shared.latest();
    let mut text = Text::new(format);
    text.append(&shown.metrics(format, || {
        let mut text = Text::new(format);
        ledger::write(&mut text, &shown.snapshot.status);
        source::write(&mut text, &shown.snapshot.sources, sources_max);
        duplicate::write(&mut text, &shown.snapshot, sources_max);
        text.into_bytes()
    }));
    mirror::write(&mut text, &shared.oversight().oversight);
    now(&mut text, shared);
    text.finish()
}

fn now(text: &mut Text, shared: &Shared) {
    let health = shared.health();
    text.gauge(
        "worker_heartbeat_age_seconds",
        "How long ago the worker that is furthest behind came round.",
        health.heartbeat_seconds,
    );
    let counters = &shared.counters;
    let doors = [
        ("control", &counters.control),
        ("http", &counters.http),
        ("health", &counters.health),
    ];
    let mut door = |name, help, is_counter: bool, of: fn(&Door) -> &AtomicU64| {
        text.family(name, help, is_counter);
        for (listener, door) in doors {
            text.sample(&[("listener", listener)], of(door).load(Ordering::Relaxed));
        }
    };
    door("api_clients", "Clients that are connected.", false, |it| {
        &it.clients
    });
    door("api_requests", "Requests.", true, |it| &it.requests);
    door(
        "api_refused_clients",
        "Clients turned away because there were too many.",
        true,
        |it| &it.refused,
    );
    door(
        "api_evicted_clients",
        "Clients that lost their place to others while they asked for nothing.",
        true,
        |it| &it.evicted,
    );
    door(
        "api_handshake_errors",
        "Clients that did not speak TLS where it is spoken, or not as it is.",
        true,
        |it| &it.strangers,
    );
    door(
        "api_stalled_clients",
        "Clients disconnected because they did not get on.",
        true,
        |it| &it.stalled,
    );
    text.counter(
        "api_denied_requests",
        "Requests without the token or the scope that they need.",
        counters.denied.load(Ordering::Relaxed),
    );
    text.counter(
        "reports_skipped",
        "Reports that followers missed because they were slow.",
        counters.skipped.load(Ordering::Relaxed),
    );
}
