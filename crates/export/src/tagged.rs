//! Frames with the VLAN tags that say whose they are, also as pcap records.

use std::ops::Range;

use vxscope_pcap::{Precision, classic};

use crate::chunk::{Frame, FrameChunk};
use crate::sink::Shed;
use crate::vlan::{Tag, Tagger, Tags, VlanMode};

/// Destination and source MAC address; the tag goes behind them.
const MAC_BYTES: usize = 12;

/// What became of a run of frames.
#[derive(Debug)]
pub(crate) enum Packing<'a> {
    /// Whole records, and how many frames they hold.
    Records(&'a [u8], u64),
    /// A frame that cannot be a record.
    Refused(Shed),
}

/// A frame and its tag, not put together yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagged<'a> {
    pub(crate) frame: Frame<'a>,
    addresses: &'a [u8],
    tag: Tag,
    rest: &'a [u8],
}

impl Tagged<'_> {
    /// The bytes in order: addresses, tag, the rest.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [self.addresses, self.tag.as_bytes(), self.rest]
    }

    /// Captured bytes, the tag's among them. What is too long for the type is too long anyway.
    pub(crate) fn captured_len(&self) -> u32 {
        let bytes = self.frame.bytes.len() + self.tag.as_bytes().len();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Whether the mirror, or the payload policy, cut it.
    pub(crate) fn is_truncated(&self) -> bool {
        self.frame.original_len as usize > self.frame.bytes.len()
    }

    /// Bytes on the wire: the frame would have been longer there, too.
    pub(crate) fn original_len(&self) -> u32 {
        let tag = self.tag.as_bytes().len();
        let added = u32::try_from(tag).unwrap_or(u32::MAX);
        self.frame.original_len.saturating_add(added)
    }
}

/// Tags frames, and makes records of them.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    tagger: Tagger,
    record: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(tags: Tags) -> Self {
        Self {
            tagger: Tagger::new(tags),
            record: Vec::new(),
        }
    }

    /// Hands the records of `chunk` at `positions` to `take`: without tags all at once.
    pub(crate) fn pack(
        &mut self,
        chunk: &FrameChunk,
        positions: Range<usize>,
        mut take: impl FnMut(Packing<'_>),
    ) {
        let positions = positions.start..positions.end.min(chunk.len());
        if self.tagger.mode() == VlanMode::None {
            let frames = positions.len() as u64;
            return take(Packing::Records(chunk.records(positions), frames));
        }
        for frame in chunk.frames(positions) {
            match self.tag(frame) {
                Ok(tagged) => {
                    let mut record = std::mem::take(&mut self.record);
                    record.clear();
                    push_record(&mut record, &tagged);
                    take(Packing::Records(&record, 1));
                    self.record = record;
                }
                Err(reason) => take(Packing::Refused(reason)),
            }
        }
    }

    /// The frame with its tag.
    pub(crate) fn tag<'a>(&mut self, frame: Frame<'a>) -> Result<Tagged<'a>, Shed> {
        let tag = match self.tagger.mode() {
            VlanMode::None => Tag::None,
            VlanMode::Map | VlanMode::QinQ if frame.bytes.len() < MAC_BYTES => {
                return Err(Shed::TooShort);
            }
            VlanMode::Map | VlanMode::QinQ => {
                let tag = self.tagger.tag(frame.source);
                tag.ok_or(Shed::VlanExhausted)?
            }
        };
        let place = MAC_BYTES.min(frame.bytes.len());
        let (addresses, rest) = frame.bytes.split_at(place);
        Ok(Tagged {
            frame,
            addresses,
            tag,
            rest,
        })
    }
}

/// The frame as a record of a little-endian microsecond pcap.
pub(crate) fn push_record(out: &mut Vec<u8>, tagged: &Tagged<'_>) {
    let time = tagged.frame.timestamp;
    let (captured, original) = (tagged.captured_len(), tagged.original_len());
    let header = classic::record_header(time, captured, original, Precision::Micros);
    out.extend_from_slice(&header);
    for part in tagged.parts() {
        out.extend_from_slice(part);
    }
}
