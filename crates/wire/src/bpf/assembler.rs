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
    /// Equal to the index register.
    EqualIndex,
    /// At least the index register.
    AtLeastIndex,
    /// Above the index register.
    AboveIndex,
}

/// A program in the making.
pub(super) struct Assembler {
    items: Vec<Item>,
    /// The items that labels stand before.
    places: Vec<Option<usize>>,
}

#[derive(Clone, Copy)]
enum Item {
    Plain(Instruction),
    Jump(Label),
    /// A jump if the condition gives this answer.
    Branch(If, bool, Label),
}

impl Assembler {
    pub(super) const fn new() -> Self {
        Self {
            items: Vec::new(),
            places: Vec::new(),
        }
    }

    /// An instruction that does not jump.
    pub(super) fn put(&mut self, code: u16, k: u32) {
        self.items.push(Item::Plain(plain(code, k)));
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
        *place.expect("labels are made here") = Some(self.items.len());
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.items.push(Item::Jump(label));
    }

    pub(super) fn jump_if(&mut self, condition: If, label: Label) {
        self.items.push(Item::Branch(condition, true, label));
    }

    pub(super) fn jump_unless(&mut self, condition: If, label: Label) {
        self.items.push(Item::Branch(condition, false, label));
    }

    /// Ends with worker 0.
    pub(super) fn give_up_if(&mut self, condition: If) {
        self.items.push(Item::Plain(condition.instruction(0, 1)));
        self.put(RETURN_CONSTANT, 0);
    }

    pub(super) fn give_up_unless(&mut self, condition: If) {
        self.items.push(Item::Plain(condition.instruction(1, 0)));
        self.put(RETURN_CONSTANT, 0);
    }

    /// The program, its jumps resolved. A condition skips 255 instructions at most; one that
    /// goes farther skips, or does not, a jump behind it, which has no limit.
    pub(super) fn finish(self) -> Vec<Instruction> {
        // Where items start if every branch is two instructions long, which is never too near.
        let farthest = starts(&self.items, |_| 2);
        let length = |at: usize| match self.items.get(at) {
            Some(Item::Branch(_, _, label)) => {
                1 + usize::from(u8::try_from(self.skipped(&farthest, at, *label)).is_err())
            }
            _ => 1,
        };
        let starts = starts(&self.items, length);
        let mut code = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let jump = |label| {
                let skipped = u32::try_from(self.skipped(&starts, at, label));
                plain(JUMP, skipped.expect("programs are short"))
            };
            match *item {
                Item::Plain(instruction) => code.push(instruction),
                Item::Jump(label) => code.push(jump(label)),
                Item::Branch(condition, holds, label) if length(at) == 1 => {
                    let skipped = u8::try_from(self.skipped(&starts, at, label));
                    let skipped = skipped.expect("what is near stays near");
                    let (jt, jf) = if holds { (skipped, 0) } else { (0, skipped) };
                    code.push(condition.instruction(jt, jf));
                }
                Item::Branch(condition, holds, label) => {
                    code.push(condition.instruction(u8::from(!holds), u8::from(holds)));
                    code.push(jump(label));
                }
            }
        }
        code
    }

    /// Instructions between the last one of an item and its label.
    fn skipped(&self, starts: &[usize], at: usize, Label(label): Label) -> usize {
        let place = self.places.get(label).copied().flatten();
        let place = place.and_then(|place| starts.get(place));
        let behind = starts.get(at + 1);
        let skipped = place
            .zip(behind)
            .and_then(|(to, from)| to.checked_sub(*from));
        skipped.expect("labels are placed behind their jumps")
    }
}

/// Where each item starts, and the end, if branches have these lengths.
fn starts(items: &[Item], branch_len: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut start = 0;
    let mut starts = vec![0];
    for (at, item) in items.iter().enumerate() {
        start += match item {
            Item::Plain(_) | Item::Jump(_) => 1,
            Item::Branch(..) => branch_len(at),
        };
        starts.push(start);
    }
    starts
}

const fn plain(code: u16, k: u32) -> Instruction {
    Instruction {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

impl If {
    const fn instruction(self, jt: u8, jf: u8) -> Instruction {
        let (code, k) = match self {
            Self::Equal(k) => (JUMP_EQUAL, k),
            Self::AtLeast(k) => (JUMP_AT_LEAST, k),
            Self::AnyBit(k) => (JUMP_ANY_BIT, k),
            Self::EqualIndex => (JUMP_EQUAL_INDEX, 0),
            Self::AtLeastIndex => (JUMP_AT_LEAST_INDEX, 0),
            Self::AboveIndex => (JUMP_GREATER_INDEX, 0),
        };
        Instruction { code, jt, jf, k }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::run;
    use super::{Assembler, If};
    use crate::bpf::opcode::*;

    #[test]
    fn jumps_of_every_length_arrive() {
        for distance in [0, 1, 253, 254, 255, 256, 257, 1_000] {
            for (condition, taken) in [(If::Equal(0), true), (If::Equal(1), false)] {
                let mut code = Assembler::new();
                let (far, end) = (code.label(), code.label());
                code.jump_if(condition, far);
                code.jump_unless(condition, end);
                code.place(far);
                for _ in 0..distance {
                    code.put(ADD, 1);
                }
                code.place(end);
                code.put(RETURN, 0);
                let program = code.finish();
                let expected = if taken { distance } else { 0 };
                assert_eq!(run(&program, &[]), expected, "{distance}");
                let long = usize::from(distance > 255);
                assert_eq!(program.len(), 3 + long + distance as usize);
            }
        }
    }
}
