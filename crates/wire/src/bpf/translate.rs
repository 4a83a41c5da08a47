//! Classic BPF as extended BPF, instruction by instruction, the way the kernel itself does it.
//!
//! ```text
//!  accumulator  register 0, where loads from the packet put what they find
//!  index        register 7, which calls do not change
//!  cells        words on the stack
//! ```
//!
//! Arithmetic and conditions have the same numbers in both, as long as they stay with the lower
//! halves of registers, and so have loads from the packet: beyond it they end the program with 0.

use super::Instruction;
use super::extended::*;
use super::opcode;

/// The classic index register.
const INDEX: u8 = 7;
/// The classic scratch memory: its first cell.
pub(super) const CELLS: i16 = -64;
const CELL_BYTES: i16 = 4;
/// `struct __sk_buff`: the packet's length.
const FIELD_LENGTH: i16 = 0;
/// From a comparison in classic BPF to one of the lower halves of registers.
const OF_LOWER_HALF: u8 = 1;

/// Before the first translated instruction: the packet is the only argument.
pub(super) fn prepare(code: &mut Code) {
    let [packet, ..] = ARGUMENTS;
    code.put(COPY, PACKET, packet, 0, 0);
    code.put(SET, RESULT, 0, 0, 0);
    code.put(SET, INDEX, 0, 0, 0);
}

/// Where a cell is on the stack.
pub(super) fn cell(number: u32) -> i16 {
    // There are 16.
    CELLS + CELL_BYTES * i16::try_from(number & 15).unwrap_or(0)
}

/// Writes a program of ours, which ends with a return.
///
/// # Panics
/// For an instruction that no program of ours has.
pub(super) fn translate(code: &mut Code, program: &[Instruction]) {
    let labels: Vec<Label> = program.iter().map(|_| code.label()).collect();
    for (at, (instruction, label)) in program.iter().zip(&labels).enumerate() {
        code.place(*label);
        let skipping = |skipped: u32| {
            let to = usize::try_from(skipped)
                .ok()
                .map(|skipped| at + 1 + skipped);
            let label = to.and_then(|to| labels.get(to));
            *label.expect("jumps stay within the program")
        };
        one(code, instruction, skipping);
    }
}

fn one(code: &mut Code, instruction: &Instruction, skipping: impl Fn(u32) -> Label) {
    let Instruction {
        code: operation,
        jt,
        jf,
        k,
    } = *instruction;
    let same = u8::try_from(operation).unwrap_or(u8::MAX);
    let constant = k.cast_signed();
    match operation {
        opcode::LOAD_WORD | opcode::LOAD_HALF | opcode::LOAD_BYTE => {
            code.put(same, 0, 0, 0, constant);
        }
        opcode::LOAD_WORD_INDEXED | opcode::LOAD_HALF_INDEXED | opcode::LOAD_BYTE_INDEXED => {
            code.put(same, 0, INDEX, 0, constant);
        }
        opcode::LOAD_CONSTANT => code.put(SET_LOW, RESULT, 0, 0, constant),
        opcode::LOAD_LENGTH => code.put(LOAD_WORD, RESULT, PACKET, FIELD_LENGTH, 0),
        opcode::LOAD_CELL => code.put(LOAD_WORD, RESULT, FRAME, cell(k), 0),
        opcode::LOAD_INDEX_CELL => code.put(LOAD_WORD, INDEX, FRAME, cell(k), 0),
        opcode::STORE => code.put(STORE_WORD, FRAME, RESULT, cell(k), 0),
        opcode::COPY_TO_INDEX => code.put(COPY_LOW, INDEX, RESULT, 0, 0),
        opcode::ADD
        | opcode::MULTIPLY
        | opcode::AND
        | opcode::SHIFT_LEFT
        | opcode::SHIFT_RIGHT
        | opcode::REMAINDER
        | opcode::XOR => code.put(same, RESULT, 0, 0, constant),
        opcode::ADD_INDEX | opcode::XOR_INDEX => code.put(same, RESULT, INDEX, 0, 0),
        opcode::JUMP => code.branch(JUMP, 0, 0, skipping(k)),
        opcode::JUMP_EQUAL | opcode::JUMP_AT_LEAST | opcode::JUMP_ANY_BIT => {
            code.branch(same + OF_LOWER_HALF, RESULT, constant, skipping(jt.into()));
            otherwise(code, jf, skipping);
        }
        opcode::JUMP_EQUAL_INDEX | opcode::JUMP_GREATER_INDEX | opcode::JUMP_AT_LEAST_INDEX => {
            code.branch_by(same + OF_LOWER_HALF, RESULT, INDEX, skipping(jt.into()));
            otherwise(code, jf, skipping);
        }
        opcode::RETURN => code.put(EXIT, 0, 0, 0, 0),
        opcode::RETURN_CONSTANT => {
            code.put(SET_LOW, RESULT, 0, 0, constant);
            code.put(EXIT, 0, 0, 0, 0);
        }
        _ => unreachable!("programs of ours have no instruction {operation:#x}"),
    }
}

/// Where a condition leads that does not hold: extended BPF goes on behind it.
fn otherwise(code: &mut Code, skipped: u8, skipping: impl Fn(u32) -> Label) {
    if skipped > 0 {
        code.branch(JUMP, 0, 0, skipping(skipped.into()));
    }
}
