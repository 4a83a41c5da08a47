//! An anonymous mapping of fixed length, zeroed, on huge pages where the kernel grants them.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Zeroed bytes whose address and length never change. A page costs memory once it is touched.
pub struct Slab {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a Slab owns its mapping alone; sharing and sending follow the rules of `[u8]`.
unsafe impl Send for Slab {}
// SAFETY: as above; shared access is read-only through `&[u8]`.
unsafe impl Sync for Slab {}

impl Slab {
    /// Reserves `length` bytes.
    ///
    /// # Errors
    /// What `mmap` says, usually that the address space or the memory limit is exhausted.
    pub fn try_new(length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            });
        }
        // SAFETY: a new private anonymous mapping at an address of the kernel's choice overlaps
        // nothing; the result is checked before use.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was mapped just above. The advice is a wish: refusal changes nothing.
        unsafe {
            libc::madvise(address, length, libc::MADV_HUGEPAGE);
        }
        let start = NonNull::new(address.cast::<u8>())
            .ok_or_else(|| io::Error::other("the kernel mapped address zero"))?;
        Ok(Self { start, length })
    }

    /// Touches every page, so that no packet pays for the first use of one.
    pub fn prefault(&mut self) {
        for byte in self.iter_mut().step_by(4096) {
            // The write must happen and must not change what is there.
            *byte = std::hint::black_box(*byte);
        }
    }
}

impl Deref for Slab {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `length` bytes until drop (or dangling with length 0),
        // always initialised (the kernel zeroes it), and not written while `&self` lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Slab {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the mapping is ours, of exactly this length, and nothing borrows it now.
            unsafe {
                libc::munmap(self.start.as_ptr().cast(), self.length);
            }
        }
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slab({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn starts_zeroed_and_keeps_what_is_written() {
        let mut slab = Slab::try_new(1 << 20).expect("a mebibyte");
        assert!(slab.iter().all(|byte| *byte == 0));
        slab[1 << 19] = 9;
        slab.prefault();
        assert_eq!((slab[1 << 19], slab.len()), (9, 1 << 20));
    }

    #[test]
    fn of_no_bytes_is_empty() {
        assert!(Slab::try_new(0).expect("nothing").is_empty());
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        assert!(Slab::try_new(usize::MAX / 2).is_err());
    }
}
