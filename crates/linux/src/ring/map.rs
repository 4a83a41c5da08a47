//! The memory that the kernel and this process share.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// Blocks of one length, one after the other.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
}

// SAFETY: the mapping belongs to the value, not to a thread; what is shared with the kernel is
// handed over by atomic stores and loads.
unsafe impl Send for Map {}

/// Where in a block its status stands: behind the version and the offset of private data.
const STATUS: usize = 8;
const _: () = assert!(
    std::mem::offset_of!(libc::tpacket_block_desc, hdr)
        + std::mem::offset_of!(libc::tpacket_hdr_v1, block_status)
        == STATUS
);

impl Map {
    /// Maps the ring of a socket, whose blocks are so many and so long.
    pub(super) fn new(
        socket: BorrowedFd<'_>,
        block_bytes: usize,
        blocks: usize,
    ) -> io::Result<Self> {
        let bytes = block_bytes.checked_mul(blocks);
        let bytes = bytes.ok_or(io::ErrorKind::InvalidInput)?;
        if block_bytes < size_of::<libc::tpacket_block_desc>() || !block_bytes.is_multiple_of(4_096)
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory;
        // the descriptor is open while it is borrowed.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            start,
            block_bytes,
            blocks,
        })
    }

    pub(super) const fn blocks(&self) -> usize {
        self.blocks
    }

    /// Whether the kernel has handed this block over. Blocks are numbered in a circle.
    #[inline]
    pub(super) fn is_ready(&self, block: usize) -> bool {
        // The kernel writes everything in the block before this.
        self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Gives a block back to the kernel. `&mut` proves that no slice of it is left.
    #[inline]
    pub(super) fn give_back(&mut self, block: usize) {
        // What was read was read before this.
        self.status(block)
            .store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }

    /// The bytes of a block, empty unless it is handed over.
    #[inline]
    pub(super) fn block(&self, block: usize) -> &[u8] {
        if !self.is_ready(block) {
            return &[];
        }
        // SAFETY: the address is inside of the mapping and followed by a block's length of it, by
        // `at`. The kernel has handed the block over and writes to it only after `give_back`,
        // which takes `&mut self` and so ends this borrow; this process writes to it nowhere
        // else. Bytes have no invalid patterns, and the mapping lives as long as `self`.
        unsafe { slice::from_raw_parts(self.at(block), self.block_bytes) }
    }

    #[inline]
    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: a block is longer than the status's offset and four bytes (checked by `new`), so
        // the address is inside of the mapping, which is readable and writable and lives as long
        // as `self`. Blocks are aligned to pages and the offset to four. All accesses to it from
        // this process are atomic, but for `block`'s slice, which the kernel and `give_back` do
        // not write to while it lives.
        unsafe { AtomicU32::from_ptr(self.at(block).add(STATUS).cast()) }
    }

    #[inline]
    fn at(&self, block: usize) -> *mut u8 {
        let offset = (block % self.blocks) * self.block_bytes;
        // SAFETY: the number of the block is below that of all, so the offset is inside of the
        // mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the range is exactly the mapping made by `new`, and `&mut self` proves that no
        // slice of it is left.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.blocks) };
    }
}
