//! What a service manager is told, and what it may ask: `sd_notify(3)` in plain words.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use vxscope_linux::privilege;

/// The way to the service manager, if one started us.
#[derive(Debug, Default)]
pub(crate) struct Service {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear from us.
    patience: Option<Duration>,
}

/// Workers are seen every 20 ms. One that is not for so long hangs, and the watchdog may bark.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

impl Service {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let address = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let name = name.as_bytes();
            match name.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name).ok(),
                None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)).ok(),
            }
        });
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|_| is_ours);
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not hold us up.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        Self {
            socket,
            patience: patience.map(Duration::from_micros),
        }
    }

    /// Tells it something. Whoever is not there is not told.
    pub(crate) fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// Says that all is well, if it is and somebody waits for it.
    pub(crate) fn beat(&self, heartbeat_age: Duration) {
        if self.patience.is_some() && heartbeat_age < HEARTBEAT_MAX {
            self.tell("WATCHDOG=1");
        }
    }
}

/// Gives up what a running sensor no longer needs, for the whole process; what could not be done,
/// for people.
pub(crate) fn seal() -> Vec<String> {
    let steps = [
        ("core dumps are possible", privilege::no_core_dumps()),
        ("privileges can be gained", privilege::no_new_privileges()),
        (
            "no system call is refused",
            privilege::refuse_system_calls(),
        ),
    ];
    let failed = steps
        .into_iter()
        .filter_map(|(what, done)| Some((what, done.err()?)));
    failed
        .map(|(what, error)| format!("{what}: {error}"))
        .collect()
}
