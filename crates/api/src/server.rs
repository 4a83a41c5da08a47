//! The thread that serves: sockets opened first, so that a mistake shows before the first packet.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::http::{Entry, Site};
use crate::hub::{Hub, Sensor, Shared};
use crate::look_back::EXTRACTIONS_MAX;
use crate::socket::{self, SocketFile};
use crate::tls::Certificates;
use crate::token::Tokens;
use crate::{control, http};

/// How long clients may take for what they are owed once the hub is closed; then they are cut
/// off.
pub const CLOSING_MAX: Duration = Duration::from_millis(500);

/// Where to listen, and the patience.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control socket.
    pub control: PathBuf,
    /// Address and port for HTTP, if any; port 0: one of the kernel's choice.
    pub http: Option<SocketAddr>,
    /// Whether other machines may reach that address; then there must be tokens.
    pub exposed: bool,
    /// The file of tokens, if there is one.
    pub tokens: Option<PathBuf>,
    /// What HTTP is encrypted with; in the clear without.
    pub certificates: Option<Certificates>,
    /// Address and port for the probes of load balancers alone.
    pub health: Option<SocketAddr>,
    /// The configuration in force and the rules of the policy, as they are shown.
    pub shown: Configured,
    /// Mirror sources with metrics of their own, at most.
    pub metrics_sources_max: usize,
    /// In this time a client must send the request it began, or take a part of its answer.
    pub client_timeout: Duration,
}

impl Settings {
    /// The control socket alone, with the usual patience.
    #[must_use]
    pub const fn new(control: PathBuf) -> Self {
        Self {
            control,
            http: None,
            exposed: false,
            tokens: None,
            certificates: None,
            health: None,
            shown: Configured {
                config: String::new(),
                rules: String::new(),
            },
            metrics_sources_max: 1_000,
            client_timeout: Duration::from_secs(10),
        }
    }
}

/// What the sensor was started with, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The configuration, as TOML.
    pub config: String,
    /// The rules of the policy as TOML; empty if they are the defaults.
    pub rules: String,
}

/// Open sockets; see [`Server::run`].
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    site: Site,
    file: SocketFile,
    control: UnixListener,
    http: Option<(TcpListener, SocketAddr)>,
    health: Option<(TcpListener, SocketAddr)>,
}

impl Server {
    /// Opens the sockets. Clients wait until [`Server::run`].
    ///
    /// # Errors
    /// See [`ApiError`].
    pub fn open(settings: Settings, sensor: Arc<dyn Sensor>) -> Result<(Self, Hub), ApiError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // One for commands, in their order; the others look back.
            .max_blocking_threads(1 + EXTRACTIONS_MAX)
            .thread_name("api-command")
            .build();
        let runtime = runtime.map_err(|cause| ApiError::Runtime { cause })?;
        let inside = runtime.enter();
        let (listener, file) = socket::open(&settings.control)?;
        let control = UnixListener::from_std(listener).map_err(|cause| ApiError::Socket {
            path: settings.control,
            cause,
        })?;
        let tokens = settings.tokens.as_deref().map(Tokens::read).transpose()?;
        let may_be_reached = settings.exposed && tokens.is_some();
        let listen = |address, may_be_reached| {
            let (listener, bound) = http::listen(address, may_be_reached)?;
            let listener = TcpListener::from_std(listener);
            let listener = listener.map_err(|cause| ApiError::Listen { address, cause })?;
            Ok::<_, ApiError>((listener, bound))
        };
        let http = settings.http.map(|it| listen(it, may_be_reached));
        let http = http.transpose()?;
        // It says one word, to everybody.
        let health = settings.health.map(|it| listen(it, true)).transpose()?;
        let shared = Arc::new(Shared::new(sensor));
        let hub = Hub {
            shared: shared.clone(),
        };
        let site = Site {
            shared,
            client_timeout: settings.client_timeout,
            metrics_sources_max: settings.metrics_sources_max,
            exposed: settings.exposed,
            tokens: tokens.map(Arc::new),
            certificates: settings.certificates,
            shown: Arc::new(settings.shown),
        };
        drop(inside);
        let server = Self {
            runtime,
            site,
            file,
            control,
            http,
            health,
        };
        Ok((server, hub))
    }

    /// Where it listens for HTTP.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|(_, address)| *address)
    }

    /// Where it answers the probes of load balancers.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|(_, address)| *address)
    }

    /// Serves until the hub is closed. Takes the whole thread.
    pub fn run(self) {
        let Self {
            runtime,
            site,
            file,
            control,
            http,
            health,
        } = self;
        let (mut clients, mut http_clients) = (JoinSet::new(), JoinSet::new());
        let mut probes = JoinSet::new();
        runtime.block_on(async {
            let (shared, client_timeout) = (&site.shared, site.client_timeout);
            let serve_http = async {
                match &http {
                    Some((listener, _)) => {
                        http::accept(listener, &site, Entry::Api, &mut http_clients).await;
                    }
                    None => pending().await,
                }
            };
            let serve_health = async {
                match &health {
                    Some((listener, _)) => {
                        http::accept(listener, &site, Entry::Health, &mut probes).await;
                    }
                    None => pending().await,
                }
            };
            tokio::select! {
                () = control::accept(&control, shared, client_timeout, &mut clients) => {}
                () = serve_http => {}
                () = serve_health => {}
                () = shared.closed() => {}
            }
            drop((file, control, http, health));
            let ended = async {
                while clients.join_next().await.is_some() {}
                while http_clients.join_next().await.is_some() {}
                while probes.join_next().await.is_some() {}
            };
            let _ = timeout(CLOSING_MAX, ended).await;
        });
        // A command that the sensor does not take must not keep the process.
        runtime.shutdown_background();
    }
}
