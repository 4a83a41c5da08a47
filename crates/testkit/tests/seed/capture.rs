//! Capture files: both formats in every variant, and small conversations for the whole sensor.

use vxscope_pcap::pcapng::{InterfaceDescription, InterfaceStatistics, Packet, Writer};
use vxscope_pcap::{Precision, classic};
use vxscope_testkit::{Frame, Geneve, Pcap, Vxlan, tcp};
use vxscope_units::{LinkType, Timestamp};

use super::Seed;

pub(crate) fn files() -> Vec<Seed> {
    [classic_files(), ng_files(), broken_files()].concat()
}

fn at(second: u64) -> Timestamp {
    Timestamp::new(1_700_000_000 + second, 5_000 * second)
}

/// Three records: whole, cut, empty.
fn plain() -> Vec<u8> {
    Pcap::ethernet()
        .record(at(0), b"a whole record")
        .cut_record(at(1), b"cut", 1_500)
        .record(at(1), b"")
        .bytes()
}

fn classic_files() -> Vec<Seed> {
    let mut micros = classic::file_header(Precision::Micros, LinkType::RawIp, 65_535).to_vec();
    micros.extend(classic::record_header(at(3), 3, 60, Precision::Micros));
    micros.extend(b"\x45ab");
    // The other byte order: every word of the headers turned round.
    let mut turned = Vec::new();
    for words in [
        micros[..24].as_chunks::<4>().0,
        micros[24..40].as_chunks::<4>().0,
    ] {
        turned.extend(words.iter().flat_map(|[a, b, c, d]| [*d, *c, *b, *a]));
    }
    turned[4..8].copy_from_slice(&[0, 2, 0, 4]);
    turned.extend(b"\x45ab");
    // Kuznetzov's libpcap: another magic, eight bytes more for each record.
    let mut patched = micros.clone();
    patched[..4].copy_from_slice(&[0x34, 0xcd, 0xb2, 0xa1]);
    patched.splice(40..40, [1, 0, 0, 0, 8, 0, 0, 0]);
    // Version 2.2: the two lengths of a record stand the other way round.
    let mut old = micros.clone();
    old[6] = 2;
    old.splice(32..40, [60, 0, 0, 0, 3, 0, 0, 0]);
    let mut fcs = micros.clone();
    fcs[23] = 0x24;
    vec![
        ("classic", plain()),
        ("classic-micros", micros),
        ("classic-big-endian", turned),
        ("classic-kuznetzov", patched),
        ("classic-2.2", old),
        ("classic-fcs", fcs),
        ("classic-no-records", Pcap::ethernet().bytes()),
    ]
}

fn written() -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, "seed", LinkType::Ethernet, 0);
    let name = InterfaceDescription {
        name: "vni-7",
        description: "one",
        comment: "",
    };
    let interface = writer.interface(&mut file, &name);
    for (second, data) in [(0, &b"first"[..]), (1, b"second one"), (2, b"")] {
        let packet = Packet {
            interface,
            timestamp: at(second),
            data,
            original_len: 1_500,
            comment: (second == 1).then_some("a comment"),
        };
        writer.packet(&mut file, &packet);
    }
    let statistics = InterfaceStatistics {
        interface,
        timestamp: at(3),
        received: 3,
        dropped: 1,
    };
    writer.statistics(&mut file, &statistics);
    file
}

/// A pcapng block in either byte order; `body` is cut into words of the given sizes in bytes.
fn block(big: bool, kind: u32, fields: &[(u32, usize)], data: &[u8]) -> Vec<u8> {
    let word = |value: u32, size: usize| {
        let bytes = value.to_be_bytes();
        let mut bytes = bytes[4 - size..].to_vec();
        if !big {
            bytes.reverse();
        }
        bytes
    };
    let mut body: Vec<u8> = fields
        .iter()
        .flat_map(|(value, size)| word(*value, *size))
        .collect();
    body.extend_from_slice(data);
    body.resize(body.len().next_multiple_of(4), 0);
    let total = word(u32::try_from(body.len() + 12).expect("a small block"), 4);
    [word(kind, 4), total.clone(), body, total].concat()
}

fn section(big: bool) -> Vec<u8> {
    let length = (u32::MAX, 4);
    block(
        big,
        0x0a0d_0d0a,
        &[(0x1a2b_3c4d, 4), (1, 2), (0, 2), length, length],
        &[],
    )
}

fn interface(big: bool, link: u32, options: &[u8]) -> Vec<u8> {
    block(big, 1, &[(link, 2), (0, 2), (64, 4)], options)
}

fn enhanced(big: bool, interface: u32, high: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a small packet");
    block(
        big,
        6,
        &[(interface, 4), (high, 4), (1, 4), (length, 4), (1_500, 4)],
        data,
    )
}

fn ng_files() -> Vec<Seed> {
    // Option 9 if_tsresol: 2^-10 seconds; option 14 if_tsoffset: 100 s.
    let binary = [
        9, 0, 1, 0, 0x8a, 0, 0, 0, 14, 0, 8, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let old_packet = block(
        false,
        2,
        &[(0, 2), (5, 2), (9, 4), (1, 4), (3, 4), (3, 4)],
        b"old",
    );
    vec![
        ("ng", written()),
        (
            "ng-big-endian",
            [
                section(true),
                interface(true, 101, &[]),
                enhanced(true, 0, 9, b"E..."),
            ]
            .concat(),
        ),
        (
            "ng-two-sections",
            [
                section(false),
                interface(false, 1, &[]),
                section(true),
                interface(true, 113, &[]),
                enhanced(true, 0, 1, b"x"),
            ]
            .concat(),
        ),
        (
            "ng-two-links",
            [
                section(false),
                interface(false, 1, &[]),
                interface(false, 276, &binary),
                enhanced(false, 1, 9, b"y"),
                enhanced(false, 0, 9, b"z"),
            ]
            .concat(),
        ),
        (
            "ng-simple-packet",
            [
                section(false),
                interface(false, 1, &[]),
                block(false, 3, &[(100, 4)], &[7; 64]),
            ]
            .concat(),
        ),
        (
            "ng-obsolete-packet",
            [section(false), interface(false, 1, &[]), old_packet].concat(),
        ),
        (
            "ng-other-blocks",
            [
                section(false),
                block(false, 4, &[], &[0; 4]),
                interface(false, 1, &[]),
                block(false, 0xbad, &[], b"custom"),
            ]
            .concat(),
        ),
    ]
}

fn broken_files() -> Vec<Seed> {
    let (plain, ng) = (plain(), written());
    let changed = |file: &[u8], at: usize, byte: u8| {
        let mut file = file.to_vec();
        file[at] = byte;
        file
    };
    vec![
        ("cut-in-header", plain[..30].to_vec()),
        ("cut-in-record", plain[..50].to_vec()),
        ("cut-ng", ng[..ng.len() - 3].to_vec()),
        ("length-too-large", changed(&plain, 35, 0x7f)),
        ("link-reserved", changed(&plain, 22, 1)),
        ("ng-trailer", {
            let at = ng.len() - 1;
            changed(&ng, at, 9)
        }),
        ("ng-version", changed(&ng, 12, 9)),
        ("ng-no-interface", section(false)),
        (
            "ng-unknown-interface",
            [section(true), enhanced(true, 3, 0, b"")].concat(),
        ),
        ("compressed", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("text", b"<!DOCTYPE html>".to_vec()),
        ("empty", Vec::new()),
    ]
}

/// A capture of packets a quarter of a second apart.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let stamped = (0..).zip(packets);
    let add = |file: Pcap, (number, packet): (u64, &Vec<u8>)| {
        file.record(
            Timestamp::new(1_700_000_000 + number / 4, number % 4 * 250_000_000),
            packet,
        )
    };
    stamped.fold(Pcap::ethernet(), add).bytes()
}

fn wrapped(source: &str, vni: u32, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let tunnel = Vxlan::new(source, vni);
    frames.iter().map(|frame| tunnel.wrap(frame)).collect()
}

fn connection(client: &str, server: &str) -> Vec<Vec<u8>> {
    let to = |flags, seq, ack| Frame::tcp(client, server).flags(flags).seq(seq).ack(ack);
    let back = |flags, seq, ack| Frame::tcp(server, client).flags(flags).seq(seq).ack(ack);
    [
        to(tcp::SYN, 100, 0),
        back(tcp::SYN | tcp::ACK, 900, 101),
        to(tcp::ACK, 101, 901),
        to(tcp::PSH | tcp::ACK, 101, 901).payload(b"GET /"),
        back(tcp::PSH | tcp::ACK, 901, 106).payload(b"200 OK"),
        to(tcp::FIN | tcp::ACK, 106, 907),
        back(tcp::FIN | tcp::ACK, 907, 107),
        to(tcp::ACK, 107, 908),
        to(tcp::SYN, 5_000, 0),
        back(tcp::RST | tcp::ACK, 0, 5_001),
    ]
    .iter()
    .map(Frame::bytes)
    .collect()
}

fn datagrams() -> Vec<Vec<u8>> {
    let question = Frame::udp("10.0.0.5:4000", "10.0.0.9:53").payload(b"who?");
    let answer = Frame::udp("10.0.0.9:53", "10.0.0.5:4000")
        .payload(&[9; 90])
        .id(7);
    let mut all = vec![question.bytes()];
    all.extend(answer.fragments(32));
    all.push(Frame::icmp("10.0.0.5", "10.0.0.9", 8, 0, [0, 1, 0, 1]).bytes());
    all.push(Frame::icmp("10.0.0.9", "10.0.0.5", 0, 0, [0, 1, 0, 1]).bytes());
    all.push(Frame::icmp("10.0.0.9", "10.0.0.5", 3, 3, [0; 4]).bytes());
    all.push(
        Frame::sctp("[fd00::5]:2905", "[fd00::9]:2905")
            .vlan(5)
            .bytes(),
    );
    all.push([&[2; 12][..], &[8, 6], &[0; 28]].concat());
    all
}

pub(crate) fn conversations() -> Vec<Seed> {
    let tcp4 = connection("10.0.0.5:40000", "10.0.0.9:80");
    let tcp6 = connection("[fd00::5]:40000", "[fd00::9]:443");
    let [one, other] = [1, 2].map(|vni| wrapped("192.0.2.1", vni, &tcp4));
    let mixed: Vec<Vec<u8>> = one
        .iter()
        .zip(&other)
        .flat_map(|(a, b)| [a.clone(), b.clone()])
        .collect();
    let gwlb = tcp6
        .iter()
        .map(|frame| Geneve::gwlb("192.0.2.1").wrap(&Vxlan::new("192.0.2.8", 8).ip_packet(frame)));
    let cut: Vec<Vec<u8>> = wrapped("192.0.2.1", 3, &datagrams())
        .iter()
        .enumerate()
        .map(|(number, packet)| packet[..packet.len() - 5 * number].to_vec())
        .collect();
    // The same requests from other sources at the same time; an hour later one more packet.
    let late = capture(&wrapped("192.0.2.1", 1, &datagrams()));
    let late = [late, capture(&tcp4[..1])[24..].to_vec()].concat();
    let mut later = late.clone();
    let last = late.len() - tcp4[0].len() - 16;
    later[last + 1] ^= 0x20;
    let mut broken = capture(&one);
    broken.truncate(700);
    vec![
        ("connection", capture(&one)),
        ("connection-bare", capture(&tcp4)),
        ("datagrams", capture(&wrapped("fd00::1", 3, &datagrams()))),
        ("datagrams-bare", capture(&datagrams())),
        ("two-tenants", capture(&mixed)),
        ("load-balancer", capture(&gwlb.collect::<Vec<_>>())),
        ("cut", capture(&cut)),
        ("later", later),
        ("broken", broken),
    ]
}
