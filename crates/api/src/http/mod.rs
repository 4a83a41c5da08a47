//! HTTP/1.1: the page, metrics, health, and what the page and programs ask for.
//!
//! Connections are tasks on the thread of the API. Each has a time for its request's head, a
//! longest life, and a place among at most [`HTTP_CLIENTS_MAX`], which it may lose while it asks
//! for nothing.

mod access;
mod body;
mod events;
mod extract;
mod listing;
mod page;
mod place;
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
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::error::ApiError;
use crate::hub::{Door, Shared, count};
use crate::server::Configured;
use crate::tls::Certificates;
use crate::token::Tokens;
use body::Timed;
pub use events::EVENT_CLIENTS_MAX;
use place::{Admitted, Places, Turn};

/// Connections at once. A further one takes the place of one that asks for nothing, which is
/// closed and counted as evicted; if all are being answered it gets 503, counted as refused.
pub const HTTP_CLIENTS_MAX: usize = 256;
/// Connections of load balancers at once; a further one as with [`HTTP_CLIENTS_MAX`].
pub const HEALTH_CLIENTS_MAX: usize = 64;
/// Longest life of a connection; clients open another. So one that takes nothing of a long
/// answer keeps its place no longer than that.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// Longest head of a request; a longer one is answered with 431 and closed.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most header fields; more are answered with 431.
const HEADERS_MAX: usize = 64;
/// Connections that the kernel has ready before they are accepted. One that finds no room there
/// tries again after a second, so a burst must not fill it.
const BACKLOG: i32 = 1_024;
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
    /// What everything but probes of load balancers is encrypted with.
    pub(crate) certificates: Option<Certificates>,
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

    const fn certificates(self, site: &Site) -> Option<&Certificates> {
        match self {
            Self::Api => site.certificates.as_ref(),
            Self::Health => None,
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
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = StdListener::from(socket);
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
    let mut places = Places::new(entry.clients_max());
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
        let Admitted::Yes { turn, evicted } = places.admit(peer.ip()) else {
            count(&door.refused, 1);
            if entry.certificates(site).is_none() {
                // What does not fit an empty buffer is not waited for.
                let _ = stream.try_write(FULL);
            }
            continue;
        };
        count(&door.evicted, u64::from(evicted));
        let connected = Connected::new(site, entry);
        let its_turn = turn.clone();
        let task = clients.spawn(async move {
            connected.welcome(stream, peer, &its_turn).await;
        });
        places.take(peer.ip(), turn, task);
    }
}

/// Counts as a client as long as it lives, however its task ends.
struct Connected {
    site: Site,
    entry: Entry,
}

impl Connected {
    fn new(site: &Site, entry: Entry) -> Self {
        count(&entry.door(&site.shared).clients, 1);
        let site = site.clone();
        Self { site, entry }
    }

    fn door(&self) -> &Door {
        self.entry.door(&self.site.shared)
    }

    /// Serves it, after a handshake if one is asked for. That has as much time as a request.
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, turn: &Arc<Turn>) {
        // An answer that waits for an acknowledgement is late; without this it is only that.
        let _ = stream.set_nodelay(true);
        let Some(certificates) = self.entry.certificates(&self.site) else {
            return self.serve(stream, peer, turn).await;
        };
        let handshake = timeout(self.site.client_timeout, certificates.accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.site.shared.closed() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve(stream, peer, turn).await,
            Ok(Err(_)) => count(&self.door().strangers, 1),
            Err(_) => count(&self.door().stalled, 1),
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, turn: &Arc<Turn>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (site, door) = (&self.site, self.door());
        let ends = Instant::now() + CONNECTION_MAX;
        let answer = service_fn(async |request| {
            turn.begin();
            count(&door.requests, 1);
            let answer = match self.entry {
                Entry::Api => route::answer(request, peer, site, ends).await,
                Entry::Health => route::probe_alone(&request, site),
            };
            Ok::<_, Infallible>(answer.map(|answer| Timed::new(answer, turn.clone())))
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
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.door().clients.fetch_sub(1, Ordering::Relaxed);
    }
}
