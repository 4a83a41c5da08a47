//! HTTP/1.1: the page, metrics, health, and what the page and programs ask for.
//!
//! Connections are tasks on the thread of the API. Each has a time for its request's head, a
//! longest life, and a place among at most [`HTTP_CLIENTS_MAX`].

mod access;
mod body;
mod events;
mod extract;
mod listing;
mod page;
mod query;
mod route;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::error::ApiError;
use crate::hub::{Door, Shared, count};
use crate::server::Configured;
use crate::token::Tokens;
pub use events::EVENT_CLIENTS_MAX;

/// Connections at once. A further one is answered with 503 and closed; counted as refused.
pub const HTTP_CLIENTS_MAX: usize = 256;
/// Connections of load balancers at once; a further one is answered with 503 and closed.
pub const HEALTH_CLIENTS_MAX: usize = 64;
/// Longest life of a connection; clients open another. So one that takes nothing of a long
/// answer keeps its place no longer than that.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// Longest head of a request; a longer one is answered with 431 and closed.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most header fields; more are answered with 431.
const HEADERS_MAX: usize = 64;
/// How long to wait when the process has no descriptor left for a client.
const SHORTAGE: Duration = Duration::from_millis(100);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-length: 0\r\n\r\n";

/// What every connection needs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client_timeout: Duration,
    pub(crate) metrics_sources_max: usize,
    /// Whether other machines may ask, under whatever name they know this one by.
    pub(crate) exposed: bool,
    /// Who may; without them nobody proves anything.
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) shown: Arc<Configured>,
}

/// Through which listener somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Everything there is.
    Api,
    /// Whether the workers work, and nothing else.
    Health,
}

impl Entry {
    const fn clients_max(self) -> usize {
        match self {
            Self::Api => HTTP_CLIENTS_MAX,
            Self::Health => HEALTH_CLIENTS_MAX,
        }
    }

    const fn door(self, shared: &Shared) -> &Door {
        match self {
            Self::Api => &shared.counters.http,
            Self::Health => &shared.counters.health,
        }
    }
}

/// Listens, and says where: the kernel may have chosen the port.
pub(crate) fn listen(
    address: SocketAddr,
    may_be_reached: bool,
) -> Result<(StdListener, SocketAddr), ApiError> {
    if !may_be_reached && !address.ip().is_loopback() {
        return Err(ApiError::Exposed { address });
    }
    let listen = || {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    listen().map_err(|cause| ApiError::Listen { address, cause })
}

/// Serves every client in a task of its own. Does not end.
pub(crate) async fn accept(
    listener: &TcpListener,
    site: &Site,
    entry: Entry,
    clients: &mut JoinSet<()>,
) {
    let door = entry.door(&site.shared);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    sleep(SHORTAGE).await;
                    continue;
                }
            },
            Some(_) = clients.join_next() => continue,
        };
        if clients.len() >= entry.clients_max() {
            count(&door.refused, 1);
            // What does not fit an empty buffer is not waited for.
            let _ = stream.try_write(FULL);
            continue;
        }
        let site = site.clone();
        count(&door.clients, 1);
        clients.spawn(async move {
            serve(stream, peer, &site, entry).await;
            let door = entry.door(&site.shared);
            door.clients.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, site: &Site, entry: Entry) {
    // An answer that waits for an acknowledgement is late; without this it is only that.
    let _ = stream.set_nodelay(true);
    let door = entry.door(&site.shared);
    let ends = Instant::now() + CONNECTION_MAX;
    let answer = service_fn(async |request| {
        count(&door.requests, 1);
        let answer = match entry {
            Entry::Api => route::answer(request, peer, site, ends).await,
            Entry::Health => route::probe_alone(&request, site),
        };
        Ok::<_, Infallible>(answer)
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.client_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = sleep_until(ends) => None,
        () = site.shared.closed() => None,
    };
    let is_stalled = match ended {
        Some(result) => result.is_err_and(|error| error.is_timeout()),
        None => {
            // What is under way may be finished.
            connection.as_mut().graceful_shutdown();
            timeout(site.client_timeout, connection).await.is_err()
        }
    };
    if is_stalled {
        count(&door.stalled, 1);
    }
}
