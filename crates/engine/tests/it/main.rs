//! The pipeline end to end: its laws over thousands of captures, its answers beside those of
//! other programs, and its files as users find them.
//!
//! Captures of other projects are read where the folder `../shared/corpus` is there; without it
//! those tests say so and pass.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of a test: a panic is its failure, a print its note"
)]

mod apart;
mod bind_table;
mod community_ids;
mod corpus_laws;
mod extract;
mod hostile;
mod interim;
mod outputs;
mod peers;
mod signals;
mod strays;
mod support;
mod tshark_tables;
mod ways_out;
mod zeek_baselines;
