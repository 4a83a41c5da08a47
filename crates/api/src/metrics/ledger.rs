//! The ledger, the flows, the rings, the sinks, the workers and the latencies.

use vxscope_report::{LATENCY_BOUNDS, Reasons, State, Status};

use super::text::Text;

/// Writes everything that is not counted by source.
pub(super) fn write(text: &mut Text, status: &Status) {
    sensor(text, status);
    packets(text, status);
    blindness(text, status);
    rings(text, status);
    flows(text, status);
    signals(text, status);
    look_back(text, status);
    detectors(text, status);
    sinks(text, status);
    workers(text, status);
    let latency = &status.latency;
    let bounds = LATENCY_BOUNDS.iter().map(|(printed, _)| *printed);
    text.histogram(
        "latency_seconds",
        "From a datagram's arrival in the kernel to its entry in the ledger; each counts as the \
         oldest of its batch.",
        bounds.zip(latency.buckets.iter().copied()),
        (latency.count, latency.sum),
    );
}

fn sensor(text: &mut Text, status: &Status) {
    text.family("build_info", "The program and the sensor's name.", false);
    let labels = [
        ("version", status.version.as_str()),
        ("sensor", status.sensor.as_str()),
    ];
    text.sample(&labels, 1);
    text.family(
        "state",
        "What the sensor is doing: 1 for the state it is in.",
        false,
    );
    for state in [State::Running, State::Stopping, State::Stopped] {
        let is_it = u8::from(state == status.state);
        text.sample(&[("state", state.name())], is_it);
    }
    text.gauge(
        "start_time_seconds",
        "When the counters began at zero, in seconds since 1970.",
        status.epoch as f64 / 1e6,
    );
    text.counter(
        "reports",
        "Reports published.",
        match status.time {
            time if time == status.epoch => 0,
            _ => status.seq + 1,
        },
    );
}

fn packets(text: &mut Text, status: &Status) {
    let packets = &status.packets;
    text.counter("received_packets", "Datagrams received.", packets.received);
    text.counter(
        "received_bytes",
        "UDP payload bytes of the datagrams received.",
        packets.received_bytes,
    );
    text.counter(
        "kernel_dropped_packets",
        "Datagrams that found a receive buffer full.",
        packets.kernel_dropped,
    );
    text.family(
        "stage_seconds",
        "What packets took in a stage of the workers, of a sample; see stage_packets.",
        true,
    );
    for stage in &status.stages {
        text.sample(&[("stage", &stage.name)], stage.seconds);
    }
    text.family("stage_packets", "Packets timed in a stage.", true);
    for stage in &status.stages {
        text.sample(&[("stage", &stage.name)], stage.packets);
    }
    if let Some(dropped) = status.capture.interface_dropped {
        text.counter(
            "interface_dropped_packets",
            "Packets of any kind that the interface dropped before any socket or ring.",
            dropped,
        );
    }
    text.counter(
        "decapsulated_packets",
        "Frames that came out of datagrams.",
        packets.decapsulated,
    );
    reasons(
        text,
        "rejected_packets",
        "Datagrams without a frame.",
        &packets.rejected,
    );
    text.counter(
        "tracked_packets",
        "Frames that belong to a flow.",
        packets.tracked,
    );
    reasons(
        text,
        "untracked_packets",
        "Frames that belong to no flow.",
        &packets.untracked,
    );
    let frames = &status.frames;
    text.counter("frame_bytes", "Captured bytes of frames.", frames.bytes);
    text.counter(
        "frame_ip_bytes",
        "Bytes by the inner IP headers.",
        frames.ip_bytes,
    );
    text.counter(
        "truncated_packets",
        "Frames cut before they reached us.",
        frames.truncated,
    );
    text.counter("non_ip_packets", "Frames that are not IP.", frames.non_ip);
    text.counter(
        "fragment_packets",
        "Fragments of inner packets.",
        frames.fragments,
    );
    let strays = &status.strays;
    for (name, help, count) in [
        (
            "strays_sent",
            "Fragments copied to the worker of their flow.",
            strays.sent,
        ),
        (
            "strays_received",
            "Such copies that arrived.",
            strays.received,
        ),
        (
            "strays_shed",
            "Fragments whose worker was too far behind.",
            strays.shed,
        ),
    ] {
        text.counter(name, help, count);
    }
    text.counter(
        "overflow_packets",
        "Frames of sources beyond the limit, which share one row.",
        frames.overflow,
    );
}

fn blindness(text: &mut Text, status: &Status) {
    text.family(
        "blind_seconds",
        "Time in which mirrored packets were not seen by cause; what is hidden on purpose is in \
         mirror_blind_seconds.",
        true,
    );
    for (cause, seconds) in &status.blind_seconds {
        text.sample(&[("cause", cause)], seconds);
    }
}

fn rings(text: &mut Text, status: &Status) {
    let rings = &status.rings;
    text.gauge("ring_size_bytes", "Memory reserved for rings.", rings.bytes);
    text.family(
        "ring_used_bytes",
        "Memory that kept packets take; new ones then take the place of the oldest.",
        false,
    );
    for (store, bytes) in &rings.used {
        text.sample(&[("store", store)], bytes);
    }
    text.family("ring_store_bytes", "Memory that there is for them.", false);
    for (store, bytes) in &rings.sizes {
        text.sample(&[("store", store)], bytes);
    }
    text.counter("stored_packets", "Frames put into a ring.", rings.stored);
    reasons(
        text,
        "unstored_packets",
        "Frames in no ring.",
        &rings.unstored,
    );
    text.family(
        "ring_look_back_seconds",
        "How far kept packets reach back, in the worker where it is least.",
        false,
    );
    for (store, seconds) in [("head", rings.head_seconds), ("tail", rings.tail_seconds)] {
        if let Some(seconds) = seconds {
            text.sample(&[("store", store)], seconds);
        }
    }
}

fn flows(text: &mut Text, status: &Status) {
    let flows = &status.flows;
    text.counter("opened_flows", "Flows opened.", flows.opened);
    reasons(text, "closed_flows", "Flows closed.", &flows.closed);
    text.gauge("flows", "Flows that are open.", flows.open);
}

fn signals(text: &mut Text, status: &Status) {
    let signals = &status.signals;
    text.counter(
        "shed_facts",
        "Facts that did not get to where events are made of them.",
        signals.facts_shed,
    );
    text.counter(
        "unheld_facts",
        "Facts about sources for which signals.memory has no room.",
        signals.facts_unheld,
    );
    text.gauge(
        "saturated_sources",
        "Sources of which nobody can tell what is new.",
        signals.saturated_sources,
    );
    text.gauge(
        "signal_memory_bytes",
        "Memory for what sources showed before.",
        signals.memory_bytes,
    );
    text.family("alerts", "Alerts of intrusion detectors.", true);
    for (outcome, count) in &signals.alerts {
        text.sample(&[("outcome", outcome)], count);
    }
    text.family("canaries", "Canaries through mirrors.", true);
    for (outcome, count) in &signals.canaries {
        text.sample(&[("outcome", outcome)], count);
    }
}

fn look_back(text: &mut Text, status: &Status) {
    let what = "What was done for those who want packets of the past.";
    text.family("look_back", what, true);
    for (what, count) in &status.look_back {
        text.sample(&[("what", what)], count);
    }
}

fn detectors(text: &mut Text, status: &Status) {
    let what = "What became of what intrusion detectors wrote.";
    text.family("detectors", what, true);
    for (outcome, count) in &status.detectors {
        text.sample(&[("outcome", outcome)], count);
    }
}

fn sinks(text: &mut Text, status: &Status) {
    text.family(
        "sink_offered_records",
        "Frames or flow records that reached a sink.",
        true,
    );
    for (name, sink) in &status.sinks {
        text.sample(&[("sink", name)], sink.offered);
    }
    text.family("sink_written_records", "Records in the sink.", true);
    for (name, sink) in &status.sinks {
        text.sample(&[("sink", name)], sink.written);
    }
    text.family(
        "sink_shed_records",
        "Records given up on the way to a sink.",
        true,
    );
    for (name, sink) in &status.sinks {
        for (reason, count) in &sink.shed {
            text.sample(&[("sink", name), ("reason", reason)], count);
        }
    }
}

fn workers(text: &mut Text, status: &Status) {
    let workers = || (0_usize..).zip(&status.workers);
    text.family(
        "worker_received_packets",
        "Datagrams received by a worker.",
        true,
    );
    for (number, worker) in workers() {
        text.sample(&[("worker", &number.to_string())], worker.received);
    }
    text.family(
        "worker_kernel_dropped_packets",
        "Datagrams that found the receive buffers of a worker full.",
        true,
    );
    for (number, worker) in workers() {
        text.sample(&[("worker", &number.to_string())], worker.kernel_dropped);
    }
    text.family(
        "worker_late_ticks",
        "Ticks whose counters went with the next, because nobody was there to take them.",
        true,
    );
    for (number, worker) in workers() {
        text.sample(&[("worker", &number.to_string())], worker.ticks_late);
    }
}

fn reasons(text: &mut Text, name: &str, help: &str, counts: &Reasons) {
    text.family(name, help, true);
    for (reason, count) in counts {
        text.sample(&[("reason", reason)], count);
    }
}
