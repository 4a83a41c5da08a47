//! Keeps packets that rings have seen from the kernel's own stack: a program at an interface's
//! ingress, behind the taps.
//!
//! The program is loaded and attached with bpf(2) (TCX, Linux 6.6) and held by one descriptor. The
//! kernel takes it away when that descriptor is closed, so also when this process is killed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use libc::c_long;

use crate::extended::{LoadedProgram, TCX_INGRESS, bpf};

/// `enum bpf_cmd`.
const PROG_QUERY: c_long = 16;
const LINK_CREATE: c_long = 28;

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

/// A program at an interface's ingress, until it is dropped or the process ends.
#[derive(Debug)]
pub struct TapDrop {
    _link: OwnedFd,
}

impl LoadedProgram {
    /// Puts it behind the programs at an interface's ingress.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN, `EINVAL` before Linux 6.6, `ENODEV`.
    pub fn attach(&self, interface: u32) -> io::Result<TapDrop> {
        let mut link = Link {
            program: self.as_fd().as_raw_fd(),
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
