//! A piece of the input that all workers read.

use vxscope_linux::MappedFile;

/// Immutable bytes of the input, cut at record boundaries and shared as `Arc<Block>`. Only the
/// last block of an input may end inside a record: then the input itself does.
#[derive(Debug)]
pub struct Block {
    bytes: Bytes,
    offset: u64,
    last: bool,
}

#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(MappedFile),
    Buffer(Vec<u8>),
    Static(&'static [u8]),
}

impl Block {
    pub(crate) const fn new(bytes: Bytes, offset: u64, last: bool) -> Self {
        Self {
            bytes,
            offset,
            last,
        }
    }

    /// Where the first byte stands in the input.
    #[must_use]
    #[inline]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the input ends here. Every input has exactly one such block, which may be empty.
    #[must_use]
    #[inline]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The bytes from `offset` of the input on.
    ///
    /// # Panics
    /// If `offset` lies outside of the block: a walk was given blocks out of order.
    #[inline]
    pub(crate) fn after(&self, offset: u64) -> &[u8] {
        let within = offset
            .checked_sub(self.offset)
            .and_then(|skip| usize::try_from(skip).ok());
        let rest = within.and_then(|skip| self.as_ref().get(skip..));
        assert!(
            rest.is_some(),
            "a walk takes the blocks of one input in order, none left out"
        );
        rest.unwrap_or_default()
    }
}

impl AsRef<[u8]> for Block {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(file) => file,
            Bytes::Buffer(buffer) => buffer,
            Bytes::Static(bytes) => bytes,
        }
    }
}
