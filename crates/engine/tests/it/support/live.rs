//! A sensor on loopback, inside the test.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use vxscope_config::Config;
use vxscope_engine::{Live, Observer, Outcome, Started, Status, Stop, run};

/// How long the sensor may take to start, or to say that it has received what was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a sensor while `act` sends to it; what it gave, and what it said at its start.
pub(crate) fn live(config: Config, act: impl FnOnce(&mut Sensor)) -> (Outcome, Started) {
    let out = tempfile::tempdir().unwrap();
    let live = Live {
        config,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        vxlan_port: Some(0),
        interface: None,
        out: out.path().to_owned(),
        steward: None,
        reread: None,
        certificates: None,
    };
    let stop = Arc::new(Stop::new());
    let (started, starts) = sync_channel(1);
    let (received, receipts) = sync_channel(1_000);
    let mut observer = Watch { started, received };
    let (outcome, started) = std::thread::scope(|scope| {
        let sensor = scope.spawn(|| run(&live, &stop, &mut observer));
        let started = starts.recv_timeout(PATIENCE).unwrap();
        let mut sensor_seen = Sensor {
            started,
            receipts,
            sent: 0,
        };
        act(&mut sensor_seen);
        stop.begin();
        (sensor.join().unwrap().unwrap(), sensor_seen.started)
    });
    assert_eq!(outcome.unbalanced, Vec::<String>::new());
    (outcome, started)
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

/// The sensor as a sender sees it.
pub(crate) struct Sensor {
    pub(crate) started: Started,
    receipts: Receiver<u64>,
    sent: u64,
}

impl Sensor {
    /// Sends frames from 127.0.0.`sender`, with VNI 5.
    pub(crate) fn send(&mut self, sender: u8, frames: impl IntoIterator<Item = Vec<u8>>) {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, sender), 0)).unwrap();
        let port = self.started.vxlan_port.unwrap();
        for frame in frames {
            let payload = [&[8, 0, 0, 0, 0, 0, 5, 0], &frame[..]].concat();
            socket
                .send_to(&payload, (Ipv4Addr::LOCALHOST, port))
                .unwrap();
            self.sent += 1;
        }
    }

    /// Returns when the sensor has received everything that was sent.
    pub(crate) fn settle(&self) {
        while self.receipts.recv_timeout(PATIENCE).unwrap() < self.sent {}
    }
}
