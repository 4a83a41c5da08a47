//! Headers one after the other: where the program is, what it checks, how it moves on.

use super::assembler::{Assembler, At, Cell, If};
use super::opcode::*;

/// Where the inner frame starts.
pub(super) const FRAME: Cell = Cell(0);
pub(super) const VNI: Cell = Cell(1);
/// Source and destination, one word each.
pub(super) const SOURCE: Cell = Cell(2);
pub(super) const DESTINATION: Cell = Cell(3);
/// Both ports, or 0.
pub(super) const PORTS: Cell = Cell(4);
/// Protocol of what starts at `HEADER`.
pub(super) const PROTOCOL: Cell = Cell(5);
/// Where the header that is looked at starts.
pub(super) const HEADER: Cell = Cell(6);
/// End of the bytes that belong to the packet.
pub(super) const END: Cell = Cell(7);
/// Bytes of an IPv4 header, or where another header starts.
pub(super) const LENGTH: Cell = Cell(8);
pub(super) const SUM: Cell = Cell(9);
/// Not 0 for a first fragment: its ports do not count.
pub(super) const FRAGMENTED: Cell = Cell(10);

/// Checks the IPv4 header at `HEADER`; sets `LENGTH` and `PROTOCOL` and narrows `END`. Options
/// may be cut.
pub(super) fn ipv4_header(code: &mut Assembler) {
    let lengths_agree = code.label();
    need(code, 20);
    code.load_byte(At::Behind(HEADER, 9));
    code.store(PROTOCOL);
    code.load_byte(At::Behind(HEADER, 0));
    code.give_up_unless(If::AtLeast(0x45));
    code.give_up_if(If::AtLeast(0x50));
    code.put(AND, 0x0f);
    code.put(SHIFT_LEFT, 2);
    code.store(LENGTH);
    code.load_half(At::Behind(HEADER, 2));
    code.jump_if(If::Equal(0), lengths_agree);
    code.load_index(LENGTH);
    code.give_up_unless(If::AtLeastIndex);
    code.place(lengths_agree);
    narrow(code, 0);
}

/// Moves `HEADER` behind the IPv4 header.
pub(super) fn skip_ipv4_header(code: &mut Assembler) {
    code.load_cell(LENGTH);
    code.add_cell(HEADER);
    code.store(HEADER);
}

/// Checks the IPv6 header at `HEADER`; sets `PROTOCOL` and narrows `END`.
pub(super) fn ipv6_header(code: &mut Assembler) {
    need(code, 40);
    code.load_byte(At::Behind(HEADER, 6));
    code.store(PROTOCOL);
    code.load_byte(At::Behind(HEADER, 0));
    code.put(SHIFT_RIGHT, 4);
    code.give_up_unless(If::Equal(6));
    code.load_half(At::Behind(HEADER, 4));
    narrow(code, 40);
}

/// Bytes of the extension header at `HEADER`, which it gives in units of eight behind the first.
pub(super) fn extension_length(code: &mut Assembler) {
    code.load_byte(At::Behind(HEADER, 1));
    code.put(ADD, 1);
    code.put(SHIFT_LEFT, 3);
}

/// Moves `HEADER` by the accumulator, sets `PROTOCOL`; the header must be there whole.
pub(super) fn skip_header(code: &mut Assembler) {
    code.add_cell(HEADER);
    code.store(LENGTH);
    code.load_index(END);
    code.give_up_if(If::AboveIndex);
    code.load_byte(At::Behind(HEADER, 0));
    code.store(PROTOCOL);
    code.load_cell(LENGTH);
    code.store(HEADER);
}

/// Moves `HEADER`, and leaves it in the accumulator.
pub(super) fn advance(code: &mut Assembler, bytes: u32) {
    code.load_cell(HEADER);
    code.put(ADD, bytes);
    code.store(HEADER);
}

/// Gives up unless so many bytes at `HEADER` belong to the packet.
pub(super) fn need(code: &mut Assembler, bytes: u32) {
    code.load_cell(HEADER);
    code.put(ADD, bytes);
    code.load_index(END);
    code.give_up_if(If::AboveIndex);
}

/// The accumulator is the length that the header at `HEADER` gives, `header` bytes of it not
/// counted; 0 says nothing. `END` is never moved outwards.
pub(super) fn narrow(code: &mut Assembler, header: u32) {
    let done = code.label();
    code.jump_if(If::Equal(0), done);
    code.put(ADD, header);
    code.add_cell(HEADER);
    code.load_index(END);
    code.jump_if(If::AtLeastIndex, done);
    code.store(END);
    code.place(done);
}

/// An offset as programs have it; headers are far shorter than 4 GiB.
pub(super) fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
