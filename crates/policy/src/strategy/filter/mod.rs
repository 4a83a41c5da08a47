//! Traffic Mirror filters: what a rule can say, and how a wish becomes at most ten of them.
//!
//! ```
//! use vxscope_policy::strategy::filter::{Family, Service, Use, Widen, request};
//!
//! let web: Vec<Service> = vec!["tcp/443".parse()?, "tcp/80".parse()?];
//! let wanted = request("web", &[Family::V4], [(Use::Served, &web[..])]);
//! let compiled = wanted.compile(Widen::Never);
//! assert_eq!(compiled.filter.rules.len(), 4);
//! assert!(compiled.omitted.is_empty());
//! # Ok::<(), String>(())
//! ```

mod clause;
mod compile;
mod net;
mod ports;
mod service;
mod standard;
#[cfg(test)]
mod tests;

pub use clause::{Clause, Direction, ICMP, ICMPV6, Packet, TCP, UDP};
pub use compile::{
    Action, CLAUSES_MAX, Compiled, Filter, Layer, RULES_MAX, Request, Rule, Wanted, Widen,
};
pub use net::{Family, Net};
pub use ports::Ports;
pub use service::{Service, Use, request};
pub(crate) use standard::DNS;
pub use standard::{Standard, System};
