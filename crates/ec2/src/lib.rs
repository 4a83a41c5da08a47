//! Mirror sessions and inventory over the EC2 API, by the official SDK.
//!
//! [`Ec2`] is a handle: calls go to a thread of its own and answers are asked for, so that nobody
//! waits for a network. It speaks for the `control` crate ([`vxscope_control::mirror::MirrorApi`])
//! and reads an account for the `enrolment` crate ([`Ec2::submit_survey`], what is around it by
//! [`Ec2::submit_around`], counters of CloudWatch by [`Ec2::submit_metrics`]).
//!
//! The SDK does not repeat anything by itself: who asked decides, within the account's budget.
//! Whatever is answered, also by something that is not EC2, becomes a value or an [`ApiError`].
//!
//! [`ApiError`]: vxscope_control::mirror::ApiError

mod around;
mod chore;
mod client;
mod clock;
mod error;
mod filter;
mod handle;
mod hint;
mod instance;
mod junction;
mod metrics;
mod network;
mod object;
mod session;
mod survey;
mod target;
mod whole;
mod worker;

pub use chore::{Chore, ChoreId, Done};
pub use client::Settings;
pub use clock::wall;
pub use handle::{Ec2, StartError};
pub use metrics::MetricsAsk;
pub use object::{OBJECT_MAX, ObjectAnswer, ObjectAsk, ObjectCall, ObjectId};
pub use survey::Scope;
