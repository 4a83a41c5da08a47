//! Frames as pcap records, with the VLAN tags that say whose they are.

use std::ops::Range;

use vxscope_pcap::{Precision, classic};
use vxscope_units::MirrorSource;

use crate::chunk::{Frame, FrameChunk};
use crate::sink::Shed;
use crate::vlan::{Tagger, VlanMode};

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

/// Makes records of frames.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    tagger: Tagger,
    record: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(vlan: VlanMode) -> Self {
        Self {
            tagger: Tagger::new(vlan),
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
                Ok(()) => take(Packing::Records(&self.record, 1)),
                Err(reason) => take(Packing::Refused(reason)),
            }
        }
    }

    /// VLAN ids and the sources they stand for ([`VlanMode::Map`]; otherwise empty), by id.
    pub(crate) fn mapping(&self) -> impl Iterator<Item = (u16, MirrorSource)> {
        self.tagger.mapping()
    }

    fn tag(&mut self, frame: Frame<'_>) -> Result<(), Shed> {
        let macs_and_rest = frame.bytes.split_at_checked(MAC_BYTES);
        let (addresses, rest) = macs_and_rest.ok_or(Shed::TooShort)?;
        let tag = self.tagger.tag(frame.source).ok_or(Shed::VlanExhausted)?;
        let tag = tag.as_bytes();
        let captured = u32::try_from(frame.bytes.len() + tag.len()).map_err(|_| Shed::TooLong)?;
        // The frame would have been longer on the wire, too.
        let added = captured.saturating_sub(u32::try_from(frame.bytes.len()).unwrap_or(captured));
        let original = frame.original_len.saturating_add(added);
        let header = classic::record_header(frame.timestamp, captured, original, Precision::Micros);
        self.record.clear();
        for part in [&header[..], addresses, tag, rest] {
            self.record.extend_from_slice(part);
        }
        Ok(())
    }
}
