//! SIGHUP: the configuration read again. What can change in a running sensor does, without a
//! packet lost; for everything else it says that a restart is needed, and nothing changes.

use vxscope_config::Config;
use vxscope_engine::Commands;
use vxscope_units::BindTable;

use crate::arguments::RunArguments;
use crate::configuration;

/// Keeps what a run was started with.
#[derive(Debug)]
pub(crate) struct Reload {
    arguments: RunArguments,
    running: Config,
}

impl Reload {
    pub(crate) fn new(arguments: &RunArguments, running: &Config) -> Self {
        Self {
            arguments: arguments.clone(),
            running: running.clone(),
        }
    }

    /// Reads again; what came of it, for people.
    pub(crate) fn run(&mut self, commands: &Commands) -> String {
        let read = configuration::with_options(&self.arguments.options, self.arguments.api);
        let new = match read {
            Ok(new) => new,
            Err(wrong) => return format!("reload: refused, nothing is changed\n{wrong}"),
        };
        let fixed = self.running.differences(&new);
        if !fixed.is_empty() {
            let keys = fixed.join(", ");
            return format!("reload: refused, nothing is changed; these take a restart: {keys}");
        }
        if new.sources.listed == self.running.sources.listed {
            return "reload: nothing has changed".to_owned();
        }
        let Ok(table) = BindTable::try_new(new.sources.listed.clone()) else {
            return "reload: refused, the sources contradict each other".to_owned();
        };
        match commands.replace_bind_table(table) {
            Ok(()) => {
                let count = new.sources.listed.len();
                self.running = new;
                format!("reload: {count} sources are known from now on")
            }
            Err(stopped) => format!("reload: {stopped}"),
        }
    }
}
