//! Writes instructions one after the other, with labels for jumps forward.

use super::Instruction;
use super::opcode::*;

/// A place in the program that is not known yet.
#[derive(Clone, Copy)]
pub(super) struct Label(usize);

/// A word of scratch memory.
#[derive(Clone, Copy)]
pub(super) struct Cell(pub(super) u32);

/// Bytes of the packet.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// At a fixed offset. The kernel loads it inline.
    Fixed(u32),
    /// So many bytes behind the offset in a cell. A call in the kernel, and the index register is
    /// overwritten.
    Behind(Cell, u32),
}

/// A condition on the accumulator.
#[derive(Clone, Copy)]
pub(super) enum If {
    Equal(u32),
    AtLeast(u32),
    AnyBit(u32),
    /// At least the index register.
    AtLeastIndex,
    /// Above the index register.
    AboveIndex,
}

/// A program in the making.
pub(super) struct Assembler {
    code: Vec<Instruction>,
    /// Jumps, each with the label it goes to.
    jumps: Vec<(usize, Label)>,
    places: Vec<Option<usize>>,
}

impl Assembler {
    pub(super) const fn new() -> Self {
        Self {
            code: Vec::new(),
            jumps: Vec::new(),
            places: Vec::new(),
        }
    }

    /// An instruction that does not jump.
    pub(super) fn put(&mut self, code: u16, k: u32) {
        self.code.push(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        });
    }

    pub(super) fn load_word(&mut self, at: At) {
        self.load(LOAD_WORD, at);
    }

    pub(super) fn load_half(&mut self, at: At) {
        self.load(LOAD_HALF, at);
    }

    pub(super) fn load_byte(&mut self, at: At) {
        self.load(LOAD_BYTE, at);
    }

    fn load(&mut self, code: u16, at: At) {
        match at {
            At::Fixed(offset) => self.put(code, offset),
            At::Behind(cell, offset) => {
                self.load_index(cell);
                self.put(code + INDEXED, offset);
            }
        }
    }

    pub(super) fn load_cell(&mut self, Cell(cell): Cell) {
        self.put(LOAD_CELL, cell);
    }

    pub(super) fn load_index(&mut self, Cell(cell): Cell) {
        self.put(LOAD_INDEX_CELL, cell);
    }

    pub(super) fn store(&mut self, Cell(cell): Cell) {
        self.put(STORE, cell);
    }

    /// Adds a cell to the accumulator, through the index register.
    pub(super) fn add_cell(&mut self, cell: Cell) {
        self.load_index(cell);
        self.put(ADD_INDEX, 0);
    }

    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// The label is here, behind every jump to it.
    pub(super) fn place(&mut self, Label(label): Label) {
        let place = self.places.get_mut(label);
        *place.expect("labels are made here") = Some(self.code.len());
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.put(JUMP, 0);
    }

    /// Conditions skip 255 instructions at most, so this one only skips the jump, which has no
    /// limit.
    pub(super) fn jump_if(&mut self, condition: If, label: Label) {
        self.skip(condition, 0, 1);
        self.jump(label);
    }

    pub(super) fn jump_unless(&mut self, condition: If, label: Label) {
        self.skip(condition, 1, 0);
        self.jump(label);
    }

    /// Ends with worker 0.
    pub(super) fn give_up_if(&mut self, condition: If) {
        self.skip(condition, 0, 1);
        self.put(RETURN_CONSTANT, 0);
    }

    pub(super) fn give_up_unless(&mut self, condition: If) {
        self.skip(condition, 1, 0);
        self.put(RETURN_CONSTANT, 0);
    }

    fn skip(&mut self, condition: If, jt: u8, jf: u8) {
        let (code, k) = match condition {
            If::Equal(k) => (JUMP_EQUAL, k),
            If::AtLeast(k) => (JUMP_AT_LEAST, k),
            If::AnyBit(k) => (JUMP_ANY_BIT, k),
            If::AtLeastIndex => (JUMP_AT_LEAST_INDEX, 0),
            If::AboveIndex => (JUMP_GREATER_INDEX, 0),
        };
        self.code.push(Instruction { code, jt, jf, k });
    }

    /// The program, its jumps resolved.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (from, Label(label)) in self.jumps {
            let place = self.places.get(label).copied().flatten();
            let skipped = place
                .and_then(|place| place.checked_sub(from + 1))
                .and_then(|skipped| u32::try_from(skipped).ok());
            let jump = self.code.get_mut(from);
            jump.expect("a jump was put there").k = skipped.expect("labels are behind their jumps");
        }
        self.code
    }
}
