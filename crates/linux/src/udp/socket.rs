//! One UDP socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::DatagramBatch;
use crate::extended::LoadedProgram;
use crate::option;
use crate::program::{Instruction, REFUSE_ALL};

/// A UDP socket. Calls never block.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
}

impl UdpSocket {
    /// A socket for this kind of address, not bound yet. For the unspecified IPv6 address it
    /// takes both families, for any other address its own.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` for IPv6 on a host without it, or no more descriptors.
    pub fn new(address: IpAddr) -> io::Result<Self> {
        let domain = match address {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(!address.is_unspecified())?;
        }
        Ok(Self { socket })
    }

    /// A socket that somebody else has opened, with everything that was set on it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is none for UDP.
    pub fn adopt(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.protocol()? != Some(Protocol::UDP) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self { socket })
    }

    /// A second hand on the same socket; it is closed with the last one.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket })
    }

    /// Gives the socket an address and a port; 0 lets the kernel choose.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`], [`io::ErrorKind::AddrNotAvailable`],
    /// [`io::ErrorKind::PermissionDenied`] and whatever else the kernel says.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket.bind(&address.into())
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Only datagrams that came through this interface. Needs no capability (Linux 5.7), unless
    /// the socket has an interface already, and be it one that was removed: CAP_NET_RAW.
    ///
    /// # Errors
    /// `ENODEV` if there is no such interface, `EPERM`.
    pub fn bind_device(&self, interface: &str) -> io::Result<()> {
        self.socket.bind_device(Some(interface.as_bytes()))
    }

    /// The interface that datagrams must come through; `None` if any, or if it was removed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.device()
    }

    /// Others that say the same may share the port: they form a group, each with an index in the
    /// order in which they were bound. Allowed after binding too, which makes the first of a
    /// group refuse to join somebody else's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn share_port(&self) -> io::Result<()> {
        self.socket.set_reuse_port(true)
    }

    /// Asks for a stamp on each datagram, taken when it arrived.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn stamp(&self) -> io::Result<()> {
        option::set(self.as_fd(), libc::SO_TIMESTAMPNS, 1)
    }

    /// Asks for so many bytes of queue and returns how many there are. They hold not only
    /// payload: a datagram of a few hundred bytes takes about 1 KiB, from some drivers 4 KiB.
    ///
    /// Beyond twice `net.core.rmem_max` it takes CAP_NET_ADMIN.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reserve(&self, bytes: usize) -> io::Result<usize> {
        // The kernel doubles what it is asked for, to leave room for its own structures.
        let half = c_int::try_from(bytes.div_ceil(2))
            .unwrap_or(c_int::MAX)
            .min(c_int::MAX / 2);
        match option::set(self.as_fd(), libc::SO_RCVBUFFORCE, half) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                option::set(self.as_fd(), libc::SO_RCVBUF, half)?;
            }
            other => other?,
        }
        let granted = option::get(self.as_fd(), libc::SO_RCVBUF, 0)?;
        Ok(usize::try_from(granted).unwrap_or(0))
    }

    /// Lets a program choose the socket of this group for each datagram: it returns the index.
    /// All sockets of the group have it then. Also before the first is bound, if it shares its
    /// port.
    ///
    /// # Errors
    /// `EINVAL` for a program that the kernel does not accept or a socket without group, `ENOMEM`
    /// for one that exceeds `net.core.optmem_max` when translated.
    pub fn steer(&self, program: &[Instruction]) -> io::Result<()> {
        self.attach(libc::SO_ATTACH_REUSEPORT_CBPF, program)
    }

    /// As [`UdpSocket::steer`], by a program that was loaded for
    /// [`Purpose::Steering`](crate::Purpose::Steering). The group keeps it.
    ///
    /// # Errors
    /// `EINVAL` for a program for something else or a socket without group.
    pub fn steer_extended(&self, program: &LoadedProgram) -> io::Result<()> {
        let descriptor = program.as_fd().as_raw_fd();
        option::set(self.as_fd(), libc::SO_ATTACH_REUSEPORT_EBPF, descriptor)
    }

    /// Drops what arrives from now on, and counts it as dropped; what is queued stays. A delivery
    /// under way may still be queued: see [`settle`](crate::settle).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn shut(&self) -> io::Result<()> {
        self.attach(libc::SO_ATTACH_FILTER, &REFUSE_ALL)
    }

    /// Ends [`UdpSocket::shut`], if it is.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn reopen(&self) -> io::Result<()> {
        match option::set(self.as_fd(), libc::SO_DETACH_FILTER, 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// Memory of the datagrams that wait, in the same bytes as [`UdpSocket::reserve`].
    ///
    /// # Errors
    /// As [`UdpSocket::dropped`].
    pub fn waiting(&self) -> io::Result<u32> {
        let [waiting, ..] = self.memory()?;
        Ok(waiting)
    }

    /// How many datagrams reached this socket and were dropped since it was made: no room in the
    /// queue, shut, or a wrong checksum. Exact at any time; wraps at 2³².
    ///
    /// # Errors
    /// What the kernel says, before Linux 4.12 that it does not know.
    pub fn dropped(&self) -> io::Result<u32> {
        let [.., dropped] = self.memory()?;
        Ok(dropped)
    }

    /// The kernel's counts of this socket: memory of what waits first, drops last.
    fn memory(&self) -> io::Result<[u32; libc::SK_MEMINFO_DROPS as usize + 1]> {
        const WORDS: usize = libc::SK_MEMINFO_DROPS as usize + 1;
        option::get(self.as_fd(), libc::SO_MEMINFO, [0_u32; WORDS])
    }

    /// Fills the batch with the datagrams that wait, at most as many as it has slots; 0 if none
    /// does.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn receive(&self, batch: &mut DatagramBatch) -> io::Result<usize> {
        batch.receive(self.as_fd())
    }

    fn attach(&self, name: c_int, program: &[Instruction]) -> io::Result<()> {
        option::attach(self.as_fd(), libc::SOL_SOCKET, name, program)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
