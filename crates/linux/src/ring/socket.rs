//! One ring's socket.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, socklen_t};

use super::block::Frames;
use super::map::Map;
use crate::option::{self, Plain};
use crate::program::{Instruction, REFUSE_ALL};

/// How long the kernel keeps a block that is not full, in milliseconds: bounds how old a packet
/// gets in the ring when there are few.
const BLOCK_MILLISECONDS: u32 = 4;

/// A unit that block lengths are a multiple of; packets take what they need.
const FRAME_BYTES: u32 = 2_048;

/// What every ring of a group says it is. A group forgets that its members ignore what this host
/// sends, so it is said again (`PACKET_FANOUT_FLAG_IGNORE_OUTGOING`, Linux 5.13).
const GROUP: u32 = libc::PACKET_FANOUT_CBPF | libc::PACKET_FANOUT_FLAG_DEFRAG | 0x4000;

// SAFETY: integers, without padding between them.
unsafe impl Plain for libc::tpacket_req3 {}
// SAFETY: integers, without padding between them.
unsafe impl Plain for libc::tpacket_stats_v3 {}
const _: () = assert!(mem::size_of::<libc::tpacket_req3>() == 7 * 4);
const _: () = assert!(mem::size_of::<libc::tpacket_stats_v3>() == 3 * 4);

/// How large a ring is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize {
    /// Bytes of a block: a power of two of at least a page. A packet that does not fit one is cut.
    pub block_bytes: usize,
    /// How many there are, at least two.
    pub blocks: usize,
}

/// What the kernel counted since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed the filter, those it dropped included.
    pub passed: u32,
    /// Packets that found no room.
    pub dropped: u32,
    /// How often it found every block handed over.
    pub frozen: u32,
}

/// A ring and its socket. Calls never block.
#[derive(Debug)]
pub struct PacketRing {
    socket: OwnedFd,
    map: Map,
    /// The block that is looked at.
    current: usize,
    /// Where in it, if it is not finished.
    place: Option<(usize, usize)>,
    link_header: u8,
}

impl PacketRing {
    /// A ring on an interface. It is shut: nothing comes until [`PacketRing::select`].
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW, `ENODEV`, `ENETDOWN` if the interface is down, `ENOMEM`, and
    /// whatever else the kernel says.
    pub fn open(interface: u32, size: RingSize) -> io::Result<Self> {
        // Without a protocol it receives nothing until it is bound.
        // SAFETY: the call takes three numbers and touches no memory of ours.
        let descriptor =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, was just made, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        set(&socket, libc::PACKET_VERSION, version)?;
        set(&socket, libc::PACKET_IGNORE_OUTGOING, 1)?;
        refuse_all(&socket)?;
        set(&socket, libc::PACKET_RX_RING, request(size)?)?;
        let map = Map::new(socket.as_fd(), size.block_bytes, size.blocks)?;
        let hardware = bind(socket.as_fd(), interface)?;
        pending_error(&socket)?;
        Ok(Self {
            socket,
            map,
            current: 0,
            place: None,
            link_header: link_header(hardware),
        })
    }

    /// Bytes of the link layer's header on this interface.
    #[must_use]
    pub const fn link_header(&self) -> u8 {
        self.link_header
    }

    /// Makes it the first of a group, whose rings share the packets by a program that returns the
    /// index of the ring, and reassembles IPv4 fragments before. Returns the group's number.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn found_group(&self, steering: &[Instruction]) -> io::Result<u16> {
        let kind = GROUP | libc::PACKET_FANOUT_FLAG_UNIQUEID;
        set(&self.socket, libc::PACKET_FANOUT, word(0, kind))?;
        option::attach(
            self.socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT_DATA,
            steering,
        )?;
        let fanout = option::get_at(
            self.socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            0,
        )?;
        Ok(u16::try_from(fanout & 0xffff).unwrap_or(0))
    }

    /// Makes it the next of a group.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn join_group(&self, group: u16) -> io::Result<()> {
        set(&self.socket, libc::PACKET_FANOUT, word(group, GROUP))
    }

    /// From now on the packets come that this program keeps.
    ///
    /// # Errors
    /// `EINVAL` for a program that the kernel does not accept.
    pub fn select(&self, program: &[Instruction]) -> io::Result<()> {
        let name = libc::SO_ATTACH_FILTER;
        option::attach(self.socket.as_fd(), libc::SOL_SOCKET, name, program)
    }

    /// From now on nothing comes, and nothing is counted; what is in the ring stays. A delivery
    /// under way may still arrive: see [`settle`](crate::settle).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn shut(&self) -> io::Result<()> {
        refuse_all(&self.socket)
    }

    /// What the kernel counted since the last call.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take_counts(&self) -> io::Result<Counts> {
        let stats = libc::tpacket_stats_v3 {
            tp_packets: 0,
            tp_drops: 0,
            tp_freeze_q_cnt: 0,
        };
        let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        let stats = option::get_at(self.socket.as_fd(), level, name, stats)?;
        Ok(Counts {
            passed: stats.tp_packets,
            dropped: stats.tp_drops,
            frozen: stats.tp_freeze_q_cnt,
        })
    }

    /// Whether packets are there. Gives back the block that was read to its end, so nothing may be
    /// borrowed from it any more.
    #[inline]
    pub fn is_ready(&mut self) -> bool {
        loop {
            match self.place {
                Some((_, 0)) => {
                    self.map.give_back(self.current);
                    self.place = None;
                    self.current = (self.current + 1) % self.map.blocks();
                }
                Some(_) => return true,
                None if self.map.is_ready(self.current) => {
                    self.place = Some(Frames::new(self.map.block(self.current)).place());
                }
                None => return false,
            }
        }
    }

    /// The next packets, at most so many, of one block; none if the kernel has handed over no
    /// more. What was borrowed before is given back.
    #[inline]
    pub fn receive(&mut self, most: usize) -> Frames<'_> {
        if !self.is_ready() {
            return Frames::default();
        }
        let Some(place) = self.place else {
            return Frames::default();
        };
        let frames = Frames::resume(self.map.block(self.current), place);
        let mut behind = frames.clone();
        for _ in 0..most.min(place.1) {
            behind.skip_one();
        }
        let end = behind.place();
        self.place = Some(end);
        frames.until(end)
    }

    /// Takes an error that the kernel keeps for this socket, such as that its interface went down:
    /// until somebody has, waiting for the socket ends at once.
    pub fn take_error(&self) -> Option<io::Error> {
        pending_error(&self.socket).err()
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set<T: Plain>(socket: &OwnedFd, name: c_int, value: T) -> io::Result<()> {
    option::set_at(socket.as_fd(), libc::SOL_PACKET, name, value)
}

fn refuse_all(socket: &OwnedFd) -> io::Result<()> {
    let name = libc::SO_ATTACH_FILTER;
    option::attach(socket.as_fd(), libc::SOL_SOCKET, name, &REFUSE_ALL)
}

fn pending_error(socket: &OwnedFd) -> io::Result<()> {
    match option::get(socket.as_fd(), libc::SO_ERROR, 0)? {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// A group's number in the low half and its kind in the high one.
fn word(group: u16, kind: u32) -> c_int {
    c_int::from_ne_bytes((u32::from(group) | (kind << 16)).to_ne_bytes())
}

fn request(size: RingSize) -> io::Result<libc::tpacket_req3> {
    let number = |value: usize| u32::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
    let (block_bytes, blocks) = (number(size.block_bytes)?, number(size.blocks)?);
    let per_block = block_bytes / FRAME_BYTES;
    let frames = per_block.checked_mul(blocks);
    Ok(libc::tpacket_req3 {
        tp_block_size: block_bytes,
        tp_block_nr: blocks,
        tp_frame_size: FRAME_BYTES,
        tp_frame_nr: frames.ok_or(io::ErrorKind::InvalidInput)?,
        tp_retire_blk_tov: BLOCK_MILLISECONDS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    })
}

/// Binds to all protocols of an interface; what hardware it is. A socket for one protocol would
/// come after the programs at the interface's ingress, and see nothing of what they drop.
fn bind(socket: BorrowedFd<'_>, interface: u32) -> io::Result<u16> {
    // SAFETY: numbers and arrays of numbers, for which zero is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = c_int::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut length = mem::size_of::<libc::sockaddr_ll>() as socklen_t;
    let place = (&raw mut address).cast::<libc::sockaddr>();
    // SAFETY: the address is readable at the length given; the descriptor is open while borrowed.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), place, length) };
    if bound != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; the kernel writes no more than `length` bytes, for which any are valid.
    let told = unsafe { libc::getsockname(socket.as_raw_fd(), place, &raw mut length) };
    if told != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(address.sll_hatype)
}

/// Interfaces have Ethernet headers or, as tunnels for IP, none.
fn link_header(hardware: u16) -> u8 {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => 14,
        _ => 0,
    }
}
