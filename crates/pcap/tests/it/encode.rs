//! Encodes captures of every variant; the crate's own writers know only little-endian ones.

use crate::Owned;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pcap {
    pub(crate) order: Order,
    pub(crate) magic: u32,
    pub(crate) version: (u16, u16),
    pub(crate) link_field: u32,
}

impl Pcap {
    pub(crate) const MICROS: Self = Self {
        order: Order::Little,
        magic: 0xa1b2_c3d4,
        version: (2, 4),
        link_field: 1,
    };

    pub(crate) fn header(self) -> Vec<u8> {
        let order = self.order;
        let mut out = order.u32(self.magic).to_vec();
        out.extend(order.u16(self.version.0));
        out.extend(order.u16(self.version.1));
        out.extend([0; 8]);
        out.extend(order.u32(65_535));
        out.extend(order.u32(self.link_field));
        out
    }

    pub(crate) fn record(self, record: &Owned) -> Vec<u8> {
        let order = self.order;
        let captured = u32::try_from(record.data.len()).unwrap();
        let unit = if self.magic == 0xa1b2_3c4d { 1 } else { 1_000 };
        let lengths = match self.version {
            (2, 4) => [captured, record.original_len],
            _ => [record.original_len, captured],
        };
        let mut out = order
            .u32(u32::try_from(record.timestamp.seconds()).unwrap())
            .to_vec();
        out.extend(order.u32(record.timestamp.subsec_nanos() / unit));
        out.extend(lengths.map(|length| order.u32(length)).concat());
        if self.magic == 0xa1b2_cd34 {
            out.extend([0xee; 8]);
        }
        out.extend(&record.data);
        out
    }
}

/// One pcapng block; the body is padded.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let total = order.u32(u32::try_from(padded + 12).unwrap());
    let mut out = order.u32(kind).to_vec();
    out.extend(total);
    out.extend(body);
    out.resize(padded + 8, 0);
    out.extend(total);
    out
}

pub(crate) fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// Options are (code, value) pairs; the end is added.
pub(crate) fn interface(order: Order, link: u16, snap: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(snap));
    for (code, value) in options.iter().chain(&[(0, &[] as &[u8])]) {
        body.extend(order.u16(*code));
        body.extend(order.u16(u16::try_from(value.len()).unwrap()));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

/// The body of an enhanced packet block.
pub(crate) fn enhanced(order: Order, interface: u32, ticks: u64, data: &[u8], len: u32) -> Vec<u8> {
    let mut body = order.u32(interface).to_vec();
    body.extend(after_interface(order, ticks, data, len));
    block(order, 6, &body)
}

/// The obsolete packet block.
pub(crate) fn obsolete(order: Order, interface: u16, ticks: u64, data: &[u8], len: u32) -> Vec<u8> {
    let mut body = order.u16(interface).to_vec();
    body.extend(order.u16(0xffff));
    body.extend(after_interface(order, ticks, data, len));
    block(order, 2, &body)
}

pub(crate) fn simple(order: Order, data: &[u8], len: u32) -> Vec<u8> {
    block(order, 3, &[&order.u32(len), data].concat())
}

fn after_interface(order: Order, ticks: u64, data: &[u8], len: u32) -> Vec<u8> {
    let high = u32::try_from(ticks >> 32).unwrap();
    let low = u32::try_from(ticks & 0xffff_ffff).unwrap();
    let captured = u32::try_from(data.len()).unwrap();
    [
        &[high, low, captured, len]
            .map(|word| order.u32(word))
            .concat(),
        data,
    ]
    .concat()
}
