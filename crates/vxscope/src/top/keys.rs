//! Keys, read on a thread of their own, because reading one waits.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use console::{Key, Term};

/// Keys that wait. Nobody types faster than they are taken.
const WAITING: usize = 64;

/// See the module.
pub(super) struct Keys(Receiver<Key>);

impl Keys {
    /// Reads from the terminal until that is gone.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                let term = Term::stdout();
                loop {
                    let key = match term.read_key() {
                        Ok(key) => key,
                        // So it tells of Ctrl-C.
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => Key::CtrlC,
                        Err(_) => return,
                    };
                    if key == Key::Unknown || sender.send(key).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self(receiver))
    }

    /// The next, if one comes in time.
    pub(super) fn next(&self, patience: Duration) -> Result<Key, RecvTimeoutError> {
        self.0.recv_timeout(patience)
    }
}
