//! One named network namespace, removed when its value goes.

use crate::Result;
use crate::workspace::text_of;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A network namespace and the commands that run inside it.
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes `vxlab-TAG-ROLE`, with its loopback interface up.
    pub(super) fn create(tag: &str, role: &str) -> Result<Self> {
        let name = format!("vxlab-{tag}-{role}");
        text_of(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// A program inside, without standard input.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name])
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// `ip WORDS` inside; words are split at blanks.
    pub(super) fn ip(&self, words: &str) -> Result<()> {
        text_of(
            Command::new("ip")
                .args(["-n", &self.name])
                .args(words.split_whitespace()),
        )?;
        Ok(())
    }

    /// `tc WORDS` inside, and what it prints.
    pub(super) fn tc(&self, words: &str) -> Result<String> {
        text_of(
            Command::new("tc")
                .args(["-n", &self.name])
                .args(words.split_whitespace()),
        )
    }

    /// Sets a kernel variable of this namespace, as `NAME=VALUE`.
    pub(super) fn sysctl(&self, assignment: &str) -> Result<()> {
        text_of(self.command("sysctl").args(["-q", "-w", assignment])).map(drop)
    }

    /// Hands one of our interfaces to another namespace.
    pub(super) fn give(&self, interface: &str, to: &Self) -> Result<()> {
        self.ip(&format!("link set {interface} netns {}", to.name))
    }

    /// Segments leave as they are on a wire: no offload to the interface.
    pub(super) fn without_offloads(&self, interface: &str) -> Result<()> {
        let mut ethtool = self.command("ethtool");
        ethtool.args([
            "-K", interface, "tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off",
        ]);
        text_of(&mut ethtool).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The namespace of mounts takes the name with it anyway; a failure here loses nothing.
        drop(text_of(
            Command::new("ip").args(["netns", "delete", &self.name]),
        ));
    }
}
