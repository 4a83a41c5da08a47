//! Sockets that a service manager holds while a sensor is not there.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;
use vxscope_api::Client;

use crate::folder;
use crate::manager::Manager;
use crate::sensor::{Sensor, free_port, generator, received_and_dropped, sent, until};

/// Few enough to wait in any receive buffer.
const FEW: &[&str] = &["--packets", "150", "--rate", "20000", "--sources", "3"];

/// Two workers that tell soon what they have.
const TWO: &[&str] = &[
    "--workers",
    "2",
    "--set",
    "report.interval_milliseconds=100",
];

/// A sensor that a manager starts again and again on the same ports.
struct Place<'a> {
    dir: &'a Path,
    manager: Manager,
    ports: [u16; 2],
}

impl<'a> Place<'a> {
    fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            manager: Manager::start(dir),
            ports: [free_port(), free_port()],
        }
    }

    fn start(&self, options: &[&str]) -> Sensor {
        let [port, other] = self.ports;
        let other = format!("decapsulation.geneve_ports=[{other}]");
        let options = [&["--set", &other], options].concat();
        let sensor = Sensor::start_on(port, self.manager.command(), self.dir, &options);
        self.manager.wait_ready();
        sensor
    }

    fn send(&self, options: &[&str]) -> u64 {
        let output = generator(self.ports[0], options).output();
        let output = output.expect("as the test arranged it");
        let truth: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        sent(&truth)
    }
}

#[test]
fn what_comes_while_nobody_is_there_is_received_by_the_next_run() {
    let dir = folder();
    let place = Place::new(dir.path());
    for signal in ["KILL", "TERM", "KILL"] {
        let sensor = place.start(TWO);
        assert_eq!(place.manager.held().len(), 4);
        wait_received(dir.path(), place.send(FEW));
        sensor.signal(signal);
        sensor.end();
        let waiting = place.send(FEW);
        let next = place.start(TWO);
        assert!(
            next.banner.contains("4 sockets of the run before"),
            "{}",
            next.banner
        );
        let more = place.send(FEW);
        let summary = next.stop().summary();
        assert_eq!(
            received_and_dropped(&summary),
            (waiting + more, 0),
            "{signal}"
        );
    }
}

#[test]
fn other_settings_open_other_sockets_and_let_the_manager_close_what_it_holds() {
    let dir = folder();
    let place = Place::new(dir.path());
    let sensor = place.start(&["--workers", "2"]);
    let before = place.manager.held();
    sensor.signal("KILL");
    sensor.end();
    let sensor = place.start(&["--workers", "1"]);
    assert!(
        sensor.banner.contains("they are closed"),
        "{}",
        sensor.banner
    );
    let now = place.manager.held();
    assert_eq!((before.len(), now.len()), (4, 2));
    assert!(now.iter().all(|name| !before.contains(name)));
    let all = place.send(FEW);
    assert_eq!(received_and_dropped(&sensor.stop().summary()), (all, 0));
}

/// Reserving memory page by page takes time, in which nobody would receive.
#[test]
fn a_sensor_that_takes_over_does_not_wait_for_its_memory() {
    let dir = folder();
    let place = Place::new(dir.path());
    let large = [TWO, &["--set", "rings.memory=256MiB"]].concat();
    let resident = |sensor: &Sensor| {
        let status = fs::read_to_string(format!("/proc/{}/status", sensor.pid())).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB"));
        kib.and_then(|it| it.parse::<u64>().ok()).unwrap() / 1_024
    };
    let sensor = place.start(&large);
    assert!(resident(&sensor) >= 256);
    sensor.signal("KILL");
    sensor.end();
    let sensor = place.start(&large);
    assert!(resident(&sensor) < 128);
    let all = place.send(FEW);
    assert_eq!(received_and_dropped(&sensor.stop().summary()), (all, 0));
}

/// Prints how long it takes; `KILLS=100` for the number that counts.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "prints how long a restart takes; nothing depends on it"
)]
fn kills_under_load_lose_nothing_that_is_not_yet_received() {
    let dir = folder();
    let place = Place::new(dir.path());
    let kills = env::var("KILLS").map_or(5, |it| it.parse().unwrap());
    let mut sensor = place.start(TWO);
    let mut load = generator(
        place.ports[0],
        &["--packets", "100000000", "--rate", "2000"],
    )
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
    let mut took = Vec::new();
    for _ in 0..kills {
        wait_received(dir.path(), 1);
        let begin = Instant::now();
        sensor.signal("KILL");
        sensor.end();
        sensor = place.start(TWO);
        wait_received(dir.path(), 1);
        took.push(begin.elapsed());
        let banner = &sensor.banner;
        assert!(banner.contains("4 sockets of the run before"), "{banner}");
    }
    load.kill().unwrap();
    load.wait().unwrap();
    sensor.signal("KILL");
    sensor.end();
    let last = place.start(TWO);
    // Not one found no room, in any run or between two.
    assert!(
        last.banner.contains("dropped there so far: 0"),
        "{}",
        last.banner
    );
    last.stop();
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let _ = writeln!(
        io::stdout(),
        "{kills} kills: to the first packet counted again, half within {:.0?}, 95 of 100 within \
         {:.0?}, all within {:.0?}",
        at(50),
        at(95),
        at(100)
    );
}

/// Waits until a report of the sensor has so many packets.
fn wait_received(dir: &Path, packets: u64) {
    let socket = dir.join("out/control.sock");
    until("packets", || {
        let status = Client::connect(&socket).ok()?.status().ok()?;
        (status.packets.received >= packets).then_some(())
    });
}
