//! The signals of one source: what its traffic is for, and what in it is relevant.
//!
//! A worker asks [`judge`] at the few points of a flow's life at which there is something to
//! decide: it gives the flow's category, which all further bytes bear, and says what to tell as a
//! [`Fact`]. DNS messages are read packet by packet ([`dns::read`]). Facts of all workers go, in
//! the order of the input, to one [`Book`], which knows what was seen before and turns facts into
//! relevant events; so the number of workers shows in no event.
//!
//! ```
//! use vxscope_report::Category;
//! use vxscope_signals::served;
//! use vxscope_wire::protocol;
//!
//! assert_eq!(served(protocol::TCP, 22).category, Category::Management);
//! assert_eq!(served(protocol::UDP, 40_000).category, Category::Other);
//! ```

mod bloom;
mod book;
pub mod dns;
mod domain;
mod fact;
mod failures;
mod judge;
mod label;
mod mix;
mod past;
mod role;
mod service;
mod signals;
mod state;
#[cfg(test)]
mod testing;
mod told;

pub use book::{Book, BookLimits};
pub use fact::{Fact, FactKind};
pub use failures::Failures;
pub use judge::{Ruling, judge};
pub use label::{category_of, label_of};
pub use mix::hash_bytes;
pub use past::Past;
pub use role::{Role, RoleId, Roles};
pub use service::{Service, served, service_port};
pub use signals::signals;
pub use state::{Events, SHARE_BYTES, STATE_BYTES, STATE_BYTES_MAX};
pub use told::Told;
