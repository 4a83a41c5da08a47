//! `decap.pcap`: the inner frames, in input order, for any program that reads captures.

use std::ops::Range;

use vxscope_pcap::{CAPTURED_BYTES_MAX, Precision, classic};
use vxscope_units::{LinkType, Timestamp};

use crate::chunk::FrameChunk;
use crate::error::ExportError;
use crate::file::OutputDir;
use crate::sink::{SinkCount, SinkFile, SinkOutcome};
use crate::tagged::{Packer, Packing};
use crate::vlan::Tags;
use crate::way_out::{Offered, WayOut};

/// The sink's name in `--export` and in the summary.
const NAME: &str = "decap";

/// Writes inner frames as a little-endian microsecond pcap, with VLAN tags if asked.
///
/// Counts every frame it is given. When the file cannot be written, it is removed, all its
/// frames become `shed{write_error}`, and further frames are only counted.
#[derive(Debug)]
pub struct DecapWriter {
    sink: SinkFile,
    packer: Packer,
}

impl DecapWriter {
    /// Its name as in `--export` and in the summary.
    pub const NAME: &str = NAME;

    /// Starts `decap.pcap`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &OutputDir, tags: impl Into<Tags>) -> Result<Self, ExportError> {
        let mut file = dir.create_file("decap.pcap")?;
        file.write(&file_header())?;
        Ok(Self {
            sink: SinkFile::new(NAME, Offered::Frames, file),
            packer: Packer::new(tags.into()),
        })
    }
}

impl WayOut for DecapWriter {
    /// Without tags that is one write.
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        let sink = &mut self.sink;
        self.packer.pack(chunk, positions, |packing| match packing {
            Packing::Records(records, frames) => {
                sink.offer(frames, |file| file.write(records));
            }
            Packing::Refused(reason) => sink.shed(reason, 1),
        });
    }

    fn tick(&mut self, _: Timestamp) {
        self.sink.flush();
    }

    fn count(&self) -> SinkCount {
        *self.sink.count()
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        self.sink.finish()
    }
}

/// The header of every pcap file this crate writes.
pub(crate) fn file_header() -> [u8; 24] {
    classic::file_header(Precision::Micros, LinkType::Ethernet, CAPTURED_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vxscope_units::Timestamp;

    use super::DecapWriter;
    use crate::chunk::FrameChunk;
    use crate::file::{OutputDir, OutputFile};
    use crate::sink::{Shed, SinkFile};
    use crate::tagged::Packer;
    use crate::testing::{read_pcap_file, source};
    use crate::vlan::VlanMode;
    use crate::way_out::{Offered, WayOut};

    const FRAME: &[u8] = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x00payload";

    #[test]
    fn frames_are_written_as_they_came() {
        let records = check(VlanMode::None, 1, 3);
        assert_eq!(
            records,
            [
                (FRAME.to_vec(), 90),
                (FRAME.to_vec(), 91),
                (FRAME.to_vec(), 92)
            ]
        );
    }

    #[test]
    fn a_tag_goes_behind_the_addresses_and_both_lengths_grow() {
        let records = check(VlanMode::Map, 2, 3);
        for (position, id) in [(0u32, 1u8), (1, 2), (2, 1)] {
            let tag = [0x81, 0, 0, id];
            let expected = [&FRAME[..12], &tag, &FRAME[12..]].concat();
            assert_eq!(records[position as usize], (expected, 94 + position));
        }
    }

    #[test]
    fn two_tags_carry_the_vni() {
        let records = check(VlanMode::QinQ, 1, 1);
        let tag = [0x88, 0xa8, 0x05, 0x4f, 0x81, 0, 0x0a, 0x11];
        assert_eq!(records, [([&FRAME[..12], &tag, &FRAME[12..]].concat(), 98)]);
    }

    #[test]
    fn a_frame_without_room_for_a_tag_is_shed() {
        let (_guard, dir) = folder();
        let mut writer = DecapWriter::create(&dir, VlanMode::Map).unwrap();
        writer.frames(&chunk(1, 1, &FRAME[..11]), 0..1);
        writer.frames(&chunk(1, 2, FRAME), 0..2);
        let count = Box::new(writer).finish().count;
        assert_eq!(
            (count.shed(Shed::TooShort), count.written(), count.offered()),
            (1, 2, 3)
        );
    }

    #[test]
    fn sources_beyond_the_last_id_are_shed_and_counted() {
        let (_guard, dir) = folder();
        let mut writer = DecapWriter::create(&dir, VlanMode::Map).unwrap();
        let mut chunk = FrameChunk::with_capacity(1 << 20);
        for number in 0..4_100 {
            let pushed = chunk.push(u64::from(number), Timestamp::ZERO, source(number), FRAME, 0);
            assert!(pushed);
        }
        writer.frames(&chunk, 0..chunk.len());
        let count = Box::new(writer).finish().count;
        assert_eq!(
            (count.shed(Shed::VlanExhausted), count.written()),
            (6, 4_094)
        );
        assert_eq!(count.offered(), 4_100);
    }

    #[test]
    fn a_full_disk_sheds_every_frame_and_leaves_no_file() {
        for vlan in [VlanMode::None, VlanMode::QinQ] {
            let (_guard, dir) = folder();
            let file = OutputFile::on_full_disk(&dir, "decap.pcap");
            let sink = SinkFile::new("decap", Offered::Frames, file);
            let mut writer = DecapWriter {
                sink,
                packer: Packer::new(vlan.into()),
            };
            let chunk = chunk(1, 2_000, &[0; 1_000]);
            for _ in 0..3 {
                writer.frames(&chunk, 0..chunk.len());
            }
            let outcome = Box::new(writer).finish();
            assert!(outcome.error.is_some());
            assert_eq!(outcome.count.shed(Shed::WriteError), 3 * chunk.len() as u64);
            assert_eq!(outcome.count.written(), 0);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    /// Writes `frames` frames of `sources` sources in turn and reads the file back.
    fn check(vlan: VlanMode, sources: u32, frames: u32) -> Vec<(Vec<u8>, u32)> {
        let (_guard, dir) = folder();
        let mut writer = DecapWriter::create(&dir, vlan).unwrap();
        let chunk = chunk(sources, frames, FRAME);
        writer.frames(&chunk, 0..1);
        writer.frames(&chunk, 1..chunk.len());
        let outcome = Box::new(writer).finish();
        assert!(outcome.error.is_none());
        assert_eq!(outcome.count.written(), u64::from(frames));
        let records = read_pcap_file(&dir.path().join("decap.pcap"));
        records
            .into_iter()
            .map(|(_, bytes, original)| (bytes, original))
            .collect()
    }

    fn chunk(sources: u32, frames: u32, frame: &[u8]) -> FrameChunk {
        let mut chunk = FrameChunk::with_capacity(4 << 20);
        for number in 0..frames {
            let source = source(0x54_fa11 + number % sources);
            let pushed = chunk.push(
                u64::from(number),
                Timestamp::ZERO,
                source,
                frame,
                90 + number,
            );
            assert!(pushed);
        }
        chunk
    }

    fn folder() -> (tempfile::TempDir, OutputDir) {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        (guard, dir)
    }
}
