//! Where datagrams come from: files, streams and the network.
//!
//! An [`Input`] publishes immutable [`Block`]s; every worker walks every block with a [`Walk`] of
//! its own, some records at a time. [`live`] receives from the network, through [`udp`] sockets or
//! a packet [`ring`]; there the kernel shares the traffic between workers.
//!
//! ```
//! use vxscope_capture::{Batch, Input};
//!
//! # let file: &'static [u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0,
//! #     0, 0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0, 0, 7, 8, 9];
//! let mut input = Input::from_static("embedded.pcap", file);
//! let mut walk = input.walk();
//! let mut bytes = 0;
//! while let Some(block) = input.next_block()? {
//!     let mut batch = Batch::new();
//!     while walk.fill(&block, &mut batch)? > 0 {
//!         bytes += batch.records().iter().map(|record| record.data.len()).sum::<usize>();
//!     }
//! }
//! assert_eq!(bytes, 3);
//! # Ok::<(), vxscope_capture::CaptureError>(())
//! ```

mod batch;
mod block;
mod error;
mod input;
mod interface_drops;
pub mod live;
mod program;
pub mod ring;
mod stream;
pub mod udp;
mod walk;

pub use batch::{BATCH_RECORDS, Batch};
pub use block::Block;
pub use error::CaptureError;
pub use input::{Input, open};
pub use interface_drops::InterfaceDrops;
pub use stream::BLOCK_BYTES;
pub use vxscope_pcap::{PcapError, Record};
pub use walk::{Records, Walk};
