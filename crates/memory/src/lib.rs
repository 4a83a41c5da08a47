//! A prefetch hint and fixed memory on huge pages.
//!
//! Everything is reserved before the first packet and never grows; pages are touched when used.
//!
//! ```
//! let mut numbers = vxscope_memory::FixedVec::<u64>::with_capacity(4).expect("a page");
//! assert_eq!(numbers.push(7), Ok(0));
//! assert_eq!(numbers[0], 7);
//! ```

mod fixed_vec;
mod prefetch;
mod slab;

pub use fixed_vec::{FixedVec, Full};
pub use prefetch::{LINE, prefetch, prefetch_line, prefetch_part};
pub use slab::Slab;
