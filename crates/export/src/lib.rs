//! Where packets and flow records go: files that appear complete or not at all.
//!
//! * [`OutputDir`], [`OutputFile`]: hidden while written, renamed when finished.
//! * [`eve`], [`conn_log`]: one line per finished flow, for Suricata's and Zeek's readers.
//! * [`FrameChunk`] → [`FrameMerge`] → [`DecapWriter`]: inner frames, copied once, in input order.
//! * [`WayOut`]: a sink with a thread and a queue of its own; [`LineLog`], [`Ipfix`], [`stream`],
//!   [`files`].
//! * [`VlanBook`]: which source has which VLAN id, in all outputs and from run to run.
//! * [`Merge`]: the flow records of several workers, in input order.
//! * [`Duplicates`]: packets that were mirrored at both ends.
//! * [`Overlap`]: says when `decap.pcap` mixes tenants.
//! * [`summary`], [`extract`]: `summary.json`, `sources.json`, `extract.json` and its captures.
//!
//! No threads and no clock: the engine owns both and calls these from one thread per sink. A sink
//! never stops a run. When its file cannot be written, the file is removed and everything it was
//! offered counts as `shed{write_error}` ([`SinkOutcome`] holds the error), so that for every sink
//! `offered = written + Σ shed`, and a file that is there is whole.
//!
//! ```
//! use vxscope_export::{DecapWriter, FrameChunk, OutputDir, VlanMode, WayOut};
//! use vxscope_units::{MirrorSource, Timestamp, Vni};
//!
//! # let guard = tempfile::tempdir()?;
//! # let path = guard.path();
//! let dir = OutputDir::create(path)?;
//! dir.remove_stale()?;
//! let source = MirrorSource { address: "192.0.2.1".parse()?, vni: Vni::ZERO };
//! let mut chunk = FrameChunk::with_capacity(vxscope_export::CHUNK_BYTES);
//! assert!(chunk.push(0, Timestamp::new(1, 0), source, &[0; 60], 60));
//!
//! let mut decap = DecapWriter::create(&dir, VlanMode::None)?;
//! decap.frames(&chunk, 0..chunk.len());
//! let outcome = Box::new(decap).finish();
//! assert_eq!((outcome.count.offered(), outcome.count.written()), (1, 1));
//! assert_eq!(std::fs::metadata(path.join("decap.pcap"))?.len(), 24 + 16 + 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anomaly;
mod audit;
mod chunk;
mod conn_json;
pub mod conn_log;
mod decap;
mod duplicate;
mod error;
pub mod eve;
pub mod extract;
mod file;
pub mod files;
mod frame_merge;
mod grade;
mod ipfix;
mod lines;
mod look_up;
mod merge;
mod names;
mod netflow_eve;
mod ocsf;
mod overlap;
mod patient;
mod protocol;
mod reasons;
mod records;
mod shelf;
mod sink;
pub mod stream;
pub mod summary;
mod tagged;
mod tap;
#[cfg(test)]
mod testing;
mod text;
mod vlan;
mod vlan_book;
mod vpc_flow_logs;
mod vxlan;
mod way_out;
mod whole;

pub use anomaly::{Anomaly, write_anomaly};
pub use audit::{Asked, AuditError, AuditLog, AuditedFlow, Who};
pub use chunk::{CHUNK_BYTES, FRAME_BYTES_MAX, Frame, FrameChunk};
pub use conn_json::CONN_JSON;
pub use conn_log::ConnLog;
pub use decap::DecapWriter;
pub use duplicate::{DuplicatePair, DuplicateSummary, DuplicateTally, Duplicates, PAIRS_MAX};
pub use error::ExportError;
pub use eve::{EveLog, EveOptions};
pub use extract::{
    CaptureFormat, Extracted, ExtractedFlow, Packets, append_records, capture_header,
    write_extracted,
};
pub use file::{CRASHES_KEPT, OUTPUT_NAMES, OutputDir, OutputFile, RECORD_NAMES};
pub use frame_merge::FrameMerge;
pub use grade::{CHANGES_KEPT, GradeBook, GradeChange, write_grade_change};
pub use ipfix::Ipfix;
pub use lines::{LineFormat, LineLog};
pub use look_up::LookUp;
pub use merge::{Merge, Ordered};
pub use names::{Identities, Names};
pub use netflow_eve::NETFLOW_EVE;
pub use ocsf::OCSF;
pub use overlap::{CONVERSATIONS_MAX, Overlap};
pub use reasons::Reasons;
pub use records::{Rotation, keep_finished};
pub use shelf::{Shelf, ShelfLimits, Swept};
pub use sink::{Shed, SinkCount, SinkOutcome};
pub use summary::{
    MirrorSummary, QuarantineSummary, SourceSummary, Summary, write_quarantine, write_sources,
    write_summary,
};
pub use tap::{Tap, TapSettings, Truncated};
pub use vlan::{Tags, VlanMode};
pub use vlan_book::VlanBook;
pub use vpc_flow_logs::VPC_FLOW_LOGS;
pub use vxlan::Vxlan;
pub use way_out::{Entry, Offered, WayOut};
