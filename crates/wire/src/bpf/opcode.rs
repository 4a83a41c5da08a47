//! Operation codes of classic BPF (`linux/bpf_common.h`), whole: class, size and mode together.

pub(super) const LOAD_WORD: u16 = 0x20;
pub(super) const LOAD_HALF: u16 = 0x28;
pub(super) const LOAD_BYTE: u16 = 0x30;
/// The three loads above, relative to the index register instead.
pub(super) const INDEXED: u16 = 0x20;
pub(super) const LOAD_WORD_INDEXED: u16 = LOAD_WORD + INDEXED;
pub(super) const LOAD_HALF_INDEXED: u16 = LOAD_HALF + INDEXED;
pub(super) const LOAD_BYTE_INDEXED: u16 = LOAD_BYTE + INDEXED;
pub(super) const LOAD_CONSTANT: u16 = 0x00;
pub(super) const LOAD_CELL: u16 = 0x60;
pub(super) const LOAD_LENGTH: u16 = 0x80;
pub(super) const LOAD_INDEX_CELL: u16 = 0x61;
pub(super) const STORE: u16 = 0x02;

pub(super) const ADD: u16 = 0x04;
pub(super) const ADD_INDEX: u16 = 0x0c;
pub(super) const MULTIPLY: u16 = 0x24;
pub(super) const AND: u16 = 0x54;
pub(super) const SHIFT_LEFT: u16 = 0x64;
pub(super) const SHIFT_RIGHT: u16 = 0x74;
pub(super) const REMAINDER: u16 = 0x94;
pub(super) const XOR: u16 = 0xa4;
pub(super) const XOR_INDEX: u16 = 0xac;

pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_EQUAL_INDEX: u16 = 0x1d;
pub(super) const JUMP_GREATER_INDEX: u16 = 0x2d;
pub(super) const JUMP_AT_LEAST: u16 = 0x35;
pub(super) const JUMP_AT_LEAST_INDEX: u16 = 0x3d;
pub(super) const JUMP_ANY_BIT: u16 = 0x45;

pub(super) const RETURN_CONSTANT: u16 = 0x06;
pub(super) const RETURN: u16 = 0x16;
pub(super) const COPY_TO_INDEX: u16 = 0x07;

/// Where loads lead to what the kernel knows about a packet instead of its bytes (`SKF_AD_OFF`).
pub(super) const ANCILLARY: u32 = 0xffff_f000;
/// The type that the link layer announced (`SKF_AD_PROTOCOL`).
pub(super) const ANCILLARY_ETHER_TYPE: u32 = ANCILLARY;
/// Whom the link layer sent it to (`SKF_AD_PKTTYPE`).
pub(super) const ANCILLARY_ADDRESSEE: u32 = ANCILLARY + 4;
