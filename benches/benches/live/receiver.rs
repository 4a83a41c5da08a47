//! A process that receives: the sensor, or a loop over the same sockets.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use vxscope_benches::Cpu;
use vxscope_capture::live::{self, Backend, LiveBatch};
use vxscope_capture::udp::{Interface, UdpBatch, UdpGroup, UdpSettings};
use vxscope_config::{Backend as Choice, Config, ExportKind, Way};
use vxscope_engine::{Live, Observer, Started, Status, Stop};
use vxscope_linux::{ExtendedInstruction, LoadedProgram, Purpose};
use vxscope_wire::Tunnel;
use vxscope_wire::bpf::{Selection, drop_selected};

/// Set for a receiver; its value is the work.
pub(crate) const ROLE: &str = "VXSCOPE_BENCH_RECEIVER";

/// Where a sensor's outputs and its control socket are, if its parent says.
const OUT: &str = "VXSCOPE_BENCH_OUT";

/// What is done with what is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing.
    Loop,
    /// All that the sensor does but outputs: tunnel, flow table, rings, ledger, reports.
    Sensor,
    /// With flow records.
    Eve,
    /// With the frames as well: all that `vxscope run` does by default.
    All,
    /// What the rings leave to nobody: dropped at the ingress, unseen.
    Drop,
    /// A packet ring, and a look at each packet's tunnel and frame.
    Touch,
    /// As [`Self::Sensor`], through a packet ring.
    Ring,
}

impl Work {
    pub(crate) const ALL: [Self; 4] = [Self::Loop, Self::Sensor, Self::Eve, Self::All];

    /// Those that are compared in a network of their own.
    pub(crate) const RINGS: [Self; 4] = [Self::Drop, Self::Loop, Self::Touch, Self::Ring];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loop => "receive loop",
            Self::Sensor => "run, no outputs",
            Self::Eve => "run, eve",
            Self::All => "run, all outputs",
            Self::Drop => "dropped at the ingress",
            Self::Touch => "ring, bare reader",
            Self::Ring => "ring, run, no outputs",
        }
    }

    fn kinds(self) -> Vec<Way> {
        let kinds: &[ExportKind] = match self {
            Self::Loop | Self::Sensor | Self::Drop | Self::Touch | Self::Ring => &[],
            Self::Eve => &[ExportKind::Eve],
            Self::All => return Config::default().export.kinds,
        };
        kinds.iter().map(|kind| Way::of(*kind)).collect()
    }
}

/// What a receiver tells at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) cpu: Cpu,
}

/// A receiver as its parent sees it.
pub(crate) struct Receiver {
    child: Child,
    says: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    /// Returns once it receives.
    pub(crate) fn start(work: Work) -> io::Result<Self> {
        Self::spawn(work, &mut Command::new(env::current_exe()?))
    }

    /// The same, with outputs in a folder of its parent's.
    pub(crate) fn start_in(work: Work, out: &Path) -> io::Result<Self> {
        Self::spawn(work, Command::new(env::current_exe()?).env(OUT, out))
    }

    fn spawn(work: Work, command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .env(ROLE, work.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let says = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut says = BufReader::new(says);
        let [port] = numbers(&mut says)?;
        Ok(Self {
            child,
            says,
            port: u16::try_from(port).map_err(io::Error::other)?,
        })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// CPU time counts from now on: what came before has touched the memory.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        let mut input = self.child.stdin.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(b"m")?;
        let [_] = numbers(&mut self.says)?;
        Ok(())
    }

    /// Stops it, and asks what it got.
    pub(crate) fn stop(mut self) -> io::Result<Received> {
        // The end of its input is its sign.
        drop(self.child.stdin.take());
        let result = numbers(&mut self.says);
        let status = self.child.wait()?;
        let [received, dropped, user, kernel] = result?;
        if !status.success() {
            return Err(io::Error::other(format!("the receiver failed: {status}")));
        }
        Ok(Received {
            received,
            dropped,
            cpu: Cpu {
                user: Duration::from_nanos(user),
                kernel: Duration::from_nanos(kernel),
            },
        })
    }
}

fn numbers<const N: usize>(says: &mut impl BufRead) -> io::Result<[u64; N]> {
    let mut line = String::new();
    says.read_line(&mut line)?;
    let numbers: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .try_into()
        .map_err(|_| io::Error::other(format!("a receiver said \"{}\"", line.trim())))
}

/// The receiver itself.
pub(crate) fn serve(name: &str) -> io::Result<()> {
    let mut works = Work::ALL.into_iter().chain(Work::RINGS);
    let work = works.find(|work| work.name() == name);
    let result = match work.ok_or(io::ErrorKind::InvalidInput)? {
        Work::Loop => receive()?,
        Work::Drop => drop_all()?,
        Work::Touch => touch()?,
        work => sense(work)?,
    };
    let nanos = |time: Duration| time.as_nanos();
    let (user, kernel) = (nanos(result.cpu.user), nanos(result.cpu.kernel));
    say(&format!(
        "{} {} {user} {kernel}\n",
        result.received, result.dropped
    ))
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// Keeps the CPU time at each mark; returns when the parent wants an end.
fn wait_for_the_end(mark: &Mutex<Cpu>) {
    // An input that fails has ended, too.
    while io::stdin().lock().read(&mut [0]).is_ok_and(|read| read > 0) {
        let marked = Cpu::of_process().and_then(|cpu| {
            *mark.lock().map_err(|_| io::ErrorKind::Other)? = cpu;
            say("0\n")
        });
        if marked.is_err() {
            return;
        }
    }
}

/// The CPU time since the last mark.
fn since(mark: &Mutex<Cpu>) -> io::Result<Cpu> {
    let mark = *mark.lock().map_err(|_| io::ErrorKind::Other)?;
    Ok(Cpu::of_process()?.since(mark))
}

fn settings(interface: Option<Interface>) -> UdpSettings {
    UdpSettings {
        address: Ipv4Addr::LOCALHOST.into(),
        groups: vec![UdpGroup {
            port: 0,
            tunnel: Tunnel::Vxlan,
        }],
        interface,
        workers: NonZeroU16::MIN,
        seed: 0,
        receive_buffer: Config::default().capture.receive_buffer,
    }
}

/// A flag that is set when the parent wants an end, and the CPU time at its mark.
fn listen() -> (Arc<AtomicBool>, Arc<Mutex<Cpu>>) {
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Arc::new(Mutex::new(Cpu::default()));
    let (seen, marks) = (ended.clone(), mark.clone());
    #[expect(clippy::disallowed_methods, reason = "it only waits for the end")]
    thread::spawn(move || {
        wait_for_the_end(&marks);
        seen.store(true, Ordering::Relaxed);
    });
    (ended, mark)
}

/// Nobody receives: what is left is the sender, and the way to the ingress.
fn drop_all() -> io::Result<Received> {
    let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = held.local_addr()?.port();
    let selection = Selection {
        ports: vec![port],
        address: None,
    };
    let program = drop_selected(&selection, 14);
    let program = program.iter().map(|it| ExtendedInstruction {
        code: it.code,
        registers: it.registers,
        offset: it.offset,
        constant: it.constant,
    });
    let program: Vec<_> = program.collect();
    let lo = Interface::find("lo").map_err(io::Error::other)?;
    let dropping = LoadedProgram::load(&program, Purpose::Ingress)?.attach(lo.index())?;
    let (ended, mark) = listen();
    say(&format!("{port}\n"))?;
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
    drop(dropping);
    Ok(Received {
        received: 0,
        dropped: 0,
        cpu: since(&mark)?,
    })
}

/// The bare reader of a ring: of each packet the bytes that any sensor must look at.
fn touch() -> io::Result<Received> {
    let lo = Interface::find("lo").map_err(io::Error::other)?;
    let settings = settings(Some(lo));
    let opened = live::open(&settings, Some(Backend::PacketRing)).map_err(io::Error::other)?;
    let (port, mut sources) = (opened.groups[0].port, opened.sources);
    let source = sources.first_mut().ok_or(io::ErrorKind::NotFound)?;
    let (ended, mark) = listen();
    say(&format!("{port}\n"))?;
    let (mut stopped, mut sum) = (false, 0_u128);
    loop {
        if !stopped && ended.load(Ordering::Relaxed) {
            source.stop().map_err(io::Error::other)?;
            stopped = true;
        }
        let batch = source.receive().map_err(io::Error::other)?;
        if stopped && batch.is_empty() {
            break;
        }
        if let LiveBatch::Ring(batch) = batch {
            for frame in batch.frames() {
                // VNI and inner EtherType, behind IPv4, UDP and VXLAN.
                let seen = frame
                    .packet
                    .get(28..50)
                    .and_then(|it| it.last_chunk::<16>());
                sum = sum.wrapping_add(seen.map_or(0, |it| u128::from_ne_bytes(*it)));
            }
        }
    }
    std::hint::black_box(sum);
    Ok(Received {
        received: source.received(),
        dropped: source.dropped().map_err(io::Error::other)?,
        cpu: since(&mark)?,
    })
}

fn receive() -> io::Result<Received> {
    let settings = settings(None);
    let opened = settings.open().map_err(io::Error::other)?;
    let (port, mut sources) = (opened.groups[0].port, opened.sources);
    let source = sources.first_mut().ok_or(io::ErrorKind::NotFound)?;
    let (ended, mark) = listen();
    let mut batch = UdpBatch::new();
    say(&format!("{port}\n"))?;
    let mut stopped = false;
    loop {
        if !stopped && ended.load(Ordering::Relaxed) {
            source.stop().map_err(io::Error::other)?;
            stopped = true;
        }
        let count = source.receive(&mut batch).map_err(io::Error::other)?;
        if stopped && count == 0 {
            break;
        }
    }
    Ok(Received {
        received: source.received(),
        dropped: source.dropped().map_err(io::Error::other)?,
        cpu: since(&mark)?,
    })
}

fn sense(work: Work) -> io::Result<Received> {
    let folder = vxscope_benches::folder()?;
    let out = env::var_os(OUT).map_or_else(|| folder.path().to_owned(), PathBuf::from);
    let mut config = Config::default();
    config.export.kinds = work.kinds();
    let through_ring = work == Work::Ring;
    if through_ring {
        config.capture.backend = Choice::PacketRing;
    }
    let live = Live {
        config,
        address: Ipv4Addr::LOCALHOST.into(),
        vxlan_port: Some(0),
        interface: through_ring.then(|| "lo".to_owned()),
        out,
        steward: None,
        reread: None,
        certificates: None,
    };
    let stop = Arc::new(Stop::new());
    let mark = Arc::new(Mutex::new(Cpu::default()));
    let (asked, marks) = (stop.clone(), mark.clone());
    #[expect(clippy::disallowed_methods, reason = "it only waits for the end")]
    thread::spawn(move || {
        wait_for_the_end(&marks);
        asked.begin();
    });
    let mut ready = Ready(Ok(()));
    let outcome = vxscope_engine::run(&live, &stop, &mut ready).map_err(io::Error::other)?;
    ready.0?;
    if !outcome.unbalanced.is_empty() {
        return Err(io::Error::other(outcome.unbalanced.join("; ")));
    }
    Ok(Received {
        received: outcome.summary.packets.received,
        dropped: outcome.summary.packets.kernel_dropped,
        cpu: since(&mark)?,
    })
}

/// Tells the parent the port.
struct Ready(io::Result<()>);

impl Observer for Ready {
    fn handle_start(&mut self, started: &Started) {
        self.0 = say(&format!("{}\n", started.vxlan_port.unwrap_or(0)));
    }

    fn handle_status(&mut self, _status: &Status) {}
}
