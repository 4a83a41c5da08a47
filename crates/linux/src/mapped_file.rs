//! A regular file as a slice, without copying it.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::slice;

/// A whole regular file, mapped for reading as it was when it was opened.
///
/// # Files must not shrink while they are read
///
/// A mapping follows its file. Reading a page beyond the new end of a file that another process
/// has truncated raises SIGBUS and ends this process; no check can prevent that, because the file
/// may be cut between check and access. A file that is rewritten in place changes under the
/// reader, who must therefore not rely on reading a byte twice. Growing is harmless: the added
/// bytes are not seen. Who cannot promise this streams the file instead.
#[derive(Debug)]
pub struct MappedFile {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is read-only for this process and belongs to the value, not to a thread.
unsafe impl Send for MappedFile {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps all bytes of `file`, which may be closed afterwards, and announces that they will be
    /// read from front to back. An empty file gives an empty slice.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `file` is not a regular file, and whatever the kernel
    /// says, for example for file systems that cannot map.
    pub fn open(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let bytes = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if bytes == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                bytes,
            });
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory;
        // the descriptor is open for the duration of the call.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is the mapping just made. The advice is a hint: its failure changes
        // nothing that is read, so the result is not looked at.
        let _ = unsafe { libc::madvise(start, bytes, libc::MADV_SEQUENTIAL) };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is the address of a readable mapping of `bytes` bytes that lives as long
        // as `self`, or dangling, not null and aligned with a length of 0. `u8` has no invalid
        // bit patterns, and the kernel maps no length beyond `isize::MAX`. This process never
        // writes to the mapping and hands out no way to. That no other process rewrites the file
        // meanwhile cannot be enforced here; it is what the type's documentation asks of users.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl AsRef<[u8]> for MappedFile {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if self.bytes != 0 {
            // SAFETY: the range is exactly one mapping made by `open`, and `&mut self` proves that
            // no slice of it is left. It cannot fail for such a range.
            let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::thread;

    use super::MappedFile;

    #[test]
    fn a_mapping_shows_the_file_after_it_is_closed_and_deleted() {
        for length in [1, 4_095, 4_096, 4_097, 3 << 20] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let mapped = MappedFile::open(&file).unwrap();
            drop(file);
            assert!(*mapped == *bytes, "{length}");
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_slice() {
        let mapped = MappedFile::open(&tempfile::tempfile().unwrap()).unwrap();
        assert!(mapped.is_empty());
    }

    #[test]
    fn bytes_added_later_are_not_seen() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        let mapped = MappedFile::open(&file).unwrap();
        file.write_all(b" and after").unwrap();
        assert_eq!(&*mapped, b"before");
    }

    #[test]
    fn threads_share_a_mapping() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let mapped = MappedFile::open(&file).unwrap();
        let sums = thread::scope(|scope| {
            let sum = || mapped.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            [scope.spawn(sum), scope.spawn(sum)].map(|thread| thread.join().unwrap())
        });
        assert_eq!(sums, [700_000, 700_000]);
    }

    #[test]
    fn only_regular_files_are_mapped() {
        let (reader, _writer) = io::pipe().unwrap();
        check(&File::from(OwnedFd::from(reader)));
        check(&File::open("/").unwrap());
        check(&File::open("/dev/null").unwrap());
    }

    #[test]
    fn a_file_without_read_permission_is_not_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join("write-only")).unwrap();
        file.write_all(b"secret").unwrap();
        let error = MappedFile::open(&file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    fn check(file: &File) {
        let error = MappedFile::open(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
