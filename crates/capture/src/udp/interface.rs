//! Network interfaces by name.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use pnet::datalink::{self, NetworkInterface};

use super::error::UdpError;

/// An interface of this host, as it was when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
    index: u32,
    up: bool,
    addresses: Vec<IpAddr>,
}

impl Interface {
    /// Looks an interface up.
    ///
    /// # Errors
    /// [`UdpError::InterfaceMissing`], which names those there are.
    pub fn find(name: &str) -> Result<Self, UdpError> {
        let all = datalink::interfaces();
        match all.iter().find(|interface| interface.name == name) {
            Some(interface) => Ok(Self::new(interface)),
            None => Err(missing(name, &all)),
        }
    }

    /// Waits for an interface that may appear later, for example when it is attached to the
    /// instance: looks it up, asks `go_on` whether to wait, sleeps, and so on.
    ///
    /// # Errors
    /// [`UdpError::InterfaceMissing`] once `go_on` says no.
    pub fn wait(
        name: &str,
        interval: Duration,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Self, UdpError> {
        loop {
            match Self::find(name) {
                Err(_) if go_on() => thread::sleep(interval),
                found => return found,
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number. An interface that takes over the name has another.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Whether it was up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.up
    }

    /// The addresses it had.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether the same interface is still there. Sockets bound to one that was removed receive
    /// nothing for good, also when one of that name comes back: they have to be opened anew.
    #[must_use]
    pub fn is_present(&self) -> bool {
        Self::find(&self.name).is_ok_and(|now| now.index == self.index)
    }

    fn new(interface: &NetworkInterface) -> Self {
        Self {
            name: interface.name.clone(),
            index: interface.index,
            up: interface.is_up(),
            addresses: interface.ips.iter().map(|network| network.ip()).collect(),
        }
    }
}

/// The error for a name that nothing has.
fn missing(name: &str, all: &[NetworkInterface]) -> UdpError {
    let names: Vec<_> = all
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    UdpError::InterfaceMissing {
        name: name.to_owned(),
        present: names.join(", "),
    }
}
