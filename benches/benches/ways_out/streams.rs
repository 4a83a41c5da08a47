//! Captures as streams, to readers that take everything: beside a loop that writes ready records
//! to the same kind of reader. The readers' own time does not count.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use vxscope_benches::{Cpu, Table};
use vxscope_export::stream::{Haste, OverIpEnd, PcapOverIp, PcapStream};
use vxscope_export::{FrameChunk, VlanMode, WayOut};

use crate::{compare, frames, hand_over, nobody, other, repeat};

/// What may wait for a reader: the default of `handoff.reader_buffer`.
const ROOM: usize = 4 << 20;

pub(crate) fn measure(table: &mut Table, chunk: &FrameChunk, folder: &Path) -> io::Result<()> {
    let fifo = folder.join("fifo");
    let mut plain_fifo = || {
        fresh_fifo(&fifo)?;
        let reader = drain(&fifo, |path| File::open(path));
        plain(chunk, File::options().write(true).open(&fifo)?, reader)
    };
    let mut fifo_way = || {
        fresh_fifo(&fifo)?;
        let reader = drain(&fifo, |path| File::open(path));
        through(chunk, stream(&fifo)?, reader)
    };
    let socket = folder.join("socket");
    let mut plain_unix = || {
        let reader = accept_unix(&socket)?;
        plain(chunk, UnixStream::connect(&socket)?, reader)
    };
    let mut unix_way = || {
        let reader = accept_unix(&socket)?;
        through(chunk, stream(&socket)?, reader)
    };
    let mut plain_tcp = || {
        let (address, reader) = accept_tcp()?;
        plain(chunk, TcpStream::connect(address)?, reader)
    };
    let mut tcp_way = || {
        let (address, reader) = accept_tcp()?;
        let end = OverIpEnd::Connect(address.to_string());
        let way =
            PcapOverIp::open(&end, VlanMode::None, ROOM, Haste::Finite, nobody).map_err(other)?;
        through(chunk, way, reader)
    };
    let what = frames(chunk);
    compare(
        table,
        &what,
        &["write to a FIFO", "pcap-stream, FIFO"],
        &mut [&mut plain_fifo, &mut fifo_way],
    )?;
    compare(
        table,
        &what,
        &["write to a unix socket", "pcap-stream, unix socket"],
        &mut [&mut plain_unix, &mut unix_way],
    )?;
    compare(
        table,
        &what,
        &["write over TCP", "pcap-over-ip"],
        &mut [&mut plain_tcp, &mut tcp_way],
    )
}

type Reader = thread::JoinHandle<io::Result<()>>;

/// The ready records, once for each time.
fn plain(chunk: &FrameChunk, mut to: impl Write, reader: Reader) -> io::Result<Cpu> {
    let took = repeat(|| to.write_all(chunk.records(0..chunk.len())))?;
    drop(to);
    joined(reader)?;
    Ok(took)
}

fn through(chunk: &FrameChunk, mut way: impl WayOut + 'static, reader: Reader) -> io::Result<Cpu> {
    let took = repeat(|| hand_over(&mut way, chunk))?;
    let before = Cpu::of_thread()?;
    let count = Box::new(way).finish().count;
    let rest = Cpu::of_thread()?.since(before);
    joined(reader)?;
    match count.offered() == count.written() {
        true => Ok(took.and(rest)),
        false => Err(io::Error::other(format!("not all was written: {count:?}"))),
    }
}

fn joined(reader: Reader) -> io::Result<()> {
    reader.join().map_err(|_| io::ErrorKind::Other)?
}

fn stream(path: &Path) -> io::Result<PcapStream> {
    PcapStream::open(&path.to_string_lossy(), VlanMode::None, ROOM, Haste::Finite).map_err(other)
}

fn fresh_fifo(path: &Path) -> io::Result<()> {
    // The one of the round before may be gone already.
    let _ = std::fs::remove_file(path);
    Ok(mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

fn accept_unix(path: &Path) -> io::Result<Reader> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    Ok(drain(path, move |_| Ok(listener.accept()?.0)))
}

fn accept_tcp() -> io::Result<(std::net::SocketAddr, Reader)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let reader = drain(Path::new(""), move |_| Ok(listener.accept()?.0));
    Ok((address, reader))
}

/// Reads all that comes, on a thread of its own.
fn drain<R: Read>(
    path: &Path,
    open: impl FnOnce(&Path) -> io::Result<R> + Send + 'static,
) -> Reader {
    let path = path.to_owned();
    #[expect(
        clippy::disallowed_methods,
        reason = "a reader beside what is measured"
    )]
    thread::spawn(move || {
        let mut reader = open(&path)?;
        let mut bytes = vec![0; 1 << 20];
        while reader.read(&mut bytes)? > 0 {}
        Ok(())
    })
}
