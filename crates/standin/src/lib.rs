//! A strict EC2 for tests: it answers the calls of Traffic Mirroring as the real one does, refuses
//! what the real one refuses, fails when told to, and writes down every call.
//!
//! It speaks EC2's query protocol over HTTP, so that the official SDKs are its clients, and knows
//! what moto does not: rules and ranges of parameters, quotas, `NotFound`, client tokens, `DryRun`,
//! pages, filter rules, the end of an interface, Describes that lag behind, token buckets.
//!
//! ```no_run
//! use vxscope_standin::{Seed, Standin};
//!
//! let standin = Standin::start(1)?;
//! standin.account(|account| account.add_instance(Seed::new("i-1", "eni-1", "10.0.0.1")));
//! println!("AWS_ENDPOINT_URL={}", standin.url());
//! # Ok::<(), std::io::Error>(())
//! ```

mod account;
mod answer;
mod around;
mod bucket;
mod fault;
mod filter;
mod forward;
mod http;
mod imds;
mod inventory;
mod listing;
mod log;
mod metric;
mod moto;
mod request;
mod server;
mod session;
mod shelf;
mod tagging;
mod target;
mod template;
mod xml;

pub use account::{Account, Quotas};
pub use around::{Kind, SecurityGroup, Subnet};
pub use fault::{Fault, FaultKind, Faults};
pub use filter::{Filter, FilterRule};
pub use inventory::{Instance, Interface, Seed};
pub use log::{Entry, Log};
pub use moto::Moto;
pub use server::Standin;
pub use session::Session;
pub use target::Target;
pub use template::complaints;
