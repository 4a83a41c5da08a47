//! Writes the extended-BPF program that takes selected packets from the kernel's own stack, once
//! the packet rings have seen them.
//!
//! It runs on an interface's ingress (TCX). Everything but a selected packet is passed on to the
//! programs and filters behind it, also what cannot be read.

use std::net::IpAddr;

use super::selection::{OTHER_HOST, Selection};
use super::steering::OUTER_EXTENSIONS_MAX;
use super::steering::{FRAGMENT, FRAGMENT_OFFSET, FRAGMENT_OFFSET_V6, OUTER_EXTENSIONS};
use crate::ether;
use crate::view::protocol;

/// The verdict on what is not selected: as if the program were not there (`TCX_NEXT`).
pub const PASS_ON: i32 = -1;
/// The verdict on what is selected (`TCX_DROP`).
pub const DROP: i32 = 2;

/// An instruction of extended BPF, laid out as the kernel's `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExtendedInstruction {
    /// Operation, operand size and addressing mode.
    pub code: u8,
    /// Destination register in the low half, source register in the high one; on big-endian
    /// machines the other way round.
    pub registers: u8,
    /// Offset of a load, or instructions to skip.
    pub offset: i16,
    /// Constant.
    pub constant: i32,
}

const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const ADD: u8 = 0x07;
const ADD_REGISTER: u8 = 0x0f;
const AND: u8 = 0x57;
const SHIFT_LEFT: u8 = 0x67;
const LOAD_WORD: u8 = 0x61;
const LOAD_HALF: u8 = 0x69;
const LOAD_BYTE: u8 = 0x71;
const JUMP: u8 = 0x05;
/// On the lower 32 bits.
const JUMP_EQUAL: u8 = 0x16;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_ANY_BIT: u8 = 0x46;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// `bpf_skb_load_bytes`: packet, offset, where to, how many; 0 if they are there.
const HELPER_LOAD_BYTES: i32 = 26;

/// What a call returns, and the verdict.
const RESULT: u8 = 0;
const ARGUMENTS: [u8; 4] = [1, 2, 3, 4];
/// Kept over calls: the packet, where the header that is looked at starts, its protocol.
const PACKET: u8 = 6;
const HEADER: u8 = 7;
const NEXT: u8 = 8;
const FRAME: u8 = 10;
/// Fields of `struct __sk_buff`.
const FIELD_ADDRESSEE: i16 = 4;
const FIELD_PROTOCOL: i16 = 16;
/// Where on the stack headers are copied to: room for an IPv6 header.
const BUFFER: i16 = -40;

/// The program for an interface whose link header has so many bytes.
#[must_use]
pub fn drop_selected(selection: &Selection, link_header: u8) -> Vec<ExtendedInstruction> {
    let mut code = Code::default();
    let (ipv4, ipv6, udp) = (code.label(), code.label(), code.label());
    let (pass_on, drop) = (code.label(), code.label());
    let (v4, v6) = selection.families();
    let link = i32::from(link_header);
    code.put(COPY, PACKET, 1, 0, 0);
    code.put(LOAD_WORD, RESULT, PACKET, FIELD_ADDRESSEE, 0);
    code.branch(JUMP_EQUAL, RESULT, OTHER_HOST.into(), pass_on);
    code.put(LOAD_WORD, RESULT, PACKET, FIELD_PROTOCOL, 0);
    if v4 {
        code.branch(JUMP_EQUAL, RESULT, half(ether::IPV4), ipv4);
    }
    if v6 {
        code.branch(JUMP_EQUAL, RESULT, half(ether::IPV6), ipv6);
    }
    code.branch(JUMP, 0, 0, pass_on);

    // The kernel refuses a program with instructions that are never reached.
    code.place(ipv4);
    if v4 {
        outer_ipv4(&mut code, selection, link, pass_on);
        code.branch(JUMP, 0, 0, udp);
    }
    code.place(ipv6);
    if v6 {
        outer_ipv6(&mut code, selection, link, pass_on);
    }
    code.place(udp);
    code.load(4, pass_on);
    code.half(RESULT, 2);
    for port in &selection.ports {
        code.branch(JUMP_EQUAL, RESULT, half(*port), drop);
    }
    code.place(pass_on);
    code.put(SET, RESULT, 0, 0, PASS_ON);
    code.put(EXIT, 0, 0, 0, 0);
    code.place(drop);
    code.put(SET, RESULT, 0, 0, DROP);
    code.put(EXIT, 0, 0, 0, 0);
    code.finish()
}

/// The IPv4 header, to the UDP header or away.
fn outer_ipv4(code: &mut Code, selection: &Selection, link: i32, pass_on: Label) {
    code.put(SET, HEADER, 0, 0, link);
    code.load(20, pass_on);
    code.byte(RESULT, 9);
    code.branch(JUMP_NOT_EQUAL, RESULT, protocol::UDP.into(), pass_on);
    code.half(RESULT, 6);
    let fragment = half(low_half(FRAGMENT_OFFSET));
    code.branch(JUMP_ANY_BIT, RESULT, fragment, pass_on);
    if let Some(IpAddr::V4(address)) = selection.one_address() {
        code.same_words(&address.octets(), 16, pass_on);
    }
    code.byte(NEXT, 0);
    code.put(AND, NEXT, 0, 0, 0x0f);
    code.put(SHIFT_LEFT, NEXT, 0, 0, 2);
    code.put(ADD_REGISTER, HEADER, NEXT, 0, 0);
}

/// The IPv6 header and its extensions, to the UDP header or away.
fn outer_ipv6(code: &mut Code, selection: &Selection, link: i32, pass_on: Label) {
    code.put(SET, HEADER, 0, 0, link);
    code.load(40, pass_on);
    if let Some(IpAddr::V6(address)) = selection.one_address() {
        code.same_words(&address.octets(), 24, pass_on);
    }
    code.byte(NEXT, 6);
    code.put(ADD, HEADER, 0, 0, 40);
    extensions(code, pass_on);
}

/// The extension headers between IPv6 and UDP, to the UDP header or away.
fn extensions(code: &mut Code, pass_on: Label) {
    let done = code.label();
    for _ in 0..OUTER_EXTENSIONS_MAX {
        let (extension, fragment, skip) = (code.label(), code.label(), code.label());
        for kind in OUTER_EXTENSIONS {
            code.branch(JUMP_EQUAL, NEXT, kind.into(), extension);
        }
        code.branch(JUMP_EQUAL, NEXT, FRAGMENT.into(), fragment);
        code.branch(JUMP, 0, 0, done);

        code.place(fragment);
        code.load(8, pass_on);
        code.half(RESULT, 2);
        code.branch(
            JUMP_ANY_BIT,
            RESULT,
            half(low_half(FRAGMENT_OFFSET_V6)),
            pass_on,
        );
        code.byte(NEXT, 0);
        code.put(ADD, HEADER, 0, 0, 8);
        code.branch(JUMP, 0, 0, skip);

        code.place(extension);
        code.load(2, pass_on);
        code.byte(NEXT, 0);
        code.byte(RESULT, 1);
        code.put(ADD, RESULT, 0, 0, 1);
        code.put(SHIFT_LEFT, RESULT, 0, 0, 3);
        code.put(ADD_REGISTER, HEADER, RESULT, 0, 0);
        code.place(skip);
    }
    code.place(done);
    code.branch(JUMP_NOT_EQUAL, NEXT, protocol::UDP.into(), pass_on);
}

/// A number in network order as a load in the machine's order sees it.
fn half(number: u16) -> i32 {
    u16::from_ne_bytes(number.to_be_bytes()).into()
}

fn low_half(mask: u32) -> u16 {
    u16::try_from(mask & 0xffff).unwrap_or(u16::MAX)
}

#[derive(Clone, Copy)]
struct Label(usize);

/// A program in the making.
#[derive(Default)]
struct Code {
    instructions: Vec<ExtendedInstruction>,
    jumps: Vec<(usize, Label)>,
    places: Vec<Option<usize>>,
}

impl Code {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, constant: i32) {
        let (low, high) = if cfg!(target_endian = "little") {
            (to, from)
        } else {
            (from, to)
        };
        self.instructions.push(ExtendedInstruction {
            code,
            registers: low | (high << 4),
            offset,
            constant,
        });
    }

    fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    fn place(&mut self, Label(label): Label) {
        if let Some(place) = self.places.get_mut(label) {
            *place = Some(self.instructions.len());
        }
    }

    /// A jump that compares a register with a constant.
    fn branch(&mut self, code: u8, register: u8, constant: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.put(code, register, 0, 0, constant);
    }

    /// Copies bytes at `HEADER` into the buffer, or goes away if there are fewer.
    fn load(&mut self, bytes: i32, away: Label) {
        let [packet, offset, to, length] = ARGUMENTS;
        self.put(COPY, packet, PACKET, 0, 0);
        self.put(COPY, offset, HEADER, 0, 0);
        self.put(COPY, to, FRAME, 0, 0);
        self.put(ADD, to, 0, 0, BUFFER.into());
        self.put(SET, length, 0, 0, bytes);
        self.put(CALL, 0, 0, 0, HELPER_LOAD_BYTES);
        self.branch(JUMP_NOT_EQUAL, RESULT, 0, away);
    }

    /// A byte of the buffer.
    fn byte(&mut self, to: u8, offset: i16) {
        self.put(LOAD_BYTE, to, FRAME, BUFFER + offset, 0);
    }

    /// Two bytes of the buffer, in the machine's order.
    fn half(&mut self, to: u8, offset: i16) {
        self.put(LOAD_HALF, to, FRAME, BUFFER + offset, 0);
    }

    /// Goes away unless the buffer has these words.
    fn same_words(&mut self, words: &[u8], mut offset: i16, away: Label) {
        for word in words.chunks_exact(4) {
            let word = word
                .first_chunk()
                .map_or(0, |word| i32::from_ne_bytes(*word));
            self.put(LOAD_WORD, RESULT, FRAME, BUFFER + offset, 0);
            self.branch(JUMP_NOT_EQUAL, RESULT, word, away);
            offset += 4;
        }
    }

    /// The program, its jumps resolved. All are forward and far shorter than 32,768.
    fn finish(mut self) -> Vec<ExtendedInstruction> {
        for (at, Label(label)) in self.jumps {
            let place = self.places.get(label).copied().flatten();
            let skipped = place.and_then(|place| place.checked_sub(at + 1));
            let skipped = skipped.and_then(|skipped| i16::try_from(skipped).ok());
            if let Some(instruction) = self.instructions.get_mut(at) {
                instruction.offset = skipped.expect("labels are placed behind their jumps");
            }
        }
        self.instructions
    }
}
