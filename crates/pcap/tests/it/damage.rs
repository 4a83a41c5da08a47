//! Damaged files: every whole record before the damage, then an error that says what is wrong.

use proptest::prelude::*;
use vxscope_pcap::PcapError;
use vxscope_units::{LinkType, Timestamp};

use crate::encode::{self, Order, Pcap};
use crate::{Owned, read_all};

#[test]
fn a_pcap_cut_at_any_byte_gives_its_whole_records() {
    let file = three_records(Pcap::MICROS);
    for length in 0..file.len() {
        let outcome = read_all(&file[..length]);
        let whole = [24, 24 + 17, 24 + 34];
        assert_eq!(
            outcome.records.len(),
            whole.iter().skip(1).filter(|end| **end <= length).count()
        );
        let expected = match length {
            0 => Err(PcapError::Empty),
            1..4 => Err(PcapError::Truncated {
                expected: 4,
                actual: length,
            }),
            4..24 => Err(PcapError::Truncated {
                expected: 24,
                actual: length,
            }),
            _ if whole.contains(&length) => Ok(()),
            _ => {
                let actual = (length - 24) % 17;
                let expected = if actual < 16 { 16 } else { 17 };
                Err(PcapError::Truncated { expected, actual })
            }
        };
        assert_eq!(outcome.end, expected, "cut to {length}");
    }
}

#[test]
fn a_pcapng_cut_at_any_byte_gives_its_whole_records() {
    for order in [Order::Little, Order::Big] {
        let mut file = encode::section(order);
        let section_end = file.len();
        file.extend(encode::interface(order, 1, 0, &[]));
        let mut ends = vec![file.len()];
        for number in 0..3 {
            file.extend(encode::enhanced(order, 0, number, b"packet", 6));
            ends.push(file.len());
        }
        for length in 0..=file.len() {
            let outcome = read_all(&file[..length]);
            let whole = ends.iter().skip(1).filter(|end| **end <= length).count();
            assert_eq!(outcome.records.len(), whole, "cut to {length}");
            match outcome.end {
                Ok(()) => assert!(ends.contains(&length), "cut to {length}"),
                Err(PcapError::Empty) => assert_eq!(length, 0),
                Err(PcapError::NoInterface) => assert_eq!(length, section_end),
                Err(PcapError::Truncated { expected, actual }) => {
                    assert!(actual < expected);
                    assert_eq!(outcome.offset + actual as u64, length as u64);
                }
                Err(other) => panic!("cut to {length}: {other}"),
            }
        }
    }
}

#[test]
fn hostile_pcap_fields_are_refused_where_they_stand() {
    let header = |offset: usize, value: u32| patched(three_records(Pcap::MICROS), offset, value);
    let version = |major, minor| PcapError::Version {
        format: "pcap",
        expected: "2.0 to 2.4 and 543.0",
        major,
        minor,
    };
    check(&header(4, 5 << 16 | 2), 0, 0, version(2, 5));
    check(&header(4, 4 << 16 | 1), 0, 0, version(1, 4));
    check(
        &header(20, 0x0030_0000),
        0,
        0,
        PcapError::LinkTypeReserved {
            actual: 0x0030_0000,
        },
    );
    let too_long = |actual| PcapError::RecordLength {
        expected: 262_144,
        actual,
    };
    check(&header(24 + 8, 262_145), 0, 24, too_long(262_145));
    check(
        &header(24 + 17 + 8, u32::MAX),
        1,
        24 + 17,
        too_long(u32::MAX),
    );
    check(
        &header(24 + 17 + 8, 4_325_376),
        1,
        24 + 17,
        too_long(4_325_376),
    );
    // The longest record that is accepted is asked for, and is not there.
    let truncated = PcapError::Truncated {
        expected: 16 + 262_144,
        actual: 17,
    };
    check(&header(24 + 34 + 8, 262_144), 2, 24 + 34, truncated);
}

#[test]
fn hostile_pcapng_fields_are_refused_where_they_stand() {
    let order = Order::Little;
    let section = encode::section(order);
    let interface = encode::interface(order, 1, 0, &[]);
    let packet = encode::enhanced(order, 0, 1, b"packet", 6);
    let at = (section.len() + interface.len() + packet.len()) as u64;
    let start = [section.clone(), interface.clone(), packet.clone()].concat();
    let bad_packet =
        |offset, value| [start.clone(), patched(packet.clone(), offset, value)].concat();
    let short = |block, expected, actual| PcapError::BlockTooShort {
        block,
        expected,
        actual,
    };

    check(&bad_packet(4, 8), 1, at, short(6, 12, 8));
    check(
        &bad_packet(4, 42),
        1,
        at,
        PcapError::BlockUnaligned {
            block: 6,
            actual: 42,
        },
    );
    let too_long = PcapError::BlockTooLong {
        block: 6,
        expected: 16 << 20,
        actual: 1 << 31,
    };
    check(&bad_packet(4, 1 << 31), 1, at, too_long);
    let trailer = PcapError::BlockTrailer {
        expected: 40,
        actual: 44,
    };
    check(&bad_packet(36, 44), 1, at, trailer);
    check(
        &bad_packet(8, 1),
        1,
        at,
        PcapError::UnknownInterface {
            expected: 1,
            actual: 1,
        },
    );
    check(
        &bad_packet(20, 9),
        1,
        at,
        PcapError::BlockData {
            expected: 9,
            actual: 8,
        },
    );
    let record = PcapError::RecordLength {
        expected: 262_144,
        actual: 1 << 30,
    };
    check(&bad_packet(20, 1 << 30), 1, at, record);

    let then = |block: Vec<u8>| [start.clone(), block].concat();
    check(
        &then(encode::block(order, 6, &[0; 16])),
        1,
        at,
        short(6, 32, 28),
    );
    check(
        &then(encode::block(order, 2, &[0; 16])),
        1,
        at,
        short(2, 32, 28),
    );
    check(&then(encode::block(order, 3, &[])), 1, at, short(3, 16, 12));
    check(
        &then(encode::block(order, 1, &[0; 4])),
        1,
        at,
        short(1, 20, 16),
    );
    let magic = PcapError::ByteOrderMagic {
        expected: 0x1a2b_3c4d,
        actual: 0x4d3c_2bff,
    };
    check(
        &then(patched(section.clone(), 8, 0xff2b_3c4d)),
        1,
        at,
        magic,
    );
    let version = PcapError::Version {
        format: "pcapng",
        expected: "1.0 and 1.2",
        major: 2,
        minor: 0,
    };
    check(&then(patched(section, 12, 2)), 1, at, version);
    check(&then(patched(encode::section(order), 4, 16)), 1, at, {
        PcapError::BlockTrailer {
            expected: 16,
            actual: u32::from_le_bytes([1, 0, 0, 0]),
        }
    });
}

#[test]
fn a_section_forgets_the_interfaces_of_the_one_before() {
    let order = Order::Little;
    let (section, interface) = (encode::section(order), encode::interface(order, 1, 0, &[]));
    let packet = encode::enhanced(order, 0, 1, b"packet", 6);
    let start = [section.clone(), interface, packet.clone(), section].concat();
    let unknown = PcapError::UnknownInterface {
        expected: 0,
        actual: 0,
    };
    check(
        &[start.clone(), packet].concat(),
        1,
        start.len() as u64,
        unknown,
    );
    let simple = encode::simple(order, b"", 0);
    check(
        &[start.clone(), simple].concat(),
        1,
        start.len() as u64,
        unknown,
    );
}

#[test]
fn hostile_interface_options_are_refused() {
    let order = Order::Big;
    let at = encode::section(order).len() as u64;
    let with = |options: &[(u16, &[u8])]| {
        [
            encode::section(order),
            encode::interface(order, 1, 0, options),
        ]
        .concat()
    };
    let length = |code, expected, actual| PcapError::OptionLength {
        code,
        expected,
        actual,
    };
    check(&with(&[(9, &[6, 6])]), 0, at, length(9, 1, 2));
    check(&with(&[(14, &[0; 7])]), 0, at, length(14, 8, 7));
    check(
        &with(&[(9, &[6]), (9, &[6])]),
        0,
        at,
        PcapError::OptionRepeated { code: 9 },
    );
    let too_fine = PcapError::TimeResolution {
        base: 10,
        expected: 19,
        actual: 20,
    };
    check(&with(&[(9, &[20])]), 0, at, too_fine);
    // An option that reaches beyond its block: length 100 in the place of 4.
    let mut beyond = with(&[(2, b"eth0")]);
    let field = encode::section(order).len() + 8 + 8 + 2;
    beyond[field + 1] = 100;
    check(&beyond, 0, at, length(2, 8, 100));
}

#[test]
fn interfaces_without_end_do_not_fill_memory() {
    let order = Order::Little;
    let mut file = encode::section(order);
    let interface = encode::interface(order, 1, 0, &[]);
    let at = (file.len() + vxscope_pcap::INTERFACES_MAX * interface.len()) as u64;
    for _ in 0..=vxscope_pcap::INTERFACES_MAX {
        file.extend(&interface);
    }
    let expected = PcapError::InterfaceCount {
        expected: vxscope_pcap::INTERFACES_MAX,
    };
    check(&file, 0, at, expected);
}

proptest! {
    /// Whatever the bytes: no panic, and the records lie inside what was consumed.
    #[test]
    fn no_bytes_confuse_the_reader(
        start in prop::sample::select(starts()),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let input = [start, tail].concat();
        let outcome = read_all(&input);
        let captured: usize = outcome.records.iter().map(|record| record.data.len()).sum();
        prop_assert!(captured as u64 <= outcome.offset);
    }

    /// One flipped byte in a good file costs no record before it.
    #[test]
    fn a_flipped_byte_leaves_earlier_records_alone(
        start in prop::sample::select(starts()),
        at in any::<prop::sample::Index>(),
        mask in 1u8..,
    ) {
        let good = read_all(&start).records;
        let mut damaged = start.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= mask;
        let intact = read_all(&start[..at]).records.len();
        let outcome = read_all(&damaged);
        prop_assert!(outcome.records.len() >= intact);
        prop_assert_eq!(&outcome.records[..intact], &good[..intact]);
    }
}

/// Good files of several variants.
fn starts() -> Vec<Vec<u8>> {
    let mut all = vec![three_records(Pcap::MICROS)];
    all.push(three_records(Pcap {
        magic: 0xa1b2_cd34,
        order: Order::Big,
        ..Pcap::MICROS
    }));
    for order in [Order::Little, Order::Big] {
        let mut file = encode::section(order);
        file.extend(encode::interface(order, 1, 96, &[(2, b"eth0"), (9, &[9])]));
        file.extend(encode::enhanced(order, 0, 1, b"enhanced", 8));
        file.extend(encode::simple(order, b"simple", 6));
        file.extend(encode::obsolete(order, 0, 2, b"obsolete", 8));
        all.push(file);
    }
    all
}

/// Three records of one byte, 17 bytes each after a header of 24.
fn three_records(format: Pcap) -> Vec<u8> {
    let mut file = format.header();
    for number in 0..3 {
        file.extend(format.record(&Owned {
            timestamp: Timestamp::new(number, 0),
            link: LinkType::Ethernet,
            data: vec![0xaa],
            original_len: 60,
            interface: 0,
        }));
    }
    file
}

/// With a little-endian word replaced.
fn patched(mut bytes: Vec<u8>, offset: usize, value: u32) -> Vec<u8> {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn check(input: &[u8], records: usize, offset: u64, expected: PcapError) {
    let outcome = read_all(input);
    assert_eq!(outcome.end, Err(expected));
    assert_eq!(
        (outcome.records.len(), outcome.offset),
        (records, offset),
        "{expected}"
    );
}
