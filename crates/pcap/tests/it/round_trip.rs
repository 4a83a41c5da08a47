//! What is written is what is read.

use proptest::prelude::*;
use vxscope_pcap::pcapng::{InterfaceDescription, InterfaceStatistics, Packet, Writer};
use vxscope_pcap::{Precision, classic};
use vxscope_units::{LinkType, Timestamp};

use crate::encode::{self, Order, Pcap};
use crate::{Owned, read_all};

proptest! {
    #[test]
    fn every_pcap_variant_reads_back(
        big in any::<bool>(),
        magic in prop::sample::select(vec![0xa1b2_c3d4u32, 0xa1b2_3c4d, 0xa1b2_cd34]),
        version in prop::sample::select(vec![(2u16, 4u16), (2, 3), (2, 2), (2, 0), (543, 0)]),
        fcs in 0u32..64,
        mut records in prop::collection::vec(record(), 0..20),
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let format = Pcap { order, magic, version, link_field: 1 | fcs << 26 };
        let unit = if magic == 0xa1b2_3c4d { 1 } else { 1_000 };
        let mut file = format.header();
        for record in &mut records {
            let nanos = record.timestamp.as_nanos();
            record.timestamp = Timestamp::from_nanos(nanos - nanos % unit);
            file.extend(format.record(record));
        }
        let outcome = read_all(&file);
        prop_assert_eq!(outcome.records, records);
        prop_assert_eq!(outcome.end, Ok(()));
    }

    #[test]
    fn our_pcap_files_read_back(
        nanos in any::<bool>(),
        mut records in prop::collection::vec(record(), 0..20),
    ) {
        let (precision, unit) =
            if nanos { (Precision::Nanos, 1) } else { (Precision::Micros, 1_000) };
        let mut file = classic::file_header(precision, LinkType::Ethernet, 262_144).to_vec();
        for record in &mut records {
            let captured = u32::try_from(record.data.len()).unwrap();
            let (timestamp, original) = (record.timestamp, record.original_len);
            file.extend(classic::record_header(timestamp, captured, original, precision));
            file.extend(&record.data);
            let whole = timestamp.as_nanos() / unit * unit;
            record.timestamp = Timestamp::from_nanos(whole);
        }
        let outcome = read_all(&file);
        prop_assert_eq!(outcome.records, records);
        prop_assert_eq!(outcome.end, Ok(()));
    }

    #[test]
    fn our_pcapng_files_read_back(
        snap_len in prop::sample::select(vec![0u32, 262_144]),
        mut records in prop::collection::vec(record(), 0..20),
        comment in prop::option::of(".{0,20}"),
        interfaces in 1u32..5,
    ) {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, "a test", LinkType::Ethernet, snap_len);
        for number in 0..interfaces {
            let name = format!("vni-{number}");
            let description = if number % 2 == 0 { "" } else { "ümläut" };
            let interface = InterfaceDescription { name: &name, description, comment: description };
            prop_assert_eq!(writer.interface(&mut file, &interface), number);
        }
        for (number, record) in (0u32..).zip(&mut records) {
            record.interface = number % interfaces;
            let packet = Packet {
                interface: record.interface,
                timestamp: record.timestamp,
                data: &record.data,
                original_len: record.original_len,
                comment: comment.as_deref(),
            };
            writer.packet(&mut file, &packet);
        }
        let timestamp = Timestamp::new(9, 0);
        let statistics = InterfaceStatistics { interface: 0, timestamp, received: 3, dropped: 1 };
        writer.statistics(&mut file, &statistics);
        let outcome = read_all(&file);
        prop_assert_eq!(outcome.records, records);
        prop_assert_eq!(outcome.end, Ok(()));
    }

    #[test]
    fn every_packet_block_reads_back_in_every_byte_order(
        sections in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((0u8..3, record()), 0..8)),
            1..4,
        ),
    ) {
        let (mut file, mut expected) = (Vec::new(), Vec::new());
        for (big, records) in sections {
            let order = if big { Order::Big } else { Order::Little };
            file.extend(encode::section(order));
            file.extend(encode::interface(order, 1, 0, &[(9, &[9])]));
            file.extend(encode::block(order, 0xbad, b"an unknown block"));
            file.extend(encode::interface(order, 101, 100, &[(2, b"eth0"), (9, &[9])]));
            for (kind, mut record) in records {
                let (ticks, len) = (record.timestamp.as_nanos(), record.original_len);
                match kind {
                    0 => file.extend(encode::enhanced(order, 1, ticks, &record.data, len)),
                    1 => file.extend(encode::obsolete(order, 1, ticks, &record.data, len)),
                    _ => {
                        record.original_len = u32::try_from(record.data.len()).unwrap();
                        file.extend(encode::simple(order, &record.data, record.original_len));
                        record.timestamp = Timestamp::ZERO;
                    }
                }
                record.interface = u32::from(kind < 2);
                record.link = if kind < 2 { LinkType::RawIp } else { LinkType::Ethernet };
                expected.push(record);
            }
        }
        let outcome = read_all(&file);
        prop_assert_eq!(outcome.records, expected);
        prop_assert_eq!(outcome.end, Ok(()));
    }
}

#[test]
fn simple_packets_are_cut_by_the_snap_length_of_the_first_interface() {
    let order = Order::Big;
    let mut file = encode::section(order);
    file.extend(encode::interface(order, 1, 5, &[]));
    file.extend(encode::simple(order, b"12345", 1_500));
    let records = read_all(&file).records;
    assert_eq!(
        (records[0].data.as_slice(), records[0].original_len),
        (&b"12345"[..], 1_500)
    );
}

#[test]
fn interface_clocks_apply_to_their_own_packets() {
    let order = Order::Little;
    let offset = order.u64(1_000);
    let mut file = encode::section(order);
    file.extend(encode::interface(order, 1, 0, &[]));
    file.extend(encode::interface(
        order,
        1,
        0,
        &[(14, &offset), (9, &[0x80 | 1])],
    ));
    file.extend(encode::enhanced(order, 0, 5_000_007, b"", 0));
    file.extend(encode::enhanced(order, 1, 11, b"", 0));
    let stamps: Vec<_> = read_all(&file)
        .records
        .iter()
        .map(|record| record.timestamp.as_nanos())
        .collect();
    assert_eq!(stamps, [5_000_007_000, 1_005_500_000_000]);
}

/// Unlike readers, tcpdump wants all interfaces alike; the bytes say that they are.
#[test]
fn our_interfaces_share_link_type_and_snap_length() {
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, "", LinkType::Ethernet, 262_144);
    for name in ["vni-1", "vni-2"] {
        let start = file.len();
        let _ = writer.interface(
            &mut file,
            &InterfaceDescription {
                name,
                description: "",
                comment: "",
            },
        );
        assert_eq!(file[start + 8..start + 16], [1, 0, 0, 0, 0, 0, 4, 0]);
    }
    assert_eq!(writer.interfaces(), 2);
}

#[test]
fn texts_too_long_for_an_option_are_cut_between_characters() {
    let mut file = Vec::new();
    let long = "é".repeat(40_000);
    let mut writer = Writer::new(&mut file, &long, LinkType::Ethernet, 0);
    let interface = writer.interface(
        &mut file,
        &InterfaceDescription {
            name: &long,
            description: &long,
            comment: &long,
        },
    );
    let packet = Packet {
        interface,
        timestamp: Timestamp::ZERO,
        data: b"abc",
        original_len: 3,
        comment: Some(&long),
    };
    writer.packet(&mut file, &packet);
    let outcome = read_all(&file);
    assert_eq!((outcome.records.len(), outcome.end), (1, Ok(())));
}

fn record() -> impl Strategy<Value = Owned> {
    let data = prop::collection::vec(any::<u8>(), 0..100);
    (0u64..4_294_967_296_000_000_000, data, 0u32..70_000).prop_map(|(nanos, data, more)| Owned {
        timestamp: Timestamp::from_nanos(nanos),
        link: LinkType::Ethernet,
        // Version 2.3 tells the lengths apart by size.
        original_len: u32::try_from(data.len()).unwrap() + more,
        data,
        interface: 0,
    })
}
