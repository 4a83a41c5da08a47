//! SIGHUP, or an order over HTTP: the configuration read again. What can change in a running sensor
//! does, without a packet lost; for everything else it says that a restart is needed, and nothing
//! changes.

use std::sync::{Mutex, PoisonError};

use vxscope_api::Certificates;
use vxscope_config::Config;
use vxscope_engine::{Commands, Reread};
use vxscope_units::BindTable;

use crate::arguments::RunArguments;
use crate::configuration;

/// Reads again what a run was started with.
pub(crate) fn reread(
    arguments: &RunArguments,
    running: &Config,
    certificates: Option<Certificates>,
) -> Reread {
    let (arguments, running) = (arguments.clone(), Mutex::new(running.clone()));
    Reread::by(move |commands| {
        // One after the other: each is compared with what the one before left.
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        reload(&arguments, &mut running, certificates.as_ref(), commands)
    })
}

/// What came of it, for people; the error is why nothing is changed.
fn reload(
    arguments: &RunArguments,
    running: &mut Config,
    certificates: Option<&Certificates>,
    commands: &Commands,
) -> Result<String, String> {
    let new = configuration::with_options(&arguments.options, arguments.api)
        .map_err(|wrong| format!("refused, nothing is changed\n{wrong}"))?;
    let fixed = running.differences(&new);
    if !fixed.is_empty() {
        let keys = fixed.join(", ");
        return Err(format!(
            "refused, nothing is changed; these take a restart: {keys}"
        ));
    }
    let table = BindTable::try_new(new.sources.listed.clone())
        .map_err(|_| "refused, the sources contradict each other")?;
    // The same files may hold another certificate by now.
    let renewed = certificates.map_or(Ok(false), Certificates::renew);
    let renewed = renewed.map_err(|wrong| format!("refused, nothing is changed; {wrong}"))?;
    let mut says = Vec::new();
    if renewed {
        says.push("the certificate is another from now on".to_owned());
    }
    if new.sources.listed != running.sources.listed {
        let replaced = commands.replace_bind_table(table);
        replaced.map_err(|stopped| stopped.to_string())?;
        let count = new.sources.listed.len();
        says.push(format!("{count} sources are known from now on"));
        *running = new;
    }
    Ok(match says.as_slice() {
        [] => "nothing has changed".to_owned(),
        says => says.join("; "),
    })
}
