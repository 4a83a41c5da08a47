//! Binding open sockets to an interface that was made anew.

use vxscope_linux::udp::UdpSocket;

use super::error::UdpError;
use super::settings::{bind_interface, option};
use super::source::UdpSource;

/// Second hands on all sockets of a sensor, for whoever watches its interface.
#[derive(Debug)]
pub struct Rebinder(Option<Vec<UdpSocket>>);

impl Rebinder {
    /// Of all workers' sockets.
    ///
    /// # Errors
    /// [`UdpError::Option`]: no more descriptors.
    pub fn new<'s>(sources: impl IntoIterator<Item = &'s UdpSource>) -> Result<Self, UdpError> {
        let sockets = sources.into_iter().flat_map(UdpSource::sockets);
        let clones = sockets.map(|socket| socket.try_clone().map_err(option("a descriptor")));
        let clones: Vec<_> = clones.collect::<Result<_, _>>()?;
        Ok(Self(Some(clones)))
    }

    /// Of packet rings, which stay with the interface they were opened on.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Binds all sockets to the interface that has this name now. They keep their queues, counts
    /// and places in their groups.
    ///
    /// # Errors
    /// [`UdpError::Interface`]: without CAP_NET_RAW a socket that was bound to an interface cannot
    /// be bound to another. [`UdpError::InterfaceMissing`] if it has gone again.
    pub fn bind(&self, interface: &str) -> Result<(), UdpError> {
        let Some(sockets) = &self.0 else {
            return Err(UdpError::RingStays {
                name: interface.to_owned(),
            });
        };
        let mut sockets = sockets.iter();
        sockets.try_for_each(|socket| bind_interface(socket, interface))
    }
}
