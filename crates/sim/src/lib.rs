//! Traffic models: seeded mirror traffic the way AWS sends it, and faults on request.
//!
//! ```
//! use vxscope_sim::traffic::{Generator, Spec};
//!
//! let mut generator = Generator::try_new(Spec { packets: 1_000, ..Spec::default() }).unwrap();
//! let mut buffer = Vec::new();
//! while let Some(packet) = generator.next_packet(&mut buffer) {
//!     assert_eq!(packet.outer_length, buffer.len());
//! }
//! assert_eq!(generator.truth().sent, 1_000);
//! ```

pub mod random;
pub mod traffic;
