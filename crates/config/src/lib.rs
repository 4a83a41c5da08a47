//! TOML in, a [`Config`] that cannot be wrong out; all errors at once.
//!
//! One table of keys (`section.rs`) says what each key means, what it may hold and what it holds
//! by default. Reading, printing, the commented reference, "did you mean" and `--set key=value`
//! all follow from it, so that they cannot disagree.
//!
//! ```
//! use vxscope_config::Config;
//!
//! let config = Config::parse("[flow]\nscope = 'vni'\nflows_max = 5_000\n").unwrap();
//! assert_eq!(config.flow.flows_max, 5_000);
//!
//! let problems = Config::parse("[flow]\nflow_max = 5\n[rings]\nhead = true\n").unwrap_err();
//! assert_eq!(
//!     problems[0].to_string(),
//!     "line 2: flow.flow_max: unknown key; did you mean flow.flows_max?",
//! );
//! assert_eq!(problems.len(), 2);
//! ```

mod field;
mod place;
mod print;
mod read;
mod relation;
mod role;
mod section;
mod source;
mod sta;
mod suggest;
mod way;

use read::Reader;

pub use field::Choice;
pub use place::{Place, Problem};
pub use role::Role;
pub use section::{
    Api, Backend, Canary, Capture, Config, Decap, Decapsulation, Detectors, Duplicates, Eve,
    Export, Files, Flow, FlowScope, Forward, Handoff, Ipfix, Log, LogFormat, LookBack,
    PairTimeouts, PayloadKept, Policy, PolicyMode, RecordFiles, Report, Rings, Security, Signals,
    Sources, Split, Tap, TcpTimeouts, Timeouts, TruncatedFrames, UnknownSources, VlanMode,
};
pub use source::{Called, binding};
pub use sta::{HandlingMode, StaConf};
pub use way::{ExportKind, Target, Way};

impl Config {
    /// Reads a configuration file's text; keys that are not there have their defaults.
    ///
    /// # Errors
    /// Every problem of the text in the order of its lines: syntax, unknown keys, wrong types,
    /// values out of range, keys that contradict each other.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse_with(text, &[])
    }

    /// Like [`Config::parse`], then applies assignments as [`Config::apply_set`] does.
    ///
    /// Keys are compared with each other only after the last assignment, so that several may
    /// change together what one alone could not.
    ///
    /// # Errors
    /// Every problem of the text and of the assignments.
    pub fn parse_with(text: &str, assignments: &[String]) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(Self::default());
        reader.read_text(text);
        for assignment in assignments {
            reader.read_assignment(assignment);
        }
        reader.finish()
    }

    /// Changes one key, or a table of keys: `flow.flows_max=1000`, `rings.memory=1GiB`,
    /// `export.kinds=eve,conn-log`, `flow.timeouts.tcp={new=10}`.
    ///
    /// A word needs no quotes and a list no brackets.
    ///
    /// # Errors
    /// Every problem of the assignment and of its combination with the other keys; the
    /// configuration is then as it was before.
    pub fn apply_set(&mut self, assignment: &str) -> Result<(), Vec<Problem>> {
        let mut reader = Reader::new(self.clone());
        reader.read_assignment(assignment);
        *self = reader.finish()?;
        Ok(())
    }

    /// Checks a configuration that was put together by hand.
    ///
    /// # Errors
    /// What [`Config::parse`] would say about its text.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        Self::parse(&self.to_toml()).map(|_| ())
    }
}
