//! `ipfix`: flow records to a collector, as IPFIX (RFC 7011) over UDP or TCP.
//!
//! A record counts as written when the kernel took its message. UDP promises no more; what the
//! collector then says it refuses counts as `write_error`.

mod message;
mod template;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use vxscope_units::Timestamp;

use crate::error::ExportError;
use crate::look_up::{Host, LookUp, Sought};
use crate::patient::PatientUdp;
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::way_out::{Entry, Offered, WayOut};
use message::Messages;

/// Messages after which UDP collectors get the templates again (RFC 7011 §8.4 wants it
/// configurable by either; collectors that were restarted wait this long at most).
const TEMPLATES_EVERY_MESSAGES: u32 = 20;
/// Seconds after which they get them again.
const TEMPLATES_EVERY_SECONDS: u64 = 60;
/// How long an attempt to connect, or a write that a collector holds up, may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Ticks between two attempts to connect, at first and at most: they double.
const PAUSES: std::ops::Range<u32> = 2..300;

/// See the module.
#[derive(Debug)]
pub struct Ipfix {
    collector: Collector,
    messages: Messages,
    now: Timestamp,
    /// When, and how many messages ago, the templates were sent; `None`: not yet.
    templates: Option<(u64, u32)>,
    count: SinkCount,
}

#[derive(Debug)]
enum Collector {
    Udp(PatientUdp),
    Tcp {
        host: Host,
        stream: Option<TcpStream>,
        wait: u32,
        pause: u32,
    },
}

impl Ipfix {
    /// Its name as in `--export`.
    pub const NAME: &str = "ipfix";

    /// Prepares to send to `HOST:PORT` over UDP, or to `tcp:HOST:PORT`. `domain` is the
    /// observation domain. Over TCP `look_up` finds the host, before each attempt to connect.
    ///
    /// # Errors
    /// Over UDP: the host has no address, or no socket can be made.
    pub fn open(target: &str, domain: u32, look_up: LookUp) -> Result<Self, ExportError> {
        let wrong = |cause| ExportError::Address {
            action: "send flow records to",
            address: target.to_owned(),
            cause,
        };
        let collector = match target.strip_prefix("tcp:") {
            Some(target) => Collector::Tcp {
                host: Host::new(target, look_up),
                stream: None,
                wait: 0,
                pause: PAUSES.start,
            },
            None => Collector::Udp(PatientUdp::new(udp(target).map_err(wrong)?)),
        };
        Ok(Self {
            collector,
            messages: Messages::new(domain),
            now: Timestamp::ZERO,
            templates: None,
            count: SinkCount::default(),
        })
    }

    /// Sends the message that is being made.
    fn flush(&mut self) {
        if self.messages.records() == 0 {
            return;
        }
        if self.collector.connect() {
            self.templates = None;
        }
        self.send_templates();
        let (message, records) = self.messages.take(self.now);
        match self.collector.send(&message) {
            Ok(()) => self.count.add_written(records.into()),
            Err(reason) => self.count.add_shed(reason, records.into()),
        }
        if let Some((_, messages)) = &mut self.templates {
            *messages += 1;
        }
    }

    fn send_templates(&mut self) {
        let is_udp = matches!(self.collector, Collector::Udp(_));
        let is_due = self.templates.is_none_or(|(sent, messages)| {
            let is_old = self.now.seconds().saturating_sub(sent) >= TEMPLATES_EVERY_SECONDS;
            is_udp && (messages >= TEMPLATES_EVERY_MESSAGES || is_old)
        });
        if is_due
            && self
                .collector
                .send(&self.messages.templates(self.now))
                .is_ok()
        {
            self.templates = Some((self.now.seconds(), 0));
        }
    }
}

impl WayOut for Ipfix {
    fn records(&mut self, entries: &[Entry]) {
        for record in entries.iter().filter_map(Entry::flow) {
            self.now = self.now.max(record.closed);
            if !self.messages.push(record) {
                self.flush();
                // An empty message has room for any record.
                let _ = self.messages.push(record);
            }
        }
        self.flush();
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = now;
        self.collector.tick();
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(mut self: Box<Self>) -> SinkOutcome {
        self.flush();
        SinkOutcome {
            name: Self::NAME.to_owned(),
            offered: Offered::Records,
            count: self.count,
            readers: Vec::new(),
            details: Vec::new(),
            error: None,
        }
    }
}

impl Collector {
    /// Connects if that is to be done and it is time; whether a connection is new.
    fn connect(&mut self) -> bool {
        let Self::Tcp {
            host,
            stream,
            wait,
            pause,
        } = self
        else {
            return false;
        };
        if stream.is_some() || *wait > 0 {
            return false;
        }
        let address = match host.address() {
            // No attempt yet, so no pause after it.
            Sought::Asked => return false,
            Sought::Unknown => None,
            Sought::Known(address) => Some(address),
        };
        (*wait, *pause) = (*pause, (*pause * 2).min(PAUSES.end));
        *stream = address.and_then(|address| tcp(address).ok());
        if stream.is_some() {
            (*wait, *pause) = (0, PAUSES.start);
        }
        stream.is_some()
    }

    fn tick(&mut self) {
        match self {
            Self::Udp(socket) => socket.tick(),
            Self::Tcp { wait, .. } => *wait = wait.saturating_sub(1),
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Shed> {
        match self {
            Self::Udp(socket) => {
                let sent = socket.send(message);
                sent.map_err(|_| Shed::WriteError)
            }
            Self::Tcp { stream, .. } => {
                let open = stream.as_mut().ok_or(Shed::NoReader)?;
                open.write_all(message).map_err(|_| {
                    // Half a message may be on its way: only a new connection starts clean.
                    *stream = None;
                    Shed::ReaderGone
                })
            }
        }
    }
}

fn udp(target: &str) -> io::Result<UdpSocket> {
    let address = address(target)?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn address(target: &str) -> io::Result<SocketAddr> {
    let found = target.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::other("the name has no address"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, UdpSocket};

    use super::Ipfix;
    use crate::sink::Shed;
    use crate::testing::{never_answers, tcp_record};
    use crate::way_out::{Entry, WayOut};
    use vxscope_units::Timestamp;

    /// Set ids of the messages, in order, and the records that their sequence numbers count.
    fn sets(mut bytes: &[u8]) -> Vec<(u16, u32)> {
        let mut sets = Vec::new();
        while let Some(head) = bytes.first_chunk::<18>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let sequence = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
            sets.push((u16::from_be_bytes([head[16], head[17]]), sequence));
            bytes = &bytes[length..];
        }
        assert_eq!(bytes, b"");
        sets
    }

    fn record() -> Entry {
        Entry::Flow(tcp_record())
    }

    #[test]
    fn a_tcp_collector_gets_templates_first_and_again_after_it_was_away() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut sink = Box::new(Ipfix::open(&format!("tcp:{address}"), 1, never_answers).unwrap());
        sink.records(&[record()]);
        let (first, _) = listener.accept().unwrap();
        sink.records(&[record()]);
        drop(first);
        // Until the kernel says that nobody is there, messages count as sent.
        while sink.count().shed(Shed::ReaderGone) == 0 {
            sink.records(&[record()]);
        }
        let before = sink.count();
        sink.records(&[record(), record()]);
        let (mut second, _) = listener.accept().unwrap();
        let outcome = sink.finish();
        assert_eq!(outcome.count.written(), before.written() + 2);
        assert_eq!(outcome.count.shed(Shed::ReaderGone), 1);
        let mut bytes = Vec::new();
        second.read_to_end(&mut bytes).unwrap();
        let sent = u32::try_from(before.offered()).unwrap();
        assert_eq!(sets(&bytes), [(2, sent), (256, sent)]);
    }

    #[test]
    fn without_a_collector_records_are_shed_and_it_is_looked_for_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut sink = Ipfix::open(&format!("tcp:{address}"), 1, never_answers).unwrap();
        sink.records(&[record()]);
        assert_eq!(sink.count().shed(Shed::NoReader), 1);
        let listener = TcpListener::bind(address).unwrap();
        while sink.count().written() == 0 {
            sink.tick(Timestamp::new(1, 0));
            sink.records(&[record()]);
        }
        drop(listener);
    }

    #[test]
    fn a_name_server_that_does_not_answer_holds_nobody_up() {
        let mut sink = Box::new(Ipfix::open("tcp:collector:4739", 1, never_answers).unwrap());
        for second in 1..100 {
            sink.tick(Timestamp::new(second, 0));
            sink.records(&[record()]);
        }
        assert_eq!(sink.finish().count.shed(Shed::NoReader), 99);
    }

    #[test]
    fn udp_templates_come_again_after_twenty_messages() {
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = collector.local_addr().unwrap().to_string();
        let mut sink = Ipfix::open(&target, 1, never_answers).unwrap();
        let mut found = Vec::new();
        let mut message = [0; 2_000];
        for _ in 0..21 {
            sink.records(&[record()]);
        }
        for _ in 0..23 {
            let length = collector.recv(&mut message).unwrap();
            found.extend(sets(&message[..length]).into_iter().map(|(set, _)| set));
        }
        let templates: Vec<usize> = (0..23).filter(|at| found[*at] == 2).collect();
        assert_eq!(templates, [0, 21]);
    }
}
