//! Programs as the kernel takes them.

use vxscope_linux::{ExtendedInstruction, Instruction};
use vxscope_wire::bpf::{self, Program};

/// A program of classic BPF.
pub(crate) fn instructions(program: &Program) -> Vec<Instruction> {
    let instructions = program.instructions().iter();
    let kernels = instructions.map(|it| Instruction {
        code: it.code,
        jt: it.jt,
        jf: it.jf,
        k: it.k,
    });
    kernels.collect()
}

/// A program of extended BPF.
pub(crate) fn extended_instructions(
    program: &[bpf::ExtendedInstruction],
) -> Vec<ExtendedInstruction> {
    let kernels = program.iter().map(|it| ExtendedInstruction {
        code: it.code,
        registers: it.registers,
        offset: it.offset,
        constant: it.constant,
    });
    kernels.collect()
}
