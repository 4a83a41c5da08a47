//! The configuration, read again when somebody asks a running sensor to.

use std::fmt;
use std::sync::Arc;

use crate::command::Commands;

/// What came of it, for people: done, or refused with nothing changed.
type Outcome = Result<String, String>;

/// Reads the configuration again and tells the workers. Clones are the same; any thread may call
/// it, but for the workers.
#[derive(Clone)]
pub struct Reread(Arc<dyn Fn(&Commands) -> Outcome + Send + Sync>);

impl Reread {
    /// By a function that does it.
    pub fn by(reread: impl Fn(&Commands) -> Outcome + Send + Sync + 'static) -> Self {
        Self(Arc::new(reread))
    }

    /// Does it.
    ///
    /// # Errors
    /// Why nothing is changed.
    pub fn run(&self, commands: &Commands) -> Outcome {
        (self.0)(commands)
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}
