//! A stand-in for a service manager: it is told how a sensor does, and holds descriptors for it.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::close;

use crate::sensor::until;

/// Most descriptors that a sensor is handed: one digit each, as shells want it.
const HANDED_MAX: usize = 6;

/// What one does as `systemd` does it: `sd_notify(3)`, `sd_listen_fds(3)`.
pub(crate) struct Manager {
    path: PathBuf,
    told: Arc<Mutex<Told>>,
    /// They have the numbers by which a sensor gets its descriptors, so that nothing else has.
    _spacers: Vec<File>,
}

#[derive(Default)]
struct Told {
    /// Held descriptors by name; children inherit them.
    store: Vec<(String, RawFd)>,
    states: Vec<String>,
}

impl Manager {
    pub(crate) fn start(dir: &Path) -> Self {
        let spacers = (0..2 * HANDED_MAX).map(|_| File::open("/dev/null"));
        let spacers = spacers.collect::<Result<_, _>>();
        let spacers = spacers.expect("as the test arranged it");
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).expect("as the test arranged it");
        let told = Arc::<Mutex<Told>>::default();
        let listener = told.clone();
        // It ends with the test.
        let listen = move || {
            while let Some((text, descriptors)) = receive(&socket) {
                listener.lock().expect("no panic").take(&text, descriptors);
            }
        };
        Builder::new().spawn(listen).expect("a thread");
        Self {
            path,
            told,
            _spacers: spacers,
        }
    }

    /// A sensor as the manager would start it now.
    pub(crate) fn command(&self) -> Command {
        let store = &self.told.lock().expect("no panic").store;
        let handed = store.iter().enumerate();
        let redirections: String = handed
            .map(|(at, (_, it))| format!("exec {}<&{it} {it}<&-; ", at + 3))
            .collect();
        assert!(store.len() <= HANDED_MAX);
        let names: Vec<_> = store.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new("bash");
        let script = format!("{redirections} LISTEN_PID=$$ exec \"$0\" \"$@\"");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_vxscope")])
            .env("NOTIFY_SOCKET", &self.path)
            .env("LISTEN_FDS", store.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        command
    }

    /// Waits until it was told that the sensor is ready, and forgets that it was.
    pub(crate) fn wait_ready(&self) {
        until("a ready sensor", || {
            let states = &mut self.told.lock().expect("no panic").states;
            let at = states.iter().position(|it| it.starts_with("READY=1"))?;
            states.drain(..=at);
            Some(())
        });
    }

    /// The names of what it holds.
    pub(crate) fn held(&self) -> Vec<String> {
        let store = &self.told.lock().expect("no panic").store;
        store.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Told {
    fn take(&mut self, text: &str, descriptors: Vec<RawFd>) {
        let has = |assignment| text.lines().any(|line| line == assignment);
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
        let name = name.unwrap_or("stored").to_owned();
        if has("FDSTORE=1") {
            // A real one compares descriptors and closes what it has already; here names do.
            let is_new = !self.store.iter().any(|(held, _)| *held == name);
            match (is_new, descriptors.as_slice()) {
                (true, [descriptor]) => self.store.push((name, *descriptor)),
                _ => descriptors.into_iter().for_each(close_one),
            }
            return;
        }
        // A barrier: whoever waits for it sees its end.
        descriptors.into_iter().for_each(close_one);
        if has("FDSTOREREMOVE=1") {
            let (gone, left) = std::mem::take(&mut self.store)
                .into_iter()
                .partition(|(held, _)| *held == name);
            self.store = left;
            let gone: Vec<(String, RawFd)> = gone;
            gone.into_iter().for_each(|(_, it)| close_one(it));
        }
        self.states.push(text.to_owned());
    }
}

/// The next message; `None` when there will be none.
fn receive(socket: &UnixDatagram) -> Option<(String, Vec<RawFd>)> {
    let mut text = [0; 4_096];
    let mut room = nix::cmsg_space!([RawFd; 4]);
    let mut text_room = [IoSliceMut::new(&mut text)];
    // Without the flag that closes them in children: those are to have them.
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut text_room, Some(&mut room), flags);
    let message = message.ok()?;
    let descriptors = message
        .cmsgs()
        .expect("room for all")
        .flat_map(|it| match it {
            ControlMessageOwned::ScmRights(descriptors) => descriptors,
            _ => Vec::new(),
        });
    let descriptors = descriptors.collect();
    let length = message.bytes;
    let text = String::from_utf8_lossy(text.get(..length)?).into_owned();
    Some((text, descriptors))
}

fn close_one(descriptor: RawFd) {
    close(descriptor).expect("an open descriptor");
}
