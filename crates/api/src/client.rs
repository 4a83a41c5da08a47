//! The other side of the control socket, for programs of ours that ask a sensor.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::hub::Health;
use crate::socket;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vxscope_report::{Oversight, Report, SourceStatus, Status};

/// Longest answer that is read: the reports of as many sources as a sensor may have.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How long an answer may take. A report comes at least once a minute.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// A connection to a running sensor.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

/// Why a sensor could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody is there.
    #[error(
        "{}: no sensor answers there: {cause}; name its control socket, which is control.sock in \
         its --out folder", path.display()
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It hung up, or took too long.
    #[error("{}: the sensor did not answer: {cause}", path.display())]
    Answer {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It said no.
    #[error("{}: {message}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// It is not a sensor, or one of another version.
    #[error("{}: the answer is not what a sensor of this version says: {cause}", path.display())]
    Format {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: serde_json::Error,
    },
}

/// One report of a stream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Followed {
    /// Reports that this follower missed so far, because it was slow.
    pub skipped: u64,
    /// The next that it did not.
    pub report: Report,
}

/// The reports of a sensor from the next on; see [`Client::follow`].
#[derive(Debug)]
pub struct Reports(Client);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<T> {
    Ok(T),
    Error { message: String },
}

impl Client {
    /// Connects to the control socket at this path.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        Self::connect_for(path, ANSWER_MAX)
    }

    /// The same for whoever waits so long for an answer, and no longer.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub fn connect_for(path: &Path, longest: Duration) -> Result<Self, ClientError> {
        let connected = socket::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(longest))?;
            stream.set_write_timeout(Some(longest))?;
            Ok(stream)
        });
        let stream = connected.map_err(|cause| ClientError::Connect {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// How it stands.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.ask(r#"{"get":"status"}"#)
    }

    /// All its sources.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn sources(&mut self) -> Result<Vec<SourceStatus>, ClientError> {
        self.ask(r#"{"get":"sources"}"#)
    }

    /// Whether its workers work.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn health(&mut self) -> Result<Health, ClientError> {
        self.ask(r#"{"get":"health"}"#)
    }

    /// How dynamic mirroring stands, with every mirror.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn oversight(&mut self) -> Result<Oversight, ClientError> {
        self.ask(r#"{"get":"oversight"}"#)
    }

    /// Every report from the next on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn follow(mut self) -> Result<Reports, ClientError> {
        self.ask::<Value>(r#"{"follow":"reports"}"#)?;
        Ok(Reports(self))
    }

    /// What is behind `ok` in the answer to a request, which is one line of JSON.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn ask<T: DeserializeOwned>(&mut self, request: &str) -> Result<T, ClientError> {
        let sent = self
            .stream
            .get_mut()
            .write_all(format!("{request}\n").as_bytes());
        // Who was turned away finds the reason in what is left to read.
        if let Err(cause) = sent
            && cause.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(self.unanswered(cause));
        }
        match self.answer()? {
            Some(answer) => Ok(answer),
            None => Err(self.unanswered(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The head of an answer and the captures that it announces; see
    /// [`Answer`](crate::Answer).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn extract(&mut self, request: &str) -> Result<(Value, Vec<Vec<u8>>), ClientError> {
        let head: Value = self.ask(request)?;
        let lengths = head["captures"].as_array().into_iter().flatten();
        let lengths: Vec<u64> = lengths.filter_map(Value::as_u64).collect();
        let mut captures = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut capture = Vec::new();
            let read = (&mut self.stream).take(length.min(ANSWER_BYTES_MAX));
            match { read }.read_to_end(&mut capture) {
                Err(cause) => return Err(self.unanswered(cause)),
                Ok(got) if got as u64 != length => {
                    return Err(self.unanswered(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(_) => captures.push(capture),
            }
        }
        Ok((head, captures))
    }

    /// The next line; `None` at the end.
    fn answer<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(ANSWER_BYTES_MAX)
            .read_until(b'\n', &mut line);
        match read {
            Err(cause) => return Err(self.unanswered(cause)),
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
        let path = || self.path.clone();
        match serde_json::from_slice(&line) {
            Ok(Answer::Ok(answer)) => Ok(Some(answer)),
            Ok(Answer::Error { message }) => {
                let path = path();
                Err(ClientError::Refused { path, message })
            }
            Err(cause) => Err(ClientError::Format {
                path: path(),
                cause,
            }),
        }
    }

    fn unanswered(&self, cause: io::Error) -> ClientError {
        ClientError::Answer {
            path: self.path.clone(),
            cause,
        }
    }
}

/// Ends when the sensor does.
impl Iterator for Reports {
    type Item = Result<Followed, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.answer().transpose()
    }
}
