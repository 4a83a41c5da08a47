//! Which packets of an interface are ours, and the socket filter that keeps them.
//!
//! [`drop_selected`](super::drop_selected) is the same choice for the kernel's own stack.

use std::net::IpAddr;

use super::Instruction;
use super::assembler::{Assembler, At, If, Label};
use super::header::*;
use super::opcode::*;
use super::steering::OUTER_EXTENSIONS_MAX;
use super::steering::{FRAGMENT, FRAGMENT_OFFSET, FRAGMENT_OFFSET_V6, OUTER_EXTENSIONS};
use crate::ether;
use crate::view::protocol;

/// What a filter returns is how many bytes to keep: more than any packet has.
const WHOLE: u32 = 0x4_0000;

/// [`Ancillary::addressee`] of a frame to somebody else, which a promiscuous interface sees
/// (`PACKET_OTHERHOST`).
pub const OTHER_HOST: u8 = 3;

/// UDP to one of the ports, at one address or any. Later fragments, whose port nobody knows, are
/// not selected; the first one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// UDP destination ports.
    pub ports: Vec<u16>,
    /// Destination address; `None` for all of both families. An unspecified address stands for
    /// all of its family.
    pub address: Option<IpAddr>,
}

/// What the link layer said about a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// The type it announced, VLAN tags that the kernel has taken off not counted.
    pub ether_type: u16,
    /// Whom it was sent to: 0 is us, [`OTHER_HOST`] somebody else.
    pub addressee: u8,
}

impl Selection {
    /// Whether packets of these families can be selected.
    pub(super) fn families(&self) -> (bool, bool) {
        match self.address {
            None => (true, true),
            Some(address) => (address.is_ipv4(), address.is_ipv6()),
        }
    }

    /// The one address that counts, if not all do.
    pub(super) fn one_address(&self) -> Option<IpAddr> {
        self.address.filter(|address| !address.is_unspecified())
    }
}

pub(super) fn instructions(selection: &Selection) -> Vec<Instruction> {
    let mut code = Assembler::new();
    let (ipv4, ipv6, udp) = (code.label(), code.label(), code.label());
    let (v4, v6) = selection.families();
    code.put(LOAD_WORD, ANCILLARY_ADDRESSEE);
    // What we send has a greater number, and older kernels show it to groups of rings.
    code.give_up_if(If::AtLeast(OTHER_HOST.into()));
    code.put(LOAD_WORD, ANCILLARY_ETHER_TYPE);
    if v4 {
        code.jump_if(If::Equal(ether::IPV4.into()), ipv4);
    }
    if v6 {
        code.jump_if(If::Equal(ether::IPV6.into()), ipv6);
    }
    code.put(RETURN_CONSTANT, 0);
    code.place(ipv4);
    if v4 {
        outer_ipv4(&mut code, selection, udp);
    }
    code.place(ipv6);
    if v6 {
        outer_ipv6(&mut code, selection, udp);
    }
    code.place(udp);
    let ours = code.label();
    code.load_half(At::Behind(HEADER, 2));
    for port in &selection.ports {
        code.jump_if(If::Equal((*port).into()), ours);
    }
    code.put(RETURN_CONSTANT, 0);
    code.place(ours);
    code.put(RETURN_CONSTANT, WHOLE);
    code.finish()
}

fn outer_ipv4(code: &mut Assembler, selection: &Selection, udp: Label) {
    code.load_byte(At::Fixed(9));
    code.give_up_unless(If::Equal(protocol::UDP.into()));
    code.load_half(At::Fixed(6));
    code.give_up_if(If::AnyBit(FRAGMENT_OFFSET));
    if let Some(IpAddr::V4(address)) = selection.one_address() {
        code.load_word(At::Fixed(16));
        code.give_up_unless(If::Equal(address.to_bits()));
    }
    code.load_byte(At::Fixed(0));
    code.put(AND, 0x0f);
    code.put(SHIFT_LEFT, 2);
    code.store(HEADER);
    code.jump(udp);
}

fn outer_ipv6(code: &mut Assembler, selection: &Selection, udp: Label) {
    if let Some(IpAddr::V6(address)) = selection.one_address() {
        for (word, at) in address.octets().chunks_exact(4).zip([24, 28, 32, 36]) {
            code.load_word(At::Fixed(at));
            let word = word
                .first_chunk()
                .map_or(0, |word| u32::from_be_bytes(*word));
            code.give_up_unless(If::Equal(word));
        }
    }
    code.load_byte(At::Fixed(6));
    code.store(PROTOCOL);
    code.put(LOAD_CONSTANT, 40);
    code.store(HEADER);
    let done = code.label();
    for _ in 0..OUTER_EXTENSIONS_MAX {
        let (extension, fragment, skip) = (code.label(), code.label(), code.label());
        code.load_cell(PROTOCOL);
        for kind in OUTER_EXTENSIONS {
            code.jump_if(If::Equal(kind.into()), extension);
        }
        code.jump_if(If::Equal(FRAGMENT.into()), fragment);
        code.jump(done);

        code.place(fragment);
        code.load_half(At::Behind(HEADER, 2));
        code.give_up_if(If::AnyBit(FRAGMENT_OFFSET_V6));
        code.put(LOAD_CONSTANT, 8);
        code.jump(skip);

        code.place(extension);
        extension_length(code);
        code.place(skip);
        code.add_cell(HEADER);
        code.store(LENGTH);
        code.load_byte(At::Behind(HEADER, 0));
        code.store(PROTOCOL);
        code.load_cell(LENGTH);
        code.store(HEADER);
    }
    code.place(done);
    code.load_cell(PROTOCOL);
    code.give_up_unless(If::Equal(protocol::UDP.into()));
    code.jump(udp);
}
