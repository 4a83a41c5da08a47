//! Sockets that outlive the process: somebody else holds them as well, and the next run goes on
//! with what waits in them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use vxscope_linux::udp::UdpSocket;
use vxscope_wire::bpf::Program;

use super::error::UdpError;
use super::settings::{UdpGroup, UdpOpened, UdpSettings, option};
use super::source::{Port, UdpSource};
use super::steering::Steered;

/// Sockets of an earlier run that are exactly those that some settings would open.
#[derive(Debug)]
pub struct Inheritance {
    /// Of each port, in the order of the workers.
    groups: Vec<Vec<UdpSocket>>,
}

/// What waited in sockets that were taken over, and what the kernel gave up there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// How many sockets there are.
    pub sockets: usize,
    /// Memory of what waited, the kernel's overhead included.
    pub waiting_bytes: u64,
    /// Datagrams dropped since the sockets were made, in whichever run or between two.
    pub dropped: u64,
}

impl UdpSettings {
    /// Sockets that are handed over, each with its name, if they are all of those that these
    /// settings would open and nothing else. `None` if there is any difference.
    #[must_use]
    pub fn inherit(&self, handed: Vec<(String, OwnedFd)>) -> Option<Inheritance> {
        let mut handed: BTreeMap<_, _> = handed.into_iter().collect();
        let address = self.usable_address(&mut Vec::new()).ok()?;
        let mut groups = Vec::new();
        for group in &self.groups {
            let wanted = SocketAddr::new(address, group.port);
            let mut sockets = Vec::new();
            for worker in 0..self.workers.get() {
                let descriptor = handed.remove(&self.socket_name(group, worker))?;
                let socket = UdpSocket::adopt(descriptor).ok()?;
                let is_ours = socket.local_address().ok()? == wanted && self.has_device(&socket);
                sockets.push(is_ours.then_some(socket)?);
            }
            groups.push(sockets);
        }
        handed.is_empty().then_some(Inheritance { groups })
    }

    /// Goes on receiving with sockets of an earlier run. Flows stay with their workers: the
    /// kernel steers by the same function as before, in the best program that it takes now.
    ///
    /// # Errors
    /// The first [`UdpError`].
    pub fn take_over(&self, inheritance: Inheritance) -> Result<(UdpOpened, Inherited), UdpError> {
        let mut warnings = Vec::new();
        let address = self.usable_address(&mut warnings)?;
        let mut inherited = Inherited::default();
        let mut ports: Vec<Vec<Port>> = (0..self.workers.get()).map(|_| Vec::new()).collect();
        let mut steered = None;
        for (group, sockets) in self.groups.iter().zip(inheritance.groups) {
            // In place of one that chooses the same, so nothing is split meanwhile.
            let of_group = self.steer(&sockets, group.tunnel)?;
            steered = Steered::of_all(steered, of_group);
            let address = SocketAddr::new(address, group.port);
            for (ports, socket) in ports.iter_mut().zip(sockets) {
                self.size(&socket, &mut warnings)?;
                inherited.add(&socket)?;
                ports.push(Port::inherited(socket, address, group.tunnel)?);
            }
        }
        let sources = ports.into_iter().map(UdpSource::open);
        let opened = UdpOpened {
            sources: sources.collect::<Result<_, _>>()?,
            groups: self.groups.clone(),
            steered,
            warnings,
        };
        Ok((opened, inherited))
    }

    /// What a worker's socket of a port is called where it is held: port, place in the group, and
    /// a fingerprint of how the kernel chooses among the group. Whoever steers differently does
    /// not find it.
    pub(super) fn socket_name(&self, group: &UdpGroup, worker: u16) -> String {
        let program = Program::steering(self.seed, self.workers, group.tunnel);
        let mut hasher = DefaultHasher::new();
        self.workers.hash(&mut hasher);
        for it in program.instructions() {
            (it.code, it.jt, it.jf, it.k).hash(&mut hasher);
        }
        format!("udp-{}-{worker}-{:016x}", group.port, hasher.finish())
    }

    fn has_device(&self, socket: &UdpSocket) -> bool {
        let wanted = self.interface.as_ref().map(|it| it.name().as_bytes());
        socket.device().is_ok_and(|it| it.as_deref() == wanted)
    }
}

impl Inherited {
    fn add(&mut self, socket: &UdpSocket) -> Result<(), UdpError> {
        self.sockets += 1;
        self.waiting_bytes += u64::from(socket.waiting().map_err(option("SO_MEMINFO"))?);
        self.dropped += u64::from(socket.dropped().map_err(option("SO_MEMINFO"))?);
        Ok(())
    }
}
