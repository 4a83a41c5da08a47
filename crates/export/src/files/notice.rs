//! Notes to Suricata: `pcap-file` over its command socket, for each finished capture.
//!
//! ```text
//! us: {"version":"0.1"}      Suricata: {"return":"OK"}
//! us: {"command":"pcap-file","arguments":{"filename":…,"output-dir":…}}      {"return":"OK",…}
//! ```

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::patient::connect_unix;

/// Notes that wait while nobody takes them. At the limit the oldest is given up and counted.
const NOTES_MAX: usize = 1_024;
/// How long Suricata may take for an answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// Most bytes of an answer.
const ANSWER_MAX: usize = 16 << 10;
/// Ticks between two attempts after one that failed.
const RETRY_TICKS: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Notices {
    socket: PathBuf,
    output: PathBuf,
    waiting: VecDeque<PathBuf>,
    pause: u32,
    told: u64,
    untold: u64,
}

impl Notices {
    pub(super) fn new(socket: PathBuf, output: PathBuf) -> Self {
        Self {
            socket,
            output,
            waiting: VecDeque::new(),
            pause: 0,
            told: 0,
            untold: 0,
        }
    }

    /// Will tell of a file.
    pub(super) fn push(&mut self, path: &Path) {
        if self.waiting.len() >= NOTES_MAX {
            self.waiting.pop_front();
            self.untold += 1;
        }
        // Suricata has a working folder of its own.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.waiting.push_back(path);
    }

    /// Tells of what waits, until somebody does not listen.
    pub(super) fn deliver(&mut self) {
        self.pause = self.pause.saturating_sub(1);
        if self.pause == 0 && !self.waiting.is_empty() && self.tell().is_err() {
            self.pause = RETRY_TICKS;
        }
    }

    /// The last attempt; how many notes were told, and how many were not.
    pub(super) fn finish(mut self) -> (u64, u64) {
        let _ = self.tell();
        (self.told, self.untold + self.waiting.len() as u64)
    }

    fn tell(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut stream = connect_unix(&self.socket)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        ask(&mut stream, &json!({"version": "0.1"}))?;
        while let Some(path) = self.waiting.front() {
            let output = std::path::absolute(&self.output)?;
            let arguments = json!({"filename": path, "output-dir": output});
            ask(
                &mut stream,
                &json!({"command": "pcap-file", "arguments": arguments}),
            )?;
            self.waiting.pop_front();
            self.told += 1;
        }
        Ok(())
    }
}

/// Says something and waits until it is answered with OK.
fn ask(stream: &mut UnixStream, what: &Value) -> io::Result<()> {
    stream.write_all(what.to_string().as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        match serde_json::from_slice::<Value>(&answer) {
            Ok(answer) if answer.get("return").and_then(Value::as_str) == Some("OK") => {
                return Ok(());
            }
            Ok(_) => return Err(io::Error::other("Suricata refused")),
            // An answer has no end mark: it is there once it is whole.
            Err(error) if error.is_eof() && read > 0 && answer.len() < ANSWER_MAX => {}
            Err(_) => return Err(ErrorKind::InvalidData.into()),
        }
    }
}
