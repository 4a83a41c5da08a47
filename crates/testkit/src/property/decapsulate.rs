//! Tunnels in any bytes: what opens lies inside, names its source, and opens again when wrapped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxscope_units::LinkType;
use vxscope_wire::{
    DEPTH_MAX, Decapsulated, Options, Ports, Reject, Tunnel, decapsulate_datagram,
    decapsulate_record, ethernet,
};

use super::prefix_lengths;
use crate::{Geneve, Vxlan};

/// What a record may start with; the last is a type that is not read.
const LINKS: [LinkType; 12] = [
    LinkType::Ethernet,
    LinkType::Null,
    LinkType::Ppp,
    LinkType::PppHdlc,
    LinkType::CiscoHdlc,
    LinkType::Loop,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::RawIp4,
    LinkType::RawIp6,
    LinkType::LinuxSll2,
    LinkType::Other(147),
];
/// Depths to dig: none to one more than is possible.
const DEPTHS: u8 = DEPTH_MAX + 2;
/// Who a datagram came from. The second and the third are one and the same.
const SENDERS: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0207)),
];
/// Longest frame that is wrapped again: it must fit into an IPv6 packet with its headers.
const WRAPPED_BYTES_MAX: usize = 65_000;
/// Prefixes of one input that are opened.
const PREFIXES_MAX: usize = 256;

/// A way to open bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Record(LinkType),
    Datagram(Tunnel, IpAddr),
}

impl Door {
    fn open<'a>(self, bytes: &'a [u8], options: &Options) -> Result<Decapsulated<'a>, Reject> {
        match self {
            Self::Record(link) => decapsulate_record(link, bytes, options),
            Self::Datagram(tunnel, sender) => decapsulate_datagram(tunnel, sender, bytes, options),
        }
    }
}

/// The input with which [`decapsulate`] opens this record at this depth, from 0 to 5.
#[must_use]
pub fn decapsulate_input(link: LinkType, depth: u8, record: &[u8]) -> Vec<u8> {
    let place = (0..).zip(LINKS).find(|(_, listed)| *listed == link);
    let unread = u8::try_from(LINKS.len() - 1).expect("a short list");
    let links = unread + 1;
    let choice = place.map_or(unread, |(place, _)| place) + links * (depth % DEPTHS);
    [&[choice], record].concat()
}

/// The first byte chooses link type (modulo 12), depth (the next factor 6) and sender; the rest
/// is a capture's record, and a datagram of each tunnel as well.
///
/// # Panics
/// If the frame lies outside of the input or is shorter than an Ethernet header, its lengths
/// contradict each other, a tunnel around it does not give it back with source and VNI, more
/// bytes of the same input close a tunnel or change its source, an Ethernet header makes a
/// difference, or a reason is not listed.
pub fn decapsulate(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let (link, choice) = pick(*choice, &LINKS);
    let (depth, choice) = (choice % DEPTHS, choice / DEPTHS);
    let (sender, _) = pick(choice, &SENDERS);
    let options = Options {
        depth,
        ..Options::default()
    };
    for door in [
        Door::Record(link),
        Door::Datagram(Tunnel::Vxlan, sender),
        Door::Datagram(Tunnel::Geneve, sender),
    ] {
        match door.open(bytes, &options) {
            Ok(opened) => check(door, bytes, &opened, &options),
            Err(reject) => assert_eq!(Reject::ALL.get(reject.index()), Some(&reject)),
        }
        longer_prefixes_open_the_same(door, bytes, &options);
    }
    closed_ports_open_nothing(link, bytes);
    same_without_link_header(bytes, &options);
    becomes_ethernet(link, bytes);
}

/// One of the items, and what is left of the choice.
fn pick<T: Copy>(choice: u8, items: &[T]) -> (T, u8) {
    let count = u8::try_from(items.len()).expect("a short list");
    (items[usize::from(choice % count)], choice / count)
}

fn check(door: Door, bytes: &[u8], opened: &Decapsulated<'_>, options: &Options) {
    let (outer, inner) = (bytes.as_ptr_range(), opened.frame.as_ptr_range());
    assert!(outer.start <= inner.start && inner.end <= outer.end);
    assert!(opened.frame.len() >= 14, "{opened:?}");
    assert!(opened.original_len as usize >= opened.frame.len());
    assert!(opened.source.vni.get() < 1 << 24);
    assert!(opened.depth <= options.depth.min(DEPTH_MAX));
    if let Door::Datagram(tunnel, sender) = door {
        assert_eq!(opened.tunnel, tunnel);
        if tunnel == Tunnel::Vxlan && opened.depth == 0 {
            assert_eq!(opened.source.address, sender.to_canonical());
        }
    }
    its_payload_opens_alike(bytes, opened);
    opens_again(opened);
}

/// What a capture's record holds is what a socket would have received.
fn its_payload_opens_alike(bytes: &[u8], opened: &Decapsulated<'_>) {
    // Only without further tunnels the header stands right before the frame.
    if opened.tunnel != Tunnel::Vxlan || opened.depth != 0 {
        return;
    }
    let start = opened.frame.as_ptr().addr() - bytes.as_ptr().addr();
    let payload = &bytes[start - 8..start + opened.frame.len()];
    let sender = opened.source.address;
    let again = decapsulate_datagram(Tunnel::Vxlan, sender, payload, &Options::default());
    let again = again.expect("a socket opens what a capture opens");
    assert_eq!(again.frame.as_ptr_range(), opened.frame.as_ptr_range());
    assert_eq!(again.source.vni, opened.source.vni);
    assert_eq!(again.reserved_bits, opened.reserved_bits);
}

/// The frame in a tunnel of ours with the same VNI, from the same address.
fn opens_again(opened: &Decapsulated<'_>) {
    if opened.frame.len() > WRAPPED_BYTES_MAX {
        return;
    }
    let (sender, vni) = (opened.source.address, opened.source.vni.get());
    let vxlan = Vxlan::new(&sender.to_string(), vni);
    let geneve = Geneve::new(&sender.to_string(), vni);
    for (tunnel, record, payload) in [
        (
            Tunnel::Vxlan,
            vxlan.wrap(opened.frame),
            vxlan.datagram(opened.frame),
        ),
        (
            Tunnel::Geneve,
            geneve.wrap(opened.frame),
            geneve.datagram(opened.frame),
        ),
    ] {
        for (door, bytes) in [
            (Door::Record(LinkType::Ethernet), &record),
            (Door::Datagram(tunnel, sender), &payload),
        ] {
            let again = door.open(bytes, &Options::default());
            let again = again.expect("what the builders wrap opens");
            assert_eq!(again.frame, opened.frame);
            assert_eq!(again.original_len as usize, opened.frame.len());
            assert_eq!(again.source.vni, opened.source.vni);
            assert_eq!(
                again.source.address.to_canonical(),
                sender.to_canonical(),
                "{door:?}"
            );
            assert_eq!(
                (again.tunnel, again.depth, again.reserved_bits),
                (tunnel, 0, false)
            );
        }
    }
}

/// A capture that was cut later holds the same tunnel: it may only open deeper, and at the same
/// depth everything but the lengths is equal.
fn longer_prefixes_open_the_same(door: Door, bytes: &[u8], options: &Options) {
    let mut shorter: Option<Decapsulated<'_>> = None;
    for length in prefix_lengths(bytes.len(), PREFIXES_MAX) {
        let opened = door.open(&bytes[..length], options).ok();
        if let Some(shorter) = shorter {
            let opened = opened.expect("more bytes close no tunnel");
            assert_eq!(opened.tunnel, shorter.tunnel);
            assert!(opened.depth >= shorter.depth);
            if opened.depth == shorter.depth {
                assert_eq!(opened.source, shorter.source, "{door:?}, {length} bytes");
                assert_eq!(opened.frame.as_ptr(), shorter.frame.as_ptr());
                assert_eq!(opened.reserved_bits, shorter.reserved_bits);
                assert!(opened.original_len >= shorter.original_len);
            }
        }
        shorter = opened;
    }
}

fn closed_ports_open_nothing(link: LinkType, bytes: &[u8]) {
    let closed = Options {
        vxlan_ports: Ports::NONE,
        geneve_ports: Ports::NONE,
        depth: DEPTH_MAX,
    };
    assert!(decapsulate_record(link, bytes, &closed).is_err());
}

/// Common records have a short way of their own; without the Ethernet header there is none, and
/// everything else is the same.
fn same_without_link_header(bytes: &[u8], options: &Options) {
    let Some((header, packet)) = bytes.split_first_chunk::<14>() else {
        return;
    };
    let link = match header[12..] {
        [0x08, 0x00] => LinkType::RawIp4,
        [0x86, 0xdd] => LinkType::RawIp6,
        _ => return,
    };
    assert_eq!(
        decapsulate_record(LinkType::Ethernet, bytes, options),
        decapsulate_record(link, packet, options)
    );
}

/// Records taken as bare frames: Ethernet as it is, anything else with a header of 14 bytes
/// before a tail of the record.
fn becomes_ethernet(link: LinkType, bytes: &[u8]) {
    let mut scratch = b"left over".to_vec();
    match ethernet(link, bytes, &mut scratch) {
        Ok(frame) if link == LinkType::Ethernet => assert_eq!(frame, bytes),
        Ok(frame) => assert!(bytes.ends_with(&frame[14..])),
        Err(reject) => assert_eq!(Reject::ALL.get(reject.index()), Some(&reject)),
    }
}
