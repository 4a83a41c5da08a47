//! Writes the steering program: the steps of `decapsulate`, `frame` and `steer`, in that order.
//!
//! ```text
//!  tunnel ──> common shapes ─────────────────────┐   VXLAN, no tag, IPv4 without options or IPv6
//!    │              │ none of them               │   without extensions, whole TCP or UDP ports
//!    └─> GENEVE ──> VLAN tags ──> IPv4, IPv6 ──> hash ──> worker
//!                       │ other types              ^
//!                       └──> addresses at the start of the frame
//! ```
//!
//! Loads at fixed offsets are inlined by the kernel, indexed ones are a call each, so the common
//! shapes have a path of their own. Measured on loopback, on top of a program that returns at once
//! (median of 201 pairs, Linux 6.18): 14 ns for IPv4 and 19 for IPv6, which would be 48 and 61 the
//! long way; 55 to 90 ns for tags, extension headers and GENEVE. On the long way, `END` holds the
//! end of the bytes that belong to the packet by the headers read so far.

use std::num::NonZeroU16;

use super::Instruction;
use super::assembler::{Assembler, At, Cell, If, Label};
use super::header::*;
use super::opcode::*;
use crate::decapsulate::Tunnel;
use crate::frame::{IPV6_EXTENSIONS_MAX, VLAN_TAGS_MAX};
use crate::steer::{
    FOLD_FACTOR, MAC_OFFSETS, MIX_FACTORS, MIX_SHIFTS, PORT_FACTOR, VNI_FACTOR, WORKER_SHIFT,
};
use crate::view::protocol;
use crate::{ether, vxlan};

pub(super) const FRAGMENT_OFFSET: u32 = 0x1fff;
pub(super) const MORE_FRAGMENTS: u32 = 0x2000;
/// IPv6: the offset without the flag.
pub(super) const FRAGMENT_OFFSET_V6: u32 = 0xfff8;
const MORE_FRAGMENTS_V6: u32 = 1;

/// Hop-by-hop, routing, destination options, mobility, HIP, Shim6: lengths in eight bytes.
const EXTENSIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];
pub(super) const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
/// The types that announce a VLAN tag, as [`ether::is_vlan`] has them.
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// How many extension headers `outer` skips before UDP, and which but for the fragment header.
pub(super) const OUTER_EXTENSIONS_MAX: usize = 8;
pub(super) const OUTER_EXTENSIONS: [u8; 3] = [0, 43, 60];

pub(super) fn instructions(seed: u32, workers: NonZeroU16, tunnel: Tunnel) -> Vec<Instruction> {
    let mut code = Assembler::new();
    if workers == NonZeroU16::MIN {
        code.put(RETURN_CONSTANT, 0);
        return code.finish();
    }
    let hash = code.label();
    code.put(LOAD_CONSTANT, 0);
    code.store(PORTS);
    match tunnel {
        Tunnel::Vxlan => vxlan_datagram(&mut code, hash),
        Tunnel::Geneve => {
            code.put(LOAD_LENGTH, 0);
            code.store(END);
            geneve(&mut code, None);
        }
    }
    any_frame(&mut code, hash);
    code.place(hash);
    worker(&mut code, seed, workers);
    code.finish()
}

fn vxlan_datagram(code: &mut Assembler, hash: Label) {
    load_vni(code, At::Fixed(4));
    common_shapes(code, offset(vxlan::HEADER_LEN), hash);
    code.put(LOAD_LENGTH, 0);
    code.store(END);
    code.put(LOAD_CONSTANT, offset(vxlan::HEADER_LEN));
    code.store(FRAME);
}

/// The three bytes of a VNI and one more, which is reserved.
pub(super) fn load_vni(code: &mut Assembler, at: At) {
    code.load_word(at);
    code.put(SHIFT_RIGHT, 8);
    code.store(VNI);
}

/// What most mirrored traffic is. Falls through where it is not, having changed nothing that is
/// not set again.
pub(super) fn common_shapes(code: &mut Assembler, frame: u32, hash: Label) {
    let (ipv4, ipv6, other) = (code.label(), code.label(), code.label());
    let packet = frame + offset(ether::HEADER_LEN);
    code.load_half(At::Fixed(packet - 2));
    code.jump_if(If::Equal(ether::IPV4.into()), ipv4);
    code.jump_if(If::Equal(ether::IPV6.into()), ipv6);
    code.jump(other);

    code.place(ipv4);
    code.load_byte(At::Fixed(packet));
    code.jump_unless(If::Equal(0x45), other);
    code.load_half(At::Fixed(packet + 6));
    code.jump_if(If::AnyBit(FRAGMENT_OFFSET | MORE_FRAGMENTS), other);
    code.load_half(At::Fixed(packet + 2));
    code.jump_unless(If::AtLeast(20 + 4), other);
    for (cell, at) in [(SOURCE, 12), (DESTINATION, 16)] {
        code.load_word(At::Fixed(packet + at));
        code.store(cell);
    }
    code.load_byte(At::Fixed(packet + 9));
    common_ports(code, packet + 20, hash, other);

    code.place(ipv6);
    code.load_byte(At::Fixed(packet));
    code.put(SHIFT_RIGHT, 4);
    code.jump_unless(If::Equal(6), other);
    code.load_half(At::Fixed(packet + 4));
    code.jump_unless(If::AtLeast(4), other);
    fold(code, |word| At::Fixed(packet + 8 + word), SOURCE);
    fold(code, |word| At::Fixed(packet + 24 + word), DESTINATION);
    code.load_byte(At::Fixed(packet + 6));
    common_ports(code, packet + 40, hash, other);
    code.place(other);
}

/// The ports, if the protocol in the accumulator is TCP or UDP.
fn common_ports(code: &mut Assembler, at: u32, hash: Label, other: Label) {
    let ported = code.label();
    code.jump_if(If::Equal(protocol::TCP.into()), ported);
    code.jump_unless(If::Equal(protocol::UDP.into()), other);
    code.place(ported);
    code.load_word(At::Fixed(at));
    code.store(PORTS);
    code.jump(hash);
}

/// GENEVE with an Ethernet frame, or with IP, UDP and VXLAN, at the start or where a cell says:
/// sets `VNI`, `FRAME` and narrows `END`.
pub(super) fn geneve(code: &mut Assembler, start: Option<Cell>) {
    let (ipv4, ipv6, udp, frame) = (code.label(), code.label(), code.label(), code.label());
    let at = |offset| start.map_or(At::Fixed(offset), |start| At::Behind(start, offset));
    load_vni(code, at(4));
    code.load_byte(at(0));
    code.put(AND, 0x3f);
    code.put(SHIFT_LEFT, 2);
    code.put(ADD, 8);
    if let Some(start) = start {
        code.add_cell(start);
    }
    code.store(HEADER);
    code.store(FRAME);
    code.load_half(at(2));
    code.jump_if(If::Equal(ether::ETHERNET.into()), frame);
    code.jump_if(If::Equal(ether::IPV4.into()), ipv4);
    code.jump_if(If::Equal(ether::IPV6.into()), ipv6);
    code.put(RETURN_CONSTANT, 0);

    code.place(ipv4);
    ipv4_header(code);
    code.load_half(At::Behind(HEADER, 6));
    code.give_up_if(If::AnyBit(FRAGMENT_OFFSET | MORE_FRAGMENTS));
    skip_ipv4_header(code);
    code.jump(udp);

    code.place(ipv6);
    ipv6_header(code);
    advance(code, 40);
    outer_extensions(code, udp);

    code.place(udp);
    code.load_cell(PROTOCOL);
    code.give_up_unless(If::Equal(protocol::UDP.into()));
    code.load_half(At::Behind(HEADER, 4));
    narrow(code, 0);
    load_vni(code, At::Behind(HEADER, 8 + 4));
    advance(code, 8 + offset(vxlan::HEADER_LEN));
    code.store(FRAME);
    code.place(frame);
}

/// The extension headers between IPv6 and UDP of the packet around VXLAN.
pub(super) fn outer_extensions(code: &mut Assembler, udp: Label) {
    for _ in 0..OUTER_EXTENSIONS_MAX {
        let (extension, fragment, skip) = (code.label(), code.label(), code.label());
        code.load_cell(PROTOCOL);
        for kind in OUTER_EXTENSIONS {
            code.jump_if(If::Equal(kind.into()), extension);
        }
        code.jump_if(If::Equal(FRAGMENT.into()), fragment);
        code.jump(udp);

        code.place(fragment);
        code.load_half(At::Behind(HEADER, 2));
        code.give_up_if(If::AnyBit(FRAGMENT_OFFSET_V6 | MORE_FRAGMENTS_V6));
        code.put(LOAD_CONSTANT, 8);
        code.jump(skip);

        code.place(extension);
        extension_length(code);
        code.place(skip);
        skip_header(code);
    }
}

/// The frame at `FRAME`: Ethernet, up to [`VLAN_TAGS_MAX`] tags, and what is behind them.
pub(super) fn any_frame(code: &mut Assembler, hash: Label) {
    let (typed, ipv4, ipv6, transport) = (code.label(), code.label(), code.label(), code.label());
    code.load_cell(FRAME);
    code.store(HEADER);
    need(code, offset(ether::HEADER_LEN));
    for _ in 0..VLAN_TAGS_MAX {
        let tag = code.label();
        code.load_half(At::Behind(HEADER, 12));
        for kind in TAGS {
            code.jump_if(If::Equal(kind), tag);
        }
        code.jump(typed);
        code.place(tag);
        advance(code, offset(ether::TAG_LEN));
        need(code, offset(ether::HEADER_LEN));
    }
    code.load_half(At::Behind(HEADER, 12));
    code.place(typed);
    code.jump_if(If::Equal(ether::IPV4.into()), ipv4);
    code.jump_if(If::Equal(ether::IPV6.into()), ipv6);
    for (cell, at) in [DESTINATION, SOURCE].into_iter().zip(MAC_OFFSETS) {
        code.load_word(At::Behind(FRAME, offset(at)));
        code.store(cell);
    }
    code.jump(hash);

    code.place(ipv4);
    advance(code, offset(ether::HEADER_LEN));
    inner_ipv4(code, hash);
    code.jump(transport);

    code.place(ipv6);
    advance(code, offset(ether::HEADER_LEN));
    inner_ipv6(code, hash, transport);

    code.place(transport);
    ports(code);
}

/// The IPv4 packet at `HEADER`; afterwards `HEADER` and `PROTOCOL` are the transport header's.
fn inner_ipv4(code: &mut Assembler, hash: Label) {
    ipv4_header(code);
    for (cell, at) in [(SOURCE, 12), (DESTINATION, 16)] {
        code.load_word(At::Behind(HEADER, at));
        code.store(cell);
    }
    code.load_half(At::Behind(HEADER, 6));
    code.jump_if(If::AnyBit(FRAGMENT_OFFSET), hash);
    code.put(AND, MORE_FRAGMENTS);
    code.store(FRAGMENTED);
    skip_ipv4_header(code);
}

/// The IPv6 packet at `HEADER`, extension headers too; afterwards as in [`inner_ipv4`].
fn inner_ipv6(code: &mut Assembler, hash: Label, transport: Label) {
    ipv6_header(code);
    fold(code, |word| At::Behind(HEADER, 8 + word), SOURCE);
    fold(code, |word| At::Behind(HEADER, 24 + word), DESTINATION);
    code.put(LOAD_CONSTANT, 0);
    code.store(FRAGMENTED);
    advance(code, 40);
    for _ in 0..IPV6_EXTENSIONS_MAX {
        let (extension, fragment, atomic) = (code.label(), code.label(), code.label());
        let (authentication, skip) = (code.label(), code.label());
        code.load_cell(PROTOCOL);
        for kind in EXTENSIONS {
            code.jump_if(If::Equal(kind.into()), extension);
        }
        code.jump_if(If::Equal(FRAGMENT.into()), fragment);
        code.jump_if(If::Equal(AUTHENTICATION.into()), authentication);
        code.jump(transport);

        code.place(fragment);
        need(code, 8);
        code.load_half(At::Behind(HEADER, 2));
        code.jump_if(If::AnyBit(FRAGMENT_OFFSET_V6), hash);
        code.jump_unless(If::AnyBit(MORE_FRAGMENTS_V6), atomic);
        code.store(FRAGMENTED);
        code.place(atomic);
        code.put(LOAD_CONSTANT, 8);
        code.jump(skip);

        code.place(authentication);
        code.load_byte(At::Behind(HEADER, 1));
        code.give_up_if(If::Equal(0));
        code.put(ADD, 2);
        code.put(SHIFT_LEFT, 2);
        code.jump(skip);

        code.place(extension);
        extension_length(code);
        code.place(skip);
        skip_header(code);
    }
    code.load_cell(PROTOCOL);
    for kind in EXTENSIONS.into_iter().chain([FRAGMENT, AUTHENTICATION]) {
        code.give_up_if(If::Equal(kind.into()));
    }
}

/// The ports at `HEADER`, where `PROTOCOL` has some and it is no fragment; ICMP must have its type
/// and code.
fn ports(code: &mut Assembler) {
    let (ported, icmp, done) = (code.label(), code.label(), code.label());
    code.load_cell(PROTOCOL);
    for kind in [protocol::TCP, protocol::UDP, protocol::SCTP] {
        code.jump_if(If::Equal(kind.into()), ported);
    }
    for kind in [protocol::ICMP, protocol::ICMPV6] {
        code.jump_if(If::Equal(kind.into()), icmp);
    }
    code.jump(done);
    code.place(ported);
    need(code, 4);
    code.load_cell(FRAGMENTED);
    code.jump_unless(If::Equal(0), done);
    code.load_word(At::Behind(HEADER, 0));
    code.store(PORTS);
    code.jump(done);
    code.place(icmp);
    need(code, 2);
    code.place(done);
}

/// One word for an IPv6 address: `((w0 * 31 + w1) * 31 + w2) * 31 + w3`.
fn fold(code: &mut Assembler, word: impl Fn(u32) -> At, cell: Cell) {
    code.load_word(word(0));
    code.store(cell);
    for at in [4, 8, 12] {
        code.load_cell(cell);
        code.put(MULTIPLY, FOLD_FACTOR);
        code.store(cell);
        code.load_word(word(at));
        code.add_cell(cell);
        code.store(cell);
    }
}

/// The hash of what the cells hold, and the worker from it.
pub(super) fn worker(code: &mut Assembler, seed: u32, workers: NonZeroU16) {
    code.load_cell(PORTS);
    code.put(SHIFT_RIGHT, 16);
    end(code, SOURCE, seed);
    code.store(SUM);
    code.load_cell(PORTS);
    code.put(AND, 0xffff);
    end(code, DESTINATION, seed);
    code.add_cell(SUM);
    code.store(SUM);
    code.load_cell(VNI);
    code.put(MULTIPLY, VNI_FACTOR);
    code.add_cell(SUM);
    mix(code);
    code.put(SHIFT_RIGHT, WORKER_SHIFT);
    if workers.is_power_of_two() {
        code.put(AND, u32::from(workers.get()) - 1);
    } else {
        code.put(REMAINDER, workers.get().into());
    }
    code.put(RETURN, 0);
}

/// The port in the accumulator, bound to its address and mixed.
fn end(code: &mut Assembler, address: Cell, seed: u32) {
    code.put(MULTIPLY, PORT_FACTOR);
    code.add_cell(address);
    code.put(XOR, seed);
    mix(code);
}

fn mix(code: &mut Assembler) {
    for (factor, shift) in MIX_FACTORS.into_iter().zip(MIX_SHIFTS) {
        code.put(MULTIPLY, factor);
        code.put(COPY_TO_INDEX, 0);
        code.put(SHIFT_RIGHT, shift);
        code.put(XOR_INDEX, 0);
    }
}
