//! Goes through the records of an input, block after block.

use std::sync::Arc;

use vxscope_pcap::{PcapError, Reader, Record, Step};

use crate::batch::Batch;
use crate::block::Block;
use crate::error::CaptureError;

/// One reader's way through an input. It knows its position, so a block is simply offered again
/// until it has no more records, and then the next one is.
#[derive(Clone, Debug)]
pub struct Walk {
    name: Arc<str>,
    reader: Reader,
    records: u64,
}

impl Walk {
    /// At the start of the input of that name; see also [`Input::walk`](crate::Input::walk).
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            reader: Reader::new(),
            records: 0,
        }
    }

    /// Bytes of the input that have been walked.
    #[must_use]
    #[inline]
    pub const fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Records that have been walked.
    #[must_use]
    #[inline]
    pub const fn records_walked(&self) -> u64 {
        self.records
    }

    /// The bytes of `block` behind the last record that was walked: where the records to come are.
    ///
    /// A caller that is busy with a batch may prefetch some of them meanwhile; walking them is a
    /// chain of dependent loads otherwise. 2 to 4 KiB ahead saved a quarter of a loop that walks
    /// and copies records of mixed sizes.
    ///
    /// # Panics
    /// If blocks are left out or given out of order.
    #[must_use]
    #[inline]
    pub fn ahead<'b>(&self, block: &'b Block) -> &'b [u8] {
        block.after(self.reader.offset())
    }

    /// Fills `batch` with the next records of `block`; 0 when it has no more.
    ///
    /// # Errors
    /// [`CaptureError::Malformed`], after all records before the malformed one: then the walk
    /// stays there, and every further call says the same.
    ///
    /// # Panics
    /// If blocks are left out or given out of order.
    #[inline]
    pub fn fill<'b>(
        &mut self,
        block: &'b Block,
        batch: &mut Batch<'b>,
    ) -> Result<usize, CaptureError> {
        let index = self.records;
        let count = batch.refill(index, |places| self.fill_places(block, places));
        let count = count.map_err(|source| self.malformed(source))?;
        self.records = index.saturating_add(count as u64);
        Ok(count)
    }

    #[inline]
    fn fill_places<'b>(
        &mut self,
        block: &'b Block,
        places: &mut [Record<'b>],
    ) -> Result<usize, PcapError> {
        let rest = self.ahead(block);
        let many = self.reader.read_many(rest, places);
        if many.records > 0 {
            return Ok(many.records);
        }
        // A file header, the end of the block, or the malformed record that ended the batch before.
        let mut rest = rest.get(many.consumed..).unwrap_or_default();
        let Some((first, others)) = places.split_first_mut() else {
            return Ok(0);
        };
        match next(&mut self.reader, &mut rest, block.is_last()) {
            None => Ok(0),
            Some(Err(error)) => Err(error),
            Some(Ok(record)) => {
                *first = record;
                Ok(1 + self.reader.read_many(rest, others).records)
            }
        }
    }

    /// The next records of `block` one by one, up to its end or the first error.
    ///
    /// # Panics
    /// If blocks are left out or given out of order.
    pub fn records<'w, 'b>(&'w mut self, block: &'b Block) -> Records<'w, 'b> {
        let rest = self.ahead(block);
        Records {
            walk: self,
            rest,
            last: block.is_last(),
            ended: false,
        }
    }

    #[cold]
    fn malformed(&self, source: PcapError) -> CaptureError {
        let (file, offset) = (self.name.clone(), self.reader.offset());
        CaptureError::Malformed {
            file,
            offset,
            source,
        }
    }
}

/// The records of one block; see [`Walk::records`].
#[derive(Debug)]
pub struct Records<'w, 'b> {
    walk: &'w mut Walk,
    rest: &'b [u8],
    last: bool,
    ended: bool,
}

impl<'b> Iterator for Records<'_, 'b> {
    type Item = Result<Record<'b>, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match next(&mut self.walk.reader, &mut self.rest, self.last) {
            Some(Ok(record)) => {
                self.walk.records = self.walk.records.saturating_add(1);
                Some(Ok(record))
            }
            Some(Err(source)) => {
                self.ended = true;
                Some(Err(self.walk.malformed(source)))
            }
            None => {
                self.ended = true;
                None
            }
        }
    }
}

/// The next record of a block of which `rest` is left, `None` at its end.
#[inline]
fn next<'b>(
    reader: &mut Reader,
    rest: &mut &'b [u8],
    last: bool,
) -> Option<Result<Record<'b>, PcapError>> {
    loop {
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                *rest = rest.get(consumed..).unwrap_or_default();
                return Some(Ok(record));
            }
            Ok(Step::Skip { consumed }) => *rest = rest.get(consumed..).unwrap_or_default(),
            Ok(Step::NeedMore { .. }) if rest.is_empty() && !last => return None,
            Ok(Step::NeedMore { .. }) => return reader.finish(rest).err().map(Err),
            Err(error) => return Some(Err(error)),
        }
    }
}
