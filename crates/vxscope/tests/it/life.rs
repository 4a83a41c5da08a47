//! A sensor as a service: what it tells its manager, what it reads again, what it gives up.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vxscope_api::Client;

use crate::api::{http, post};
use crate::folder;
use crate::sensor::{Sensor, received_and_dropped, sent, until};

#[test]
fn a_service_manager_is_told_that_it_is_ready_and_well() {
    let dir = folder();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vxscope"));
    command
        .env("NOTIFY_SOCKET", &path)
        .env("JOURNAL_STREAM", "8:1")
        .env("WATCHDOG_USEC", "2000000");
    let doubtful = ["--set", "decapsulation.depth=1", "--workers", "2"];
    let sensor = Sensor::start_with(command, dir.path(), &doubtful);
    let banner = &sensor.banner;
    assert!(
        banner.contains("\n<4>warning: decapsulation.depth"),
        "{banner}"
    );
    let told = || {
        let mut buffer = [0; 4_096];
        let length = manager.recv(&mut buffer).expect("in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // First what it is to hold.
    let said = std::iter::repeat_with(told).find(|it| !it.starts_with("FDSTORE=1\n"));
    assert!(said.is_some_and(|it| it.starts_with("READY=1\n")));
    assert_eq!(told(), "WATCHDOG=1");
    sensor.stop();
    while told() != "STOPPING=1" {}
}

#[test]
fn a_reload_changes_what_can_change_and_refuses_the_rest_without_losing_a_packet() {
    let dir = folder();
    let config = dir.path().join("vxscope.toml");
    let source = |last: u8| format!("[[source]]\naddress = \"127.0.0.{last}\"\n");
    let all: String = (2..=9).map(source).collect();
    fs::write(&config, &all).unwrap();
    let path = config.display().to_string();
    let sensor = Sensor::start(dir.path(), &["--config", &path]);
    let mut truths = Vec::new();
    for (text, answer) in [
        (
            format!("{all}{}", source(20)),
            "reload: 9 sources are known from now on",
        ),
        (
            format!("flow.flows_max = 99\n{all}"),
            "nothing is changed; these take a restart: flow.flows_max",
        ),
        (
            "flow.flows_max = \"many\"".to_owned(),
            "reload: refused, nothing is changed",
        ),
        (all.clone(), "reload: 8 sources are known from now on"),
    ] {
        fs::write(&config, text).unwrap();
        sensor.signal("HUP");
        truths.push(sensor.load(&["--sources", "4", "--packets", "2000", "--rate", "10000"]));
        // Two signals that come before it looks are one.
        sensor.says(answer);
    }
    let (received, dropped) = received_and_dropped(&sensor.stop().summary());
    assert_eq!(truths.iter().map(sent).sum::<u64>(), received + dropped);
}

#[test]
fn a_reload_over_http_is_the_same_for_who_may_give_orders() {
    let dir = folder();
    let config = dir.path().join("vxscope.toml");
    let text = |last: u8| format!("[[source]]\naddress = \"127.0.0.{last}\"\n");
    fs::write(&config, text(2)).unwrap();
    let token = |name: &str| format!("{name}-0123456789abcdef0123456789abcdef");
    let tokens = ["metadata", "control"].map(|it| format!("{it} {it} {}\n", token(it)));
    let file = dir.path().join("tokens");
    fs::write(&file, tokens.concat()).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let (path, tokens) = (config.display(), format!("api.tokens={}", file.display()));
    let options = ["--config", &path.to_string(), "--set", &tokens];
    let quick = ["--set", "report.interval_milliseconds=100"];
    let options = [&options[..], &["--api", "127.0.0.1:0"], &quick].concat();
    let sensor = Sensor::start(dir.path(), &options);
    let address = http(&sensor);
    let mut truths = Vec::new();
    for (scope, new, status, part) in [
        ("metadata", text(3), 403, "scope"),
        ("control", text(2), 200, "nothing has changed"),
        (
            "control",
            text(2) + &text(3),
            200,
            "2 sources are known from now on",
        ),
        (
            "control",
            format!("flow.flows_max = 99\n{}", text(3)),
            409,
            "these take a restart: flow.flows_max",
        ),
        ("control", "flow = 7".to_owned(), 409, "nothing is changed"),
    ] {
        fs::write(&config, new).unwrap();
        let head = format!("authorization: Bearer {}\r\n", token(scope));
        let (answered, body) = post(&address, "/api/v1/reload", &head);
        assert_eq!(answered, status, "{body}");
        assert!(body.contains(part), "{part}: {body}");
        truths.push(sensor.load(&["--sources", "2", "--packets", "1000", "--rate", "10000"]));
        // What still waits would be judged by the next configuration.
        let all = truths.iter().map(sent).sum::<u64>();
        until("all that was sent", || {
            let mut client = Client::connect(&dir.path().join("out/control.sock")).unwrap();
            let packets = client.status().unwrap().packets;
            (packets.received + packets.kernel_dropped == all).then_some(())
        });
    }
    let summary = sensor.stop().summary();
    // One source was unknown until the third, and known from then on.
    let unknown = |truth: &Value| {
        let rows = truth["per_source"].as_array().unwrap().iter();
        let of = rows.filter(|row| row["outer_ip"] == "127.0.0.3");
        of.map(|row| row["packets"].as_u64().unwrap()).sum::<u64>()
    };
    let quarantined = truths.iter().take(2).map(unknown).sum::<u64>();
    let rejected = &summary["packets"]["rejected"];
    assert_eq!(rejected["quarantined"], quarantined, "{summary}");
}

#[test]
fn a_running_sensor_has_given_up_what_it_does_not_need() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &["--workers", "2"]);
    let process = format!("/proc/{}", sensor.pid());
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a field of every status").trim().to_owned()
    };
    until("a sealed process", || {
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let is_sealed = field(&status, "NoNewPrivs:") == "1" && field(&status, "Seccomp:") == "2";
        is_sealed.then_some(())
    });
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    assert!(
        core.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")),
        "{limits}"
    );
    // Threads that read packets or answer whoever asks have no capability; of root, files alone.
    let threads = || {
        let tasks = fs::read_dir(format!("{process}/task")).unwrap();
        let tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
        let named = tasks.filter_map(|task| {
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let status = fs::read_to_string(task.join("status")).ok()?;
            let mask = u64::from_str_radix(&field(&status, "CapEff:"), 16).ok()?;
            Some((name.trim().to_owned(), mask))
        });
        let named: Vec<(String, u64)> = named.collect();
        named
    };
    until("threads without capabilities", || {
        let threads = threads();
        let is_bare = |name: &str| {
            let mut those = threads.iter().filter(|(it, _)| it.starts_with(name));
            those.clone().count() > 0 && those.all(|(_, mask)| mask & !0b10 == 0)
        };
        ["worker-0", "worker-1", "accounting", "api"]
            .into_iter()
            .all(is_bare)
            .then_some(())
    });
    // What it writes is for nobody else.
    let others = |path: std::path::PathBuf| fs::metadata(path).unwrap().mode() & 0o007;
    assert_eq!(others(dir.path().join("out/control.sock")), 0);
    sensor.load(&["--packets", "100", "--rate", "50000"]);
    sensor.stop();
    for name in [
        "eve.json",
        "conn.log",
        "decap.pcap",
        "summary.json",
        "sources.json",
    ] {
        assert_eq!(others(dir.path().join("out").join(name)), 0, "{name}");
    }
}
