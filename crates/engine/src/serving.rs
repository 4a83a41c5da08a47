//! The thread that answers those who ask, from before the first packet to after the last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use vxscope_api::{Hub, Sensor, Server, Settings, Snapshot};

use crate::error::EngineError;
use crate::live::Live;
use crate::start;

/// Ends with the run, however that ends.
#[derive(Debug)]
pub(crate) struct Serving {
    hub: Hub,
    control: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Opens the sockets and starts the thread, which answers from `first` on.
    pub(crate) fn start(
        live: &Live,
        sensor: Arc<dyn Sensor>,
        first: Snapshot,
    ) -> Result<Self, EngineError> {
        let api = &live.config.api;
        let control = match api.control_socket.as_str() {
            "" => live.out.join("control.sock"),
            path => Path::new(path).to_owned(),
        };
        let settings = Settings {
            control: control.clone(),
            client_timeout: Duration::from_secs(api.client_timeout_seconds.into()),
        };
        let (server, hub) = Server::open(settings, sensor)?;
        hub.publish(first);
        let thread = start::detach("api", move || server.run())?;
        Ok(Self {
            hub,
            control,
            thread: Some(thread),
        })
    }

    /// Where to publish.
    pub(crate) fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// Where it answers, for people.
    pub(crate) fn answering(&self) -> Vec<String> {
        vec![format!("control socket {}", self.control.display())]
    }

    /// Publishes the last snapshot, and ends.
    pub(crate) fn conclude(self, last: Snapshot) {
        self.hub.publish(last);
    }
}

impl Drop for Serving {
    /// Clients that are slow delay the end by [`vxscope_api::CLOSING_MAX`] at most.
    fn drop(&mut self) {
        self.hub.close();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}
