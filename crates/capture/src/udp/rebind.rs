//! Binding open sockets to an interface that was made anew.

use vxscope_linux::udp::UdpSocket;

use super::error::UdpError;
use super::settings::{bind_interface, option};
use super::source::UdpSource;

/// Second hands on all sockets of a sensor, for whoever watches its interface.
#[derive(Debug)]
pub struct Rebinder(Vec<UdpSocket>);

impl Rebinder {
    /// Of all workers' sockets.
    ///
    /// # Errors
    /// [`UdpError::Option`]: no more descriptors.
    pub fn new(sources: &[UdpSource]) -> Result<Self, UdpError> {
        let sockets = sources.iter().flat_map(UdpSource::sockets);
        let clones = sockets.map(|socket| socket.try_clone().map_err(option("a descriptor")));
        clones.collect::<Result<_, _>>().map(Self)
    }

    /// Binds all sockets to the interface that has this name now. They keep their queues, counts
    /// and places in their groups.
    ///
    /// # Errors
    /// [`UdpError::Interface`]: without CAP_NET_RAW a socket that was bound to an interface cannot
    /// be bound to another. [`UdpError::InterfaceMissing`] if it has gone again.
    pub fn bind(&self, interface: &str) -> Result<(), UdpError> {
        let mut sockets = self.0.iter();
        sockets.try_for_each(|socket| bind_interface(socket, interface))
    }
}
