//! What to listen on, and the opening of the sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;

use vxscope_linux::WAIT_SOCKETS_MAX;
use vxscope_linux::udp::UdpSocket;
use vxscope_units::ByteSize;
use vxscope_wire::Tunnel;

use super::error::{UdpError, UdpWarning};
use super::holder::Holder;
use super::interface::Interface;
use super::source::{Port, UdpSource};
use super::steering::{SocketChoice, Steered};

/// How many ports can be listened on: each is one more socket for every worker to look at.
pub const GROUPS_MAX: usize = WAIT_SOCKETS_MAX;

/// What to listen on.
#[derive(Clone, Debug)]
pub struct UdpSettings {
    /// The address. `::` means every address of both families, `0.0.0.0` every IPv4 address.
    pub address: IpAddr,
    /// The ports, at most [`GROUPS_MAX`].
    pub groups: Vec<UdpGroup>,
    /// The interface that datagrams must come through; any if there is none.
    pub interface: Option<Interface>,
    /// How many workers share the traffic.
    pub workers: NonZeroU16,
    /// Seed of the steering function: that of
    /// [`Steering::new`](vxscope_wire::steer::Steering::new).
    pub seed: u32,
    /// Receive buffer of each socket, the kernel's overhead included: a small datagram takes
    /// about 1 KiB of it, one of 1,400 bytes between 2 and 4 KiB.
    pub receive_buffer: ByteSize,
}

/// One port, and the tunnel that comes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpGroup {
    /// UDP destination port; 0 lets the kernel choose, which only tests and demonstrations want.
    pub port: u16,
    /// What comes there.
    pub tunnel: Tunnel,
}

/// What was opened.
#[derive(Debug)]
pub struct UdpOpened {
    /// One source for each worker, in the workers' order.
    pub sources: Vec<UdpSource>,
    /// The ports as they are bound, in the order of the settings.
    pub groups: Vec<UdpGroup>,
    /// How the kernel chooses among the sockets of a port, if there are several.
    pub steered: Option<Steered>,
    /// What is less than was asked for.
    pub warnings: Vec<UdpWarning>,
}

/// Ports that are held and not received from.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) groups: Vec<UdpGroup>,
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) warnings: Vec<UdpWarning>,
}

impl UdpSettings {
    /// Opens all sockets. They receive from the moment this returns.
    ///
    /// # Errors
    /// The first [`UdpError`]; what was opened before is closed.
    pub fn open(&self) -> Result<UdpOpened, UdpError> {
        if self.groups.len() > GROUPS_MAX {
            let count = self.groups.len();
            return Err(UdpError::TooManyPorts { count });
        }
        let mut warnings = Vec::new();
        let address = self.usable_address(&mut warnings)?;
        if let Some(interface) = self.interface.as_ref().filter(|it| !it.is_up()) {
            let name = interface.name().to_owned();
            warnings.push(UdpWarning::InterfaceDown { name });
        }
        let workers = usize::from(self.workers.get());
        let mut ports: Vec<Vec<Port>> = (0..workers).map(|_| Vec::new()).collect();
        let (mut groups, mut steered) = (Vec::new(), None);
        for group in &self.groups {
            let (bound, sockets, of_group) = self.open_group(address, *group, &mut warnings)?;
            steered = Steered::of_all(steered, of_group);
            groups.push(bound);
            for (ports, socket) in ports.iter_mut().zip(sockets) {
                ports.push(Port::new(
                    socket,
                    SocketAddr::new(address, bound.port),
                    group.tunnel,
                ));
            }
        }
        // All groups are complete, so that no port is served before the others.
        let sources = ports.into_iter().map(UdpSource::open);
        let sources = sources.collect::<Result<_, _>>()?;
        Ok(UdpOpened {
            sources,
            groups,
            steered,
            warnings,
        })
    }

    /// The names by which [`UdpSettings::inherit`] knows the sockets of each worker again, in the
    /// order of [`UdpSource::sockets`]. `groups` is as it was bound.
    #[must_use]
    pub fn socket_names(&self, groups: &[UdpGroup]) -> Vec<Vec<String>> {
        let of = |worker| groups.iter().map(move |it| self.socket_name(it, worker));
        (0..self.workers.get()).map(|it| of(it).collect()).collect()
    }

    /// Holds the ports with sockets that refuse everything: nobody else gets them, and the kernel
    /// answers no datagram by saying that nobody listens.
    ///
    /// # Errors
    /// The first [`UdpError`]; what was opened before is closed.
    pub(crate) fn hold(&self) -> Result<Held, UdpError> {
        let alone = Self {
            workers: NonZeroU16::MIN,
            receive_buffer: ByteSize::kib(0),
            ..self.clone()
        };
        let mut warnings = Vec::new();
        let address = alone.usable_address(&mut warnings)?;
        let (mut groups, mut sockets) = (Vec::new(), Vec::new());
        for group in &alone.groups {
            let (bound, held, _) = alone.open_group(address, *group, &mut warnings)?;
            groups.push(bound);
            sockets.extend(held);
        }
        Ok(Held {
            groups,
            sockets,
            warnings,
        })
    }

    /// `0.0.0.0` for `::` on hosts without IPv6.
    pub(super) fn usable_address(
        &self,
        warnings: &mut Vec<UdpWarning>,
    ) -> Result<IpAddr, UdpError> {
        match UdpSocket::new(self.address) {
            Ok(_) => Ok(self.address),
            Err(_) if self.address.is_ipv6() && self.address.is_unspecified() => {
                warnings.push(UdpWarning::OnlyIpv4);
                Ok(Ipv4Addr::UNSPECIFIED.into())
            }
            Err(source) => Err(UdpError::Socket {
                address: SocketAddr::new(self.address, 0),
                source,
            }),
        }
    }

    /// The sockets of one port, shut, in the order of their indices.
    fn open_group(
        &self,
        address: IpAddr,
        group: UdpGroup,
        warnings: &mut Vec<UdpWarning>,
    ) -> Result<(UdpGroup, Vec<UdpSocket>, Option<Steered>), UdpError> {
        let first = self.prepare(address, warnings)?;
        let wanted = SocketAddr::new(address, group.port);
        bind(&first, wanted)?;
        let bound = first.local_address().map_err(|source| UdpError::Bind {
            address: wanted,
            source,
        })?;
        let group = UdpGroup {
            port: bound.port(),
            ..group
        };
        let mut sockets = vec![first];
        for _ in 1..self.workers.get() {
            let socket = self.prepare(address, warnings)?;
            if let [first] = sockets.as_slice() {
                share(first)?;
            }
            share(&socket)?;
            bind(&socket, bound)?;
            sockets.push(socket);
        }
        let steered = self.steer(&sockets, group.tunnel)?;
        Ok((group, sockets, steered))
    }

    /// A socket with everything set that must be before it is bound.
    fn prepare(
        &self,
        address: IpAddr,
        warnings: &mut Vec<UdpWarning>,
    ) -> Result<UdpSocket, UdpError> {
        let socket = UdpSocket::new(address).map_err(|source| UdpError::Socket {
            address: SocketAddr::new(address, 0),
            source,
        })?;
        socket.stamp().map_err(option("timestamps"))?;
        socket.shut().map_err(option("a filter"))?;
        self.size(&socket, warnings)?;
        if let Some(interface) = &self.interface {
            bind_interface(&socket, interface.name())?;
        }
        Ok(socket)
    }

    /// Gives a socket its receive buffer.
    pub(super) fn size(
        &self,
        socket: &UdpSocket,
        warnings: &mut Vec<UdpWarning>,
    ) -> Result<(), UdpError> {
        let wanted = self.receive_buffer;
        let granted = socket.reserve(wanted.as_usize());
        let granted = ByteSize::bytes(granted.map_err(option("a receive buffer"))? as u64);
        let warning = UdpWarning::ReceiveBuffer { granted, wanted };
        if granted < wanted && !warnings.contains(&warning) {
            warnings.push(warning);
        }
        Ok(())
    }

    /// Lets the kernel choose among the sockets of a port, if there is a choice.
    pub(super) fn steer(
        &self,
        sockets: &[UdpSocket],
        tunnel: Tunnel,
    ) -> Result<Option<Steered>, UdpError> {
        let [first, _, ..] = sockets else {
            return Ok(None);
        };
        let choice = SocketChoice {
            seed: self.seed,
            workers: self.workers,
            tunnel,
        };
        choice.attach(first).map(Some)
    }
}

fn share(socket: &UdpSocket) -> Result<(), UdpError> {
    socket.share_port().map_err(option("SO_REUSEPORT"))
}

fn bind(socket: &UdpSocket, address: SocketAddr) -> Result<(), UdpError> {
    socket.bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => UdpError::PortInUse {
            address,
            holders: Holder::find(address),
        },
        io::ErrorKind::PermissionDenied => UdpError::PortDenied { address },
        io::ErrorKind::AddrNotAvailable => UdpError::AddressMissing { address },
        _ => UdpError::Bind { address, source },
    })
}

pub(super) fn bind_interface(socket: &UdpSocket, name: &str) -> Result<(), UdpError> {
    socket.bind_device(name).map_err(|source| {
        // It may have been removed since it was looked up.
        Interface::find(name)
            .err()
            .unwrap_or_else(|| UdpError::Interface {
                name: name.to_owned(),
                source,
            })
    })
}

pub(super) fn option(option: &'static str) -> impl Fn(io::Error) -> UdpError {
    move |source| UdpError::Option { option, source }
}
