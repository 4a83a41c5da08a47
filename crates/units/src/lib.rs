//! The nouns everybody shares: VNI, timestamp, mirror source, link type, byte size, grade.
//!
//! Values here cannot hold a bad number: a constructor that can be wrong returns `Option`.
//!
//! ```
//! use vxscope_units::{Timestamp, Vni};
//! assert_eq!(Vni::try_new(1 << 24), None);
//! assert_eq!(Timestamp::new(1, 500).as_nanos(), 1_000_000_500);
//! ```

mod bind;
mod byte_size;
pub mod civil;
mod grade;
mod link_type;
mod prefix;
mod reason;
mod served_port;
mod source;
pub mod time;
mod timestamp;

pub use bind::{BindTable, Binding, Conflict, ConflictKind, Identity, Payload, Unknown};
pub use byte_size::{ByteSize, ByteSizeError};
pub use grade::{EvidenceClass, Grade, GradeMark};
pub use link_type::LinkType;
pub use prefix::{Prefix, PrefixError};
pub use served_port::{ServedPort, ServedPortError};
pub use source::{MirrorSource, SourceId, Vni};
pub use timestamp::Timestamp;
