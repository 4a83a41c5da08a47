//! A sensor that runs as a process of its own, its load, and what it leaves.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::Run;

/// How often, and how many times at most, a test looks for something to happen.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 3_000;

/// A running sensor, in `dir`, with outputs in `out`.
pub(crate) struct Sensor {
    child: Process,
    dir: PathBuf,
    pub(crate) port: u16,
    /// What it said up to the line after which it receives.
    pub(crate) banner: String,
    /// What it said since, and who listens.
    said: Arc<Mutex<String>>,
    listener: JoinHandle<()>,
    /// Until somebody takes it.
    stdout: Option<ChildStdout>,
}

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Usually it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is left of it.
pub(crate) struct Stopped {
    pub(crate) run: Run,
    dir: PathBuf,
}

impl Sensor {
    pub(crate) fn start(dir: &Path, options: &[&str]) -> Self {
        Self::start_with(Command::new(env!("CARGO_BIN_EXE_vxscope")), dir, options)
    }

    /// `command` is the sensor, or a program that becomes it.
    pub(crate) fn start_with(command: Command, dir: &Path, options: &[&str]) -> Self {
        Self::start_on(free_port(), command, dir, options)
    }

    pub(crate) fn start_on(port: u16, mut command: Command, dir: &Path, options: &[&str]) -> Self {
        let other = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut child = command
            .args(["run", "--listen", &listen, "--out", "out"])
            .args(["--set", &format!("decapsulation.geneve_ports=[{other}]")])
            .args(["--set", "rings.memory=32MiB"])
            // A busy machine may take its time for what is to be done at the end.
            .args(["--set", "capture.stop_seconds=60"])
            .args(options)
            .current_dir(dir)
            .env_remove("VXSCOPE_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("as the test arranged it");
        // What is said at the start comes once the sockets are open; before, they refuse.
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let stdout = child.stdout.take().expect("a pipe");
        let (mut banner, mut line) = (String::new(), String::new());
        while !line.starts_with("interrupt") {
            line.clear();
            let read = stderr.read_line(&mut line).expect("text");
            banner.push_str(&line);
            assert_ne!(read, 0, "the sensor did not start: {banner}");
        }
        let (said, listener) = heard(stderr);
        Self {
            child: Process(child),
            dir: dir.to_owned(),
            port,
            banner,
            said,
            listener,
            stdout: Some(stdout),
        }
    }

    /// Waits until it has said this, since it receives.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        until(part, || {
            let said = self.said.lock().expect("no panic");
            said.contains(part).then_some(())
        });
    }

    /// What it writes to its standard output, for a test that reads it on its own.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("nobody took it before")
    }

    pub(crate) fn command(&self, options: &[&str]) -> Command {
        generator(self.port, options)
    }

    /// Sends to it, and returns what was sent.
    pub(crate) fn load(&self, options: &[&str]) -> Value {
        let output = self.command(options).output();
        let run = Run::from(output.expect("as the test arranged it"));
        serde_json::from_str(&run.ok()).expect("as the test arranged it")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("as the test arranged it").success());
    }

    /// Stops it in order; it must have had no reason to complain.
    pub(crate) fn stop(self) -> Stopped {
        self.signal("TERM");
        let stopped = self.end();
        assert_eq!(stopped.run.code, Some(0), "{:?}", stopped.run);
        stopped
    }

    /// Waits for its end, however it ends, but not for ever.
    pub(crate) fn end(mut self) -> Stopped {
        let status = until("the end of the sensor", || {
            self.child.0.try_wait().expect("as the test arranged it")
        });
        let mut stdout = String::new();
        if let Some(mut output) = self.stdout.take() {
            output.read_to_string(&mut stdout).expect("text");
        }
        self.listener.join().expect("text");
        let code = status.code();
        let stderr = self.said.lock().expect("no panic").clone();
        let run = Run {
            code,
            stdout,
            stderr,
        };
        Stopped { run, dir: self.dir }
    }
}

impl Stopped {
    pub(crate) fn summary(&self) -> Value {
        let text = fs::read_to_string(self.dir.join("out/summary.json"));
        serde_json::from_str(&text.expect("a summary")).expect("JSON")
    }
}

/// Writes down what a sensor says until it ends.
fn heard(mut stderr: BufReader<ChildStderr>) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let said = Arc::<Mutex<String>>::default();
    let written = said.clone();
    let listener = thread::Builder::new().spawn(move || {
        let mut line = String::new();
        while stderr.read_line(&mut line).expect("text") > 0 {
            written.lock().expect("no panic").push_str(&line);
            line.clear();
        }
    });
    (said, listener.expect("a thread"))
}

/// `gen --to` a port of this machine.
pub(crate) fn generator(port: u16, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vxscope"));
    command.args(["gen", "--to", &format!("127.0.0.1:{port}")]);
    command.args(options);
    command
}

/// Looks again and again until there is something, but not for ever.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let seen = (0..LOOKS_MAX).find_map(|_| {
        look().or_else(|| {
            thread::sleep(LOOK_EVERY);
            None
        })
    });
    assert!(seen.is_some(), "{what}: not within a minute");
    seen.expect("as just asserted")
}

pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    socket.local_addr().expect("an address").port()
}

pub(crate) fn free_tcp_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
    socket.local_addr().expect("an address").port()
}

pub(crate) fn sent(truth: &Value) -> u64 {
    truth["sent"].as_u64().expect("as the test arranged it")
}

pub(crate) fn received_and_dropped(summary: &Value) -> (u64, u64) {
    let packets = &summary["packets"];
    (
        number(&packets["received"]),
        number(&packets["kernel_dropped"]),
    )
}

/// A counter, which is left out where it is 0.
pub(crate) fn number(value: &Value) -> u64 {
    if value.is_null() {
        return 0;
    }
    value.as_u64().expect("a number")
}

/// Records of a capture, and the bytes of one that is cut off at its end.
pub(crate) fn records(capture: &Path) -> (u64, usize) {
    count_records(&fs::read(capture).expect("as the test arranged it"))
}

/// The same of a capture in memory.
pub(crate) fn count_records(bytes: &[u8]) -> (u64, usize) {
    use vxscope_pcap::{Reader, Step};
    let (mut reader, mut records, mut rest) = (Reader::new(), 0, bytes);
    loop {
        match reader.read(rest).expect("as the test arranged it") {
            Step::Record { consumed, .. } => {
                records += 1;
                rest = &rest[consumed..];
            }
            Step::Skip { consumed } => rest = &rest[consumed..],
            Step::NeedMore { .. } => return (records, rest.len()),
        }
    }
}
