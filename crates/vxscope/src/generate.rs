//! `vxscope gen`: mirror traffic into a capture, and the truth about it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use vxscope_pcap::{Precision, classic};
use vxscope_sim::traffic::{Generator, Packet, Spec, Truth};
use vxscope_units::LinkType;

use crate::arguments::GenArguments;
use crate::failure::Failure;
use crate::print;
use crate::progress::Progress;

const BUFFER_BYTES: usize = 1 << 20;
const SNAP_LEN: u32 = 262_144;
/// Packets between two looks at the progress bar.
const PROGRESS_STEP: u64 = 1 << 14;

/// Writes the capture and prints the truth.
pub(crate) fn run(arguments: &GenArguments) -> Result<(), Failure> {
    let generator =
        Generator::try_new(spec(arguments)).map_err(|error| Failure::Usage(error.to_string()))?;
    let path = &arguments.pcap;
    let failed = |error: io::Error| {
        Failure::Failed(format!("{}: cannot be written: {error}", path.display()))
    };
    if path == Path::new("-") {
        let truth = write(generator, arguments.packets, io::stdout().lock()).map_err(failed)?;
        return writeln!(io::stderr(), "{truth:#}").map_err(failed);
    }
    let file = File::create(path).map_err(failed)?;
    let truth = write(generator, arguments.packets, file).map_err(|error| {
        // Half a capture is worse than none; the first error is the one to tell.
        let _ = std::fs::remove_file(path);
        failed(error)
    })?;
    print(&format!("{truth:#}\n"))
}

fn spec(arguments: &GenArguments) -> Spec {
    Spec {
        sources: arguments.sources,
        flows: arguments.flows,
        packets: arguments.packets,
        rate: arguments.rate,
        size: arguments.size,
        seed: arguments.seed,
        packet_length: arguments.packet_length,
        gwlb: arguments.gwlb,
        one_vni: arguments.one_vni,
        ipv6_share: arguments.ipv6,
        scenario: arguments.scenario,
        ..Spec::default()
    }
}

fn write(mut generator: Generator, packets: u64, file: impl Write) -> io::Result<Truth> {
    let progress = Progress::new("{bar:40} {human_pos} of {human_len} packets", Some(packets));
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
    file.write_all(&classic::file_header(
        Precision::Nanos,
        LinkType::Ethernet,
        SNAP_LEN,
    ))?;
    let mut buffer = Vec::new();
    let mut written = 0_u64;
    while let Some(packet) = generator.next_packet(&mut buffer) {
        file.write_all(&record_header(&packet))?;
        file.write_all(&buffer)?;
        written += 1;
        if written.is_multiple_of(PROGRESS_STEP) {
            progress.set(written);
        }
    }
    file.flush()?;
    Ok(generator.truth())
}

fn record_header(packet: &Packet) -> [u8; 16] {
    let length = u32::try_from(packet.outer_length).unwrap_or(u32::MAX);
    classic::record_header(packet.timestamp, length, length, Precision::Nanos)
}
