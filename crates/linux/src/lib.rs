//! What we ask of the kernel: mapped files, UDP sockets, packet rings, TAP interfaces, programs on an
//! interface, what a process gives up, where it may write, and what a service manager holds for it.
//!
//! All `unsafe` of the input side is here, behind types that cannot be misused from safe code.

mod extended;
mod handed;
mod mapped_file;
mod option;
pub mod privilege;
mod program;
pub mod ring;
mod tap;
pub mod tap_drop;
pub mod udp;
mod wait;
mod waker;
mod writing;

pub use extended::{ExtendedInstruction, LoadedProgram, Purpose};
pub use handed::{Handed, send_with, take_handed};
pub use mapped_file::MappedFile;
pub use program::Instruction;
pub use tap::{NAME_BYTES_MAX, TapQueue};
pub use wait::{WAIT_SOCKETS_MAX, settle, wait_readable};
pub use waker::Waker;
pub use writing::write_only_in;
