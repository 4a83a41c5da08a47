//! What a service manager is told, what it may ask, and what it holds for the next run:
//! `sd_notify(3)` in plain words.

use std::env;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::Duration;

use vxscope_linux::privilege::{self, Execution};
use vxscope_linux::{Handed, send_with, take_handed};

/// The way to the service manager, if one started us.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// Connected.
    socket: Option<UnixDatagram>,
    /// How often it wants to hear from us.
    patience: Option<Duration>,
    /// What it holds of the run before, by name.
    held: Vec<String>,
}

/// Workers are seen every 20 ms. One that is not for so long hangs, and the watchdog may bark.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);
/// How long a manager may take to give up what it holds.
const RELEASE_MAX: Duration = Duration::from_secs(5);

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
            socket.connect_addr(&address).ok()?;
            Some(socket)
        });
        Self {
            socket,
            patience: patience.map(Duration::from_micros),
            held: Vec::new(),
        }
    }

    /// Tells it something. Whoever is not there is not told.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }

    /// Descriptors of the run before, each with its name.
    pub(crate) fn take_held(&mut self) -> Vec<(String, OwnedFd)> {
        let handed = take_handed().into_iter();
        let handed: Vec<_> = handed
            .map(|Handed { name, descriptor }| (name, descriptor))
            .collect();
        self.held = handed.iter().map(|(name, _)| name.clone()).collect();
        handed
    }

    /// Asks it to close what it holds of the run before, and waits until it has.
    pub(crate) fn release(&mut self) {
        for name in self.held.drain(..) {
            if let Some(socket) = &self.socket {
                let _ = socket.send(format!("FDSTOREREMOVE=1\nFDNAME={name}").as_bytes());
            }
        }
        self.wait_for_manager();
    }

    /// Asks it to hold a descriptor under this name; whether it was asked.
    pub(crate) fn hold(&self, name: &str, descriptor: BorrowedFd<'_>) -> bool {
        // One that it holds already it closes again. It need not watch a socket for its end.
        let text = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}");
        self.socket
            .as_ref()
            .is_some_and(|it| send_with(it, text.as_bytes(), &[descriptor]).is_ok())
    }

    /// Returns when it has done what it was told before, or takes too long: the end of a stream
    /// that it gets is closed then.
    fn wait_for_manager(&self) {
        let (Some(socket), Ok((mut here, there))) = (&self.socket, UnixStream::pair()) else {
            return;
        };
        let asked = send_with(socket, b"BARRIER=1", &[there.as_fd()]);
        drop(there);
        if asked.is_ok() && here.set_read_timeout(Some(RELEASE_MAX)).is_ok() {
            let _ = here.read(&mut [0]);
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
            privilege::refuse_system_calls(Execution::Refused),
        ),
    ];
    let failed = steps
        .into_iter()
        .filter_map(|(what, done)| Some((what, done.err()?)));
    failed
        .map(|(what, error)| format!("{what}: {error}"))
        .collect()
}
