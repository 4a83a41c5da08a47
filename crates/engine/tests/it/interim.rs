//! Long flows in parts: each part is a record in every output, and together they are the flow.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;

use vxscope_config::{ExportKind, Way};
use vxscope_engine::replay;

use crate::support::output::{self, number, packets_of, text};
use crate::support::run::{self, Reading};

#[test]
fn the_parts_of_a_long_flow_add_up_to_it_in_every_output() {
    let (whole, parts) = (records(0), records(1));
    assert!(parts.active > 20, "{} parts", parts.active);
    assert_eq!(whole.active, 0);
    assert!(parts.count > whole.count);
    assert_eq!(parts.packets, whole.packets);
}

struct Records {
    /// Flows that ended as `active`.
    active: u64,
    count: u64,
    /// Packets by VNI and Community ID.
    packets: BTreeMap<(u64, String), u64>,
}

/// What a replay records whose active timeout is this.
fn records(active_timeout_seconds: u32) -> Records {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps/two-tenants.pcap");
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = run::config(8 << 20, 2);
    config.flow.active_timeout_seconds = active_timeout_seconds;
    let files = [
        ExportKind::Eve,
        ExportKind::ConnLog,
        ExportKind::ConnJson,
        ExportKind::Ocsf,
    ];
    config.export.kinds = files.map(Way::of).to_vec();
    config.export.kinds.push(Way {
        kind: ExportKind::Ipfix,
        target: Some(collector.local_addr().unwrap().to_string()),
    });
    let out = tempfile::tempdir().unwrap();
    replay(
        &run::job(config, &capture, Reading::Mirror, out.path()),
        &|_| (),
    )
    .unwrap();
    let summary = output::json(out.path(), "summary.json");
    let closed = output::sum(&summary, "/flows/closed");
    let sinks = summary["sinks"].as_object().unwrap();
    assert!(sinks.len() == 5 && sinks.values().all(|sink| sink["written"] == closed));
    let mut packets = BTreeMap::new();
    let mut forced = 0;
    for record in output::eve(out.path()) {
        let key = (
            number(&record, "/vni"),
            text(&record, "community_id").to_owned(),
        );
        *packets.entry(key).or_default() += packets_of(&record);
        forced += u64::from(record["flow"]["reason"] == "forced");
    }
    let active = summary["flows"]["closed"]["active"].as_u64().unwrap_or(0);
    assert_eq!(forced, active);
    Records {
        active,
        count: closed,
        packets,
    }
}
