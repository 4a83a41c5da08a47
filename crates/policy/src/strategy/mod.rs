//! Ready strategies: which sources and which traffic are worth mirroring at all, by the user's
//! choice.

pub mod filter;
