//! A server with nobody behind it but the test.

mod access;
mod control;
mod events;
mod http;
#[cfg(feature = "tls")]
mod tls;

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vxscope_api::{Client, Command, Done, Hub, Sensor, Server, Settings, Snapshot};
use vxscope_report::{MirrorStatus, Report, Status};

/// A sensor whose workers were seen so many milliseconds ago, and that knows so many sources.
#[derive(Default)]
struct Resting(AtomicU64, AtomicU64);

impl Sensor for Resting {
    fn heartbeat_age(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn mirrors(&self) -> Result<MirrorStatus, String> {
        Err("nobody looks after them".to_owned())
    }

    fn handle(&self, command: Command) -> Result<Done, String> {
        match command {
            Command::BindTable(binds) if binds.is_empty() => Err("an empty table".to_owned()),
            Command::BindTable(binds) => {
                self.1.store(binds.len() as u64, Ordering::Relaxed);
                Ok(Done::default())
            }
            Command::Mirrors(_) => Err("nobody looks after the mirrors".to_owned()),
            Command::Oversight(_) => Err("this sensor looks after its mirrors itself".to_owned()),
            Command::Alert(alert) => Ok(Done {
                says: Some(alert.reason),
            }),
            Command::Reload => Err("nothing to read again".to_owned()),
        }
    }
}

/// A server in a thread of its own, ended and waited for with the test.
struct Served {
    hub: Hub,
    sensor: Arc<Resting>,
    path: PathBuf,
    http: SocketAddr,
    health: SocketAddr,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Served {
    fn new(client_timeout: Duration) -> Self {
        Self::with(client_timeout, None)
    }

    /// With these lines as tokens.
    fn with(client_timeout: Duration, tokens: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("control.sock");
        let tokens = tokens.map(|text| {
            let path = dir.path().join("tokens");
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
            written.expect("a file");
            path
        });
        let settings = Settings {
            client_timeout,
            tokens,
            ..Self::settings(path)
        };
        Self::start(dir, settings)
    }

    /// With HTTP over TLS.
    #[cfg(feature = "tls")]
    fn encrypted(client_timeout: Duration, certificates: vxscope_api::Certificates) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            client_timeout,
            certificates: Some(certificates),
            ..Self::settings(dir.path().join("control.sock"))
        };
        Self::start(dir, settings)
    }

    fn settings(path: PathBuf) -> Settings {
        Settings {
            http: Some(([127, 0, 0, 1], 0).into()),
            health: Some(([127, 0, 0, 1], 0).into()),
            metrics_sources_max: 2,
            ..Settings::new(path)
        }
    }

    fn start(dir: tempfile::TempDir, settings: Settings) -> Self {
        let path = settings.control.clone();
        let sensor = Arc::new(Resting::default());
        let (server, hub) = Server::open(settings, sensor.clone()).expect("a socket");
        let http = server.http_address().expect("a listener for HTTP");
        let health = server.health_address().expect("a listener for probes");
        let thread = thread::Builder::new().spawn(move || server.run());
        Self {
            hub,
            sensor,
            path,
            http,
            health,
            thread: Some(thread.expect("a thread")),
            _dir: dir,
        }
    }

    /// Lets the workers have been seen so long ago.
    fn rest(&self, milliseconds: u64) {
        self.sensor.0.store(milliseconds, Ordering::Relaxed);
    }

    fn client(&self) -> Client {
        Client::connect(&self.path).expect("somebody who listens")
    }

    /// Publishes a report with this number and a sensor's name of this length.
    fn report(&self, seq: u64, length: usize) {
        let status = Status::new("x".repeat(length), "1".to_owned(), 7);
        let report = Report {
            schema: vxscope_report::SCHEMA,
            sensor: status.sensor.clone(),
            epoch: status.epoch,
            seq,
            from: seq,
            to: seq + 1,
            received: 0,
            kernel_dropped: 0,
            sources: Vec::new(),
            full: true,
        };
        self.hub.publish(Snapshot {
            status: Status { seq, ..status },
            report: Some(report),
            ..Snapshot::default()
        });
    }

    /// Ends it, and waits until it is gone.
    fn end(&mut self) {
        self.hub.close();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a server that does not panic");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}
