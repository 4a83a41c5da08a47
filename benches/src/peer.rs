//! Other programs on the same capture, where they are installed.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::usage::Cpu;

/// Another program and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// nfdump's probe: `nfpcapd -r CAPTURE -w FOLDER`.
    Nfpcapd,
    /// `softflowd -d -r CAPTURE`.
    Softflowd,
    /// Wireshark's editor, cutting off the outer headers: `editcap -F pcap -C 50 CAPTURE FILE`.
    Editcap,
}

/// What a peer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// CPU time of the child.
    Cpu(Cpu),
    /// There is no such program.
    NotInstalled,
    /// It ended with an error.
    Failed,
}

impl Peer {
    /// As it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nfpcapd => "nfpcapd",
            Self::Softflowd => "softflowd",
            Self::Editcap => "editcap -C 50",
        }
    }

    /// Runs it once; what it writes goes to `folder`.
    ///
    /// # Errors
    /// What the kernel says, but for a program that is not there.
    pub fn run(self, capture: &Path, folder: &Path) -> io::Result<Measured> {
        let mut command = self.command(capture, folder);
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let before = Cpu::of_children()?;
        match command.status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Measured::NotInstalled),
            Err(error) => Err(error),
            Ok(status) if !status.success() => Ok(Measured::Failed),
            Ok(_) => Ok(Measured::Cpu(Cpu::of_children()?.since(before))),
        }
    }

    fn command(self, capture: &Path, folder: &Path) -> Command {
        let program = match self {
            Self::Nfpcapd => "nfpcapd",
            Self::Softflowd => "softflowd",
            Self::Editcap => "editcap",
        };
        let mut command = Command::new(program);
        match self {
            Self::Nfpcapd => command.arg("-r").arg(capture).arg("-w").arg(folder),
            Self::Softflowd => {
                // Its table holds 8,192 flows by default, which would measure evictions.
                command.args(["-d", "-m", "1048576", "-c", "none", "-p"]);
                command
                    .arg(folder.join("softflowd.pid"))
                    .arg("-r")
                    .arg(capture)
            }
            Self::Editcap => {
                command.args(["-F", "pcap", "-C", "50"]).arg(capture);
                command.arg(folder.join("edited.pcap"))
            }
        };
        command
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, Peer};

    #[test]
    fn a_peer_without_capture_fails_or_is_not_there() {
        let folder = crate::folder().unwrap();
        for peer in [Peer::Nfpcapd, Peer::Editcap] {
            let measured = peer.run(&folder.path().join("none.pcap"), folder.path());
            assert!(matches!(
                measured.unwrap(),
                Measured::NotInstalled | Measured::Failed
            ));
        }
    }
}
