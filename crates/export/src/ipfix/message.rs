//! Messages (RFC 7011 §3): a header, a set of templates, sets of records.

use std::net::IpAddr;

use vxscope_flow::{CloseReason, FlowRecord};
use vxscope_units::Timestamp;

use super::template::Families;
use crate::protocol;

/// Bytes of a message at most: what passes an Ethernet path without fragments, outer headers of
/// a cloud network left some room.
const MESSAGE_MAX: usize = 1_400;
const HEADER: usize = 16;
const SET_HEADER: usize = 4;
const VERSION: u16 = 10;
const TEMPLATE_SET: u16 = 2;
/// `layer2SegmentId` of a VXLAN: its first byte (IANA, "Layer 2 Segment ID").
const VXLAN: u64 = 0x01 << 56;

/// Writes messages, and knows how many records there were: the sequence number.
#[derive(Debug)]
pub(super) struct Messages {
    domain: u32,
    sequence: u32,
    bytes: Vec<u8>,
    records: u32,
    /// The open set: its template, and where it starts.
    set: Option<(Families, usize)>,
}

impl Messages {
    pub(super) fn new(domain: u32) -> Self {
        Self {
            domain,
            sequence: 0,
            bytes: Vec::with_capacity(MESSAGE_MAX),
            records: 0,
            set: None,
        }
    }

    /// Records in the message that is being made.
    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// A message with all templates and no record.
    pub(super) fn templates(&self, now: Timestamp) -> Vec<u8> {
        let mut out = vec![0; HEADER + SET_HEADER];
        for families in Families::ALL {
            families.write(&mut out);
        }
        close_set(&mut out, HEADER, TEMPLATE_SET);
        self.head(&mut out, now);
        out
    }

    /// Adds a record; `false` if the message is full and has to go first.
    pub(super) fn push(&mut self, record: &FlowRecord) -> bool {
        let families = Families {
            inner_v6: record.originator.is_ipv6(),
            outer_v6: record.source.address.is_ipv6(),
        };
        let is_open = self.set.is_some_and(|(open, _)| open == families);
        let needed = families.record_len() + if is_open { 0 } else { SET_HEADER };
        let used = self.bytes.len().max(HEADER);
        if used + needed > MESSAGE_MAX && self.records > 0 {
            return false;
        }
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER, 0);
        }
        if !is_open {
            self.close();
            self.set = Some((families, self.bytes.len()));
            self.bytes.resize(self.bytes.len() + SET_HEADER, 0);
        }
        write_record(&mut self.bytes, record);
        self.records += 1;
        true
    }

    /// The message so far; the next one starts empty.
    pub(super) fn take(&mut self, now: Timestamp) -> (Vec<u8>, u32) {
        self.close();
        let mut bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(MESSAGE_MAX));
        self.head(&mut bytes, now);
        let records = std::mem::take(&mut self.records);
        self.sequence = self.sequence.wrapping_add(records);
        (bytes, records)
    }

    fn close(&mut self) {
        if let Some((families, start)) = self.set.take() {
            close_set(&mut self.bytes, start, families.id());
        }
    }

    fn head(&self, message: &mut [u8], now: Timestamp) {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let seconds = u32::try_from(now.seconds()).unwrap_or(u32::MAX);
        if let Some(head) = message.first_chunk_mut::<HEADER>() {
            head[0..2].copy_from_slice(&VERSION.to_be_bytes());
            head[2..4].copy_from_slice(&length.to_be_bytes());
            head[4..8].copy_from_slice(&seconds.to_be_bytes());
            head[8..12].copy_from_slice(&self.sequence.to_be_bytes());
            head[12..16].copy_from_slice(&self.domain.to_be_bytes());
        }
    }
}

/// Fills in the header of the set that starts there and ends with the message.
fn close_set(message: &mut [u8], start: usize, id: u16) {
    let length = u16::try_from(message.len().saturating_sub(start)).unwrap_or(u16::MAX);
    let head = message.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let Some(head) = head {
        let ([i0, i1], [l0, l1]) = (id.to_be_bytes(), length.to_be_bytes());
        let head: &mut [u8; SET_HEADER] = head;
        *head = [i0, i1, l0, l1];
    }
}

/// Appends the values of [`Families::elements`], in its order.
fn write_record(out: &mut Vec<u8>, record: &FlowRecord) {
    push_address(out, record.originator);
    push_address(out, record.responder);
    let has_ports = protocol::has_ports(record.protocol);
    for port in [record.originator_port, record.responder_port] {
        out.extend(if has_ports { port } else { 0 }.to_be_bytes());
    }
    out.push(record.protocol);
    let tcp = record.tcp.as_ref();
    let flags = |flags: Option<u8>| u16::from(flags.unwrap_or(0)).to_be_bytes();
    out.extend(flags(tcp.map(|tcp| tcp.originator_flags)));
    for traffic in [&record.forward, &record.reverse] {
        out.extend(traffic.packets.to_be_bytes());
        out.extend(traffic.ip_bytes.to_be_bytes());
    }
    out.extend(flags(tcp.map(|tcp| tcp.responder_flags)));
    for time in [record.start, record.end] {
        out.extend((time.as_nanos() / 1_000_000).to_be_bytes());
    }
    out.push(end_reason(record.reason));
    // The originator initiated (RFC 5103 §6.3).
    out.push(1);
    out.extend(record.flow_id.to_be_bytes());
    let vni = record.source.vni.get();
    out.extend((VXLAN | u64::from(vni)).to_be_bytes());
    out.extend(vni.to_be_bytes());
    let vlan = if record.vlan_count > 0 {
        record.vlan[0]
    } else {
        0
    };
    out.extend(vlan.to_be_bytes());
    let (kind, code) = record.icmp.unwrap_or((0, 0));
    out.extend([kind, code]);
    push_address(out, record.source.address);
}

fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.extend(address.octets()),
        IpAddr::V6(address) => out.extend(address.octets()),
    }
}

/// `flowEndReason` (RFC 5102 §5.11.3).
fn end_reason(reason: CloseReason) -> u8 {
    match reason {
        CloseReason::Idle => 1,
        CloseReason::Active => 2,
        CloseReason::Fin | CloseReason::Rst | CloseReason::TcpReuse => 3,
        CloseReason::Shutdown => 4,
        CloseReason::Evicted => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, MESSAGE_MAX, Messages, SET_HEADER, write_record};
    use crate::ipfix::template::Families;
    use crate::testing::{ipv6_record, tcp_record};
    use vxscope_units::Timestamp;

    #[test]
    fn a_record_is_as_long_as_its_template_says() {
        for (record, inner_v6) in [(tcp_record(), false), (ipv6_record(17), true)] {
            let families = Families {
                inner_v6,
                outer_v6: false,
            };
            let mut out = Vec::new();
            write_record(&mut out, &record);
            assert_eq!(out.len(), families.record_len());
        }
    }

    #[test]
    fn lengths_and_sequence_numbers_are_those_of_the_message() {
        let mut messages = Messages::new(7);
        let (mut sent, mut numbers) = (0, Vec::new());
        for _ in 0..100 {
            for record in [tcp_record(), ipv6_record(17)] {
                if !messages.push(&record) {
                    let (bytes, records) = messages.take(Timestamp::new(9, 0));
                    assert!(bytes.len() <= MESSAGE_MAX && records > 0);
                    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                    assert_eq!((u16_at(0), usize::from(u16_at(2))), (10, bytes.len()));
                    let mut at = HEADER;
                    while at < bytes.len() {
                        let length = usize::from(u16_at(at + 2));
                        assert!(length > SET_HEADER);
                        at += length;
                    }
                    assert_eq!(at, bytes.len());
                    let number = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
                    numbers.push((number, sent));
                    sent += records;
                    assert!(messages.push(&record));
                }
            }
        }
        assert!(numbers.len() > 5 && numbers.iter().all(|(number, sent)| number == sent));
    }
}
