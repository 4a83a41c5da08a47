//! The steering program in extended BPF, for where the kernel takes it.
//!
//! ```text
//!  load balancer's GENEVE ──> VXLAN ──> common shapes ──> hash ──> worker
//!       │ anything else                   │ none of them
//!       └─────────────────────────────────┴──> the classic program, translated
//! ```
//!
//! What most mirrored traffic is, is copied to the stack by one call for VXLAN and by three for
//! GENEVE, and compared there; a classic program takes a call for each field that does not stand
//! at a fixed place. Everything else goes the classic way, so the two cannot differ in it.

use std::num::NonZeroU16;

use super::Instruction;
use super::assembler::{Assembler, Cell};
use super::extended::*;
use super::header::{DESTINATION, PORTS, SOURCE, VNI};
use super::steering::{self, FRAGMENT_OFFSET, MORE_FRAGMENTS};
use super::translate::{CELLS, cell, prepare, translate};
use crate::decapsulate::Tunnel;
use crate::steer::FOLD_FACTOR;
use crate::view::protocol;
use crate::{ether, vxlan};

/// From the VXLAN header to the IP packet behind it.
const IP: i16 = 22;
const _: () = assert!(IP as usize == vxlan::HEADER_LEN + ether::HEADER_LEN);
const IPV4_BYTES: i16 = 20;
const IPV6_BYTES: i16 = 40;
const UDP_BYTES: i16 = 8;
const PORTS_BYTES: i16 = 4;
const GENEVE_BYTES: i16 = 8;
/// Where headers are copied to: below the cells, with the inner addresses and ports at multiples
/// of four, as the kernel wants words on the stack.
const BUFFER: i16 = CELLS - (IP + IPV6_BYTES + PORTS_BYTES) - 4;
const _: () = assert!((BUFFER + IP + 12) % 4 == 0 && (BUFFER + IP + 8) % 4 == 0);

/// Kept over calls: where the header starts that is looked at, and how many bytes there are from
/// the VXLAN header on by the lengths in those of a load balancer.
const START: u8 = 8;
const ROOM: u8 = 9;
/// For what is not kept.
const SPARE: u8 = 2;

/// The program that gives what [`Program::steering`](super::Program::steering) gives, for every
/// datagram, as a filter of sockets in extended BPF.
#[must_use]
pub fn steering_extended(
    seed: u32,
    workers: NonZeroU16,
    tunnel: Tunnel,
) -> Vec<ExtendedInstruction> {
    let mut code = Code::default();
    prepare(&mut code);
    if workers > NonZeroU16::MIN {
        let rare = code.label();
        code.put(SET, START, 0, 0, 0);
        if tunnel == Tunnel::Geneve {
            load_balancer(&mut code, rare);
        }
        common_shapes(&mut code, tunnel, rare);
        translate(&mut code, &hash(seed, workers));
        code.place(rare);
    }
    translate(&mut code, &steering::instructions(seed, workers, tunnel));
    code.finish()
}

/// From the cells to the worker.
fn hash(seed: u32, workers: NonZeroU16) -> Vec<Instruction> {
    let mut code = Assembler::new();
    steering::worker(&mut code, seed, workers);
    code.finish()
}

/// GENEVE, IPv4 without options, UDP: moves `START` to the VXLAN header, which both lengths leave
/// room for a common packet behind. `rare` is anything else.
fn load_balancer(code: &mut Code, rare: Label) {
    copy(code, GENEVE_BYTES, rare);
    load(code, LOAD_HALF, 2);
    code.branch(JUMP_NOT_EQUAL, RESULT, half(ether::IPV4), rare);
    load(code, LOAD_BYTE, 0);
    code.put(AND, RESULT, 0, 0, 0x3f);
    code.put(SHIFT_LEFT, RESULT, 0, 0, 2);
    code.put(ADD, RESULT, 0, 0, GENEVE_BYTES.into());
    code.put(COPY, START, RESULT, 0, 0);

    copy(code, IPV4_BYTES + UDP_BYTES, rare);
    whole_ipv4(code, 0, rare);
    load(code, LOAD_BYTE, 9);
    code.branch(JUMP_NOT_EQUAL, RESULT, protocol::UDP.into(), rare);
    let less = code.label();
    length(code, ROOM, 2, IPV4_BYTES + UDP_BYTES);
    length(code, RESULT, IPV4_BYTES + 4, UDP_BYTES);
    code.branch_by(JUMP_NOT_LESS_REGISTER, RESULT, ROOM, less);
    code.put(COPY, ROOM, RESULT, 0, 0);
    code.place(less);
    leaves_room(code, IPV4_BYTES, rare);
    code.put(ADD, START, 0, 0, (IPV4_BYTES + UDP_BYTES).into());
}

/// Whole TCP and UDP ports behind IPv4 without options or IPv6 without extensions, behind Ethernet
/// without tags, behind VXLAN: sets the cells that are hashed. `rare` is anything else.
fn common_shapes(code: &mut Code, tunnel: Tunnel, rare: Label) {
    let (ipv6, hash) = (code.label(), code.label());
    copy(code, IP + IPV4_BYTES + PORTS_BYTES, rare);
    load(code, LOAD_HALF, 4);
    from_network(code, RESULT, 16);
    code.put(SHIFT_LEFT, RESULT, 0, 0, 8);
    code.put(LOAD_BYTE, SPARE, FRAME, BUFFER + 6, 0);
    code.put(OR_REGISTER, RESULT, SPARE, 0, 0);
    store(code, VNI);
    load(code, LOAD_HALF, IP - 2);
    code.branch(JUMP_EQUAL, RESULT, half(ether::IPV6), ipv6);
    code.branch(JUMP_NOT_EQUAL, RESULT, half(ether::IPV4), rare);
    inner_ipv4(code, rare);
    code.branch(JUMP, 0, 0, hash);

    code.place(ipv6);
    if tunnel == Tunnel::Geneve {
        leaves_room(code, IPV6_BYTES, rare);
    }
    copy(code, IP + IPV6_BYTES + PORTS_BYTES, rare);
    inner_ipv6(code, rare);
    code.place(hash);
}

fn inner_ipv4(code: &mut Code, rare: Label) {
    whole_ipv4(code, IP, rare);
    at_least(code, IP + 2, IPV4_BYTES + PORTS_BYTES, rare);
    has_ports(code, IP + 9, rare);
    for (to, at) in [(SOURCE, 12), (DESTINATION, 16), (PORTS, IPV4_BYTES)] {
        word(code, RESULT, IP + at);
        store(code, to);
    }
}

fn inner_ipv6(code: &mut Code, rare: Label) {
    load(code, LOAD_BYTE, IP);
    code.put(AND, RESULT, 0, 0, 0xf0);
    code.branch(JUMP_NOT_EQUAL, RESULT, 0x60, rare);
    at_least(code, IP + 4, PORTS_BYTES, rare);
    has_ports(code, IP + 6, rare);
    for (to, at) in [(SOURCE, 8), (DESTINATION, 24)] {
        word(code, RESULT, IP + at);
        for more in [4, 8, 12] {
            code.put(MULTIPLY_LOW, RESULT, 0, 0, FOLD_FACTOR.cast_signed());
            word(code, SPARE, IP + at + more);
            code.put(ADD_REGISTER, RESULT, SPARE, 0, 0);
        }
        store(code, to);
    }
    word(code, RESULT, IP + IPV6_BYTES);
    store(code, PORTS);
}

/// Copies so many bytes of the datagram, from `START` on, to the buffer.
fn copy(code: &mut Code, bytes: i16, rare: Label) {
    let [_, offset, ..] = ARGUMENTS;
    code.put(COPY, offset, START, 0, 0);
    code.load_bytes(bytes.into(), BUFFER, rare);
}

/// A field in the buffer, in the machine's order.
fn load(code: &mut Code, size: u8, at: i16) {
    code.put(size, RESULT, FRAME, BUFFER + at, 0);
}

/// A word in the buffer, as the number that it is.
fn word(code: &mut Code, to: u8, at: i16) {
    code.put(LOAD_WORD, to, FRAME, BUFFER + at, 0);
    from_network(code, to, 32);
}

/// So many bits in network order become the number that they are.
fn from_network(code: &mut Code, register: u8, bits: i32) {
    code.put(FROM_NETWORK, register, 0, 0, bits);
}

fn store(code: &mut Code, Cell(number): Cell) {
    code.put(STORE_WORD, FRAME, RESULT, cell(number), 0);
}

/// An IPv4 header with options, and a fragment, are rare.
fn whole_ipv4(code: &mut Code, at: i16, rare: Label) {
    load(code, LOAD_BYTE, at);
    code.branch(JUMP_NOT_EQUAL, RESULT, 0x45, rare);
    load(code, LOAD_HALF, at + 6);
    let fragment = u16::try_from(FRAGMENT_OFFSET | MORE_FRAGMENTS).unwrap_or(u16::MAX);
    code.branch(JUMP_ANY_BIT, RESULT, half(fragment), rare);
}

/// A length in an IP header that is less is rare.
fn at_least(code: &mut Code, at: i16, bytes: i16, rare: Label) {
    load(code, LOAD_HALF, at);
    from_network(code, RESULT, 16);
    code.branch(JUMP_BELOW, RESULT, bytes.into(), rare);
}

/// What a length says that so many bytes of headers are part of: less than none for one that is
/// too short.
fn length(code: &mut Code, to: u8, at: i16, headers: i16) {
    code.put(LOAD_HALF, to, FRAME, BUFFER + at, 0);
    from_network(code, to, 16);
    code.put(ADD, to, 0, 0, (-headers).into());
}

/// Less room than up to the ports behind an IP header of this length is rare.
fn leaves_room(code: &mut Code, header: i16, rare: Label) {
    let bytes = IP + header + PORTS_BYTES;
    code.branch(JUMP_LESS, ROOM, bytes.into(), rare);
}

/// Any protocol but TCP and UDP is rare.
fn has_ports(code: &mut Code, at: i16, rare: Label) {
    let ported = code.label();
    load(code, LOAD_BYTE, at);
    code.branch(JUMP_EQUAL, RESULT, protocol::TCP.into(), ported);
    code.branch(JUMP_NOT_EQUAL, RESULT, protocol::UDP.into(), rare);
    code.place(ported);
}
