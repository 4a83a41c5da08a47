//! `pcap-over-ip`: any number of TCP readers, as Wireshark (`TCP@host:57012`), Zeek with
//! `nc … | zeek -r -`, Arkime and NetworkMiner read it. Plain TCP: for this host, or through a
//! tunnel.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::time::Duration;

use vxscope_units::Timestamp;

use super::connection::Connection;
use super::reader::Reader;
use super::{Haste, ReaderCount};
use crate::chunk::FrameChunk;
use crate::error::ExportError;
use crate::look_up::{Host, LookUp, Sought};
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::tagged::{Packer, Packing};
use crate::vlan::Tags;
use crate::way_out::{Offered, WayOut};

/// Readers at once; more are turned away at once and counted.
const READERS_MAX: usize = 8;
/// Readers that are told one by one when the run ends; the counts of further ones are merged.
const READERS_TOLD: usize = 64;
/// Ticks between two attempts to connect, at first and at most: they double.
const PAUSES: Range<u32> = 2..300;
/// How long an attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// How often a first reader is looked for, of a finite input.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverIpEnd {
    /// The readers do: listens on `ADDRESS:PORT`.
    Listen(String),
    /// We do: the reader listens on `HOST:PORT`.
    Connect(String),
}

impl OverIpEnd {
    /// Reads a target: `ADDRESS:PORT` to listen, `connect:HOST:PORT` to connect.
    #[must_use]
    pub fn parse(target: &str) -> Self {
        match target.strip_prefix("connect:") {
            Some(target) => Self::Connect(target.to_owned()),
            None => Self::Listen(target.to_owned()),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct PcapOverIp {
    end: End,
    haste: Haste,
    room: usize,
    packer: Packer,
    readers: Vec<Reader>,
    gone: Vec<ReaderCount>,
    turned_away: u64,
    count: SinkCount,
}

#[derive(Debug)]
enum End {
    Listening(TcpListener),
    Connecting {
        host: Host,
        /// Ticks until the next attempt, and how long the pause after it is.
        wait: u32,
        pause: u32,
    },
}

impl PcapOverIp {
    /// Its name as in `--export`.
    pub const NAME: &str = "pcap-over-ip";

    /// Starts to listen, or to look for the reader, whose host `look_up` finds before each attempt.
    /// `room` bytes may wait for each reader.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub fn open(
        end: &OverIpEnd,
        tags: impl Into<Tags>,
        room: usize,
        haste: Haste,
        look_up: LookUp,
    ) -> Result<Self, ExportError> {
        let end = match end {
            OverIpEnd::Listen(address) => {
                let listen = || {
                    let listener = TcpListener::bind(address)?;
                    listener.set_nonblocking(true)?;
                    Ok(listener)
                };
                End::Listening(listen().map_err(|cause| ExportError::Address {
                    action: "listen for readers of captures on",
                    address: address.clone(),
                    cause,
                })?)
            }
            OverIpEnd::Connect(target) => End::Connecting {
                host: Host::new(target, look_up),
                wait: 0,
                pause: PAUSES.start,
            },
        };
        Ok(Self {
            end,
            haste,
            room,
            packer: Packer::new(tags.into()),
            readers: Vec::new(),
            gone: Vec::new(),
            turned_away: 0,
            count: SinkCount::default(),
        })
    }

    /// Where it listens, if it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.end {
            End::Listening(listener) => listener.local_addr().ok(),
            End::Connecting { .. } => None,
        }
    }

    /// Readers that came while there were [`READERS_MAX`].
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Takes in new readers; of a finite input until there was one.
    fn welcome(&mut self) {
        loop {
            while let Some((stream, address)) = self.end.next(self.readers.len()) {
                self.take_in(stream, address);
            }
            let is_first = self.readers.is_empty() && self.gone.is_empty();
            if self.haste == Haste::Live || !is_first {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn take_in(&mut self, stream: TcpStream, address: SocketAddr) {
        if self.readers.len() >= READERS_MAX {
            // Dropped here: the reader sees the end of the stream at once.
            self.turned_away += 1;
            return;
        }
        if stream.set_nonblocking(true).is_ok() {
            let connection = Connection::Tcp(stream);
            self.readers
                .push(Reader::new(address.to_string(), connection, self.room));
        }
    }

    /// Queues records at every reader; written is what at least one of them took.
    fn push(&mut self, records: &[u8], frames: u64) {
        let (mut taken, mut there) = (false, false);
        let mut at = 0;
        while let Some(reader) = self.readers.get_mut(at) {
            match reader.offer(records, frames, self.haste) {
                Ok(took) => {
                    (taken, there) = (taken | took, true);
                    at += 1;
                }
                Err(_) => self.lose(at),
            }
        }
        match (taken, there) {
            (true, _) => self.count.add_written(frames),
            (false, true) => self.count.add_shed(Shed::ReaderBehind, frames),
            (false, false) => self.count.add_shed(Shed::NoReader, frames),
        }
    }

    fn flush(&mut self, patient: bool) {
        let mut at = 0;
        while let Some(reader) = self.readers.get_mut(at) {
            let patient = patient || reader.is_behind();
            match reader.flush(patient) {
                Ok(()) => at += 1,
                Err(_) => self.lose(at),
            }
        }
    }

    fn lose(&mut self, at: usize) {
        let (ended, left) = self.readers.swap_remove(at).end();
        if self.readers.is_empty() {
            // Nobody else has what it did not get.
            self.count.take_back(Shed::ReaderGone, left);
        }
        let is_full = self.gone.len() >= READERS_TOLD;
        match self.gone.last_mut() {
            Some(last) if is_full => {
                "further readers".clone_into(&mut last.name);
                last.count.merge(&ended.count);
            }
            _ => self.gone.push(ended),
        }
    }
}

impl End {
    /// The next new reader.
    fn next(&mut self, readers: usize) -> Option<(TcpStream, SocketAddr)> {
        match self {
            Self::Listening(listener) => listener.accept().ok(),
            Self::Connecting { host, wait, pause } => {
                if readers > 0 {
                    *pause = PAUSES.start;
                    return None;
                }
                if *wait > 0 {
                    *wait -= 1;
                    return None;
                }
                let address = match host.address() {
                    // No attempt yet, so no pause after it.
                    Sought::Asked => return None,
                    Sought::Unknown => None,
                    Sought::Known(address) => Some(address),
                };
                (*wait, *pause) = (*pause, (*pause * 2).min(PAUSES.end));
                let address = address?;
                let stream = TcpStream::connect_timeout(&address, CONNECT_MAX).ok()?;
                Some((stream, address))
            }
        }
    }
}

impl WayOut for PcapOverIp {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        if matches!(self.end, End::Listening(_)) || self.haste == Haste::Finite {
            self.welcome();
        }
        let mut packer = std::mem::take(&mut self.packer);
        packer.pack(chunk, positions, |packing| match packing {
            Packing::Records(records, frames) => self.push(records, frames),
            Packing::Refused(reason) => self.count.add_shed(reason, 1),
        });
        self.packer = packer;
        self.flush(false);
    }

    fn tick(&mut self, _: Timestamp) {
        if self.haste == Haste::Live || !self.gone.is_empty() || !self.readers.is_empty() {
            self.welcome();
        }
        self.flush(true);
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(mut self: Box<Self>) -> SinkOutcome {
        // Readers that take something each time are let finish; ones that stall are not.
        let mut before = usize::MAX;
        loop {
            let waiting = self.readers.iter().map(Reader::waiting).sum();
            let stalls = waiting == before && self.haste == Haste::Live;
            if waiting == 0 || stalls {
                break;
            }
            before = waiting;
            self.flush(true);
        }
        while !self.readers.is_empty() {
            self.lose(0);
        }
        SinkOutcome {
            name: Self::NAME.to_owned(),
            offered: Offered::Frames,
            count: self.count,
            readers: self.gone,
            details: vec![("turned_away", self.turned_away)],
            error: None,
        }
    }
}
