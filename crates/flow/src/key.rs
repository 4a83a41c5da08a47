//! The key of a flow: both directions of a conversation give the same one.

use std::hash::{Hash, Hasher};

use vxscope_wire::{Addresses, Tuple};

/// Marks the sender's port of a one-way ICMP message, so that the two directions stay apart.
/// ICMP types and codes are below 256, so the bit is free.
const ONE_WAY: u16 = 0x8000;

/// Who a conversation belongs to: a source's row, or the VNI. Below 2²⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope(u32);

impl Scope {
    /// From a source's row or a VNI; bits above 24 are cut off by the caller's types.
    #[must_use]
    pub(crate) const fn new(value: u32) -> Self {
        Self(value & 0x00ff_ffff)
    }

    /// Together with a protocol.
    #[inline]
    fn with(self, protocol: u8) -> u32 {
        self.0 << 8 | u32::from(protocol)
    }
}

/// An IPv4 flow: 16 bytes, a third of what a key for both families would need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Key4 {
    /// The low endpoint's address above the high one's.
    addresses: u64,
    /// Ports above scope and protocol.
    rest: u64,
}

/// An IPv6 flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Key6 {
    low: [u8; 16],
    high: [u8; 16],
    ports: u32,
    scope_protocol: u32,
}

/// What the flow table needs of a key.
pub(crate) trait Key: Copy + Eq + Hash {
    /// IP protocol number.
    fn protocol(&self) -> u8;

    /// The words that identify the flow in its id.
    fn words(&self) -> [u64; 5];

    /// Ports as stored, marks included.
    fn ports(&self) -> u32;

    /// Addresses as a packet from the low endpoint has them.
    fn addresses(&self) -> Addresses;

    /// The tuple of a packet from the high endpoint, or from the low one.
    fn tuple(&self, from_high: bool) -> Tuple {
        let (low, high) = unpack(self.ports(), self.protocol());
        let addresses = match self.addresses() {
            Addresses::V4 {
                source,
                destination,
            } if from_high => Addresses::V4 {
                source: destination,
                destination: source,
            },
            Addresses::V6 {
                source,
                destination,
            } if from_high => Addresses::V6 {
                source: destination,
                destination: source,
            },
            as_is => as_is,
        };
        let (source_port, destination_port) = in_order(low, high, from_high);
        let (protocol, one_way) = (self.protocol(), self.is_one_way());
        Tuple {
            addresses,
            source_port,
            destination_port,
            protocol,
            one_way,
        }
    }

    /// ICMP without an answering type.
    fn is_one_way(&self) -> bool {
        let mark = u32::from(ONE_WAY);
        is_icmp(self.protocol()) && self.ports() & (mark | mark << 16) != 0
    }
}

impl Key4 {
    /// The key of an IPv4 packet between these addresses, and whether it travels from the high
    /// endpoint to the low one. Endpoints are ordered by address, then port.
    #[inline(always)]
    pub(crate) fn new(source: u32, destination: u32, tuple: &Tuple, scope: Scope) -> (Self, bool) {
        let ends = ports_of(tuple);
        let (from, to) = (end(source, ends.0), end(destination, ends.1));
        let reversed = from > to;
        let (low, high) = in_order(from, to, reversed);
        let (addresses, ports) = (low >> 16 << 32 | high >> 16, low << 16 | high & 0xffff);
        let key = Self {
            addresses,
            rest: ports << 32 | u64::from(scope.with(tuple.protocol)),
        };
        (key, reversed)
    }
}

impl Key6 {
    /// As [`Key4::new`].
    #[inline]
    pub(crate) fn new(
        source: &[u8; 16],
        destination: &[u8; 16],
        tuple: &Tuple,
        scope: Scope,
    ) -> (Self, bool) {
        let ends = ports_of(tuple);
        let reversed = (source, ends.0) > (destination, ends.1);
        let (low, high) = in_order(*source, *destination, reversed);
        let key = Self {
            low,
            high,
            ports: pack(ends, reversed),
            scope_protocol: scope.with(tuple.protocol),
        };
        (key, reversed)
    }
}

/// Both ports, with the mark of a one-way message.
#[inline]
fn ports_of(tuple: &Tuple) -> (u16, u16) {
    let mark = if tuple.one_way { ONE_WAY } else { 0 };
    (tuple.source_port | mark, tuple.destination_port)
}

/// Address and port as one number in their order.
#[inline]
fn end(address: u32, port: u16) -> u64 {
    u64::from(address) << 16 | u64::from(port)
}

#[inline]
fn in_order<T>(source: T, destination: T, reversed: bool) -> (T, T) {
    if reversed {
        (destination, source)
    } else {
        (source, destination)
    }
}

#[inline]
fn pack(ends: (u16, u16), reversed: bool) -> u32 {
    let (low, high) = in_order(ends.0, ends.1, reversed);
    u32::from(low) << 16 | u32::from(high)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a u32")]
fn unpack(ports: u32, protocol: u8) -> (u16, u16) {
    let clear = if is_icmp(protocol) {
        !ONE_WAY
    } else {
        u16::MAX
    };
    ((ports >> 16) as u16 & clear, ports as u16 & clear)
}

fn is_icmp(protocol: u8) -> bool {
    protocol == vxscope_wire::protocol::ICMP || protocol == vxscope_wire::protocol::ICMPV6
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of the words")]
impl Key for Key4 {
    #[inline]
    fn protocol(&self) -> u8 {
        self.rest as u8
    }

    fn words(&self) -> [u64; 5] {
        let (low, high) = (self.addresses >> 32, self.addresses as u32);
        let tail = tail_word(self.ports(), self.protocol());
        [low, u64::from(high), tail, 4, 0]
    }

    fn ports(&self) -> u32 {
        (self.rest >> 32) as u32
    }

    fn addresses(&self) -> Addresses {
        Addresses::V4 {
            source: (self.addresses >> 32) as u32,
            destination: self.addresses as u32,
        }
    }
}

impl Key for Key6 {
    fn protocol(&self) -> u8 {
        self.scope_protocol.to_le_bytes()[0]
    }

    fn words(&self) -> [u64; 5] {
        let [low_head, low_tail] = halves(self.low);
        let [high_head, high_tail] = halves(self.high);
        let tail = tail_word(self.ports, self.protocol());
        [low_head, low_tail, high_head, high_tail, tail]
    }

    fn ports(&self) -> u32 {
        self.ports
    }

    fn addresses(&self) -> Addresses {
        Addresses::V6 {
            source: self.low,
            destination: self.high,
        }
    }
}

/// Ports and protocol, without the scope: a row number depends on what else was seen.
fn tail_word(ports: u32, protocol: u8) -> u64 {
    u64::from(ports) << 8 | u64::from(protocol)
}

fn halves(address: [u8; 16]) -> [u64; 2] {
    let number = u128::from_be_bytes(address);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the number"
    )]
    [(number >> 64) as u64, number as u64]
}

impl Hash for Key4 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.addresses);
        state.write_u64(self.rest);
    }
}

impl Hash for Key6 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.low));
        state.write_u128(u128::from_ne_bytes(self.high));
        state.write_u64(u64::from(self.ports) << 32 | u64::from(self.scope_protocol));
    }
}

const _: () = assert!(size_of::<Key4>() == 16 && size_of::<Key6>() == 40);

#[cfg(test)]
mod tests {
    use super::{Key, Key4, Scope};
    use vxscope_wire::{Addresses, Tuple};

    #[test]
    fn both_directions_have_one_key() {
        let there = tuple(1, 2, 1000, 80, 6);
        let back = tuple(2, 1, 80, 1000, 6);
        let [(there, from_low), (back, from_high)] = [there, back].map(|it| key(&it, 9));
        assert_eq!(there, back);
        assert_eq!((from_low, from_high), (false, true));
        assert_eq!(there.protocol(), 6);
    }

    #[test]
    fn scope_and_protocol_keep_flows_apart() {
        let tcp = tuple(1, 2, 1000, 80, 6);
        let udp = tuple(1, 2, 1000, 80, 17);
        assert_ne!(key(&tcp, 1), key(&tcp, 2));
        assert_ne!(key(&tcp, 1), key(&udp, 1));
    }

    #[test]
    fn one_way_icmp_never_meets_its_mirror_image() {
        let there = Tuple {
            one_way: true,
            ..tuple(1, 2, 3, 3, 1)
        };
        let back = Tuple {
            one_way: true,
            ..tuple(2, 1, 3, 3, 1)
        };
        let [(there, _), (back, _)] = [there, back].map(|it| key(&it, 1));
        assert_ne!(there, back);
        let tuple = there.tuple(false);
        assert_eq!(
            (tuple.source_port, tuple.destination_port, tuple.one_way),
            (3, 3, true)
        );
    }

    fn key(tuple: &Tuple, scope: u32) -> (Key4, bool) {
        let Addresses::V4 {
            source,
            destination,
        } = tuple.addresses
        else {
            panic!("IPv4")
        };
        Key4::new(source, destination, tuple, Scope::new(scope))
    }

    fn tuple(source: u32, destination: u32, from: u16, to: u16, protocol: u8) -> Tuple {
        Tuple {
            addresses: Addresses::V4 {
                source,
                destination,
            },
            source_port: from,
            destination_port: to,
            protocol,
            one_way: false,
        }
    }
}
