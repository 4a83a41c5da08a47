//! Every shape of frame, header by header through etherparse, cut headers finished by hand.
//!
//! etherparse's own walk over a whole packet stops at three VLAN tags, at a second hop-by-hop
//! header and at any header that a snap length cut, and it knows no SCTP. So the walk and its
//! limits are ours, and etherparse reads the headers.

use etherparse::err::ipv4::HeaderSliceError as Ipv4Error;
use etherparse::err::ipv6::HeaderSliceError as Ipv6Error;
use etherparse::{
    Ethernet2HeaderSlice, IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice,
    Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, SingleVlanHeaderSlice, TcpHeaderSlice,
};

use super::{IPV6_EXTENSIONS_MAX, VLAN_TAGS_MAX, blank, length, offset};
use crate::view::{Addresses, Class, Fragment, FrameView, TcpSegment, protocol};
use crate::{ether, icmp};

/// What is left of a packet behind the headers read so far.
#[derive(Clone, Copy)]
struct Payload<'a> {
    /// What it is, by the header before it.
    protocol: u8,
    /// The bytes there, without link-layer padding.
    bytes: &'a [u8],
    /// Where they start in the frame; beyond its end if the header before was cut.
    offset: usize,
    /// Their number by the IP header, at least what is there.
    claimed_len: usize,
    /// Whether the IP header gives a length: for segmentation offload and jumbograms it says 0.
    len_known: bool,
}

impl<'a> Payload<'a> {
    /// The first `N` bytes. Missing ones were cut, or the packet has no room for them.
    fn first<const N: usize>(&self) -> Result<&'a [u8; N], Class> {
        self.bytes.first_chunk().ok_or_else(|| self.missing(N))
    }

    fn missing(&self, needed: usize) -> Class {
        if self.len_known && self.claimed_len < needed {
            Class::Malformed
        } else {
            Class::Truncated
        }
    }

    /// Moves past a header of `header_len` bytes.
    fn skip(&mut self, header_len: usize, next: u8) {
        self.protocol = next;
        self.bytes = self.bytes.get(header_len..).unwrap_or_default();
        self.offset = self.offset.saturating_add(header_len);
        self.claimed_len = self.claimed_len.saturating_sub(header_len);
    }
}

/// Reads any frame.
#[inline(never)]
pub(super) fn parse(frame: &[u8], original_hint: u32) -> FrameView {
    let mut view = blank(frame, original_hint);
    view.class = read(frame, &mut view).err().unwrap_or(Class::Ip);
    view.truncated = view.captured_len < view.original_len;
    view
}

/// Fills the view from the outside in; the error is the class of a frame that is not read whole.
fn read(frame: &[u8], view: &mut FrameView) -> Result<(), Class> {
    let packet = link(frame, view)?;
    let payload = match view.ether_type {
        ether::IPV4 => ipv4(packet, view)?,
        ether::IPV6 => {
            let mut payload = ipv6(packet, view)?;
            skip_extensions(&mut payload, view)?;
            payload
        }
        _ => return Err(Class::NonIp),
    };
    view.tuple.protocol = payload.protocol;
    view.payload_len = length(payload.claimed_len);
    if matches!(view.fragment, Fragment::Later { .. }) {
        return Ok(());
    }
    if payload.offset <= frame.len() {
        view.transport_offset = offset(payload.offset);
    }
    transport(&payload, view)
}

/// The Ethernet header and the VLAN tags.
fn link<'a>(frame: &'a [u8], view: &mut FrameView) -> Result<&'a [u8], Class> {
    let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Class::Truncated)?;
    view.ether_type = header.ether_type().0;
    let mut header_len = ether::HEADER_LEN;
    let mut rest = frame.get(header_len..).unwrap_or_default();
    while ether::is_vlan(view.ether_type) && view.vlan_count < VLAN_TAGS_MAX {
        let tag = SingleVlanHeaderSlice::from_slice(rest).map_err(|_| Class::Truncated)?;
        view.ether_type = tag.ether_type().0;
        if let Some(slot) = view.vlan.get_mut(usize::from(view.vlan_count)) {
            *slot = tag.vlan_identifier().value();
        }
        view.vlan_count = view.vlan_count.saturating_add(1);
        header_len = header_len.saturating_add(ether::TAG_LEN);
        rest = rest.get(ether::TAG_LEN..).unwrap_or_default();
    }
    if matches!(view.ether_type, ether::IPV4 | ether::IPV6) {
        view.network_offset = offset(header_len);
    }
    Ok(rest)
}

/// RFC 791. A header whose options are cut reads as if they were zero: all fields are before them.
fn ipv4<'a>(packet: &'a [u8], view: &mut FrameView) -> Result<Payload<'a>, Class> {
    let mut padded = [0; 60];
    let header = match Ipv4HeaderSlice::from_slice(packet) {
        Err(Ipv4Error::Len(_)) if packet.len() >= 20 => {
            let fields = padded.get_mut(..packet.len()).ok_or(Class::Truncated)?;
            fields.copy_from_slice(packet);
            Ipv4HeaderSlice::from_slice(&padded)
        }
        header => header,
    };
    let header = header.map_err(|error| match error {
        Ipv4Error::Len(_) => Class::Truncated,
        Ipv4Error::Content(_) => Class::Malformed,
    })?;
    view.ttl = header.ttl();
    view.tuple.addresses = Addresses::V4 {
        source: u32::from_be_bytes(header.source()),
        destination: u32::from_be_bytes(header.destination()),
    };
    let id = u32::from(header.identification());
    view.fragment = match (header.fragments_offset().value(), header.more_fragments()) {
        (0, false) => Fragment::No,
        (0, true) => Fragment::First { id },
        _ => Fragment::Later { id },
    };
    let header_len = header.slice().len();
    let total = match usize::from(header.total_len()) {
        0 => None,
        total if total < header_len => return Err(Class::Malformed),
        total => Some(total),
    };
    Ok(behind_ip_header(
        packet,
        view,
        header.protocol().0,
        header_len,
        total,
    ))
}

/// RFC 8200.
fn ipv6<'a>(packet: &'a [u8], view: &mut FrameView) -> Result<Payload<'a>, Class> {
    let header = Ipv6HeaderSlice::from_slice(packet).map_err(|error| match error {
        Ipv6Error::Len(_) => Class::Truncated,
        Ipv6Error::Content(_) => Class::Malformed,
    })?;
    view.ttl = header.hop_limit();
    view.tuple.addresses = Addresses::V6 {
        source: header.source(),
        destination: header.destination(),
    };
    let header_len = header.slice().len();
    let total = match usize::from(header.payload_length()) {
        0 => None,
        payload => Some(payload + header_len),
    };
    Ok(behind_ip_header(
        packet,
        view,
        header.next_header().0,
        header_len,
        total,
    ))
}

/// Settles the lengths. `total` is the IP header's own, `None` for the rest of the frame.
fn behind_ip_header<'a>(
    packet: &'a [u8],
    view: &mut FrameView,
    protocol: u8,
    header_len: usize,
    total: Option<usize>,
) -> Payload<'a> {
    let network_offset = u32::from(view.network_offset);
    view.ip_len = match total {
        Some(total) => length(total),
        None => view.original_len.saturating_sub(network_offset),
    };
    view.original_len = view
        .captured_len
        .max(network_offset.saturating_add(view.ip_len));
    let ip_len = view.ip_len as usize;
    let mut payload = Payload {
        protocol,
        bytes: packet.get(..ip_len).unwrap_or(packet),
        offset: usize::from(view.network_offset),
        claimed_len: ip_len,
        len_known: total.is_some(),
    };
    payload.skip(header_len, protocol);
    payload
}

/// RFC 8200 §4, AH (RFC 4302), mobility (RFC 6275), HIP (RFC 7401) and Shim6 (RFC 5533), in any
/// order. A later fragment ends the walk: what follows is no header.
fn skip_extensions(payload: &mut Payload<'_>, view: &mut FrameView) -> Result<(), Class> {
    for _ in 0..IPV6_EXTENSIONS_MAX {
        match payload.protocol {
            0 | 43 | 60 | 135 | 139 | 140 => {
                let header = Ipv6RawExtHeaderSlice::from_slice(payload.bytes)
                    .map_err(|error| payload.missing(error.required_len))?;
                payload.skip(header.slice().len(), header.next_header().0);
            }
            44 => {
                let header = Ipv6FragmentHeaderSlice::from_slice(payload.bytes)
                    .map_err(|error| payload.missing(error.required_len))?;
                let id = header.identification();
                payload.skip(header.slice().len(), header.next_header().0);
                if header.fragment_offset().value() != 0 {
                    view.fragment = Fragment::Later { id };
                    return Ok(());
                }
                // One that is no fragment at all is "atomic" (RFC 6946).
                if header.more_fragments() {
                    view.fragment = Fragment::First { id };
                }
            }
            51 => {
                use etherparse::err::ip_auth::HeaderSliceError as Error;
                let header = IpAuthHeaderSlice::from_slice(payload.bytes);
                let header = header.map_err(|error| match error {
                    Error::Len(error) => payload.missing(error.required_len),
                    Error::Content(_) => Class::Malformed,
                })?;
                payload.skip(header.slice().len(), header.next_header().0);
            }
            _ => return Ok(()),
        }
    }
    match payload.protocol {
        0 | 43 | 44 | 51 | 60 | 135 | 139 | 140 => Err(Class::Malformed),
        _ => Ok(()),
    }
}

/// Ports and payload length; protocols without ports are done.
fn transport(payload: &Payload<'_>, view: &mut FrameView) -> Result<(), Class> {
    match payload.protocol {
        protocol::TCP => {
            ports(payload, view)?;
            tcp(payload, view);
        }
        protocol::UDP => {
            ports(payload, view)?;
            let claimed_len = match payload.bytes.get(4..6) {
                Some(&[high, low]) if [high, low] != [0, 0] => payload
                    .claimed_len
                    .min(u16::from_be_bytes([high, low]).into()),
                _ => payload.claimed_len,
            };
            view.payload_len = length(claimed_len.saturating_sub(8));
        }
        protocol::SCTP => {
            ports(payload, view)?;
            view.payload_len = length(payload.claimed_len.saturating_sub(12));
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let [icmp_type, icmp_code] = *payload.first()?;
            (view.icmp_type, view.icmp_code) = (icmp_type, icmp_code);
            (
                view.tuple.source_port,
                view.tuple.destination_port,
                view.tuple.one_way,
            ) = icmp::ports(payload.protocol, icmp_type, icmp_code);
            view.payload_len = length(payload.claimed_len.saturating_sub(8));
        }
        _ => {}
    }
    Ok(())
}

fn ports(payload: &Payload<'_>, view: &mut FrameView) -> Result<(), Class> {
    let [s1, s2, d1, d2] = *payload.first()?;
    view.tuple.source_port = u16::from_be_bytes([s1, s2]);
    view.tuple.destination_port = u16::from_be_bytes([d1, d2]);
    Ok(())
}

/// RFC 9293 §3.1. etherparse reads whole headers; a cut or contradictory one is read by hand.
fn tcp(payload: &Payload<'_>, view: &mut FrameView) {
    let (segment, header_len) = match TcpHeaderSlice::from_slice(payload.bytes) {
        Ok(header) => (whole_segment(&header), header.slice().len()),
        Err(_) => match cut_segment(payload.bytes) {
            Some(read) => read,
            None => {
                view.payload_len = 0;
                return;
            }
        },
    };
    view.tcp = segment;
    view.payload_len = match header_len {
        0..20 => 0,
        _ => length(payload.claimed_len.saturating_sub(header_len)),
    };
}

fn whole_segment(header: &TcpHeaderSlice<'_>) -> TcpSegment {
    let bits = [
        header.fin(),
        header.syn(),
        header.rst(),
        header.psh(),
        header.ack(),
        header.urg(),
        header.ece(),
        header.cwr(),
    ];
    TcpSegment {
        sequence: header.sequence_number(),
        acknowledgement: header.acknowledgment_number(),
        window: header.window_size(),
        flags: bits
            .iter()
            .rev()
            .fold(0, |flags, bit| flags << 1 | u8::from(*bit)),
    }
}

/// Needs the 14 bytes up to the flags; the window is 0 if it is cut. With the header's length.
fn cut_segment(bytes: &[u8]) -> Option<(TcpSegment, usize)> {
    let [
        _,
        _,
        _,
        _,
        s1,
        s2,
        s3,
        s4,
        a1,
        a2,
        a3,
        a4,
        data_offset,
        flags,
    ] = *bytes.first_chunk()?;
    let window = bytes.get(14..).and_then(|rest| rest.first_chunk());
    let segment = TcpSegment {
        sequence: u32::from_be_bytes([s1, s2, s3, s4]),
        acknowledgement: u32::from_be_bytes([a1, a2, a3, a4]),
        window: window.map_or(0, |bytes| u16::from_be_bytes(*bytes)),
        flags,
    };
    Some((segment, usize::from(data_offset >> 4) * 4))
}
