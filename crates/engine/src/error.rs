//! Why a run could not be done at all.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vxscope_api::ApiError;
use vxscope_capture::CaptureError;
use vxscope_capture::live::LiveError;
use vxscope_capture::udp::UdpError;
use vxscope_export::ExportError;

/// Why a run could not be done. A malformed capture is not among these: it ends the input and is
/// part of the outcome.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An input cannot be opened.
    #[error(transparent)]
    Input(#[from] CaptureError),
    /// The network cannot be listened to.
    #[error(transparent)]
    Network(#[from] UdpError),
    /// The network cannot be received from.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The outputs cannot be written.
    #[error(transparent)]
    Output(#[from] ExportError),
    /// Nobody could ask the sensor.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The memory that the configuration asks for cannot be reserved.
    #[error("cannot reserve memory for flows and rings: {0}; lower rings.memory or flow.flows_max")]
    Memory(#[source] io::Error),
    /// Detectors cannot be listened to.
    #[error("{}: cannot be made for detectors: {cause}; see detectors.eve_socket", path.display())]
    DetectorSocket {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// More tunnel ports than a sensor listens on.
    #[error("{count} ports for one tunnel type; a sensor takes at most four")]
    Ports {
        /// How many were configured.
        count: usize,
    },
    /// Listed sources that contradict each other; `Config::check` says which.
    #[error("{count} of the listed sources contradict others")]
    Sources {
        /// How many.
        count: usize,
    },
    /// No input was named.
    #[error("no capture to read; name at least one file, or - for standard input")]
    NoInput,
}
