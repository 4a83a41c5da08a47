//! What cannot be opened says why, and what to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use vxscope_capture::udp::{GROUPS_MAX, Interface, UdpBatch, UdpError, UdpGroup, UdpSettings};
use vxscope_units::ByteSize;
use vxscope_wire::Tunnel;

use crate::mirror::{Senders, vxlan};
use crate::receiver::settings;

const BUFFER: ByteSize = ByteSize::kib(64);

#[test]
fn a_port_that_somebody_else_has_is_refused_also_to_ourselves() {
    for (first, second) in [(1, 1), (1, 4), (4, 1), (4, 4)] {
        let opened = settings(first, BUFFER).open().unwrap();
        let again = UdpSettings {
            groups: opened.groups.clone(),
            ..settings(second, BUFFER)
        };
        let error = again.open().unwrap_err();
        assert!(matches!(error, UdpError::PortInUse { .. }), "{error}");
        let port = opened.groups[0].port;
        let text = error.to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{port} is in use")),
            "{text}"
        );
        assert!(text.contains(&format!("sport = :{port}")), "{text}");
        // What was opened before the error is closed, and the first goes on.
        drop(opened);
        assert!(again.open().is_ok());
    }
}

#[test]
fn an_address_of_another_host_is_refused() {
    let settings = UdpSettings {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        ..settings(2, BUFFER)
    };
    let error = settings.open().unwrap_err();
    assert!(matches!(error, UdpError::AddressMissing { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("192.0.2.1 is no address of this host")
    );
}

#[test]
fn more_ports_than_a_thread_waits_for_are_refused() {
    let group = |_| UdpGroup {
        port: 0,
        tunnel: Tunnel::Vxlan,
    };
    let many = |count: usize| UdpSettings {
        groups: (0..count).map(group).collect(),
        ..settings(1, BUFFER)
    };
    assert_eq!(many(GROUPS_MAX).open().unwrap().groups.len(), GROUPS_MAX);
    let error = many(GROUPS_MAX + 1).open().unwrap_err();
    assert!(
        matches!(error, UdpError::TooManyPorts { count: 9 }),
        "{error}"
    );
}

#[test]
fn a_missing_interface_names_those_there_are() {
    let error = Interface::find("no-such0").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("there is no interface \"no-such0\"; there are: "));
    assert!(text.contains("lo"), "{text}");
    let mut asked = 0;
    let waited = Interface::wait("no-such0", Duration::from_millis(1), || {
        asked += 1;
        asked < 4
    });
    assert!(matches!(waited, Err(UdpError::InterfaceMissing { .. })));
    assert_eq!(asked, 4);
}

#[test]
fn an_interface_is_found_with_its_addresses() {
    let loopback = Interface::wait("lo", Duration::ZERO, || false).unwrap();
    assert!(loopback.is_up() && loopback.is_present() && loopback.index() > 0);
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(loopback.addresses().contains(&address));
    let settings = UdpSettings {
        interface: Some(loopback),
        ..settings(2, BUFFER)
    };
    assert_eq!(received(&settings), 2);
}

#[test]
fn the_unspecified_address_takes_both_families() {
    let settings = UdpSettings {
        address: Ipv6Addr::UNSPECIFIED.into(),
        ..settings(2, BUFFER)
    };
    assert_eq!(received(&settings), 2);
}

#[test]
fn a_source_without_ports_waits_and_has_nothing() {
    let settings = UdpSettings {
        groups: Vec::new(),
        ..settings(1, BUFFER)
    };
    let mut opened = settings.open().unwrap();
    let source = &mut opened.sources[0];
    assert_eq!(source.receive(&mut UdpBatch::new()).unwrap(), 0);
    source.stop().unwrap();
    assert_eq!(source.receive(&mut UdpBatch::new()).unwrap(), 0);
}

/// Sends two datagrams from 127.0.0.1 to the first port; how many arrive, and from there.
fn received(settings: &UdpSettings) -> usize {
    let mut opened = settings.open().unwrap();
    let mut senders = Senders::new(2);
    for _ in 0..2 {
        senders.send(opened.groups[0].port, &vxlan(1, &[0; 60]));
    }
    let mut batch = UdpBatch::new();
    let mut received = 0;
    for source in &mut opened.sources {
        received += source.receive(&mut batch).unwrap();
        let sender = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(batch.datagrams().all(|datagram| datagram.source == sender));
    }
    received
}
