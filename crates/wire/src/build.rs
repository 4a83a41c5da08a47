//! Packets for the tests of this crate, built header by header.

pub(crate) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xbb];
    [&addresses[..], &ether_type.to_be_bytes(), payload].concat()
}

/// A tag's control information and the type that follows; the caller names the tag's own type.
pub(crate) fn vlan(id: u16, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [
        &(0x6000 | id).to_be_bytes()[..],
        &ether_type.to_be_bytes(),
        payload,
    ]
    .concat()
}

/// 10.1.2.3 -> 10.9.8.7.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(0x45, 0x4000, protocol, payload)
}

pub(crate) fn ipv4_from(source: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(protocol, payload);
    packet[12..16].copy_from_slice(&source);
    packet
}

/// `payload` starts with the options that `version_ihl` announces.
pub(crate) fn ipv4_with(version_ihl: u8, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    // Longer than 65,535: what segmentation offload leaves, which the tests overwrite.
    let total = u16::try_from(20 + payload.len()).unwrap_or(0).to_be_bytes();
    let [f1, f2] = fragment.to_be_bytes();
    let header = [
        version_ihl,
        0,
        total[0],
        total[1],
        0xab,
        0xcd,
        f1,
        f2,
        64,
        protocol,
        0,
        0, //
        10,
        1,
        2,
        3,
        10,
        9,
        8,
        7,
    ];
    [&header[..], payload].concat()
}

/// 2001:db8::1 -> 2001:db8::2.
pub(crate) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    for last in [1, 2] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    [packet.as_slice(), payload].concat()
}

/// An IPv6 extension header of `length` bytes (a multiple of 8), zero but for its two first.
pub(crate) fn extension(next: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0; length];
    header[0] = next;
    header[1] = u8::try_from(length / 8 - 1).unwrap();
    [header.as_slice(), payload].concat()
}

pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(0).to_be_bytes();
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    [&ports[..], &length, &[0, 0], payload].concat()
}

/// Sequence 1, acknowledgement 2, window 3, no options.
pub(crate) fn tcp(source: u16, destination: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    let rest = [0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 3, 0, 0, 0, 0];
    [&ports[..], &rest, payload].concat()
}

pub(crate) fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = vni.to_be_bytes();
    [&[0x08, 0, 0, 0, a, b, c, 0], frame].concat()
}

pub(crate) fn geneve(
    flags: u8,
    protocol: u16,
    vni: u32,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let [_, a, b, c] = vni.to_be_bytes();
    let [p1, p2] = protocol.to_be_bytes();
    let words = u8::try_from(options.len() / 4).unwrap();
    [&[words, flags, p1, p2, a, b, c, 0], options, payload].concat()
}

/// An inner frame with a TCP segment of so many bytes.
pub(crate) fn tcp_frame(payload_len: usize) -> Vec<u8> {
    ethernet(
        0x0800,
        &ipv4(6, &tcp(1_024, 80, 0x18, &vec![b'x'; payload_len])),
    )
}

/// Ethernet, IPv4, UDP and VXLAN around a frame: 50 bytes.
pub(crate) fn vxlan_record(source: [u8; 4], vni: u32, frame: &[u8]) -> Vec<u8> {
    ethernet(
        0x0800,
        &ipv4_from(source, 17, &udp(65_000, 4789, &vxlan(vni, frame))),
    )
}
