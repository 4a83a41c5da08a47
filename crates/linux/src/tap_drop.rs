//! Keeps packets that rings have seen from the kernel's own stack: a program at an interface's
//! ingress, behind the taps.
//!
//! The program is loaded and attached with bpf(2) (TCX, Linux 6.6) and held by one descriptor. The
//! kernel takes it away when that descriptor is closed, so also when this process is killed.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

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

/// `enum bpf_cmd`, `bpf_prog_type`, `bpf_attach_type`.
const PROG_LOAD: c_long = 5;
const PROG_TEST_RUN: c_long = 10;
const PROG_QUERY: c_long = 16;
const LINK_CREATE: c_long = 28;
const SCHED_CLS: u32 = 3;
const TCX_INGRESS: u32 = 46;

/// What the kernel may say about a program that it refuses; it keeps the end.
const LOG_BYTES: usize = 512;

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
struct Link {
    program: i32,
    interface: u32,
    attach: u32,
    flags: u32,
    relative: u32,
    unused: u32,
    revision: u64,
}

#[repr(C)]
struct Query {
    interface: u32,
    attach: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    unused: u32,
    more: [u64; 4],
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

/// A program at an interface's ingress, until it is dropped or the process ends.
#[derive(Debug)]
pub struct TapDrop {
    _link: OwnedFd,
}

impl LoadedProgram {
    /// Loads a program for an interface's ingress.
    ///
    /// # Errors
    /// `EPERM` without CAP_BPF and CAP_NET_ADMIN, `EINVAL` or `EACCES` for a program that the
    /// kernel does not accept.
    pub fn load(program: &[ExtendedInstruction]) -> io::Result<Self> {
        let mut log = [0; LOG_BYTES];
        Self::try_load(program, None).or_else(|_| {
            // Once more, to be told why.
            Self::try_load(program, Some(&mut log)).map_err(|error| {
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
        log: Option<&mut [u8; LOG_BYTES]>,
    ) -> io::Result<Self> {
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(b"vxscope_drop") {
            *to = *from;
        }
        let count = u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut load = Load {
            kind: SCHED_CLS,
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
            attach: TCX_INGRESS,
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

    /// Puts it behind the programs at an interface's ingress.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN, `EINVAL` before Linux 6.6, `ENODEV`.
    pub fn attach(&self, interface: u32) -> io::Result<TapDrop> {
        let mut link = Link {
            program: self.0.as_raw_fd(),
            interface,
            attach: TCX_INGRESS,
            flags: 0,
            relative: 0,
            unused: 0,
            revision: 0,
        };
        // SAFETY: the structure is as the kernel reads it for this command and has no pointers.
        let descriptor = unsafe { bpf(LINK_CREATE, &mut link)? };
        // SAFETY: the descriptor is open, was just made, and nobody else has it.
        let link = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(TapDrop { _link: link })
    }

    /// The kernel's own verdict on a frame, for tests.
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

/// How many programs are at an interface's ingress, ours and others'.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN, `EINVAL` before Linux 6.6.
pub fn programs_at_ingress(interface: u32) -> io::Result<usize> {
    let mut query = Query {
        interface,
        attach: TCX_INGRESS,
        flags: 0,
        attach_flags: 0,
        programs: 0,
        count: 0,
        unused: 0,
        more: [0; 4],
    };
    // SAFETY: the structure is as the kernel reads and writes it for this command, and has no
    // pointers.
    match unsafe { bpf(PROG_QUERY, &mut query) } {
        Ok(_) => Ok(query.count as usize),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(0),
        Err(error) => Err(error),
    }
}

/// The system call; the descriptor or 0 that it returns.
///
/// # Safety
/// `attributes` is what the kernel reads for this command, and so is what its pointers lead to.
unsafe fn bpf<T>(command: c_long, attributes: &mut T) -> io::Result<i32> {
    let bytes = c_uint::try_from(mem::size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the structure is ours and as long as is said; the caller answers for the rest.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *mut T, bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}
