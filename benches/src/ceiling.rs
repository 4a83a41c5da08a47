//! The ceilings: what any program must do that reads a capture, and any that keeps it.
//!
//! Both walk the record headers of a classic little-endian pcap and nothing else; the copying one
//! puts each record, one behind the other, into a store that it starts over when it is full. They
//! fetch ahead, so what they do not show is how long this machine's memory takes just now to bring
//! a line nobody fetched: [`wait_for_lines`] does, and a flow table meets such lines.

use std::hint::black_box;
use std::io;

use vxscope_memory::{Slab, prefetch};

/// As much as the rings of a sensor hold by default.
pub const STORE_BYTES: usize = 256 << 20;
/// How far ahead of the walk bytes are fetched: a walk is a chain of dependent loads otherwise.
const AHEAD: usize = 3 << 10;
const LINE: usize = 64;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Memory of the same kind as the rings', zeroed.
#[derive(Debug)]
pub struct Store(Slab);

impl Store {
    /// [`STORE_BYTES`], every page of it there.
    ///
    /// # Errors
    /// What the kernel says when it has no address space left.
    pub fn try_new() -> io::Result<Self> {
        let mut slab = Slab::try_new(STORE_BYTES)?;
        slab.prefault();
        Ok(Self(slab))
    }
}

/// Walks the records and copies each once. Returns how many there were.
#[must_use]
pub fn copy_each(file: &[u8], store: &mut Store) -> u64 {
    let mut place = 0;
    let records = each(file, |record| {
        if place + record.len() > store.0.len() {
            place = 0;
        }
        let end = place + record.len();
        if let Some(target) = store.0.get_mut(place..end) {
            target.copy_from_slice(record);
        }
        place = end;
    });
    black_box(&store.0[..LINE]);
    records
}

/// Walks the records and looks at one byte of each. Returns how many there were.
#[must_use]
pub fn walk(file: &[u8]) -> u64 {
    let mut sum = 0_u64;
    let records = each(file, |record| {
        sum = sum.wrapping_add(u64::from(record.get(42).copied().unwrap_or(0)));
    });
    black_box(sum);
    records
}

/// Loads this many lines of the store, one after the other: where the next one lies is known only
/// when the last one came.
pub fn wait_for_lines(store: &Store, lines: u32) {
    let mut at = 1_usize;
    for _ in 0..lines {
        let line = at >> 32;
        let byte = store.0[line % (STORE_BYTES / LINE) * LINE];
        // Knuth's MMIX generator; its upper half is the better one.
        at = (at ^ usize::from(byte))
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
    }
    black_box(at);
}

#[inline(always)]
fn each(file: &[u8], mut take: impl FnMut(&[u8])) -> u64 {
    let (mut at, mut records) = (FILE_HEADER, 0);
    loop {
        let rest = file.get(at..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<RECORD_HEADER>() else {
            return records;
        };
        let captured = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let Some(record) = rest.get(..captured as usize) else {
            return records;
        };
        let end = at + RECORD_HEADER + record.len();
        for line in (at..end).step_by(LINE) {
            prefetch(file, line + AHEAD);
        }
        take(record);
        at = end;
        records += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Store, copy_each, walk};
    use vxscope_pcap::{Precision, classic};
    use vxscope_units::{LinkType, Timestamp};

    #[test]
    fn every_record_is_walked_and_copied() {
        let mut file = classic::file_header(Precision::Micros, LinkType::Ethernet, 65_535).to_vec();
        for number in 1..=9 {
            let header =
                classic::record_header(Timestamp::ZERO, u32::from(number), 99, Precision::Micros);
            file.extend(header);
            file.extend(std::iter::repeat_n(number, usize::from(number)));
        }
        let mut store = Store::try_new().unwrap();
        assert_eq!((walk(&file), copy_each(&file, &mut store)), (9, 9));
        assert_eq!(&store.0[..8], &[1, 2, 2, 3, 3, 3, 4, 4]);
        assert_eq!(store.0[44..46], [9, 0]);
        file.pop();
        assert_eq!(walk(&file), 8, "a record without its end is none");
    }
}
