//! Writes the steering program of packet rings: from the outer IP header to the frame, then as the
//! one for sockets.
//!
//! ```text
//!  IPv4 without options, lengths agree, UDP to a VXLAN port ──> common shapes ──> hash
//!    │ none of it                                                     │ none of them
//!    └─> IPv4 or IPv6, extension headers, UDP ──> VXLAN or GENEVE ──> any frame ──> hash
//! ```

use std::num::NonZeroU16;

use super::Instruction;
use super::assembler::{Assembler, At, Cell, If, Label};
use super::header::*;
use super::opcode::*;
use super::steering::{
    FRAGMENT_OFFSET, MORE_FRAGMENTS, any_frame, common_shapes, geneve, load_vni, outer_extensions,
    worker,
};
use crate::decapsulate::Options;
use crate::view::protocol;
use crate::vxlan;

/// Bytes of IPv4 without options and of UDP.
const PLAIN_IPV4: u32 = 20;
const UDP: u32 = 8;
/// Where the GENEVE header starts.
const TUNNEL: Cell = Cell(11);

pub(super) fn instructions(seed: u32, workers: NonZeroU16, options: &Options) -> Vec<Instruction> {
    let mut code = Assembler::new();
    if workers == NonZeroU16::MIN {
        code.put(RETURN_CONSTANT, 0);
        return code.finish();
    }
    let hash = code.label();
    code.put(LOAD_CONSTANT, 0);
    code.store(PORTS);
    plain_packet(&mut code, options, hash);
    any_packet(&mut code, options);
    any_frame(&mut code, hash);
    code.place(hash);
    worker(&mut code, seed, workers);
    code.finish()
}

/// What AWS sends. Falls through where it is not, or where it holds no common shape.
fn plain_packet(code: &mut Assembler, options: &Options, hash: Label) {
    let (ours, other) = (code.label(), code.label());
    code.load_byte(At::Fixed(0));
    code.jump_unless(If::Equal(0x45), other);
    code.load_byte(At::Fixed(9));
    code.jump_unless(If::Equal(protocol::UDP.into()), other);
    code.load_half(At::Fixed(6));
    code.jump_if(If::AnyBit(FRAGMENT_OFFSET | MORE_FRAGMENTS), other);
    // Both lengths are the packet's: nothing is padded and nothing cut.
    code.load_half(At::Fixed(2));
    code.put(COPY_TO_INDEX, 0);
    code.put(LOAD_LENGTH, 0);
    code.jump_unless(If::EqualIndex, other);
    code.load_half(At::Fixed(PLAIN_IPV4 + 4));
    code.put(ADD, PLAIN_IPV4);
    code.jump_unless(If::EqualIndex, other);
    code.load_half(At::Fixed(PLAIN_IPV4 + 2));
    for port in options.vxlan_ports.iter() {
        code.jump_if(If::Equal(port.into()), ours);
    }
    code.jump(other);
    code.place(ours);
    load_vni(code, At::Fixed(PLAIN_IPV4 + UDP + 4));
    let frame = PLAIN_IPV4 + UDP + offset(vxlan::HEADER_LEN);
    common_shapes(code, frame, hash);
    code.place(other);
}

/// Any packet that carries a tunnel: sets `VNI`, `FRAME` and `END`.
fn any_packet(code: &mut Assembler, options: &Options) {
    let (ipv4, ipv6, udp) = (code.label(), code.label(), code.label());
    let (vxlan, geneve_header, frame) = (code.label(), code.label(), code.label());
    code.put(LOAD_LENGTH, 0);
    code.store(END);
    code.put(LOAD_CONSTANT, 0);
    code.store(HEADER);
    code.load_byte(At::Fixed(0));
    code.put(SHIFT_RIGHT, 4);
    code.jump_if(If::Equal(4), ipv4);
    code.jump_if(If::Equal(6), ipv6);
    code.put(RETURN_CONSTANT, 0);

    code.place(ipv4);
    ipv4_header(code);
    code.load_half(At::Fixed(6));
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
    code.load_half(At::Behind(HEADER, 2));
    for port in options.vxlan_ports.iter() {
        code.jump_if(If::Equal(port.into()), vxlan);
    }
    for port in options.geneve_ports.iter() {
        code.jump_if(If::Equal(port.into()), geneve_header);
    }
    code.put(RETURN_CONSTANT, 0);

    code.place(geneve_header);
    advance(code, UDP);
    code.store(TUNNEL);
    geneve(code, Some(TUNNEL));
    code.jump(frame);

    code.place(vxlan);
    load_vni(code, At::Behind(HEADER, UDP + 4));
    advance(code, UDP + offset(vxlan::HEADER_LEN));
    code.store(FRAME);
    code.place(frame);
}
