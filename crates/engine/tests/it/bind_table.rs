//! A running sensor learns which sources are known.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use vxscope_engine::{Commands, Live, Observer, Outcome, Started, Status, Stop, Stopped, run};
use vxscope_testkit::Frame;
use vxscope_units::{BindTable, Binding, MirrorSource, Vni};
use vxscope_wire::Reject;

use crate::support::run::config;

/// How long the sensor may take to say that it has received what was sent.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn what_is_sent_after_a_replacement_is_judged_by_the_new_table() {
    let (outcome, commands) = live(|sensor| {
        // No source is known yet, so all are accepted.
        sensor.send(1, 50);
        sensor.send(2, 7);
        sensor.know(&["127.0.0.2"]);
        sensor.send(1, 30);
        sensor.send(2, 20);
        sensor.know(&["127.0.0.1"]);
        sensor.send(1, 10);
        sensor.send(2, 5);
        sensor.know(&[]);
        sensor.send(1, 1);
        sensor.know(&[]);
    });
    assert_eq!(outcome.unbalanced, Vec::<String>::new());
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
        commands.replace_bind_table(BindTable::default()),
        Err(Stopped)
    );
}

/// A sensor on loopback, while `act` sends to it.
fn live(act: impl FnOnce(&mut Sensor)) -> (Outcome, Commands) {
    let out = tempfile::tempdir().expect("a folder");
    let mut config = config(1 << 20, 2);
    config.workers = NonZeroU16::new(2).expect("two");
    let live = Live {
        config,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        vxlan_port: Some(0),
        interface: None,
        out: out.path().to_owned(),
    };
    let stop = Arc::new(Stop::new());
    let (started, starts) = sync_channel(1);
    let (received, receipts) = sync_channel(1_000);
    let mut observer = Watch { started, received };
    std::thread::scope(|scope| {
        let sensor = scope.spawn(|| run(&live, &stop, &mut observer));
        let start = starts.recv_timeout(PATIENCE).expect("the sensor starts");
        let commands = start.commands.clone();
        act(&mut Sensor {
            start,
            receipts,
            sent: 0,
        });
        stop.begin();
        let outcome = sensor.join().expect("no panic").expect("it ran");
        (outcome, commands)
    })
}

struct Watch {
    started: SyncSender<Started>,
    received: SyncSender<u64>,
}

impl Observer for Watch {
    fn handle_start(&mut self, started: &Started) {
        let _ = self.started.send(started.clone());
    }

    fn handle_status(&mut self, status: &Status) {
        let _ = self.received.try_send(status.statement.received);
    }
}

struct Sensor {
    start: Started,
    receipts: Receiver<u64>,
    sent: u64,
}

impl Sensor {
    /// Sends from 127.0.0.`sender`, each frame of another flow.
    fn send(&mut self, sender: u8, frames: u16) {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, sender), 0)).expect("loopback");
        let port = self.start.vxlan_port.expect("a port");
        for number in 0..frames {
            let frame = Frame::udp(&format!("10.1.0.1:{}", 10_000 + number), "10.1.0.2:53");
            let payload = [&[8, 0, 0, 0, 0, 0, 5, 0][..], &frame.bytes()].concat();
            socket
                .send_to(&payload, (Ipv4Addr::LOCALHOST, port))
                .expect("sent");
        }
        self.sent += u64::from(frames);
    }

    /// Replaces the table once the sensor has received everything that was sent before.
    fn know(&self, addresses: &[&str]) {
        while self
            .receipts
            .recv_timeout(PATIENCE)
            .expect("received in time")
            < self.sent
        {}
        let binding = |text: &&str| Binding::new(text.parse().expect("an address"), None);
        let table = BindTable::try_new(addresses.iter().map(binding).collect());
        let table = table.expect("no conflict");
        let replaced = self.start.commands.replace_bind_table(table);
        replaced.expect("the sensor runs");
    }
}

fn mirror(number: u8) -> MirrorSource {
    MirrorSource {
        address: Ipv4Addr::new(127, 0, 0, number).into(),
        vni: Vni::try_new(5).expect("24 bits"),
    }
}
