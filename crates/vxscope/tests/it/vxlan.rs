//! Frames sent on to another sensor: two ledgers that agree.

use std::fs;

use serde_json::Value;

use crate::sensor::{Sensor, free_port, number, received_and_dropped, sent, until};
use crate::{folder, vxscope};

#[test]
fn what_one_sensor_sends_on_another_receives() {
    let (first, second) = (folder(), folder());
    let receiver = Sensor::start(second.path(), &[]);
    let export = format!("vxlan=127.0.0.1:{}", receiver.port);
    let sender = Sensor::start(first.path(), &["--export", &export, "--workers", "2"]);
    let truth = sender.load(&["--packets", "5000", "--rate", "10000"]);
    let here = sender.stop().summary();
    let there = receiver.stop().summary();
    let (received, dropped) = received_and_dropped(&here);
    assert_eq!(received + dropped, sent(&truth));
    let sink = &here["sinks"][&export];
    let (arrived, lost) = received_and_dropped(&there);
    assert_eq!(number(&sink["written"]), arrived + lost, "{sink}");
    assert_eq!(number(&sink["offered"]), received);
    // On a busy machine the sink may be behind for a while, and that is counted, too.
    if lost + dropped == 0 && number(&sink["written"]) == received {
        for key in ["frames", "flows"] {
            assert_eq!(here[key], there[key], "{key}");
        }
        assert_eq!(by_vni(first.path()), by_vni(second.path()));
    }
}

#[test]
fn a_sensor_does_not_send_to_itself() {
    let dir = folder();
    let port = free_port();
    let (listen, export) = (format!("0.0.0.0:{port}"), format!("vxlan=127.0.0.1:{port}"));
    let run = [
        "run", "--listen", &listen, "--out", "out", "--export", &export,
    ];
    let complaint = vxscope(dir.path(), &run).fails(1);
    assert!(
        complaint.contains("every frame would come back"),
        "{complaint}"
    );
}

#[test]
fn nobody_who_listens_costs_the_sensor_nothing() {
    let dir = folder();
    let export = format!("vxlan=127.0.0.1:{}", free_port());
    let sensor = Sensor::start(dir.path(), &["--export", &export, "--export", "decap"]);
    let truth = sensor.load(&["--packets", "5000", "--rate", "20000"]);
    let summary = sensor.stop().summary();
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, sent(&truth));
    assert_eq!(summary["sinks"]["decap"]["written"], received);
    assert_eq!(summary["sinks"][&export]["offered"], received);
    let refused = number(&summary["details"][&export]["refused_by_receiver"]);
    assert!(refused > 0, "{summary}");
}

/// Packets and bytes by VNI: the second sensor sees one sender.
fn by_vni(dir: &std::path::Path) -> Vec<(u64, u64, u64)> {
    let text = until("sources.json", || {
        fs::read_to_string(dir.join("out/sources.json")).ok()
    });
    let rows: Value = serde_json::from_str(&text).expect("JSON");
    let rows = rows.as_array().expect("a list").iter();
    let mut rows: Vec<_> = rows
        .map(|row| ["vni", "packets", "bytes"].map(|key| number(&row[key])))
        .map(|[vni, packets, bytes]| (vni, packets, bytes))
        .collect();
    rows.sort_unstable();
    rows
}
