//! Writes the extended-BPF program that takes selected packets from the kernel's own stack, once
//! the packet rings have seen them.
//!
//! It runs on an interface's ingress (TCX). Everything but a selected packet is passed on to the
//! programs and filters behind it, also what cannot be read.

use std::net::IpAddr;

use super::extended::*;
use super::selection::{OTHER_HOST, Selection};
use super::steering::OUTER_EXTENSIONS_MAX;
use super::steering::{FRAGMENT, FRAGMENT_OFFSET, FRAGMENT_OFFSET_V6, OUTER_EXTENSIONS};
use crate::ether;
use crate::view::protocol;

/// The verdict on what is not selected: as if the program were not there (`TCX_NEXT`).
pub const PASS_ON: i32 = -1;
/// The verdict on what is selected (`TCX_DROP`).
pub const DROP: i32 = 2;

/// Kept over calls: where the header that is looked at starts, and its protocol.
const HEADER: u8 = 7;
const NEXT: u8 = 8;
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

fn low_half(mask: u32) -> u16 {
    u16::try_from(mask & 0xffff).unwrap_or(u16::MAX)
}

impl Code {
    /// Copies bytes at `HEADER` into the buffer, or goes away if there are fewer.
    fn load(&mut self, bytes: i32, away: Label) {
        let [_, offset, ..] = ARGUMENTS;
        self.put(COPY, offset, HEADER, 0, 0);
        self.load_bytes(bytes, BUFFER, away);
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
}
