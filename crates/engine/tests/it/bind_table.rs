//! A running sensor learns which sources are known.

use std::net::Ipv4Addr;

use vxscope_engine::{Alert, Stopped, Unheard};
use vxscope_testkit::Frame;
use vxscope_units::{BindTable, Binding, MirrorSource, Vni};
use vxscope_wire::Reject;

use crate::support::live::{Sensor, live};
use crate::support::run::config;

#[test]
fn what_is_sent_after_a_replacement_is_judged_by_the_new_table() {
    let (outcome, started) = live(config(1 << 20, 2), |sensor| {
        // No source is known yet, so all are accepted.
        send(sensor, 1, 50);
        send(sensor, 2, 7);
        know(sensor, &["127.0.0.2"]);
        send(sensor, 1, 30);
        send(sensor, 2, 20);
        know(sensor, &["127.0.0.1"]);
        send(sensor, 1, 10);
        send(sensor, 2, 5);
        know(sensor, &[]);
        send(sensor, 1, 1);
        know(sensor, &[]);
    });
    let statement = outcome.statement;
    let rows = statement
        .rows
        .iter()
        .map(|(source, row)| (*source, row.packets));
    assert_eq!(rows.collect::<Vec<_>>(), [(mirror(1), 61), (mirror(2), 27)]);
    let rows = statement.quarantine.iter();
    let rows = rows.map(|(source, row)| (*source, row.packets));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [(Some(mirror(1)), 30), (Some(mirror(2)), 5)]
    );
    assert_eq!(statement.rejected.get(Reject::Quarantined), 35);
    assert_eq!(statement.received, 123);
    assert_eq!(
        started.commands.replace_bind_table(BindTable::default()),
        Err(Stopped)
    );
}

#[test]
fn an_alert_from_outside_is_an_event_of_its_source() {
    let (outcome, _) = live(config(1 << 20, 2), |sensor| {
        send(sensor, 1, 5);
        let commands = &sensor.started.commands;
        let alert = |source, peer| Alert {
            source,
            peer,
            severe: false,
            reason: String::new(),
        };
        // It is known from the next tick on.
        while commands.alert(alert(mirror(1), None)) == Err(Unheard::UnknownSource) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let peer = Some(mirror(2).address);
        assert_eq!(commands.alert(alert(mirror(1), peer)), Ok(()));
        // One that nobody knows must not take memory from those who are known.
        let unknown = commands.alert(alert(mirror(9), None));
        assert_eq!(unknown, Err(Unheard::UnknownSource));
    });
    assert_eq!(outcome.unbalanced, Vec::<String>::new());
    assert_eq!(outcome.summary.signals.events.get("alert"), 2);
}

/// Sends from 127.0.0.`sender`, each frame of another flow.
fn send(sensor: &mut Sensor, sender: u8, frames: u16) {
    let frame =
        |number| Frame::udp(&format!("10.1.0.1:{}", 10_000 + number), "10.1.0.2:53").bytes();
    sensor.send(sender, (0..frames).map(frame));
}

/// Replaces the table once the sensor has received everything that was sent before.
fn know(sensor: &Sensor, addresses: &[&str]) {
    sensor.settle();
    let binding = |text: &&str| Binding::new(text.parse().unwrap(), None);
    let table = BindTable::try_new(addresses.iter().map(binding).collect());
    let replaced = sensor.started.commands.replace_bind_table(table.unwrap());
    replaced.unwrap();
}

fn mirror(number: u8) -> MirrorSource {
    MirrorSource {
        address: Ipv4Addr::new(127, 0, 0, number).into(),
        vni: Vni::try_new(5).unwrap(),
    }
}
