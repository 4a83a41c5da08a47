//! What happens, as it happens: server-sent events, one for each tick and each decision.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::{Instant, sleep_until};

use super::access::Access;
use crate::hub::{Shared, Shown, count};

/// Clients that follow at a time; a further one is told to try later.
pub const EVENT_CLIENTS_MAX: usize = 32;
/// Events that wait for a client; what finds no room is skipped, and counted.
const WAITING: usize = 32;
/// How long before its connection ends a stream does, so that it ends in order.
const MARGIN: Duration = Duration::from_secs(2);

/// Begins a stream that ends before `ends`; `None` if there are too many.
pub(super) fn follow(
    shared: &Arc<Shared>,
    access: Access,
    ends: Instant,
) -> Option<mpsc::Receiver<Bytes>> {
    let permit = match shared.event_clients.clone().try_acquire_owned() {
        Ok(permit) => permit,
        Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
            count(&shared.counters.http.refused, 1);
            return None;
        }
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let shared = shared.clone();
    let ends = ends.checked_sub(MARGIN).unwrap_or(ends);
    tokio::spawn(async move { feed(&shared, access, &sender, ends, permit).await });
    Some(receiver)
}

async fn feed(
    shared: &Shared,
    access: Access,
    sender: &Sender<Bytes>,
    ends: Instant,
    _permit: OwnedSemaphorePermit,
) {
    let mut ticks = shared.follow();
    let mut decisions = shared.decisions.follow();
    send(shared, sender, Bytes::from_static(b"retry: 1000\n\n"));
    send(shared, sender, tick(shared, &shared.latest()));
    loop {
        tokio::select! {
            next = ticks.recv() => match next {
                Ok(shown) => send(shared, sender, tick(shared, &shown)),
                Err(RecvError::Lagged(missed)) => count(&shared.counters.skipped, missed),
                Err(RecvError::Closed) => return,
            },
            next = decisions.recv() => match next {
                Ok(one) => {
                    let data = one.json(access.future);
                    let event = format!("event: decision\ndata: {data}\n\n");
                    send(shared, sender, event.into());
                }
                Err(RecvError::Lagged(missed)) => count(&shared.counters.skipped, missed),
                Err(RecvError::Closed) => return,
            },
            () = sender.closed() => return,
            () = sleep_until(ends) => return,
            () = shared.closed() => return,
        }
    }
}

/// Never waits for a client.
fn send(shared: &Shared, sender: &Sender<Bytes>, event: Bytes) {
    if sender.try_send(event).is_err() {
        count(&shared.counters.skipped, 1);
    }
}

fn tick(shared: &Shared, shown: &Shown) -> Bytes {
    let mut event = b"event: tick\ndata: {\"status\":".to_vec();
    event.extend_from_slice(&shown.status());
    event.extend_from_slice(b",\"mirrors\":");
    event.extend_from_slice(&shared.oversight().totals);
    event.extend_from_slice(b"}\n\n");
    event.into()
}
