//! pcap and pcapng, reader and writer over bytes.
//!
//! [`Reader`] takes the next bytes of a capture and says what they are: a record, something to
//! skip, or too few. It borrows nothing between calls, so the caller decides where the bytes live:
//! a mapped file, a stream, a test. [`classic`] and [`pcapng::Writer`] write the same formats.
//!
//! ```
//! use vxscope_pcap::{Precision, Reader, Step, classic};
//! use vxscope_units::{LinkType, Timestamp};
//!
//! let mut file = classic::file_header(Precision::Micros, LinkType::Ethernet, 262_144).to_vec();
//! file.extend(classic::record_header(Timestamp::new(7, 5_000), 3, 60, Precision::Micros));
//! file.extend(b"abc");
//!
//! let mut reader = Reader::new();
//! let mut rest = file.as_slice();
//! let mut records = 0;
//! loop {
//!     match reader.read(rest)? {
//!         Step::Record { consumed, record } => {
//!             assert_eq!((record.data, record.original_len), (&b"abc"[..], 60));
//!             records += 1;
//!             rest = &rest[consumed..];
//!         }
//!         Step::Skip { consumed } => rest = &rest[consumed..],
//!         Step::NeedMore { .. } => break,
//!     }
//! }
//! reader.finish(rest)?;
//! assert_eq!(records, 1);
//! # Ok::<(), vxscope_pcap::PcapError>(())
//! ```

mod bytes;
pub mod classic;
mod error;
mod limit;
pub mod pcapng;
mod reader;

pub use classic::Precision;
pub use error::{Compression, PcapError};
pub use limit::{CAPTURED_BYTES_MAX, INTERFACES_MAX};
pub use reader::{Many, Reader, Record, Step};
