//! Waiting: for datagrams, and for the kernel to finish what it has begun.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use libc::{c_int, nfds_t};

use crate::waker::Waker;

/// How many sockets one thread can wait for: two kinds of tunnel on four ports each.
pub const WAIT_SOCKETS_MAX: usize = 8;

/// How long [`settle`] sleeps where the kernel does not tell.
const SETTLE_SLEEP: Duration = Duration::from_millis(50);

/// Waits until a datagram is at one of the sockets or somebody wakes, at most this long; whether
/// a datagram is there. A signal ends it early. A wake ends one wait.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for more than [`WAIT_SOCKETS_MAX`] sockets, and whatever the
/// kernel says.
pub fn wait_readable<'s, S: AsFd + 's>(
    sockets: impl IntoIterator<Item = &'s S>,
    waker: &Waker,
    limit: Duration,
) -> io::Result<bool> {
    let nobody = libc::pollfd {
        fd: -1,
        events: libc::POLLIN,
        revents: 0,
    };
    // Negative descriptors are passed over.
    let mut polled = [nobody; WAIT_SOCKETS_MAX + 1];
    let [woken, places @ ..] = &mut polled;
    woken.fd = waker.as_fd().as_raw_fd();
    let mut places = places.iter_mut();
    for socket in sockets {
        let place = places.next().ok_or(io::ErrorKind::InvalidInput)?;
        place.fd = socket.as_fd().as_raw_fd();
    }
    let milliseconds = c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the array is ours and as long as is said; the sockets and the waker are borrowed,
    // so open.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as nfds_t, milliseconds) };
    if ready >= 0 {
        let [woken, sockets @ ..] = polled;
        if woken.revents != 0 {
            waker.clear();
        }
        return Ok(sockets.iter().any(|socket| socket.revents != 0));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        error => Err(error),
    }
}

/// Returns when every packet that the kernel was delivering at the time of the call has been
/// queued or dropped, on all processors; takes some milliseconds.
///
/// A global `membarrier` waits for the end of all running read-side sections, and the delivery of
/// a packet is one. Where it is refused (`nohz_full`, a system call filter) this sleeps for much
/// longer than a delivery takes.
pub fn settle() {
    // SAFETY: the call takes two numbers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0) };
    if result != 0 {
        thread::sleep(SETTLE_SLEEP);
    }
}
