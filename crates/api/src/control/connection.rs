//! One client of the control socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, timeout, timeout_at};

use super::request::{self, LARGE_REQUEST_BYTES, REQUEST_BYTES_MAX, Request, Subject};
use crate::hub::{Shared, Shown, count, json};
use crate::look_back::{Asker, LookBackRequest};

/// How long a client may ask nothing between two requests; then it is disconnected.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a client may take for the captures of an answer; then it is disconnected.
const TAKING_MAX: Duration = Duration::from_secs(60);
/// What a read takes at most.
const READ_BYTES: usize = 4096;

/// See the module.
pub(super) struct Connection {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    /// Received and not yet handled: at most [`REQUEST_BYTES_MAX`] and a read more.
    pending: Vec<u8>,
    client_timeout: Duration,
    asker: Asker,
}

/// Why a connection ends.
enum End {
    /// Hung up, or idle.
    Gone,
    /// Did not get on.
    Stalled,
    /// Asked for too much, and was told so.
    Refused,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, client_timeout: Duration) -> Self {
        // Who asks is what the kernel says; where it says nothing, nobody.
        let (uid, gid, pid) = stream.peer_cred().map_or((u32::MAX, u32::MAX, None), |it| {
            (it.uid(), it.gid(), it.pid())
        });
        let (read, write) = stream.into_split();
        Self {
            asker: Asker::Process { uid, gid, pid },
            read,
            write,
            pending: Vec::new(),
            client_timeout,
        }
    }

    /// Answers until one of both has enough.
    pub(super) async fn serve(mut self, shared: &Arc<Shared>) {
        if let Err(End::Stalled) = self.answer(shared).await {
            count(&shared.counters.control.stalled, 1);
        }
    }

    async fn answer(&mut self, shared: &Arc<Shared>) -> Result<(), End> {
        loop {
            let line = tokio::select! {
                line = self.request(shared) => line?,
                () = shared.closed() => return Ok(()),
            };
            count(&shared.counters.control.requests, 1);
            match Request::parse(&line) {
                Ok(Request::Get(subject)) => self.get(subject, shared).await?,
                Ok(Request::FollowReports) => return self.follow(shared).await,
                Ok(Request::Mirrors) => self.tell(shared.mirrors().await).await?,
                Ok(Request::Set(command)) => self.tell(shared.command(command).await).await?,
                Ok(Request::LookBack(request)) => self.look_back(request, shared).await?,
                Err(message) => self.send(&[&request::error(&message)]).await?,
            }
        }
    }

    /// The head of the answer is a line; the captures that it announces follow as they are.
    async fn look_back(
        &mut self,
        request: LookBackRequest,
        shared: &Arc<Shared>,
    ) -> Result<(), End> {
        let given = match shared.look_back(request, self.asker).await {
            Ok(given) => given,
            Err(refusal) => return self.send(&[&request::error(&refusal.message)]).await,
        };
        let head = format!("{{\"ok\":{}}}\n", given.answer.head);
        let parts: Vec<&[u8]> = std::iter::once(head.as_bytes())
            .chain(given.captures.iter().map(AsRef::as_ref))
            .collect();
        // Each part of it may be taken slowly, but not all of it for ever: others want the place.
        let sent = timeout(TAKING_MAX, self.send(&parts)).await;
        sent.unwrap_or(Err(End::Stalled))
    }

    async fn get(&mut self, subject: Subject, shared: &Shared) -> Result<(), End> {
        let shown = shared.latest();
        let answer = match subject {
            Subject::Status => shown.status(),
            Subject::Sources => shown.sources(),
            Subject::Health => shared.health().json(),
            Subject::Oversight => json(&shared.oversight().oversight),
        };
        self.send(&[b"{\"ok\":", &answer, b"}\n"]).await
    }

    /// What the sensor itself answered.
    async fn tell(&mut self, answer: Result<Bytes, String>) -> Result<(), End> {
        match answer {
            Ok(answer) => self.send(&[b"{\"ok\":", &answer, b"}\n"]).await,
            Err(message) => self.send(&[&request::error(&message)]).await,
        }
    }

    /// One line for each report from the next on, until the client hangs up, which shows when it
    /// is written to, or the hub is closed.
    async fn follow(&mut self, shared: &Shared) -> Result<(), End> {
        let mut reports = shared.follow();
        let mut skipped = 0;
        self.send(&[b"{\"ok\":{\"follow\":\"reports\"}}\n"]).await?;
        loop {
            let next = tokio::select! {
                biased;
                next = reports.recv() => next,
                () = shared.closed() => break,
            };
            match next {
                Ok(shown) => self.report(&shown, skipped).await?,
                Err(RecvError::Lagged(missed)) => {
                    skipped += missed;
                    count(&shared.counters.skipped, missed);
                }
                Err(RecvError::Closed) => break,
            }
        }
        self.rest(&mut reports, skipped).await
    }

    /// What is left in the backlog.
    async fn rest(
        &mut self,
        reports: &mut broadcast::Receiver<Arc<Shown>>,
        mut skipped: u64,
    ) -> Result<(), End> {
        loop {
            match reports.try_recv() {
                Ok(shown) => self.report(&shown, skipped).await?,
                Err(TryRecvError::Lagged(missed)) => skipped += missed,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn report(&mut self, shown: &Shown, skipped: u64) -> Result<(), End> {
        let head = format!("{{\"ok\":{{\"skipped\":{skipped},\"report\":");
        self.send(&[head.as_bytes(), &shown.report(), b"}}\n"])
            .await
    }

    /// The next line without its end. A request that was begun must be complete in time, however
    /// slowly it trickles.
    async fn request(&mut self, shared: &Shared) -> Result<Vec<u8>, End> {
        let mut begun = Instant::now();
        let (mut permit, mut looked_at) = (None, 0);
        loop {
            let unread = self.pending.get(looked_at..).unwrap_or_default();
            if let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let end = looked_at + end;
                let rest = self.pending.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.pending, rest);
                line.truncate(end);
                return Ok(line);
            }
            if self.pending.len() >= REQUEST_BYTES_MAX {
                let message = format!("longer than {REQUEST_BYTES_MAX} bytes; this is no request");
                self.send(&[&request::error(&message)]).await?;
                return Err(End::Refused);
            }
            if self.pending.len() > LARGE_REQUEST_BYTES && permit.is_none() {
                permit = shared.large.try_acquire().ok();
                if permit.is_none() {
                    let message = "others send large requests already; try later";
                    self.send(&[&request::error(message)]).await?;
                    return Err(End::Refused);
                }
            }
            let is_idle = self.pending.is_empty();
            let patience = if is_idle {
                IDLE_MAX
            } else {
                self.client_timeout
            };
            looked_at = self.pending.len();
            let mut buffer = [0; READ_BYTES];
            match timeout_at(begun + patience, self.read.read(&mut buffer)).await {
                Err(_) if is_idle => return Err(End::Gone),
                Err(_) => return Err(End::Stalled),
                Ok(Ok(0) | Err(_)) => return Err(End::Gone),
                Ok(Ok(length)) => {
                    if is_idle {
                        begun = Instant::now();
                    }
                    let received = buffer.get(..length).unwrap_or_default();
                    self.pending.extend_from_slice(received);
                }
            }
        }
    }

    /// Writes everything, if the client goes on taking it.
    async fn send(&mut self, parts: &[&[u8]]) -> Result<(), End> {
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                match timeout(self.client_timeout, self.write.write(rest)).await {
                    Err(_) => return Err(End::Stalled),
                    Ok(Ok(0) | Err(_)) => return Err(End::Gone),
                    Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                }
            }
        }
        Ok(())
    }
}
