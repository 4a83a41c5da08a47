//! `vxscope mirrors` over the control socket of a sensor that looks after its mirrors.

use std::path::Path;

use serde_json::Value;
use vxscope_api::Client;
use vxscope_report::{EventKind, SourceStatus};

use crate::sensor::{Sensor, until};
use crate::{Run, folder, vxscope};

#[test]
fn an_operator_sees_pins_holds_and_brings_back() {
    let dir = folder();
    let (sensor, source) = looked_after(dir.path());
    let tell = |words: &[&str]| mirrors(dir.path(), words).ok();
    let shown = || -> Value { serde_json::from_str(&tell(&["--json"])).unwrap() };
    let one = |shown: &Value| {
        let all = shown["mirrors"].as_array().unwrap().clone();
        all.into_iter()
            .find(|it| it["outer_ip"] == source.address)
            .unwrap()
    };
    let before = shown();
    assert_eq!(
        (&before["mode"], &before["held"]),
        (&"dynamic".into(), &false.into())
    );
    assert_eq!(before["sources"], 2);
    let text = tell(&["show"]);
    for part in [
        "mode       dynamic\n",
        "sources    2, of which",
        &source.address,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let named = [source.address.as_str(), "--vni", &source.vni];
    let pinned = tell(&[&["pin"][..], &named, &["--for", "2d"]].concat());
    assert!(pinned.ends_with("for 2d\n"), "{pinned}");
    let until = |shown: &Value| one(shown)["pinned_until"].as_u64().unwrap();
    let day = 86_400_000_000;
    // New sources are pinned for a day by themselves.
    assert!(until(&shown()) > until(&before) + day / 2);
    tell(&[&["unpin"][..], &named].concat());
    assert_eq!(until(&shown()), until(&before));
    assert!(tell(&["hold"]).starts_with("held"));
    assert_eq!(shown()["held"], true);
    assert!(tell(&["release"]).starts_with("released"));
    assert_eq!(shown()["held"], false);
    let back = tell(&["resume-all"]);
    assert!(back.contains("everything comes back within"), "{back}");
    assert_eq!(shown()["held"], true);
    let manual = tell(&["mode", "manual"]);
    assert!(manual.contains("everything comes back within"), "{manual}");
    assert_eq!(
        (&shown()["mode"], &shown()["mode_ordered"]),
        (&"manual".into(), &true.into())
    );
    tell(&["mode", "configured"]);
    assert_eq!(
        (&shown()["mode"], &shown()["mode_ordered"]),
        (&"dynamic".into(), &false.into())
    );
    sensor.stop();
}

#[test]
fn an_alert_pins_and_is_told_with_its_reason() {
    let dir = folder();
    let (sensor, source) = looked_after(dir.path());
    let named = ["alert", &source.address, "--vni", &source.vni];
    let why = [
        "--severe",
        "--reason",
        "ET SCAN\nNmap",
        "--peer",
        "203.0.113.9",
    ];
    for _ in 0..3 {
        mirrors(dir.path(), &[&named[..], &why].concat()).ok();
    }
    let taken = until("a tick that counts the alerts", || {
        let status = vxscope(
            dir.path(),
            &["status", "--json", "--socket", "out/control.sock"],
        )
        .ok();
        let status: Value = serde_json::from_str(&status).unwrap();
        (status["signals"]["alerts"]["taken"] == 3).then_some(status)
    });
    assert_eq!(taken["signals"]["alerts"]["unknown_source"], 0);
    sensor.stop();
    let decisions = std::fs::read_to_string(dir.path().join("out/decisions.ndjson")).unwrap();
    let lines = decisions
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let alerts: Vec<Value> = lines
        .filter(|line: &Value| line["outcome"] == "alerted")
        .collect();
    // It pins each time; a storm does not fill the disk.
    assert_eq!(alerts.len(), 1, "{decisions}");
    assert_eq!(alerts[0]["outer_ip"], source.address);
    let told = serde_json::json!({"severe": true, "peer": "203.0.113.9", "reason": "ET SCAN Nmap"});
    assert_eq!(alerts[0]["alert"], told);
}

/// It may be paused, and the sensor restarted meanwhile: whoever looks after the mirrors reads it in
/// the report.
#[test]
fn an_alert_about_a_known_source_that_has_sent_nothing_is_reported() {
    let dir = folder();
    let eni = "eni-0123456789abcdef0";
    let known = format!("[[source]]\naddress = \"192.0.2.7\"\nvni = 5\neni = \"{eni}\"\n");
    std::fs::write(dir.path().join("known.toml"), known).unwrap();
    let often = "report.interval_milliseconds=100";
    let sensor = Sensor::start(dir.path(), &["--config", "known.toml", "--set", often]);
    mirrors(dir.path(), &["alert", "192.0.2.7", "--vni", "5"]).ok();
    let told = until("the source in a report", || {
        let mut client = Client::connect(&dir.path().join("out/control.sock")).ok()?;
        let sources = client.sources().ok()?;
        let alerts = |it: &SourceStatus| it.report.signals.events[EventKind::Alert.index()];
        sources.into_iter().find(|it| alerts(it) == 1)
    });
    let (report, seen) = (&told.report, (told.first_seen, told.bytes));
    assert_eq!(report.eni.as_deref(), Some(eni));
    assert_eq!((report.signals.packets, seen), (0, (0, 0)));
    sensor.stop();
    let summary = crate::json(&dir.path().join("out/summary.json"));
    assert_eq!(summary["sources"], 0, "nobody was received");
    // Nor does the journal of coverage say that it was heard.
    assert!(!crate::coverage::journal(dir.path()).contains("\"event\":\"source\""));
}

#[test]
fn what_cannot_be_done_is_said() {
    let dir = folder();
    let refused = |words: &[&str], code: i32, part: &str| {
        let complaint = mirrors(dir.path(), words).fails(code);
        assert!(complaint.contains(part), "{complaint}");
    };
    refused(&["hold"], 1, "no sensor answers there");
    for (words, part) in [
        (&["mode", "off"][..], "manual, shadow, dynamic, configured"),
        (&["pin", "10.0.0.1"], "--vni"),
        (&["pin", "10.0.0.1", "--vni", "16777216"], "16777215"),
        (
            &["pin", "10.0.0.1", "--vni", "1", "--for", "soon"],
            "as in 90s or 4h",
        ),
        (&["pin", "here", "--vni", "1"], "ADDRESS"),
    ] {
        refused(words, 2, part);
    }
    let (sensor, _) = looked_after(dir.path());
    let stranger = ["192.0.2.1", "--vni", "9"];
    refused(
        &[&["pin"][..], &stranger].concat(),
        1,
        "no such source is looked after",
    );
    refused(
        &[&["alert"][..], &stranger].concat(),
        1,
        "no such mirror source",
    );
    sensor.stop();
    let alone = Sensor::start(dir.path(), &[]);
    refused(
        &["hold"],
        1,
        "nobody looks after the mirrors; see policy.mode",
    );
    refused(&[], 1, "nobody looks after the mirrors; see policy.mode");
    alone.stop();
}

struct Source {
    address: String,
    vni: String,
}

/// A sensor that looks after the mirrors of two sources, and one of these.
fn looked_after(dir: &Path) -> (Sensor, Source) {
    let often = ["--set", "report.interval_milliseconds=100"];
    let options = [&often[..], &["--set", "policy.mode=dynamic"]].concat();
    let sensor = Sensor::start(dir, &options);
    let load = ["--packets", "2000", "--rate", "20000", "--sources", "2"];
    let truth = sensor.load(&load);
    let first = &truth["per_source"][0];
    let source = Source {
        address: first["outer_ip"].as_str().expect("an address").to_owned(),
        vni: first["vni"].to_string(),
    };
    until("both sources are looked after", || {
        let shown = mirrors(dir, &["--json"]).ok();
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        (shown["sources"] == 2).then_some(())
    });
    (sensor, source)
}

fn mirrors(dir: &Path, words: &[&str]) -> Run {
    let socket = ["--socket", "out/control.sock"];
    vxscope(dir, &[&["mirrors"][..], words, &socket].concat())
}
