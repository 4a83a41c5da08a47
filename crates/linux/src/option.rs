//! Socket options that take or give a value of plain data.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_ushort, c_void, socklen_t};

use crate::program::Instruction;

/// Values the kernel reads or fills: any bytes are a valid one.
///
/// # Safety
/// The type has no padding, no invalid bit patterns, no pointers.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: integers, without padding between them.
unsafe impl<const N: usize> Plain for [u32; N] {}

/// Sets an option of level `SOL_SOCKET`.
pub(crate) fn set<T: Plain>(socket: BorrowedFd<'_>, name: c_int, value: T) -> io::Result<()> {
    set_at(socket, libc::SOL_SOCKET, name, value)
}

/// Sets an option of another level.
pub(crate) fn set_at<T: Plain>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: T,
) -> io::Result<()> {
    // SAFETY: `value` lives until the end of this function and is plain data, and the length is
    // its own.
    unsafe { set_raw(socket, level, name, &raw const value, mem::size_of::<T>()) }
}

/// Sets an option from `bytes` bytes at `value`.
///
/// # Safety
/// The bytes are readable, and so is what pointers in them lead to, as `name` asks.
pub(crate) unsafe fn set_raw<T>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: *const T,
    bytes: usize,
) -> io::Result<()> {
    let length = socklen_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open while it is borrowed; the caller answers for the bytes, which
    // the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.cast::<c_void>(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Fills `value` with an option of level `SOL_SOCKET`; the kernel must know it at full length.
pub(crate) fn get<T: Plain>(socket: BorrowedFd<'_>, name: c_int, value: T) -> io::Result<T> {
    get_at(socket, libc::SOL_SOCKET, name, value)
}

/// Fills `value` with an option of another level.
pub(crate) fn get_at<T: Plain>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    mut value: T,
) -> io::Result<T> {
    let whole =
        socklen_t::try_from(mem::size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut length = whole;
    // SAFETY: the descriptor is open while it is borrowed; `value` is ours to write, the kernel
    // writes no more than `length` bytes, and any bytes are a valid value of plain data.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast::<c_void>(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != whole {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(value)
}

/// Attaches a classic-BPF program by the option of this level and name.
pub(crate) fn attach(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    program: &[Instruction],
) -> io::Result<()> {
    let len = c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    let bytes = mem::size_of::<libc::sock_fprog>();
    // SAFETY: the structure is readable and leads to `len` instructions, laid out as the kernel
    // wants them (checked in `program`), which it copies and does not write.
    unsafe { set_raw(socket, level, name, &raw const program, bytes) }
}
