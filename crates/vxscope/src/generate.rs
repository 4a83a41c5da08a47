//! `vxscope gen`: mirror traffic into a capture or through sockets, and the truth about it.

mod capture;
pub(crate) mod live;
mod log;
pub(crate) mod session;

use std::io::{self, Write};
use std::path::Path;

use vxscope_sim::traffic::{Carrier, Datagram, Spec, Stream, Truth};

use crate::arguments::GenArguments;
use crate::failure::Failure;
use crate::print;
use crate::progress::Progress;
use live::Left;
use log::Log;

const BUFFER_BYTES: usize = 1 << 20;
/// Packets between two looks at the progress bar.
const PROGRESS_STEP: u64 = 1 << 8;

/// Makes the traffic and prints the truth.
pub(crate) fn run(arguments: &GenArguments) -> Result<(), Failure> {
    match (&arguments.pcap, arguments.to) {
        (Some(path), _) => capture::run(arguments, path),
        (None, Some(target)) => live::run(arguments, target),
        (None, None) => Err(Failure::Usage("gen: --pcap or --to".to_owned())),
    }
}

/// The traffic that is asked for.
fn stream(arguments: &GenArguments, carrier: Carrier) -> Result<Stream, Failure> {
    let spec = Spec {
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
        carrier,
        ..Spec::default()
    };
    Stream::try_new(spec, arguments.faults).map_err(|error| Failure::Usage(error.to_string()))
}

/// Makes every packet, and counts and logs those that `leave` says have left. The truth is what
/// left until the end or the first failure.
fn drive(
    arguments: &GenArguments,
    mut stream: Stream,
    mut leave: impl FnMut(&Datagram, &[u8]) -> Result<Left, Failure>,
) -> (Truth, Result<(), Failure>) {
    let result = try_drive(arguments, &mut stream, &mut leave);
    (stream.truth(), result)
}

fn try_drive(
    arguments: &GenArguments,
    stream: &mut Stream,
    leave: &mut impl FnMut(&Datagram, &[u8]) -> Result<Left, Failure>,
) -> Result<(), Failure> {
    let mut log = Log::create(arguments.log.as_deref())?;
    let template = "{bar:40} {human_pos} of {human_len} packets";
    let progress = Progress::new(template, Some(arguments.packets));
    let mut buffer = Vec::new();
    while let Some(datagram) = stream.next_datagram(&mut buffer) {
        match leave(&datagram, &buffer)? {
            Left::Sent(cut) => {
                let datagram = datagram.without_end(cut);
                stream.handle_sent(&datagram);
                log.write(&datagram)?;
            }
            Left::NotSent => stream.handle_not_sent(),
            Left::NotMirrored => {}
        }
        if datagram.made.is_multiple_of(PROGRESS_STEP) {
            progress.set(datagram.made);
        }
    }
    log.finish()
}

/// Prints the truth, on standard error if standard output has the capture.
fn tell(truth: &Truth, to_stderr: bool) -> Result<(), Failure> {
    if to_stderr {
        writeln!(io::stderr(), "{truth:#}")
            .map_err(|error| cannot_write(Path::new("standard error"), &error))
    } else {
        print(&format!("{truth:#}\n"))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{}: cannot be written: {error}", path.display()))
}
