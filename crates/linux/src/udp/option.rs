//! Socket options that take or give a value of plain data.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, socklen_t};

/// Values the kernel reads or fills: any bytes are a valid one.
///
/// # Safety
/// The type has no padding, no invalid bit patterns, no pointers.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: integers, without padding between them.
unsafe impl<const N: usize> Plain for [u32; N] {}

/// Sets an option of level `SOL_SOCKET`.
pub(super) fn set<T: Plain>(socket: BorrowedFd<'_>, name: c_int, value: T) -> io::Result<()> {
    // SAFETY: `value` lives until the end of this function and is plain data, and the length is
    // its own.
    unsafe { set_raw(socket, name, &raw const value, mem::size_of::<T>()) }
}

/// Sets an option from `bytes` bytes at `value`.
///
/// # Safety
/// The bytes are readable, and so is what pointers in them lead to, as `name` asks.
pub(super) unsafe fn set_raw<T>(
    socket: BorrowedFd<'_>,
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
            libc::SOL_SOCKET,
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
pub(super) fn get<T: Plain>(socket: BorrowedFd<'_>, name: c_int, mut value: T) -> io::Result<T> {
    let whole =
        socklen_t::try_from(mem::size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut length = whole;
    // SAFETY: the descriptor is open while it is borrowed; `value` is ours to write, the kernel
    // writes no more than `length` bytes, and any bytes are a valid value of plain data.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
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
