//! What of a source was seen, over runs and a crash.

use std::path::Path;

use serde_json::{Value, json};
use vxscope_api::{Client, ClientError};
use vxscope_report::{MirrorRow, Oversight, SourceStatus};

use crate::api::{ask, get, http};
use crate::sensor::{Sensor, until};
use crate::{folder, vxscope};

#[test]
fn the_time_between_a_crash_and_the_next_start_is_not_seen() {
    let dir = folder();
    let fast = ["--set", "report.interval_milliseconds=100"];
    let sensor = Sensor::start(dir.path(), &fast);
    sensor.load(&["--sources", "2", "--packets", "500", "--rate", "50000"]);
    until("records of both sources", || {
        (journal(dir.path()).matches("\"event\":\"source\"").count() == 2).then_some(())
    });
    sensor.signal("KILL");
    drop(sensor);
    // What a crash cuts off is one line at most, and costs nothing else.
    let path = file(dir.path());
    let cut = journal(dir.path()) + "{\"at\":17";
    std::fs::write(&path, cut).unwrap();
    let sensor = Sensor::start(dir.path(), &[&fast[..], &["--api", "127.0.0.1:0"]].concat());
    check_over_http(&http(&sensor));
    sensor.stop();
    let spans = spans(dir.path());
    let sights: Vec<&str> = spans.iter().filter_map(|it| it["sight"].as_str()).collect();
    assert!(
        sights.starts_with(&["unknown", "not_seen", "mirrored"]),
        "{sights:?}"
    );
    for (one, next) in spans.iter().zip(spans.iter().skip(1)) {
        assert_eq!(one["to"], next["from"]);
    }
    let rows = told(dir.path(), &[]);
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert!(rows.starts_with("source,vni,interface,from,to,"), "{rows}");
    let people = told(dir.path(), &["127.0.0.3"]);
    assert!(people.contains("NOT SEEN  (sensor_down)"), "{people}");
}

/// Who keeps the mirrors apart from the sensor tells how they stand; the sensor says why nothing
/// came, also after it was restarted, and hears when that is no longer so.
#[test]
fn what_is_not_mirrored_by_the_word_of_others_is_told_so_over_restarts() {
    let dir = folder();
    let fast = ["--set", "report.interval_milliseconds=100"];
    let sensor = Sensor::start(dir.path(), &fast);
    sensor.load(&["--sources", "1", "--packets", "500", "--rate", "50000"]);
    let source = until("the source", || Some(sources(dir.path()).first()?.clone()));
    let (vni, last) = (source.report.vni, source.last_seen);
    tell(dir.path(), vni, "full", "enrolled", last - 60_000_000).unwrap();
    tell(dir.path(), vni, "off", "quiet", last).unwrap();
    until("the record", || {
        journal(dir.path())
            .contains("\"grade\":\"off\"")
            .then_some(())
    });
    let (_, cause) = latest(dir.path(), "not_mirrored");
    assert_eq!(cause, "quiet");
    sensor.signal("KILL");
    drop(sensor);
    let sensor = Sensor::start(dir.path(), &fast);
    // Nobody has told anything in this run yet.
    latest(dir.path(), "not_mirrored");
    tell(dir.path(), vni, "off", "quiet", last).unwrap();
    let mut client = Client::connect(&dir.path().join("out/control.sock")).unwrap();
    assert_eq!(client.oversight().unwrap().mirrors[0].reason, "quiet");
    for (grade, reason) in [("some", "quiet"), ("off", "\"")] {
        let refused = tell(dir.path(), vni, grade, reason, last).unwrap_err();
        assert!(
            refused.to_string().contains("oversight.mirrors[0]"),
            "{refused}"
        );
    }
    // It comes back, and nobody says so.
    sensor.load(&["--sources", "1", "--packets", "500", "--rate", "50000"]);
    let (grade, cause) = latest(dir.path(), "mirrored");
    assert_eq!((&*grade, &*cause), ("full", "heard"));
    let stopped = sensor.stop();
    let eve = std::fs::read_to_string(dir.path().join("out/eve.json")).unwrap();
    assert!(
        eve.contains("\"event\":\"grade\",\"from\":\"full\",\"grade\":\"off\""),
        "{eve}"
    );
    // Nothing of the journal is missing.
    let warnings = stopped.summary()["warnings"].clone();
    assert!(warnings.as_array().is_none_or(Vec::is_empty), "{warnings}");
}

#[test]
fn a_question_that_makes_no_sense_is_answered_with_what_does() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("j")).unwrap();
    for (arguments, code, part) in [
        (&["--from", "yesterday"][..], 2, "write 2026-11-01"),
        (
            &["--from", "2026-01-02", "--to", "2026-01-01"],
            2,
            "before --to",
        ),
        (&["--month", "2026-13"], 2, "not a time"),
        (&["--json"], 2, "SOURCE"),
        (&["10.0.0.5"], 1, "coverage-*.ndjson"),
    ] {
        let arguments = [&["coverage", "--journal", "j"], arguments].concat();
        let said = vxscope(dir.path(), &arguments).fails(code);
        assert!(said.contains(part), "{said}");
    }
}

fn file(dir: &Path) -> std::path::PathBuf {
    let folder = dir.join("out/coverage");
    until("a journal", || {
        let entry = std::fs::read_dir(&folder).ok()?.next()?.ok()?;
        Some(entry.path())
    })
}

/// The running sensor tells the same, within limits.
fn check_over_http(address: &str) {
    let path = "/api/v1/coverage?source=127.0.0.2&from=-5m";
    let told = until("the next run's word", || {
        let told: Value = serde_json::from_str(&get(address, path)).expect("JSON");
        let spans = told["timelines"][0]["spans"].as_array()?.clone();
        spans
            .iter()
            .any(|it| it["sight"] == "not_seen")
            .then_some(told)
    });
    assert_eq!(told["timelines"][0]["outer_ip"], "127.0.0.2");
    assert_eq!(told["unreadable_lines"], 1);
    let metrics = get(address, "/metrics");
    let blind = |cause: &str| {
        let name = format!("vxscope_blind_seconds_total{{cause=\"{cause}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.expect("a sample").parse::<f64>().expect("a number")
    };
    // Whoever crashed has said for the last time before it was killed.
    assert!(
        blind("sensor_down") > 0.0 && blind("loss") >= 0.0,
        "{metrics}"
    );
    for (query, status) in [
        ("", 400),
        ("?source=127.0.0.9", 404),
        ("?source=127.0.0.2&from=-60d", 400),
        ("?source=127.0.0.2&from=then", 400),
        ("?source=127.0.0.2&before=-60d", 400),
    ] {
        let (answered, body) = ask(address, &format!("GET /api/v1/coverage{query}"), "");
        assert_eq!(answered, status, "{query}: {body}");
    }
}

pub(crate) fn journal(dir: &Path) -> String {
    std::fs::read_to_string(file(dir)).unwrap_or_default()
}

fn tell(dir: &Path, vni: u32, grade: &str, reason: &str, since: u64) -> Result<Value, ClientError> {
    let row = MirrorRow {
        outer_ip: [127, 0, 0, 2].into(),
        vni,
        interface: "eni-0123456789abcdef0".to_owned(),
        grade: grade.to_owned(),
        since,
        pinned: false,
        reason: reason.to_owned(),
        sentence: String::new(),
        until: None,
        blind: Vec::new(),
    };
    let oversight = Oversight {
        mirrors: vec![row],
        ..Oversight::default()
    };
    let request = json!({"set": "oversight", "oversight": oversight}).to_string();
    Client::connect(&dir.join("out/control.sock"))?.ask(&request)
}

fn sources(dir: &Path) -> Vec<SourceStatus> {
    let client = Client::connect(&dir.join("out/control.sock"));
    client
        .expect("as the test arranged it")
        .sources()
        .expect("as the test arranged it")
}

/// What the journal says of the last minutes.
fn told(dir: &Path, what: &[&str]) -> String {
    let ask = ["coverage", "--journal", "out/coverage", "--from", "-5m"];
    vxscope(dir, &[&ask, what].concat()).ok()
}

/// The same of the first source, in times of one kind each.
fn spans(dir: &Path) -> Vec<Value> {
    let told = told(dir, &["127.0.0.2", "--json"]);
    let mut told: Value = serde_json::from_str(&told).expect("as the test arranged it");
    let spans = told["spans"].as_array_mut();
    std::mem::take(spans.expect("as the test arranged it"))
}

/// Grade and cause of the latest time, once it is of that sight.
fn latest(dir: &Path, sight: &str) -> (String, String) {
    until(sight, || {
        let spans = spans(dir);
        // What comes after the last word is not seen, by definition.
        let last = spans.iter().rev().find(|it| it["sight"] != "not_seen")?;
        let word = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (word("sight") == sight).then(|| (word("grade"), word("cause")))
    })
}
