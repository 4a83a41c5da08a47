//! What the tests share: captures, runs, and the outputs read back.

pub(crate) mod capture;
pub(crate) mod corpus;
pub(crate) mod flow;
pub(crate) mod output;
pub(crate) mod run;
pub(crate) mod watchdog;
