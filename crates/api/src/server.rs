//! The thread that serves: sockets opened first, so that a mistake shows before the first packet.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control;
use crate::error::ApiError;
use crate::hub::{Hub, Sensor, Shared};
use crate::socket::{self, SocketFile};

/// How long clients may take for what they are owed once the hub is closed; then they are cut
/// off.
pub const CLOSING_MAX: Duration = Duration::from_millis(500);

/// Where to listen, and the patience.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control socket.
    pub control: PathBuf,
    /// In this time a client must send the request it began, or take a part of its answer.
    pub client_timeout: Duration,
}

impl Settings {
    /// With the usual patience.
    #[must_use]
    pub const fn new(control: PathBuf) -> Self {
        Self {
            control,
            client_timeout: Duration::from_secs(10),
        }
    }
}

/// Open sockets; see [`Server::run`].
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    shared: Arc<Shared>,
    file: SocketFile,
    control: tokio::net::UnixListener,
    client_timeout: Duration,
}

impl Server {
    /// Opens the sockets. Clients wait until [`Server::run`].
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn open(settings: Settings, sensor: Arc<dyn Sensor>) -> Result<(Self, Hub), ApiError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| ApiError::Runtime { cause })?;
        let (listener, file) = socket::open(&settings.control)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::from_std(listener)
        };
        let control = listener.map_err(|cause| ApiError::Socket {
            path: settings.control,
            cause,
        })?;
        let shared = Arc::new(Shared::new(sensor));
        let hub = Hub {
            shared: shared.clone(),
        };
        let server = Self {
            runtime,
            shared,
            control,
            file,
            client_timeout: settings.client_timeout,
        };
        Ok((server, hub))
    }

    /// Serves until the hub is closed. Takes the whole thread.
    pub fn run(self) {
        let Self {
            runtime,
            shared,
            control,
            client_timeout,
            file,
        } = self;
        runtime.block_on(async {
            let mut clients = JoinSet::new();
            tokio::select! {
                () = control::accept(&control, &shared, client_timeout, &mut clients) => {}
                () = shared.closed() => {}
            }
            drop(file);
            drop(control);
            let ended = async { while clients.join_next().await.is_some() {} };
            let _ = timeout(CLOSING_MAX, ended).await;
        });
    }
}
