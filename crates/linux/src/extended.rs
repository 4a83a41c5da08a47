//! Programs of extended BPF: loaded with bpf(2) and held by a descriptor.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_long, c_uint};

/// An instruction of extended BPF, laid out as the kernel's `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExtendedInstruction {
    /// Operation, operand size and addressing mode.
    pub code: u8,
    /// Destination and source register.
    pub registers: u8,
    /// Offset of a load, or instructions to skip.
    pub offset: i16,
    /// Constant.
    pub constant: i32,
}

const _: () = assert!(mem::size_of::<ExtendedInstruction>() == 8);

/// `enum bpf_cmd`.
const PROG_LOAD: c_long = 5;
const PROG_TEST_RUN: c_long = 10;

/// What the kernel may say about a program that it refuses; it keeps the end.
const LOG_BYTES: usize = 512;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An interface's ingress: see [`tap_drop`](crate::tap_drop).
    Ingress,
    /// Choosing a socket: see [`UdpSocket::steer_extended`](crate::udp::UdpSocket::steer_extended).
    Steering,
}

impl Purpose {
    /// `enum bpf_prog_type`, `bpf_attach_type`, and what the program is called where programs are
    /// listed.
    const fn of_kernel(self) -> (u32, u32, &'static [u8]) {
        match self {
            Self::Ingress => (3, TCX_INGRESS, b"vxscope_drop"),
            Self::Steering => (1, 0, b"vxscope_steer"),
        }
    }
}

/// `enum bpf_attach_type`.
pub(crate) const TCX_INGRESS: u32 = 46;

/// `union bpf_attr` as `BPF_PROG_LOAD` reads it, as far as it is given.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
struct TestRun {
    program: i32,
    result: u32,
    bytes_in: u32,
    bytes_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    more: [u64; 4],
}

/// A program that the kernel has accepted.
#[derive(Debug)]
pub struct LoadedProgram(OwnedFd);

impl LoadedProgram {
    /// Loads a program.
    ///
    /// # Errors
    /// `EPERM` without CAP_BPF, for an interface's ingress also without CAP_NET_ADMIN; `EINVAL` or
    /// `EACCES` for a program that the kernel does not accept.
    pub fn load(program: &[ExtendedInstruction], purpose: Purpose) -> io::Result<Self> {
        let mut log = [0; LOG_BYTES];
        Self::try_load(program, purpose, None).or_else(|_| {
            // Once more, to be told why.
            Self::try_load(program, purpose, Some(&mut log)).map_err(|error| {
                let told = log.split(|byte| *byte == 0).next().unwrap_or_default();
                match String::from_utf8_lossy(told).trim() {
                    "" => error,
                    told => io::Error::new(error.kind(), format!("{error}: {told}")),
                }
            })
        })
    }

    fn try_load(
        program: &[ExtendedInstruction],
        purpose: Purpose,
        log: Option<&mut [u8; LOG_BYTES]>,
    ) -> io::Result<Self> {
        let (kind, attach, called) = purpose.of_kernel();
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(called) {
            *to = *from;
        }
        let count = u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut load = Load {
            kind,
            count,
            instructions: program.as_ptr().addr() as u64,
            license: c"Apache-2.0".as_ptr().addr() as u64,
            log_level: u32::from(log.is_some()),
            log_size: log.as_ref().map_or(0, |_| LOG_BYTES as u32),
            log: log.map_or(0, |log| log.as_mut_ptr().expose_provenance() as u64),
            kernel_version: 0,
            flags: 0,
            name,
            interface: 0,
            attach,
        };
        program.as_ptr().expose_provenance();
        c"Apache-2.0".as_ptr().expose_provenance();
        // SAFETY: the structure is as the kernel reads it for this command, and leads to `count`
        // instructions and to a string that ends, which are only read, and to a log of the length
        // it says, which is ours to write or has none; all of them live until the call returns.
        let descriptor = unsafe { bpf(PROG_LOAD, &mut load)? };
        // SAFETY: the descriptor is open, was just made, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// What the program says of a frame, by the kernel itself, for tests. For
    /// [`Purpose::Steering`] the datagram is what follows 14 bytes, at least one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn run(&self, frame: &[u8]) -> io::Result<i32> {
        let bytes_in = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        frame.as_ptr().expose_provenance();
        let mut run = TestRun {
            program: self.0.as_raw_fd(),
            result: 0,
            bytes_in,
            bytes_out: 0,
            data_in: frame.as_ptr().addr() as u64,
            data_out: 0,
            repeat: 1,
            duration: 0,
            more: [0; 4],
        };
        // SAFETY: the structure is as the kernel reads and writes it for this command; the frame
        // is as long as it says, lives until the call returns and is only read.
        unsafe { bpf(PROG_TEST_RUN, &mut run)? };
        Ok(i32::from_ne_bytes(run.result.to_ne_bytes()))
    }
}

impl AsFd for LoadedProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The system call; the descriptor or 0 that it returns.
///
/// # Safety
/// `attributes` is what the kernel reads for this command, and so is what its pointers lead to.
pub(crate) unsafe fn bpf<T>(command: c_long, attributes: &mut T) -> io::Result<i32> {
    let bytes = c_uint::try_from(mem::size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the structure is ours and as long as is said; the caller answers for the rest.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *mut T, bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}
