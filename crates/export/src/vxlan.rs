//! `vxlan`: frames as VXLAN to another sensor, under the VNI they came with.
//!
//! The other sensor sees one sender, this host: sources that share a VNI become one there. UDP
//! tells nobody what arrives, so *written* means that the network took it; what a receiver on the
//! same path refused is counted apart.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use vxscope_units::{BindTable, MirrorSource, Timestamp};

use crate::chunk::{Frame, FrameChunk};
use crate::error::ExportError;
use crate::patient::PatientUdp;
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::way_out::{Offered, WayOut};

/// RFC 7348 §5: the I flag says that there is a VNI.
const FLAGS: u8 = 0x08;
const HEADER_BYTES: usize = 8;
/// How long the network may take before a frame is given up; see [`PatientUdp`].
const PATIENCE: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Vxlan {
    socket: PatientUdp,
    /// The list that says which sources are sent on; all of them without one.
    marked: Option<Arc<BindTable>>,
    last: Option<(MirrorSource, bool)>,
    datagram: Vec<u8>,
    refused: u64,
    count: SinkCount,
}

impl Vxlan {
    /// Its name as in `--export`.
    pub const NAME: &str = "vxlan";

    /// Prepares to send to `HOST:PORT`; the name is looked up once. `ears` is where this sensor
    /// itself listens. With `marked` only the sources that it marks are sent on.
    ///
    /// # Errors
    /// There is no such host or no way to it, or it is this sensor: every frame would come back.
    pub fn open(
        target: &str,
        marked: Option<Arc<BindTable>>,
        ears: &[SocketAddr],
    ) -> Result<Self, ExportError> {
        let socket = connect(target, ears).map_err(|cause| ExportError::Address {
            action: "send VXLAN to",
            address: target.to_owned(),
            cause,
        })?;
        Ok(Self {
            socket: PatientUdp::new(socket),
            marked,
            last: None,
            datagram: Vec::new(),
            refused: 0,
            count: SinkCount::default(),
        })
    }

    fn push(&mut self, frame: &Frame<'_>) {
        if !self.is_selected(frame.source) {
            return self.count.add_shed(Shed::NotSelected, 1);
        }
        let [_, v0, v1, v2] = frame.source.vni.get().to_be_bytes();
        let header: [u8; HEADER_BYTES] = [FLAGS, 0, 0, 0, v0, v1, v2, 0];
        self.datagram.clear();
        self.datagram.extend_from_slice(&header);
        self.datagram.extend_from_slice(frame.bytes);
        match self.send() {
            Ok(()) => self.count.add_written(1),
            Err(error) if is_too_long(&error) => self.count.add_shed(Shed::TooLong, 1),
            Err(_) => self.count.add_shed(Shed::SendError, 1),
        }
    }

    fn is_selected(&mut self, source: MirrorSource) -> bool {
        let Some(marked) = &self.marked else {
            return true;
        };
        match self.last {
            Some((last, selected)) if last == source => selected,
            _ => {
                let selected = marked.find(source).is_some_and(|it| it.forward);
                self.last = Some((source, selected));
                selected
            }
        }
    }

    /// A refusal that is told now is of an earlier datagram, and this one was not sent.
    fn send(&mut self) -> io::Result<()> {
        match self.socket.send(&self.datagram) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.refused += 1;
                self.socket.send(&self.datagram)
            }
            sent => sent,
        }
    }
}

impl WayOut for Vxlan {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        for frame in chunk.frames(positions) {
            self.push(&frame);
        }
    }

    fn tick(&mut self, _: Timestamp) {
        self.socket.tick();
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        SinkOutcome {
            name: Self::NAME.to_owned(),
            offered: Offered::Frames,
            count: self.count,
            readers: Vec::new(),
            details: vec![("refused_by_receiver", self.refused)],
            error: None,
        }
    }
}

fn connect(target: &str, ears: &[SocketAddr]) -> io::Result<UdpSocket> {
    let mut addresses = target.to_socket_addrs()?;
    let target = addresses.next().ok_or(ErrorKind::AddrNotAvailable)?;
    if ears.iter().any(|ear| hears(*ear, target)) {
        let text = "this sensor listens there, so every frame would come back";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Whether who listens on `ear` hears what is sent to `target`.
fn hears(ear: SocketAddr, target: SocketAddr) -> bool {
    if ear.port() != target.port() {
        return false;
    }
    let (ear, target) = (ear.ip().to_canonical(), target.ip().to_canonical());
    // Only an address of this host can be bound to.
    ear == target || (ear.is_unspecified() && UdpSocket::bind((target, 0)).is_ok())
}

/// `EMSGSIZE`, which `ErrorKind` has no word for.
fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::time::Duration;

    use vxscope_units::{BindTable, Binding, MirrorSource, Prefix, Timestamp};
    use vxscope_wire::{Options, Tunnel, decapsulate_datagram};

    use super::Vxlan;
    use crate::chunk::{FRAME_BYTES_MAX, FrameChunk};
    use crate::sink::Shed;
    use crate::testing::source;
    use crate::way_out::WayOut;

    #[test]
    fn frames_arrive_under_their_vni() {
        let (receiver, target) = receiver();
        let mut vxlan = Vxlan::open(&target, None, &[]).unwrap();
        offer(&mut vxlan, &[5, 0x00ff_fffe], &[7; 60]);
        let mut bytes = [0; 2_000];
        for vni in [5, 0x00ff_fffe] {
            let (read, from) = receiver.recv_from(&mut bytes).unwrap();
            let datagram = &bytes[..read];
            let options = Options::default();
            let opened = decapsulate_datagram(Tunnel::Vxlan, from.ip(), datagram, &options);
            let opened = opened.unwrap();
            assert_eq!((opened.source.vni.get(), opened.frame), (vni, &[7; 60][..]));
        }
        assert_eq!(vxlan.count().written(), 2);
    }

    #[test]
    fn only_marked_sources_are_sent_on() {
        let (receiver, target) = receiver();
        let MirrorSource { address, vni } = source(5);
        let marked = Binding {
            forward: true,
            ..Binding::new(Prefix::try_new(address, 32).unwrap(), Some(vni))
        };
        let table = Arc::new(BindTable::try_new(vec![marked]).unwrap());
        let mut vxlan = Vxlan::open(&target, Some(table), &[]).unwrap();
        offer(&mut vxlan, &[4, 5, 6, 5], &[7; 60]);
        let count = Box::new(vxlan).finish().count;
        assert_eq!((count.written(), count.shed(Shed::NotSelected)), (2, 2));
        let mut bytes = [0; 100];
        assert_eq!(receiver.recv(&mut bytes).unwrap(), 68);
        assert_eq!(bytes[4..7], [0, 0, 5]);
    }

    #[test]
    fn what_no_datagram_holds_and_what_nobody_takes_is_counted() {
        let (receiver, target) = receiver();
        let mut vxlan = Vxlan::open(&target, None, &[]).unwrap();
        offer(&mut vxlan, &[1], &vec![7; FRAME_BYTES_MAX]);
        assert_eq!(vxlan.count().shed(Shed::TooLong), 1);
        drop(receiver);
        for _ in 0..10 {
            offer(&mut vxlan, &[1], &[7; 60]);
        }
        let outcome = Box::new(vxlan).finish();
        assert_eq!(outcome.count.offered(), 11);
        let (_, refused) = outcome.details[0];
        assert!(refused > 0, "{outcome:?}");
    }

    #[test]
    fn a_loop_is_refused() {
        for (target, ear) in [
            ("127.0.0.1:4789", "0.0.0.0:4789"),
            ("127.0.0.1:4789", "127.0.0.1:4789"),
            ("[::1]:4789", "[::]:4789"),
        ] {
            let error = Vxlan::open(target, None, &[ear.parse().unwrap()]).unwrap_err();
            assert!(error.to_string().contains("would come back"), "{error}");
        }
        for (target, ear) in [
            ("127.0.0.1:4790", "0.0.0.0:4789"),
            ("127.0.0.2:4789", "127.0.0.1:4789"),
            ("192.0.2.1:4789", "0.0.0.0:4789"),
        ] {
            let opened = Vxlan::open(target, None, &[ear.parse().unwrap()]);
            assert!(!matches!(&opened, Err(error) if error.to_string().contains("come back")));
        }
    }

    fn receiver() -> (UdpSocket, String) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let target = socket.local_addr().unwrap().to_string();
        (socket, target)
    }

    fn offer(vxlan: &mut Vxlan, vnis: &[u32], frame: &[u8]) {
        let mut chunk = FrameChunk::with_capacity(1 << 20);
        for (number, vni) in (0..).zip(vnis) {
            assert!(chunk.push(number, Timestamp::ZERO, source(*vni), frame, 0));
        }
        vxlan.frames(&chunk, 0..chunk.len());
    }
}
