//! Others on the same port, interfaces that are not there: what the sensor says about them.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::{fs, process};

use socket2::{Domain, Socket, Type};

use crate::sensor::{Sensor, free_port, until};
use crate::{folder, vxscope};

const SMALL: &[&str] = &["--set", "rings.memory=8MiB"];

#[test]
fn a_port_in_use_is_refused_and_its_owner_named() {
    let me = format!("in use by process {} (", process::id());
    for shares in [false, true] {
        for workers in ["1", "2"] {
            let dir = folder();
            fs::create_dir(dir.path().join("out")).unwrap();
            fs::write(dir.path().join("out/summary.json"), "of the run before").unwrap();
            let taken = bind("127.0.0.1:0", shares);
            let address = taken.local_addr().unwrap().to_string();
            let arguments = [
                "run",
                "--listen",
                &address,
                "--out",
                "out",
                "--workers",
                workers,
            ];
            let complaint = vxscope(dir.path(), &[&arguments[..], SMALL].concat()).fails(1);
            assert!(complaint.contains(&address), "{complaint}");
            assert!(complaint.contains(&me), "{complaint}");
            assert!(complaint.contains("listen on another"), "{complaint}");
            // Nothing was received, so nothing is overwritten.
            let before = fs::read_to_string(dir.path().join("out/summary.json")).unwrap();
            assert_eq!(before, "of the run before");
        }
    }
}

#[test]
fn who_joins_the_port_later_is_reported() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), &[SMALL, &["--workers", "2"]].concat());
    let address = format!("127.0.0.1:{}", sensor.port);
    let _thief = bind(&address, true);
    let stopped = sensor.stop();
    let warning = format!("process {} (", process::id());
    let warnings = stopped.summary()["warnings"].to_string();
    assert!(warnings.contains(&warning), "{warnings}");
    assert!(warnings.contains(&address), "{warnings}");
}

#[test]
fn an_interface_that_is_not_there_is_waited_for_in_words() {
    let dir = folder();
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["run", "--listen", &listen, "--interface", "no-such0"];
    let said = dir.path().join("said");
    let mut sensor = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(arguments)
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let text = until("a word about waiting", || {
        let text = fs::read_to_string(&said).ok()?;
        text.contains("waiting").then_some(text)
    });
    assert!(
        text.contains("no interface \"no-such0\"; there are: "),
        "{text}"
    );
    assert!(text.contains("lo"), "{text}");
    let id = sensor.id().to_string();
    let killed = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(killed.unwrap().success());
    assert_eq!(sensor.wait().unwrap().code(), Some(1));
}

fn bind(address: &str, shares: bool) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(shares).expect("an option");
    let address: SocketAddr = address.parse().expect("an address");
    socket.bind(&address.into()).expect("a port");
    socket.into()
}
