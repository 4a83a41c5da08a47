//! moto's server as a process of its own, for the services that the stand-in does not play.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Tells its port, and ends when nobody holds its input any more.
const SERVER: &str = "\
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: String,
    python: std::ffi::OsString,
}

impl Moto {
    /// With the Python that `cargo xtask test` provides; `None`, with a note, where nobody does.
    ///
    /// # Panics
    /// In CI, where it must be there.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "for whoever reads what the tests say")]
    pub fn provided() -> Option<Self> {
        let python = std::env::var_os("VXSCOPE_READERS");
        let moto = python.and_then(|python| Self::start(&python).ok());
        if moto.is_none() {
            let ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!ci, "in CI `cargo xtask` says where moto is");
            println!("skipped: cargo xtask test provides moto, and says where it is");
        }
        moto
    }

    /// Starts it with the Python that has it.
    ///
    /// # Errors
    /// There is no such Python, or it has no moto.
    pub fn start(python: &OsStr) -> io::Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().map(BufReader::new);
        output
            .map(|mut output| output.read_line(&mut line))
            .transpose()?;
        let Ok(port) = line.trim().parse::<u16>() else {
            drop(child.kill());
            drop(child.wait());
            return Err(io::Error::other("this Python has no moto with its server"));
        };
        Ok(Self {
            child,
            address: format!("127.0.0.1:{port}"),
            python: python.to_owned(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs a script of Python, in which `client(SERVICE)` is boto3's for this server; what it
    /// printed.
    ///
    /// # Errors
    /// It failed; with what it complained about.
    pub fn script(&self, text: &str) -> io::Result<String> {
        let before = format!(
            "import boto3, json\n\
             def client(service):\n\
             \x20   return boto3.client(service, endpoint_url='http://{}', region_name='us-east-1',\n\
             \x20       aws_access_key_id='k', aws_secret_access_key='s')\n",
            self.address
        );
        let output = Command::new(&self.python)
            .args(["-c", &(before + text)])
            .output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(complaint));
        }
        String::from_utf8(output.stdout).map_err(io::Error::other)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
