//! Frames sent on: VXLAN beside a loop that sends ready datagrams, a TAP beside a loop that writes
//! to one and beside a plain `AF_PACKET` sender into a veth. Nobody sniffs, nobody reads.

use std::io;
use std::net::UdpSocket;
use std::process::Command;

use pnet::datalink::{self, Channel, DataLinkSender};
use vxscope_benches::Table;
use vxscope_export::stream::Haste;
use vxscope_export::{FrameChunk, Tap, TapSettings, Truncated, VlanMode, Vxlan};
use vxscope_linux::TapQueue;

use crate::{compare, frames, hand_over, other, repeat};

pub(crate) fn vxlan(table: &mut Table, chunk: &FrameChunk) -> io::Result<()> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let target = receiver.local_addr()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(target)?;
    let datagram = vec![0; 8 + chunk.get(0).map_or(0, |frame| frame.bytes.len())];
    let mut plain = || {
        repeat(|| {
            for _ in 0..chunk.len() {
                // A receiver that is full is no matter here.
                let _ = socket.send(&datagram);
            }
            Ok(())
        })
    };
    let mut vxlan = || {
        let mut vxlan = Vxlan::open(&target.to_string(), None, &[]).map_err(other)?;
        repeat(|| hand_over(&mut vxlan, chunk))
    };
    compare(
        table,
        &frames(chunk),
        &["send", "vxlan"],
        &mut [&mut plain, &mut vxlan],
    )
}

pub(crate) fn tap(table: &mut Table, chunk: &FrameChunk) -> io::Result<()> {
    let queue = TapQueue::open("plain0", 9_216, 1, true)?;
    let mut plain = || {
        repeat(|| {
            for frame in chunk.frames(0..chunk.len()) {
                queue.write([frame.bytes, &[], &[]])?;
            }
            Ok(())
        })
    };
    let mut packet = veth()?;
    let mut plain_packet = || {
        repeat(|| {
            for frame in chunk.frames(0..chunk.len()) {
                // A veth that is behind is no matter here.
                let _ = packet.send_to(frame.bytes, None);
            }
            Ok(())
        })
    };
    let settings = TapSettings {
        mtu: 9_216,
        lanes: 1,
        truncated: Truncated::Drop,
        haste: Haste::Live,
    };
    let open = |name: &str, vlan: VlanMode| -> io::Result<Tap> {
        let lanes = Tap::open(name, &vlan.into(), &settings).map_err(other)?;
        lanes
            .into_iter()
            .next()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let (mut as_is, mut tagged) = (
        open("bench0", VlanMode::None)?,
        open("bench1", VlanMode::QinQ)?,
    );
    let mut tap = || repeat(|| hand_over(&mut as_is, chunk));
    let mut qinq = || repeat(|| hand_over(&mut tagged, chunk));
    let names = [
        "write to a TAP",
        "tap",
        "tap, vlan = qinq",
        "AF_PACKET into a veth",
    ];
    compare(
        table,
        &frames(chunk),
        &names,
        &mut [&mut plain, &mut tap, &mut qinq, &mut plain_packet],
    )
}

/// A plain sender into a veth whose other end nobody sniffs on.
fn veth() -> io::Result<Box<dyn DataLinkSender>> {
    for words in [
        "link add plain1 mtu 9216 type veth peer name plain2 mtu 9216",
        "link set plain1 up",
        "link set plain2 up",
    ] {
        // The second time they are there.
        Command::new("ip").args(words.split(' ')).output()?;
    }
    let interfaces = datalink::interfaces().into_iter();
    let mut found = interfaces.filter(|interface| interface.name == "plain1");
    let interface = found.next().ok_or(io::ErrorKind::NotFound)?;
    match datalink::channel(&interface, datalink::Config::default())? {
        Channel::Ethernet(sender, _) => Ok(sender),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
