//! Ready strategies: which sources and which traffic are worth mirroring at all, by the user's
//! choice.
//!
//! An [`Inventory`] says what there is; each [`Strategy`] chooses from it; a [`Plan`] puts several
//! together and says for each source its filter, its importance and why, and for all of them what
//! they cover, what they cost, and what they miss. Whatever no strategy wants keeps DNS and
//! never-traffic, unless the user gives that up too.
//!
//! ```
//! use vxscope_policy::money::PriceTable;
//! use vxscope_policy::strategy::{Extent, Inventory, Options, Strategy, plan};
//!
//! let inventory = Inventory::from_toml(
//!     "[[interface]]\nid = \"eni-1\"\nrole = \"database\"\nregion = \"us-east-1\"\nsubnet = \"a\"
//!      [[interface]]\nid = \"eni-2\"\nrole = \"web\"\nregion = \"us-east-1\"\nsubnet = \"b\"",
//! )
//! .expect("a good inventory");
//! let options = Options { strategies: vec![Strategy::Importance], ..Options::default() };
//! let prices = PriceTable::published().expect("the table that ships");
//! let plan = plan(&inventory, &options, &prices);
//! assert_eq!(plan.sources[0].extent, Extent::All);
//! assert_eq!(plan.sources[1].extent, Extent::Sentinel);
//! ```

mod advice;
mod choice;
pub mod filter;
mod inventory;
mod plan;
mod print;
mod role;
mod sample;
#[cfg(test)]
mod tests;

pub use advice::Advice;
pub use choice::{Choice, Extent, Sampling, Strategy};
pub use inventory::{INTERFACES_MAX, Interface, Inventory, InventoryFile};
pub use plan::{Chance, MONTH_HOURS, Options, Outcome, Plan, SESSIONS_MAX, SourcePlan, plan};
pub use role::{ROLES, Role, RoleFile};
pub use sample::{SampleSize, chance_of_meeting, rotations_of, sample};
