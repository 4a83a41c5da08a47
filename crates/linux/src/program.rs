//! Programs of classic BPF, as the kernel takes them.

use std::mem;

/// An instruction of classic BPF, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation, operand size and addressing mode.
    pub code: u16,
    /// Instructions to skip if a condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Constant or offset.
    pub k: u32,
}

const _: () = {
    use libc::sock_filter as Kernel;
    assert!(mem::size_of::<Instruction>() == mem::size_of::<Kernel>());
    assert!(mem::align_of::<Instruction>() == mem::align_of::<Kernel>());
    assert!(mem::offset_of!(Instruction, jt) == mem::offset_of!(Kernel, jt));
    assert!(mem::offset_of!(Instruction, jf) == mem::offset_of!(Kernel, jf));
    assert!(mem::offset_of!(Instruction, k) == mem::offset_of!(Kernel, k));
};

/// `BPF_RET | BPF_K`: what a filter returns is how many bytes to keep, so 0 keeps none.
pub(crate) const REFUSE_ALL: [Instruction; 1] = [Instruction {
    code: 0x06,
    jt: 0,
    jf: 0,
    k: 0,
}];
