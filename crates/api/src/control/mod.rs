//! The control socket: one request a line, one answer a line, both JSON.

mod connection;
mod request;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::hub::{Shared, count};
use connection::Connection;

pub use request::{LARGE_REQUEST_BYTES, REQUEST_BYTES_MAX};

/// Clients at once. A further one is told so and disconnected; counted as refused.
pub const CLIENTS_MAX: usize = 128;
/// How long to wait when the process has no descriptor left for a client.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Serves every client in a task of its own. Does not end.
pub(crate) async fn accept(
    listener: &UnixListener,
    shared: &Arc<Shared>,
    client_timeout: Duration,
    clients: &mut JoinSet<()>,
) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    sleep(SHORTAGE).await;
                    continue;
                }
            },
            Some(_) = clients.join_next() => continue,
        };
        if clients.len() >= CLIENTS_MAX {
            count(&shared.counters.control.refused, 1);
            let message = format!("there are {CLIENTS_MAX} clients already; try later");
            // What does not fit an empty buffer is not waited for.
            let _ = stream.try_write(&request::error(&message));
            continue;
        }
        let connection = Connection::new(stream, client_timeout);
        let shared = shared.clone();
        count(&shared.counters.control.clients, 1);
        clients.spawn(async move {
            connection.serve(&shared).await;
            shared
                .counters
                .control
                .clients
                .fetch_sub(1, Ordering::Relaxed);
        });
    }
}
