//! Live receive on loopback and in network namespaces: where every datagram goes, and that each
//! is accounted for.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of a test: a panic is its failure, a print its note"
)]

mod conservation;
mod error;
mod extended;
mod inherit;
mod mirror;
mod namespace;
mod receiver;
mod ring;
mod steering;
