//! The steering function as a classic BPF program that the kernel runs on each datagram.
//!
//! `SO_ATTACH_REUSEPORT_CBPF` hands a group of sockets such a program; what it returns is the
//! index of the socket, in the order in which they were bound. A program has an accumulator, an
//! index register, 16 words of scratch memory and forward jumps only; it reads the packet from
//! the first byte behind the UDP header on (measured, Linux 6.18). `PACKET_FANOUT_CBPF` hands one
//! to a group of packet rings; that one reads from the outer IP header on. [`Program::run`] executes one
//! as the kernel would, so that the two implementations of [`steer`](crate::steer) are held
//! against each other by tests. [`steering_extended`] is the same in extended BPF, for where the
//! kernel takes that.
//!
//! ```
//! use std::num::NonZeroU16;
//! use vxscope_wire::{Tunnel, bpf::Program};
//!
//! let workers = NonZeroU16::new(4).unwrap();
//! let program = Program::steering(0x5eed, workers, Tunnel::Vxlan);
//! assert!(program.run(b"\x08\0\0\0\0\0\x07\0 and a frame of some kind") < 4);
//! assert_eq!(program.run(b"cut short"), 0);
//! ```

mod assembler;
mod drop;
mod extended;
mod header;
mod opcode;
mod packet;
#[cfg(test)]
mod packet_tests;
mod run;
mod selection;
mod steering;
mod swift;
#[cfg(test)]
mod tests;
mod translate;

use std::num::NonZeroU16;

use crate::decapsulate::{Options, Tunnel};

pub use drop::{DROP, PASS_ON, drop_selected};
pub use extended::ExtendedInstruction;
pub use selection::{Ancillary, OTHER_HOST, Selection};
pub use swift::steering_extended;

/// What the kernel accepts at most (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4_096;

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation, operand size and addressing mode.
    pub code: u16,
    /// Instructions to skip if a condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Constant, packet offset, scratch cell, or instructions to skip.
    pub k: u32,
}

/// A program for the sockets of one port group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// The program that chooses the socket of each datagram to a port of this tunnel.
    ///
    /// For every datagram that [`decapsulate_datagram`](crate::decapsulate_datagram) opens with
    /// [`Options::depth`](crate::Options::depth) 0 it returns what
    /// [`Steering::arrival`](crate::steer::Steering::arrival) returns for the frame inside, with
    /// the same seed and number of workers: all VLAN tags, IPv6 extension headers, fragments, and
    /// frames that are cut, malformed or not IP. So the copies of a flow that come as VXLAN and
    /// those that come through GENEVE reach one worker.
    ///
    /// It differs in two things. Datagrams that are rejected go to any worker. And ports are not
    /// compared with those of the tunnels, so where `depth` is above 0 a nested tunnel is steered
    /// as the flow between its ends, not by the frame inside.
    ///
    /// # Panics
    /// Never: the program's length does not depend on the arguments by more than a few
    /// instructions and is far below [`INSTRUCTIONS_MAX`].
    #[must_use]
    pub fn steering(seed: u32, workers: NonZeroU16, tunnel: Tunnel) -> Self {
        let instructions = steering::instructions(seed, workers, tunnel);
        assert!(instructions.len() <= INSTRUCTIONS_MAX);
        Self(instructions)
    }

    /// The program that chooses the worker of each packet of an interface: of the IP packet around
    /// what [`Program::steering`] chooses by, from its first byte on. `options` say which ports
    /// carry which tunnel.
    ///
    /// For every packet that [`open_packet`](crate::open_packet) opens it returns what that one
    /// returns for the datagram inside; all others go to any worker. The caller sees to it that
    /// only whole packets are looked at: it takes fragments for worker 0.
    ///
    /// # Panics
    /// Never, as [`Program::steering`].
    #[must_use]
    pub fn steering_packets(seed: u32, workers: NonZeroU16, options: &Options) -> Self {
        let instructions = packet::instructions(seed, workers, options);
        assert!(instructions.len() <= INSTRUCTIONS_MAX);
        Self(instructions)
    }

    /// The program that keeps the packets of an interface that are selected, whole, and refuses
    /// all others. It reads the packet from the IP header on.
    #[must_use]
    pub fn selecting(selection: &Selection) -> Self {
        Self(selection::instructions(selection))
    }

    /// The instructions, at most [`INSTRUCTIONS_MAX`].
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// Executes the program on a UDP payload, as the kernel would: a load beyond the packet ends
    /// it with 0.
    #[must_use]
    pub fn run(&self, payload: &[u8]) -> u32 {
        run::run(&self.0, payload)
    }

    /// As [`Program::run`], for [`Program::selecting`], which also asks the link layer.
    #[must_use]
    pub fn run_with(&self, packet: &[u8], ancillary: &Ancillary) -> u32 {
        run::run_with(&self.0, packet, ancillary)
    }
}
