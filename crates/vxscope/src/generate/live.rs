//! Traffic through sockets, in real time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use vxscope_sim::traffic::{Carrier, Datagram, Pace, Stream};
use vxscope_units::{MirrorSource, Vni};

use super::session::Sessions;
use super::{drive, stream, tell};
use crate::arguments::GenArguments;
use crate::failure::Failure;

/// How often a datagram is tried again while the kernel has no room for it. With the pause that
/// is a tenth of a second; then it is counted as not sent.
const RETRIES_MAX: u32 = 100;
const RETRY_PAUSE: Duration = Duration::from_millis(1);
/// Linux, on all architectures that AWS has: no room now, and never any for such a datagram.
const ENOBUFS: i32 = 105;
const EMSGSIZE: i32 = 90;

/// Sends the traffic and prints the truth, also about what left before a failure.
pub(super) fn run(arguments: &GenArguments, target: SocketAddr) -> Result<(), Failure> {
    let target = check(target, arguments.allow_remote)?;
    let stream = stream(arguments, carrier(target)?)?;
    let mut sender = Sender::new(&stream, target, arguments.rate)?;
    let mut sessions = arguments.obey.as_deref().map(Sessions::file);
    let (truth, result) = drive(arguments, stream, |datagram, packet| {
        sender.send(datagram, packet, sessions.as_mut())
    });
    tell(&truth, false)?;
    result
}

/// Refuses what would reach other machines by mistake.
fn check(target: SocketAddr, allow_remote: bool) -> Result<SocketAddr, Failure> {
    let address = target.ip().to_canonical();
    if target.port() == 0 {
        return Err(Failure::Usage(format!("--to {target}: port 0 is none")));
    }
    if !address.is_loopback() && !allow_remote {
        return Err(Failure::Usage(format!(
            "--to {target}: not a loopback address; \
             --allow-remote lets the traffic leave this machine"
        )));
    }
    Ok(SocketAddr::new(address, target.port()))
}

fn carrier(target: SocketAddr) -> Result<Carrier, Failure> {
    if target.ip().is_ipv4() && target.ip().is_loopback() {
        return Ok(Carrier::Loopback);
    }
    let unspecified = if target.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let local = UdpSocket::bind((unspecified, 0))
        .and_then(|socket| socket.connect(target).and_then(|()| socket.local_addr()))
        .map_err(|error| Failure::Failed(format!("--to {target}: no way there: {error}")))?;
    Ok(Carrier::Shared(local.ip()))
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It left, but for so many bytes at its end.
    Sent(usize),
    /// Its mirror session does not let it through.
    NotMirrored,
    /// The kernel would not take it.
    NotSent,
}

/// Sockets, and when to use them.
#[derive(Debug)]
pub(crate) struct Sender {
    /// In the order of [`Stream::senders`]. They are not connected, so that a target at which
    /// nobody listens is no error.
    sockets: Vec<UdpSocket>,
    target: SocketAddr,
    headers: usize,
    pace: Pace,
    start: Instant,
}

impl Sender {
    pub(crate) fn new(stream: &Stream, target: SocketAddr, rate: u64) -> Result<Self, Failure> {
        let sockets = stream.senders().into_iter().map(|address| {
            UdpSocket::bind((address, 0))
                .map_err(|error| Failure::Failed(format!("{address}: no socket: {error}")))
        });
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
            target,
            headers: stream.carrier().headers(),
            pace: Pace::new(rate),
            start: now(),
        })
    }

    /// Waits for the datagram's turn, and sends what its session lets through.
    pub(crate) fn send(
        &mut self,
        datagram: &Datagram,
        packet: &[u8],
        sessions: Option<&mut Sessions>,
    ) -> Result<Left, Failure> {
        self.wait();
        let payload = packet.get(self.headers..).unwrap_or_default();
        let source = Vni::try_new(datagram.vni).map(|vni| MirrorSource {
            address: datagram.outer_ip,
            vni,
        });
        let passed = match (sessions, source) {
            (Some(sessions), Some(source)) => sessions.pass(source, payload),
            (None, _) | (_, None) => Some(payload),
        };
        match passed {
            None => Ok(Left::NotMirrored),
            Some(part) if self.transmit(datagram, part)? => {
                Ok(Left::Sent(payload.len() - part.len()))
            }
            Some(_) => Ok(Left::NotSent),
        }
    }

    /// False if the kernel would not take it.
    fn transmit(&self, datagram: &Datagram, payload: &[u8]) -> Result<bool, Failure> {
        let Some(socket) = self.sockets.get(datagram.sender) else {
            return Ok(false);
        };
        for _ in 0..=RETRIES_MAX {
            match socket.send_to(payload, self.target) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => thread::sleep(RETRY_PAUSE),
                Err(error) if error.raw_os_error() == Some(EMSGSIZE) => break,
                Err(error) => {
                    let target = self.target;
                    let message = format!("--to {target}: cannot be sent: {error}");
                    return Err(Failure::Failed(message));
                }
            }
        }
        Ok(false)
    }

    fn wait(&mut self) {
        loop {
            let elapsed = self.start.elapsed().as_nanos();
            match self
                .pace
                .poll_turn(u64::try_from(elapsed).unwrap_or(u64::MAX))
            {
                0 => return,
                wait => thread::sleep(Duration::from_nanos(wait)),
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(ENOBUFS)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sender in real time is at the edge"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
