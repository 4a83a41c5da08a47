//! Canaries of a running sensor, on loopback: the test plays a source and its mirror.

use std::net::UdpSocket;
use std::time::Duration;

use vxscope_api::Client;
use vxscope_report::{SourceStatus, Status};
use vxscope_testkit::Frame;

use crate::folder;
use crate::sensor::{Sensor, until};

const SOURCE: &str = "127.0.0.2";
const VNI: u8 = 5;

#[test]
fn a_canary_that_comes_back_is_no_evidence_and_one_that_does_not_is_missed() {
    let dir = folder();
    let source = UdpSocket::bind((SOURCE, 0)).expect("a socket on loopback");
    let port = source.local_addr().unwrap().port();
    let known = format!("[[source]]\naddress = \"{SOURCE}\"\nvni = {VNI}\n");
    std::fs::write(dir.path().join("known.toml"), known).unwrap();
    let keys = format!("canary={{every_seconds = 1, wait_seconds = 2, port = {port}}}");
    let often = "report.interval_milliseconds=100";
    let options = ["--config", "known.toml", "--set", &keys, "--set", often];
    let sensor = Sensor::start(dir.path(), &options);
    let mirror = Mirror {
        socket: UdpSocket::bind((SOURCE, 0)).expect("a socket on loopback"),
        sensor: sensor.port,
    };
    let client = || Client::connect(&dir.path().join("out/control.sock")).unwrap();
    let status = || -> Status { client().status().unwrap() };
    let shown = || -> Option<SourceStatus> { client().sources().unwrap().into_iter().next() };

    // Whoever has sent something gets one.
    let usual = Frame::udp("127.0.0.9:4000", "127.0.0.2:53").payload(b"query");
    mirror.send(&usual.bytes());
    let long = Duration::from_secs(60);
    source.set_read_timeout(Some(long)).unwrap();
    let mut canary = [0; 64];
    let (length, from) = source.recv_from(&mut canary).expect("a canary");
    let before = shown().expect("it is known").report.signals;

    // Its copy comes back, twice; what somebody else calls one is a packet like others.
    let to = format!("{SOURCE}:{port}");
    let copy = Frame::udp(&from.to_string(), &to).payload(&canary[..length]);
    mirror.send(&copy.bytes());
    mirror.send(&copy.bytes());
    let forged = Frame::udp("127.0.0.9:4001", &to).payload(b"vxcanary, says somebody");
    mirror.send(&forged.bytes());
    let after = until("its return", || {
        shown().filter(|it| it.report.signals.packets == before.packets + 3)
    });
    let after = after.report.signals;
    assert_eq!(after.canary.unwrap().returned, 2);
    assert_eq!(after.flows, before.flows + 1, "the forged one has a flow");
    let told = status();
    assert_eq!(told.packets.untracked["canary"], 2);
    assert_eq!(told.packets.tracked, 2);
    assert!(told.signals.canaries["sent"] > 0);

    // The mirror breaks: nothing comes any more.
    let missed = |signals: &vxscope_report::Signals| signals.canary.unwrap().missed_at;
    until("a canary is missed", || {
        shown().filter(|it| missed(&it.report.signals) > 0)
    });
    assert_eq!(status().signals.canaries["missed"], 1);
    mirror.send(&usual.bytes());
    until("the mirror works again", || {
        shown().filter(|it| missed(&it.report.signals) == 0)
    });
    sensor.stop();
    let summary = crate::json(&dir.path().join("out/summary.json"));
    assert_eq!(summary["packets"]["received"], 5);
    assert_eq!(summary["packets"]["untracked"]["canary"], 2);
    assert_eq!(summary["flows"]["opened"], 2);
}

/// Sends copies of a source's frames to the sensor.
struct Mirror {
    socket: UdpSocket,
    sensor: u16,
}

impl Mirror {
    fn send(&self, frame: &[u8]) {
        let mut datagram = vec![8, 0, 0, 0, 0, 0, VNI, 0];
        datagram.extend(frame);
        let sent = self.socket.send_to(&datagram, ("127.0.0.1", self.sensor));
        sent.expect("loopback takes it");
    }
}
