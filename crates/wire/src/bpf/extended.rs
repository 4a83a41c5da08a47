//! Instructions of extended BPF, written one after the other, with labels for jumps forward.

/// An instruction of extended BPF, laid out as the kernel's `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExtendedInstruction {
    /// Operation, operand size and addressing mode.
    pub code: u8,
    /// Destination register in the low half, source register in the high one; on big-endian
    /// machines the other way round.
    pub registers: u8,
    /// Offset of a load, or instructions to skip.
    pub offset: i16,
    /// Constant.
    pub constant: i32,
}

pub(super) const COPY: u8 = 0xbf;
pub(super) const SET: u8 = 0xb7;
pub(super) const ADD: u8 = 0x07;
pub(super) const ADD_REGISTER: u8 = 0x0f;
pub(super) const AND: u8 = 0x57;
pub(super) const SHIFT_LEFT: u8 = 0x67;
pub(super) const OR_REGISTER: u8 = 0x4f;
/// From network order to the machine's, of as many bits as the constant says; the rest is 0.
pub(super) const FROM_NETWORK: u8 = 0xdc;
/// On the lower half of a register; the upper one is 0 afterwards.
pub(super) const COPY_LOW: u8 = 0xbc;
pub(super) const SET_LOW: u8 = 0xb4;
pub(super) const MULTIPLY_LOW: u8 = 0x24;
pub(super) const LOAD_WORD: u8 = 0x61;
pub(super) const LOAD_HALF: u8 = 0x69;
pub(super) const LOAD_BYTE: u8 = 0x71;
pub(super) const STORE_WORD: u8 = 0x63;
pub(super) const JUMP: u8 = 0x05;
/// The conditions compare the lower 32 bits.
pub(super) const JUMP_EQUAL: u8 = 0x16;
pub(super) const JUMP_NOT_EQUAL: u8 = 0x56;
pub(super) const JUMP_ANY_BIT: u8 = 0x46;
pub(super) const JUMP_BELOW: u8 = 0xa6;
/// As the one before, of numbers that may be below 0.
pub(super) const JUMP_LESS: u8 = 0xc6;
pub(super) const JUMP_NOT_LESS_REGISTER: u8 = 0x7e;
pub(super) const CALL: u8 = 0x85;
pub(super) const EXIT: u8 = 0x95;

/// `bpf_skb_load_bytes`: packet, offset, where to, how many; 0 if they are there.
pub(super) const HELPER_LOAD_BYTES: i32 = 26;

/// What a call returns, and what the program does.
pub(super) const RESULT: u8 = 0;
/// What a call takes, and the first what the program is called with: the packet.
pub(super) const ARGUMENTS: [u8; 4] = [1, 2, 3, 4];
/// Where programs keep the packet: loads from it find it there.
pub(super) const PACKET: u8 = 6;
/// The end of the stack, which is 512 bytes.
pub(super) const FRAME: u8 = 10;

/// A number in network order as a load in the machine's order sees it.
pub(super) fn half(number: u16) -> i32 {
    u16::from_ne_bytes(number.to_be_bytes()).into()
}

/// A place in the program that is not known yet.
#[derive(Clone, Copy)]
pub(super) struct Label(usize);

/// A program in the making.
#[derive(Default)]
pub(super) struct Code {
    instructions: Vec<ExtendedInstruction>,
    jumps: Vec<(usize, Label)>,
    places: Vec<Option<usize>>,
}

impl Code {
    pub(super) fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, constant: i32) {
        let (low, high) = if cfg!(target_endian = "little") {
            (to, from)
        } else {
            (from, to)
        };
        self.instructions.push(ExtendedInstruction {
            code,
            registers: low | (high << 4),
            offset,
            constant,
        });
    }

    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    pub(super) fn place(&mut self, Label(label): Label) {
        if let Some(place) = self.places.get_mut(label) {
            *place = Some(self.instructions.len());
        }
    }

    /// A jump that compares a register with a constant.
    pub(super) fn branch(&mut self, code: u8, register: u8, constant: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.put(code, register, 0, 0, constant);
    }

    /// A jump that compares two registers.
    pub(super) fn branch_by(&mut self, code: u8, register: u8, with: u8, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.put(code, register, with, 0, 0);
    }

    /// Copies bytes of the packet to a place on the stack, from the offset in the second argument
    /// on; goes away if there are fewer.
    pub(super) fn load_bytes(&mut self, bytes: i32, buffer: i16, away: Label) {
        let [packet, _, to, length] = ARGUMENTS;
        self.put(COPY, packet, PACKET, 0, 0);
        self.put(COPY, to, FRAME, 0, 0);
        self.put(ADD, to, 0, 0, buffer.into());
        self.put(SET, length, 0, 0, bytes);
        self.put(CALL, 0, 0, 0, HELPER_LOAD_BYTES);
        self.branch(JUMP_NOT_EQUAL, RESULT, 0, away);
    }

    /// The program, its jumps resolved. All are forward and far shorter than 32,768.
    pub(super) fn finish(mut self) -> Vec<ExtendedInstruction> {
        for (at, Label(label)) in self.jumps {
            let place = self.places.get(label).copied().flatten();
            let skipped = place.and_then(|place| place.checked_sub(at + 1));
            let skipped = skipped.and_then(|skipped| i16::try_from(skipped).ok());
            if let Some(instruction) = self.instructions.get_mut(at) {
                instruction.offset = skipped.expect("labels are placed behind their jumps");
            }
        }
        self.instructions
    }
}
