//! Fixed slots for datagrams, filled with one system call.
//!
//! Measured on loopback (114-byte datagrams, CPU of the drain alone, ns a datagram, median of 21
//! rounds, Linux 6.18): `recv` 319, `recvmsg` with sender 427, with sender and stamp 483;
//! `recvmmsg` of 32 with sender 353, with both 410, from a dual-stack socket 370. Sixteen or 64
//! at a time, and headers kept from call to call, made no difference.

use std::array;
use std::io;
use std::iter;
use std::mem::{self, offset_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_uint};

/// Slots of a batch.
pub const BATCH_DATAGRAMS: usize = 32;

/// Bytes of a slot. An MTU of 9,001 leaves 8,973 bytes of UDP payload at most; what is longer,
/// which takes fragments, is cut here and says so. Not a multiple of 4 KiB, so that the headers
/// of a batch do not compete for one set of the first-level cache.
pub const SLOT_BYTES: usize = 9_344;

/// Bytes of a socket address of either family.
const NAME_BYTES: usize = mem::size_of::<libc::sockaddr_in6>();
/// Room for control messages: the one for the stamp, and as much again.
const CONTROL_BYTES: usize = 64;
/// Where the data of a control message start.
const CONTROL_HEADER: usize =
    mem::size_of::<libc::cmsghdr>().next_multiple_of(mem::align_of::<usize>());

const _: () = assert!(NAME_BYTES >= mem::size_of::<libc::sockaddr_in>());
const _: () = assert!(CONTROL_HEADER + mem::size_of::<libc::timespec>() <= CONTROL_BYTES);
// A `timespec` is read as two 64-bit numbers.
const _: () = assert!(mem::size_of::<libc::timespec>() == 16);

/// Room for [`BATCH_DATAGRAMS`] datagrams, allocated once.
#[derive(Debug)]
pub struct DatagramBatch {
    bytes: Box<[u8]>,
    envelopes: Box<[Envelope; BATCH_DATAGRAMS]>,
    len: usize,
}

/// What the kernel says about one datagram.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Envelope {
    control: [u8; CONTROL_BYTES],
    name: [u8; NAME_BYTES],
    /// Bytes the datagram had.
    original_len: u32,
    control_len: usize,
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'b> {
    /// The UDP payload, at most [`SLOT_BYTES`] of it.
    pub payload: &'b [u8],
    /// Bytes the payload had; more than there are if it was longer than a slot.
    pub original_len: u32,
    /// Who sent it; an IPv4 sender is one on a dual-stack socket too.
    pub source: IpAddr,
    /// When it arrived, in nanoseconds since 1970; 0 if the socket does not stamp.
    pub stamp_ns: u64,
}

impl DatagramBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_DATAGRAMS * SLOT_BYTES].into_boxed_slice(),
            envelopes: Box::new([Envelope::EMPTY; BATCH_DATAGRAMS]),
            len: 0,
        }
    }

    /// How many datagrams there are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all datagrams.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// The datagrams, in the order of their arrival.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        let slots = self.bytes.chunks_exact(SLOT_BYTES);
        let filled = iter::zip(slots, self.envelopes.iter()).take(self.len);
        filled.map(|(slot, envelope)| envelope.datagram(slot))
    }

    /// Replaces the datagrams by those that wait at the socket, at most as many as there are
    /// slots; 0 if none does.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.len = 0;
        let slots = self.bytes.as_mut_ptr();
        let mut vectors: [libc::iovec; BATCH_DATAGRAMS] = array::from_fn(|at| libc::iovec {
            // SAFETY: `bytes` is BATCH_DATAGRAMS slots long and `at` is below that number.
            iov_base: unsafe { slots.add(at * SLOT_BYTES) }.cast(),
            iov_len: SLOT_BYTES,
        });
        let vectors = vectors.as_mut_ptr();
        let envelopes = self.envelopes.as_mut_ptr();
        let mut headers: [libc::mmsghdr; BATCH_DATAGRAMS] = array::from_fn(|at| {
            // SAFETY: numbers and pointers, for which zero is a valid value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            // SAFETY: both arrays have BATCH_DATAGRAMS elements, `at` is below that number, and
            // the fields are taken by address without making a reference.
            let (vector, name, control) = unsafe {
                let envelope = envelopes.add(at);
                (
                    vectors.add(at),
                    &raw mut (*envelope).name,
                    &raw mut (*envelope).control,
                )
            };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = name.cast();
            header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
            header.msg_hdr.msg_control = control.cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            header
        });
        // SAFETY: the descriptor is open while it is borrowed. Each header leads to a slot, a name
        // and a control buffer of the lengths it says; all of them live until the end of this
        // function, nobody else has a reference to them meanwhile, and they are bytes, for which
        // whatever the kernel writes is valid.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_DATAGRAMS as c_uint,
                // MSG_TRUNC: lengths are those the datagrams had.
                (libc::MSG_DONTWAIT | libc::MSG_TRUNC) as _,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        for (envelope, header) in self.envelopes.iter_mut().zip(&headers).take(count) {
            envelope.original_len = header.msg_len;
            #[allow(
                clippy::unnecessary_cast,
                reason = "other C libraries have 32 bits here"
            )]
            let control_len = header.msg_hdr.msg_controllen as usize;
            envelope.control_len = control_len;
        }
        self.len = count.min(BATCH_DATAGRAMS);
        Ok(self.len)
    }
}

impl Default for DatagramBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Envelope {
    const EMPTY: Self = Self {
        control: [0; CONTROL_BYTES],
        name: [0; NAME_BYTES],
        original_len: 0,
        control_len: 0,
    };

    #[inline]
    fn datagram<'b>(&self, slot: &'b [u8]) -> Datagram<'b> {
        Datagram {
            payload: slot.get(..self.original_len as usize).unwrap_or(slot),
            original_len: self.original_len,
            source: source(&self.name),
            stamp_ns: self.stamp_ns().unwrap_or(0),
        }
    }

    /// The stamp is the only control message a socket is asked for, so it is the first.
    #[inline]
    fn stamp_ns(&self) -> Option<u64> {
        if self.control_len < CONTROL_HEADER + mem::size_of::<libc::timespec>() {
            return None;
        }
        let int = |at: usize| {
            Some(c_int::from_ne_bytes(
                *self.control.get(at..)?.first_chunk()?,
            ))
        };
        let number = |at: usize| Some(u64::from_ne_bytes(*self.control.get(at..)?.first_chunk()?));
        let level = int(offset_of!(libc::cmsghdr, cmsg_level))?;
        let kind = int(offset_of!(libc::cmsghdr, cmsg_type))?;
        if (level, kind) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            return None;
        }
        let seconds = number(CONTROL_HEADER)?;
        let nanos = number(CONTROL_HEADER + 8)?;
        Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// The address in a `sockaddr_in` or `sockaddr_in6`; unspecified if it is neither.
#[inline]
fn source(name: &[u8; NAME_BYTES]) -> IpAddr {
    let [f1, f2, _, _, a, b, c, d, rest @ ..] = name;
    let v6 = rest.first_chunk::<16>();
    match (c_int::from(u16::from_ne_bytes([*f1, *f2])), v6) {
        (libc::AF_INET, _) => Ipv4Addr::new(*a, *b, *c, *d).into(),
        (libc::AF_INET6, Some(address)) => Ipv6Addr::from_octets(*address).to_canonical(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}
