//! The captures that are measured: `gen` traffic of a size and a number of flows, and the bundled
//! ones.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};
use vxscope_pcap::{Precision, classic};
use vxscope_sim::traffic::{Generator, Size, Spec};
use vxscope_units::LinkType;

/// Packets a second of capture time: captures span seconds, so that no flow times out.
const RATE: u64 = 1_000_000;
const SOURCES: u32 = 16;
const SNAP_LEN: u32 = 262_144;
/// The packets of a flow before the window that is written: past any handshake.
const SKIPPED: u64 = 12;
/// The packets of a flow behind the window: no flow ends in it.
const SPARE: u64 = 24;

/// Which inner frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// 64 bytes: whole connections, handshakes included, which are about as short.
    Small,
    /// Seven of 64, four of 576, one of 1,400 bytes: from the middle of connections.
    Imix,
    /// 1,400 bytes: from the middle of connections.
    Large,
}

impl Frames {
    /// All, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Small, Self::Imix, Self::Large];

    /// As tables call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "64 B",
            Self::Imix => "IMIX",
            Self::Large => "1400 B",
        }
    }

    const fn size(self) -> Size {
        match self {
            Self::Small => Size::Bytes(64),
            Self::Imix => Size::Imix,
            Self::Large => Size::Bytes(1_400),
        }
    }

    /// Packets of a capture: more than half a gigabyte, so that every store wraps.
    const fn packets(self) -> u64 {
        match self {
            Self::Small => 4_000_000,
            Self::Imix => 2_000_000,
            Self::Large => 600_000,
        }
    }
}

/// Which traffic.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Inner frames.
    pub frames: Frames,
    /// Conversations to choose from; of more than there are packets not all come up.
    pub flows: u32,
    /// Packets to write.
    pub packets: u64,
}

impl Traffic {
    /// As many packets as a measurement takes, or a fiftieth to see that it works.
    #[must_use]
    pub fn new(frames: Frames, flows: u32, quick: bool) -> Self {
        let (packets, flows) = if quick {
            (frames.packets() / 50, flows.div_ceil(50))
        } else {
            (frames.packets(), flows)
        };
        Self {
            frames,
            flows,
            packets,
        }
    }

    /// What `gen` is asked for, and how many of its packets are left out at the start.
    fn spec(self) -> (Spec, u64) {
        let flows = u64::from(self.flows);
        let (skipped, spare) = match self.frames {
            Frames::Small => (0, 0),
            Frames::Imix | Frames::Large => (SKIPPED * flows, SPARE * flows),
        };
        let spec = Spec {
            sources: SOURCES,
            flows: self.flows,
            packets: skipped + self.packets + spare,
            rate: RATE,
            size: self.frames.size(),
            ..Spec::default()
        };
        (spec, skipped)
    }

    /// Calls `take` with each packet, from its outer Ethernet header.
    ///
    /// # Errors
    /// Numbers that the generator refuses, and what `take` gives.
    pub fn each(
        self,
        mut take: impl FnMut(&vxscope_sim::traffic::Packet, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (spec, skipped) = self.spec();
        let mut generator = Generator::try_new(spec).map_err(io::Error::other)?;
        let mut buffer = Vec::new();
        for number in 0..skipped + self.packets {
            let Some(packet) = generator.next_packet(&mut buffer) else {
                break;
            };
            if number >= skipped {
                take(&packet, &buffer)?;
            }
        }
        Ok(())
    }

    /// Writes the capture.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(self, folder: &Path) -> io::Result<Capture> {
        self.write_some(folder, |_| true)
    }

    /// Writes a capture of the packets that are wanted.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_some(
        self,
        folder: &Path,
        mut is_wanted: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<Capture> {
        let file = NamedTempFile::with_prefix_in("traffic-", folder)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file.as_file());
        let header = classic::file_header(Precision::Micros, LinkType::Ethernet, SNAP_LEN);
        writer.write_all(&header)?;
        let (mut packets, mut frame_bytes) = (0, 0);
        self.each(|packet, bytes| {
            if !is_wanted(bytes) {
                return Ok(());
            }
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            let header =
                classic::record_header(packet.timestamp, length, length, Precision::Micros);
            writer.write_all(&header)?;
            writer.write_all(bytes)?;
            packets += 1;
            frame_bytes += packet.inner_length as u64;
            Ok(())
        })?;
        writer.flush()?;
        drop(writer);
        Ok(Capture {
            paths: vec![file.path().to_owned()],
            packets,
            frame_bytes,
            _file: Some(file),
        })
    }
}

/// One or more files that are read one after the other. Made ones go when it is dropped.
#[derive(Debug)]
pub struct Capture {
    /// In order; the same file may stand there many times.
    pub paths: Vec<PathBuf>,
    /// Records.
    pub packets: u64,
    /// Bytes of the inner frames.
    pub frame_bytes: u64,
    _file: Option<NamedTempFile>,
}

/// A bundled capture, so many times one after the other that there is something to measure.
///
/// # Errors
/// What the file system says.
pub fn bundled(name: &str, packets_min: u64) -> io::Result<Capture> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../pcaps")
        .join(name);
    let file = vxscope_linux::MappedFile::open(&File::open(&path)?)?;
    let records = crate::walk(&file).max(1);
    let times = packets_min.div_ceil(records);
    let count = usize::try_from(times).map_err(io::Error::other)?;
    // Outer headers of 50 bytes and a record header of 16 surround each frame.
    let frame_bytes = (file.len() as u64).saturating_sub(24 + records * (50 + 16)) * times;
    Ok(Capture {
        paths: vec![path; count],
        packets: records * times,
        frame_bytes,
        _file: None,
    })
}

/// A temporary folder in memory where there is one, so that no disk is measured.
///
/// # Errors
/// What the file system says.
pub fn folder() -> io::Result<TempDir> {
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(in_memory)
    {
        return Ok(folder);
    }
    tempfile::tempdir()
}

#[cfg(test)]
mod tests {
    use super::{Frames, Traffic};

    #[test]
    fn frames_have_the_size_that_the_row_says() {
        for (frames, expected) in [
            (Frames::Small, 60..68),
            (Frames::Imix, 320..370),
            (Frames::Large, 1_380..1_401),
        ] {
            let folder = super::folder().unwrap();
            let traffic = Traffic {
                frames,
                flows: 100,
                packets: 6_000,
            };
            let capture = traffic.write(folder.path()).unwrap();
            assert_eq!(capture.packets, 6_000);
            let mean = capture.frame_bytes / capture.packets;
            assert!(expected.contains(&mean), "{}: {mean}", frames.name());
        }
    }
}
