//! Traffic into a capture file, with all outer headers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use vxscope_pcap::{Precision, classic};
use vxscope_sim::traffic::{Carrier, Datagram, Stream, Truth};
use vxscope_units::LinkType;

use super::live::Left;
use super::{BUFFER_BYTES, cannot_write, drive, stream, tell};
use crate::arguments::GenArguments;
use crate::failure::Failure;

const SNAP_LEN: u32 = 262_144;

/// Writes the capture and prints the truth.
pub(super) fn run(arguments: &GenArguments, path: &Path) -> Result<(), Failure> {
    let stream = stream(arguments, Carrier::Capture)?;
    if path == Path::new("-") {
        let truth = write(arguments, stream, path, io::stdout().lock())?;
        return tell(&truth, true);
    }
    let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
    let truth = write(arguments, stream, path, file).inspect_err(|_| {
        // Half a capture is worse than none; the first error is the one to tell.
        let _ = std::fs::remove_file(path);
    })?;
    tell(&truth, false)
}

fn write(
    arguments: &GenArguments,
    stream: Stream,
    path: &Path,
    file: impl Write,
) -> Result<Truth, Failure> {
    let failed = |error: io::Error| cannot_write(path, &error);
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
    let header = classic::file_header(Precision::Nanos, LinkType::Ethernet, SNAP_LEN);
    file.write_all(&header).map_err(failed)?;
    let (truth, result) = drive(arguments, stream, |datagram, packet| {
        let header = record_header(datagram, packet.len());
        file.write_all(&header).map_err(failed)?;
        file.write_all(packet).map_err(failed)?;
        Ok(Left::Sent(0))
    });
    result?;
    file.flush().map_err(failed)?;
    Ok(truth)
}

fn record_header(datagram: &Datagram, length: usize) -> [u8; 16] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    classic::record_header(datagram.timestamp, length, length, Precision::Nanos)
}
