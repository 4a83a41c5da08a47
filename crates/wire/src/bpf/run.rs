//! Executes a program the way the kernel does.

use super::opcode::*;
use super::{Ancillary, Instruction};

/// Scratch cells a program has (`BPF_MEMWORDS`).
const CELLS: usize = 16;

/// The value returned. 0 for a load beyond the packet, as in the kernel, and for what the kernel
/// would not have accepted: an unknown instruction, a cell or a jump that does not exist.
pub(super) fn run(program: &[Instruction], packet: &[u8]) -> u32 {
    execute(program, packet, &Ancillary::default()).unwrap_or(0)
}

/// As [`run`], for a program that also asks what the link layer said.
pub(super) fn run_with(program: &[Instruction], packet: &[u8], ancillary: &Ancillary) -> u32 {
    execute(program, packet, ancillary).unwrap_or(0)
}

fn execute(program: &[Instruction], packet: &[u8], ancillary: &Ancillary) -> Option<u32> {
    let mut cells = [0_u32; CELLS];
    let (mut accumulator, mut index) = (0_u32, 0_u32);
    let mut rest = program;
    while let Some((&Instruction { code, jt, jf, k }, behind)) = rest.split_first() {
        rest = behind;
        let behind_index = u64::from(index) + u64::from(k);
        let condition = match code {
            JUMP_EQUAL => Some(accumulator == k),
            JUMP_EQUAL_INDEX => Some(accumulator == index),
            JUMP_GREATER_INDEX => Some(accumulator > index),
            JUMP_AT_LEAST => Some(accumulator >= k),
            JUMP_AT_LEAST_INDEX => Some(accumulator >= index),
            JUMP_ANY_BIT => Some(accumulator & k != 0),
            _ => None,
        };
        if let Some(holds) = condition {
            rest = rest.get(usize::from(if holds { jt } else { jf })..)?;
            continue;
        }
        match code {
            RETURN => return Some(accumulator),
            RETURN_CONSTANT => return Some(k),
            JUMP => rest = rest.get(usize::try_from(k).ok()?..)?,
            STORE => *cells.get_mut(usize::try_from(k).ok()?)? = accumulator,
            LOAD_INDEX_CELL => index = *cells.get(usize::try_from(k).ok()?)?,
            COPY_TO_INDEX => index = accumulator,
            LOAD_CELL => accumulator = *cells.get(usize::try_from(k).ok()?)?,
            LOAD_CONSTANT => accumulator = k,
            LOAD_LENGTH => accumulator = u32::try_from(packet.len()).ok()?,
            LOAD_WORD if k == ANCILLARY_ETHER_TYPE => accumulator = ancillary.ether_type.into(),
            LOAD_WORD if k == ANCILLARY_ADDRESSEE => accumulator = ancillary.addressee.into(),
            LOAD_WORD => accumulator = u32::from_be_bytes(bytes(packet, k.into())?),
            LOAD_HALF => accumulator = u16::from_be_bytes(bytes(packet, k.into())?).into(),
            LOAD_BYTE => accumulator = u8::from_be_bytes(bytes(packet, k.into())?).into(),
            LOAD_WORD_INDEXED => accumulator = u32::from_be_bytes(bytes(packet, behind_index)?),
            LOAD_HALF_INDEXED => {
                accumulator = u16::from_be_bytes(bytes(packet, behind_index)?).into();
            }
            LOAD_BYTE_INDEXED => {
                accumulator = u8::from_be_bytes(bytes(packet, behind_index)?).into();
            }
            ADD => accumulator = accumulator.wrapping_add(k),
            ADD_INDEX => accumulator = accumulator.wrapping_add(index),
            MULTIPLY => accumulator = accumulator.wrapping_mul(k),
            AND => accumulator &= k,
            SHIFT_LEFT => accumulator = accumulator.checked_shl(k)?,
            SHIFT_RIGHT => accumulator = accumulator.checked_shr(k)?,
            REMAINDER => accumulator = accumulator.checked_rem(k)?,
            XOR => accumulator ^= k,
            XOR_INDEX => accumulator ^= index,
            _ => return None,
        }
    }
    None
}

/// The bytes at an offset.
fn bytes<const N: usize>(packet: &[u8], offset: u64) -> Option<[u8; N]> {
    let rest = packet.get(usize::try_from(offset).ok()?..)?;
    rest.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::super::Instruction;
    use super::super::opcode::*;
    use super::run;

    #[test]
    fn loads_are_big_endian_and_end_the_program_beyond_the_packet() {
        check(&[(LOAD_WORD, 1), (RETURN, 0)], 0x0203_0405);
        check(&[(LOAD_HALF, 3), (RETURN, 0)], 0x0405);
        check(&[(LOAD_BYTE, 4), (RETURN, 0)], 5);
        for (code, offset) in [(LOAD_WORD, 2), (LOAD_HALF, 4), (LOAD_BYTE, 5)] {
            check(&[(code, offset), (RETURN_CONSTANT, 7)], 0);
            check(&[(code, u32::MAX), (RETURN_CONSTANT, 7)], 0);
        }
        check(&[(LOAD_LENGTH, 0), (RETURN, 0)], 5);
    }

    #[test]
    fn indexed_loads_add_without_wrapping() {
        let load = |index, offset| {
            [
                (LOAD_CONSTANT, index),
                (COPY_TO_INDEX, 0),
                (LOAD_HALF_INDEXED, offset),
                (RETURN, 0),
            ]
        };
        check(&load(2, 1), 0x0405);
        check(&load(2, 2), 0);
        check(&load(u32::MAX, 2), 0);
    }

    #[test]
    fn arithmetic_wraps_at_32_bits() {
        let compute = |from, code, k| check_value(&[(LOAD_CONSTANT, from), (code, k), (RETURN, 0)]);
        assert_eq!(compute(u32::MAX, ADD, 2), 1);
        assert_eq!(compute(0x8000_0001, MULTIPLY, 2), 2);
        assert_eq!(compute(0x8000_0001, SHIFT_LEFT, 1), 2);
        assert_eq!(compute(0x8000_0001, SHIFT_RIGHT, 31), 1);
        assert_eq!(compute(17, REMAINDER, 5), 2);
        assert_eq!(compute(0b1100, AND, 0b1010), 0b1000);
        assert_eq!(compute(0b1100, XOR, 0b1010), 0b0110);
    }

    #[test]
    fn conditions_skip_forward() {
        let taken = |code, k| {
            let program = [
                Instruction {
                    code: LOAD_CONSTANT,
                    jt: 0,
                    jf: 0,
                    k: 6,
                },
                Instruction {
                    code,
                    jt: 1,
                    jf: 0,
                    k,
                },
                Instruction {
                    code: RETURN_CONSTANT,
                    jt: 0,
                    jf: 0,
                    k: 0,
                },
                Instruction {
                    code: RETURN_CONSTANT,
                    jt: 0,
                    jf: 0,
                    k: 1,
                },
            ];
            run(&program, &[]) == 1
        };
        assert!(taken(JUMP_EQUAL, 6) && !taken(JUMP_EQUAL, 5));
        assert!(taken(JUMP_AT_LEAST, 6) && !taken(JUMP_AT_LEAST, 7));
        assert!(taken(JUMP_ANY_BIT, 3) && !taken(JUMP_ANY_BIT, 9));
        // The index register is 0.
        assert!(taken(JUMP_GREATER_INDEX, 0) && taken(JUMP_AT_LEAST_INDEX, 0));
    }

    #[test]
    fn what_the_kernel_would_refuse_returns_zero() {
        check(&[], 0);
        check(&[(LOAD_CONSTANT, 5)], 0);
        check(&[(JUMP, 1), (RETURN_CONSTANT, 5)], 0);
        check(&[(STORE, 16), (RETURN_CONSTANT, 5)], 0);
        check(&[(0xffff, 0), (RETURN_CONSTANT, 5)], 0);
        check(
            &[(LOAD_CONSTANT, 5), (REMAINDER, 0), (RETURN_CONSTANT, 5)],
            0,
        );
    }

    fn check(program: &[(u16, u32)], expected: u32) {
        assert_eq!(check_value(program), expected, "{program:x?}");
    }

    fn check_value(program: &[(u16, u32)]) -> u32 {
        let instruction = |&(code, k)| Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        };
        let program: Vec<_> = program.iter().map(instruction).collect();
        run(&program, &[1, 2, 3, 4, 5])
    }
}
