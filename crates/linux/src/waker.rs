//! Waking a thread that waits for datagrams.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// Ends the next [`wait_readable`](crate::wait_readable), or the one under way, of whoever waits
/// with it. Every clone wakes the same thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<File>);

impl Waker {
    /// Nobody was woken yet.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes two numbers and touches no memory of ours.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, was just made, and nobody else has it.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self(Arc::new(File::from(owned))))
    }

    /// Wakes whoever waits. Never blocks: a number too large to count further is refused, and
    /// then there is a wake that nobody has seen yet.
    pub fn wake(&self) {
        let _ = (&*self.0).write(&1_u64.to_ne_bytes());
    }

    /// Takes all wakes back.
    pub(crate) fn clear(&self) {
        let _ = (&*self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
