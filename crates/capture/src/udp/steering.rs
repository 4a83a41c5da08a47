//! The program by which the kernel chooses among the sockets of a port.
//!
//! In extended BPF it is the cheaper one, and takes CAP_BPF on most hosts; in classic BPF any user
//! may attach it. Both choose the same socket for every datagram, so one can take the other's
//! place at any time.

use std::io;
use std::num::NonZeroU16;

use vxscope_linux::udp::UdpSocket;
use vxscope_linux::{LoadedProgram, Purpose};
use vxscope_wire::Tunnel;
use vxscope_wire::bpf::{Program, steering_extended};

use super::error::UdpError;
use crate::program::{extended_instructions, instructions};

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct SocketChoice {
    /// Seed of the steering function.
    pub seed: u32,
    /// How many sockets there are.
    pub workers: NonZeroU16,
    /// What comes on the port.
    pub tunnel: Tunnel,
}

/// The kind of program that makes the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steered {
    /// Extended BPF.
    Extended,
    /// Classic BPF.
    Classic {
        /// Why not the other.
        declined: String,
    },
}

impl Steered {
    /// As it is shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Extended => "ebpf",
            Self::Classic { .. } => "cbpf",
        }
    }

    /// Of the ports so far and one more: a port without the cheaper program is what to tell.
    pub(super) fn of_all(so_far: Option<Self>, one_more: Option<Self>) -> Option<Self> {
        match so_far {
            Some(Self::Classic { .. }) => so_far,
            _ => one_more,
        }
    }

    /// Why it is not the cheaper one.
    #[must_use]
    pub fn declined(&self) -> Option<&str> {
        match self {
            Self::Extended => None,
            Self::Classic { declined } => Some(declined),
        }
    }
}

impl SocketChoice {
    /// Lets the best program that the kernel takes choose among the group of this socket.
    ///
    /// # Errors
    /// [`UdpError::Steering`]: the kernel takes neither.
    pub fn attach(&self, socket: &UdpSocket) -> Result<Steered, UdpError> {
        let extended = self.load().and_then(|it| socket.steer_extended(&it));
        let Err(error) = extended else {
            return Ok(Steered::Extended);
        };
        self.attach_classic(socket)?;
        Ok(Steered::Classic {
            declined: declined(&error),
        })
    }

    /// Lets the program choose that any user may attach.
    ///
    /// # Errors
    /// [`UdpError::Steering`].
    pub fn attach_classic(&self, socket: &UdpSocket) -> Result<(), UdpError> {
        let program = Program::steering(self.seed, self.workers, self.tunnel);
        let steered = socket.steer(&instructions(&program));
        steered.map_err(|source| UdpError::Steering { source })
    }

    /// The program in extended BPF, accepted by the kernel.
    ///
    /// # Errors
    /// `EPERM` without CAP_BPF or where a filter of system calls has no bpf(2), and whatever else
    /// the kernel says.
    pub fn load(&self) -> io::Result<LoadedProgram> {
        let program = steering_extended(self.seed, self.workers, self.tunnel);
        LoadedProgram::load(&extended_instructions(&program), Purpose::Steering)
    }
}

fn declined(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "it takes CAP_BPF and the system call bpf(2)".to_owned(),
        _ => error.to_string(),
    }
}
