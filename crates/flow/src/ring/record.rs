//! One stored frame: a header of 32 bytes and the frame, padded to 8.
//!
//! ```text
//! 0        8          16       20       24           32
//! | before | flow id* | captured | original | time, ns | frame …
//! ```
//! `before` is the position of the flow's previous record; the top bit of the flow id says that
//! the frame travelled from responder to originator.

use vxscope_units::Timestamp;

/// Bytes in front of each stored frame.
pub(super) const HEADER: usize = 32;
/// Records start at multiples of this.
pub(super) const ALIGN: usize = 8;
const REVERSE: u64 = 1 << 63;

/// What is stored about a frame besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) before: u64,
    pub(super) flow_id: u64,
    pub(super) captured: u32,
    pub(super) original: u32,
    pub(super) timestamp: Timestamp,
    pub(super) reverse: bool,
}

/// Bytes that a frame takes in a log or a ring.
#[inline]
pub(super) fn size_of_record(frame_len: usize) -> usize {
    // No slice is so long that this could wrap.
    frame_len.wrapping_add(HEADER + ALIGN - 1) & !(ALIGN - 1)
}

/// Writes a record at the start of `place`; `None` if it does not fit.
#[inline(always)]
pub(super) fn write(place: &mut [u8], header: &Header, frame: &[u8]) -> Option<()> {
    let (head, rest) = place.split_first_chunk_mut::<HEADER>()?;
    let body = rest.get_mut(..frame.len())?;
    let tagged = header.flow_id | if header.reverse { REVERSE } else { 0 };
    head[0..8].copy_from_slice(&header.before.to_le_bytes());
    head[8..16].copy_from_slice(&tagged.to_le_bytes());
    head[16..20].copy_from_slice(&header.captured.to_le_bytes());
    head[20..24].copy_from_slice(&header.original.to_le_bytes());
    head[24..32].copy_from_slice(&header.timestamp.as_nanos().to_le_bytes());
    body.copy_from_slice(frame);
    Some(())
}

/// The header and the frame at the start of `place`.
#[inline]
pub(super) fn read(place: &[u8]) -> Option<(Header, &[u8])> {
    let (head, rest) = place.split_first_chunk::<HEADER>()?;
    let tagged = u64_at(head, 8);
    let header = Header {
        before: u64_at(head, 0),
        flow_id: tagged & !REVERSE,
        captured: u32_at(head, 16),
        original: u32_at(head, 20),
        timestamp: Timestamp::from_nanos(u64_at(head, 24)),
        reverse: tagged & REVERSE != 0,
    };
    let frame = rest.get(..header.captured as usize)?;
    Some((header, frame))
}

#[inline]
fn u64_at(head: &[u8; HEADER], at: usize) -> u64 {
    head.get(at..)
        .and_then(|tail| tail.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn u32_at(head: &[u8; HEADER], at: usize) -> u32 {
    head.get(at..)
        .and_then(|tail| tail.first_chunk())
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
