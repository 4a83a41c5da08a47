//! What a running sensor answers to those who ask: reports, status and sources on a unix socket,
//! metrics and health over HTTP.
//!
//! One thread, never on the packet path: it is fed a [`Snapshot`] at each tick through a [`Hub`],
//! which never waits, and serves every client from the latest. A client can ask for nothing
//! without a limit: their number, the length and the time of a request, the time in which an
//! answer must be taken. What is asked of the running sensor itself goes through [`Sensor`].
//!
//! ```
//! use std::{sync::Arc, thread, time::Duration};
//! use vxscope_api::{Client, Command, Done, Sensor, Server, Settings, Snapshot};
//! use vxscope_report::{MirrorStatus, Status};
//!
//! struct Resting;
//! impl Sensor for Resting {
//!     fn heartbeat_age(&self) -> Duration {
//!         Duration::ZERO
//!     }
//!
//!     fn mirrors(&self) -> Result<MirrorStatus, String> {
//!         Err("nobody looks after them".to_owned())
//!     }
//!
//!     fn handle(&self, _command: Command) -> Result<Done, String> {
//!         Err("not now".to_owned())
//!     }
//! }
//!
//! let dir = tempfile::tempdir()?;
//! let settings = Settings::new(dir.path().join("control.sock"));
//! let (server, hub) = Server::open(settings, Arc::new(Resting))?;
//! hub.publish(Snapshot {
//!     status: Status::new("sensor-1".into(), "1".into(), 0),
//!     ..Snapshot::default()
//! });
//! let serving = thread::Builder::new().spawn(move || server.run())?;
//! let mut client = Client::connect(&dir.path().join("control.sock"))?;
//! assert_eq!(client.status()?.sensor, "sensor-1");
//! hub.close();
//! serving.join().expect("it does not panic");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod client;
mod command;
mod control;
mod coverage;
mod decisions;
mod error;
mod flow_search;
mod history;
mod http;
mod hub;
mod look_back;
mod metrics;
mod server;
mod socket;
mod tls;
mod token;

pub use client::{Client, ClientError, Followed, Reports};
pub use command::{Alert, Bind, Command, Done, MirrorMode, MirrorOrder, Severity};
pub use control::{CLIENTS_MAX, LARGE_REQUEST_BYTES, REQUEST_BYTES_MAX};
pub use coverage::CoverageSearch;
pub use decisions::{DECISIONS_KEPT, Told};
pub use error::ApiError;
pub use flow_search::{FLOWS_MAX, FlowSearch, FlowTerm};
pub use http::{EVENT_CLIENTS_MAX, HEALTH_CLIENTS_MAX, HTTP_CLIENTS_MAX};
pub use hub::{BACKLOG, HEARTBEAT_MAX, Health, Hub, Sensor, Snapshot};
pub use look_back::{
    Answer, Asker, EXTRACTIONS_MAX, Extract, LookBackRequest, NewPin, Refusal, RefusalKind,
    Selection,
};
pub use server::{CLOSING_MAX, Configured, Server, Settings};
pub use tls::{CertificateError, Certificates};
pub use token::{Scopes, TokenError, Tokens};
