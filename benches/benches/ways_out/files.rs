//! Captures in files, beside a program that writes ready records to one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use vxscope_benches::Table;
use vxscope_export::files::{CaptureFiles, FileFormat, FileSettings};
use vxscope_export::stream::Haste;
use vxscope_export::{FrameChunk, Names, VlanMode, WayOut};

use crate::{compare, frames, hand_over, other, repeat};

pub(crate) fn measure(table: &mut Table, chunk: &FrameChunk, folder: &Path) -> io::Result<()> {
    let mut plain = || {
        let mut file = File::create(folder.join("plain"))?;
        repeat(|| file.write_all(chunk.records(0..chunk.len())))
    };
    let way = |format: FileFormat, vlan: VlanMode| {
        move || {
            let folder = folder.join(format.name());
            let folder = folder.to_string_lossy();
            let mut files = CaptureFiles::open(&folder, vlan, settings(format)).map_err(other)?;
            let took = repeat(|| hand_over(&mut files, chunk));
            Box::new(files).finish();
            took
        }
    };
    let mut pcap = way(FileFormat::Pcap, VlanMode::None);
    let mut tagged = way(FileFormat::Pcap, VlanMode::Map);
    let mut pcapng = way(FileFormat::Pcapng, VlanMode::None);
    let names = ["a file", "pcap", "pcap, vlan = map", "pcapng"];
    compare(
        table,
        &frames(chunk),
        &names,
        &mut [&mut plain, &mut pcap, &mut tagged, &mut pcapng],
    )
}

fn settings(format: FileFormat) -> FileSettings {
    FileSettings {
        format,
        by_source: false,
        bytes_max: 16 << 20,
        nanos_max: None,
        packets_max: None,
        budget: Some(32 << 20),
        open_max: 1,
        suricata: None,
        names: Names::default(),
        haste: Haste::Live,
    }
}
