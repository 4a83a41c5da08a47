//! What we ask of the kernel: mapped files, UDP sockets.
//!
//! All `unsafe` of the input side is here, behind types that cannot be misused from safe code.

mod mapped_file;
pub mod udp;

pub use mapped_file::MappedFile;
