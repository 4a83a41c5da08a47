//! Who acts: one controller of several, one operator before all of them, and a reaper after.

mod breadcrumb;
mod hold;
mod lease;
mod life;
mod reaper;

pub use breadcrumb::{Breadcrumb, Breadcrumbs, CRUMBS_SCHEMA};
pub use hold::{Hold, owned};
pub use lease::{Answer, Ask, Body, Condition, Lease, LeaseTerms, RAISE_MAX, Standing};
pub use life::{Ending, Farewell, Return, UPGRADE_MAX, returns};
pub use reaper::{HEARTBEAT_MAX, Reap, reap};
