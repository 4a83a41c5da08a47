//! Signals that ask a live run to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use vxscope_engine::Stop;

use crate::failure::Failure;

/// Set by SIGHUP: the configuration should be read again.
pub(crate) fn hangup() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    let registered = signal_hook::flag::register(SIGHUP, asked.clone());
    registered.map_err(|error| Failure::Failed(format!("signals: {error}")))?;
    Ok(asked)
}

/// Whatever signal asks for the end, this is done first, and then the process ends as it would
/// have. On a thread of its own: the main one may wait for something that never comes, such as a
/// key of a terminal that is gone.
pub(crate) fn before_end(first: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let failed = |error| Failure::Failed(format!("signals: {error}"));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                first();
                // It does not return, but for a signal that there is not.
                let _ = emulate_default_handler(signal);
            }
        })
        .map_err(failed)?;
    Ok(())
}

/// A request to stop that SIGINT and SIGTERM make: the first ends the run in order, a second one
/// at once, with files that are closed as far as they are written.
pub(crate) fn stop() -> Result<Arc<Stop>, Failure> {
    let failed = |error| Failure::Failed(format!("signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let stop = Arc::new(Stop::new());
    let asked = stop.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| asked.request()))
        .map_err(failed)?;
    Ok(stop)
}
