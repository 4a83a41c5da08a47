//! What `summary.json` and its companions look like.

use std::fs;

use super::{
    InputError, SCHEMA, SourceSummary, Summary, VlanSummary, write_sources, write_summary,
};
use crate::file::OutputDir;
use crate::reasons::Reasons;
use crate::sink::{Shed, SinkCount};
use crate::testing::source;
use vxscope_units::Timestamp;

#[test]
fn a_quiet_run_has_every_field_and_no_reason() {
    let summary = Summary {
        schema: SCHEMA,
        elapsed_seconds: 0.25,
        ..Summary::default()
    };
    let expected = concat!(
        r#"{"schema":1,"input":{"packets":0,"bytes":0},"packets":{"received":0,"#,
        r#""decapsulated":0,"rejected":{},"untracked":{},"kernel_dropped":0},"#,
        r#""rings":{"stored":0,"unstored":{}},"#,
        r#""frames":{"bytes":0,"ip_bytes":0,"truncated":0,"non_ip":0,"fragments":0},"#,
        r#""flows":{"opened":0,"closed":{}},"sinks":{},"#,
        r#""signals":{"events":{},"facts_shed":0,"facts_unheld":0},"sources":0,"elapsed_seconds":0.25,"warnings":[]}"#,
    );
    assert_eq!(serde_json::to_string(&summary).unwrap(), expected);
}

#[test]
fn a_full_summary_is_indented_and_ends_with_a_newline() {
    let mut summary = Summary {
        schema: SCHEMA,
        ..Summary::default()
    };
    let message = "the file ends \"inside\" a record".to_owned();
    summary.input.error = Some(InputError {
        file: "a.pcap".into(),
        offset: 24,
        message,
    });
    summary.packets.rejected = [("not_mirror", 2), ("link_type", 0)].into_iter().collect();
    let mut count = SinkCount::default();
    count.add_written(1);
    count.add_shed(Shed::WriteError, 2);
    summary.sinks.insert("eve".to_owned(), count);
    summary.warnings.push("Look out.".into());
    summary.vlans.push(VlanSummary::from((1, source(7))));
    let (text, json) = write(|dir| write_summary(dir, &summary).unwrap(), "summary.json");
    assert!(
        text.starts_with("{\n  \"schema\": 1,\n") && text.ends_with("}\n"),
        "{text}"
    );
    assert_eq!(
        json["input"]["error"]["message"],
        "the file ends \"inside\" a record"
    );
    assert_eq!(
        json["packets"]["rejected"],
        serde_json::json!({"not_mirror": 2})
    );
    assert_eq!(json["sinks"]["eve"]["offered"], 3);
    assert_eq!(json["sinks"]["eve"]["shed"]["write_error"], 2);
    assert_eq!(json["vlans"][0]["outer_ip"], "192.0.2.1");
    assert_eq!(json["warnings"][0], "Look out.");
}

#[test]
fn sources_are_sorted_and_the_overflow_row_is_last() {
    let rows = [
        row("192.0.2.10", 5),
        overflow(),
        row("192.0.2.9", 5),
        row("192.0.2.99", 4),
    ];
    let (text, json) = write(|dir| write_sources(dir, &rows).unwrap(), "sources.json");
    let order: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["outer_ip"])
        .collect();
    let expected = ["192.0.2.99", "192.0.2.9", "192.0.2.10"].map(serde_json::Value::from);
    assert_eq!(
        order,
        [
            &expected[0],
            &expected[1],
            &expected[2],
            &serde_json::Value::Null
        ]
    );
    assert_eq!(json[0]["first_seen"], "1970-01-01T00:00:01.000000+0000");
    let fields = text
        .lines()
        .skip(2)
        .take(12)
        .map(|line| line.trim().split('"').nth(1));
    let expected = [
        "outer_ip",
        "vni",
        "packets",
        "bytes",
        "ip_bytes",
        "ingress_bytes",
        "egress_bytes",
        "unknown_direction_bytes",
        "truncated",
        "flows",
        "first_seen",
        "last_seen",
    ];
    assert_eq!(fields.collect::<Option<Vec<_>>>().unwrap(), expected);
    assert!(json[0].get("eni").is_none());
}

fn row(address: &str, vni: u32) -> SourceSummary {
    SourceSummary {
        outer_ip: Some(address.parse().unwrap()),
        vni: Some(vni),
        first_seen: Timestamp::new(1, 0),
        ..overflow()
    }
}

fn overflow() -> SourceSummary {
    SourceSummary {
        outer_ip: None,
        vni: None,
        packets: 1,
        bytes: 60,
        ip_bytes: 46,
        ingress_bytes: 0,
        egress_bytes: 60,
        unknown_direction_bytes: 0,
        truncated: 0,
        flows: 1,
        first_seen: Timestamp::ZERO,
        last_seen: Timestamp::ZERO,
        eni: None,
        instance: None,
        vpc: None,
        account: None,
        name: None,
        role: None,
        categories: Reasons::default(),
        failed: 0,
        dns_queries: 0,
        events: Reasons::default(),
        saturated: false,
    }
}

fn write(write: impl FnOnce(&OutputDir), name: &str) -> (String, serde_json::Value) {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    write(&dir);
    let text = fs::read_to_string(dir.path().join(name)).unwrap();
    let json = serde_json::from_str(&text).unwrap();
    (text, json)
}
