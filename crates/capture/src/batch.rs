//! A fixed number of records, looked at together.

use vxscope_pcap::Record;
use vxscope_units::{LinkType, Timestamp};

/// Records per batch: enough to hide a cache miss behind the others' work, few enough to stay in
/// the first-level cache.
pub const BATCH_RECORDS: usize = 16;

/// Up to [`BATCH_RECORDS`] successive records of one block, which they borrow. Holds no heap
/// memory; made once per block and filled again and again by [`Walk::fill`](crate::Walk::fill).
#[derive(Clone, Debug)]
pub struct Batch<'b> {
    records: [Record<'b>; BATCH_RECORDS],
    len: usize,
    first_index: u64,
}

/// What unused places hold; never shown.
const UNUSED: Record<'static> = Record {
    timestamp: Timestamp::ZERO,
    link: LinkType::Ethernet,
    data: &[],
    original_len: 0,
    interface: 0,
};

impl<'b> Batch<'b> {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            records: [UNUSED; BATCH_RECORDS],
            len: 0,
            first_index: 0,
        }
    }

    /// The records, in the order of the input.
    #[must_use]
    #[inline]
    pub fn records(&self) -> &[Record<'b>] {
        self.records.get(..self.len).unwrap_or_default()
    }

    /// How many records of the input came before the first of this batch.
    #[must_use]
    #[inline]
    pub const fn first_index(&self) -> u64 {
        self.first_index
    }

    /// How many records there are.
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

    /// Replaces the records; `fill` puts records into the places it is given and returns how many.
    #[inline]
    pub(crate) fn refill<E>(
        &mut self,
        index: u64,
        fill: impl FnOnce(&mut [Record<'b>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        (self.first_index, self.len) = (index, 0);
        self.len = fill(&mut self.records)?.min(BATCH_RECORDS);
        Ok(self.len)
    }
}

impl Default for Batch<'_> {
    fn default() -> Self {
        Self::new()
    }
}
