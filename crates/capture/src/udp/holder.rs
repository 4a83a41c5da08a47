//! Who else has sockets on our ports, as far as this user may know.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A socket of somebody else where we listen or want to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    address: SocketAddr,
    user: u32,
    /// Number and name, if the process may be looked into.
    process: Option<(u32, String)>,
}

impl Holder {
    /// The sockets of other processes on which datagrams to `address` may end up: those on its
    /// port that are bound to the same address, or to all, or to one while `address` is all.
    ///
    /// They are those of our own network namespace. What cannot be read is left out.
    #[must_use]
    pub fn find(address: SocketAddr) -> Vec<Self> {
        let tables = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
        let lines: Vec<Socket> = tables
            .iter()
            .flatten()
            .flat_map(|table| table.lines().filter_map(Socket::parse))
            .filter(|socket| overlaps(socket.address, address))
            .collect();
        if lines.is_empty() {
            return Vec::new();
        }
        let ours = sockets_of(Path::new("/proc/self"));
        let mut foreign: Vec<Socket> = lines;
        foreign.retain(|socket| !ours.contains(&socket.inode));
        if foreign.is_empty() {
            return Vec::new();
        }
        let mut holders: Vec<Self> = foreign
            .iter()
            .zip(processes(&foreign))
            .map(|(socket, process)| Self {
                address: socket.address,
                user: socket.user,
                process,
            })
            .collect();
        holders.sort();
        holders.dedup();
        holders
    }
}

impl Holder {
    /// What its socket is bound to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// `process 4711 (socat)`, or what is known instead.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((number, name)) => write!(f, "process {number} ({name})"),
            None => write!(
                f,
                "user {} (a process that cannot be seen from here, or a kernel VXLAN device)",
                self.user
            ),
        }
    }
}

/// A line of the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    address: SocketAddr,
    user: u32,
    inode: u64,
}

impl Socket {
    /// `None` for the heading, and for what is no such line.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let local = words.nth(1)?;
        let user = words.nth(5)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let address = SocketAddr::new(parse_address(address)?, port);
        Some(Self {
            address,
            user,
            inode,
        })
    }
}

/// The kernel prints addresses as 32-bit numbers in the machine's byte order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Whether a datagram may be for both. `::` usually takes IPv4, too.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// The process of each socket, where it can be seen.
fn processes(sockets: &[Socket]) -> Vec<Option<(u32, String)>> {
    let mut found = vec![None; sockets.len()];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let inodes = sockets_of(&entry.path());
        for (socket, found) in sockets.iter().zip(&mut found) {
            if inodes.contains(&socket.inode) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                *found = Some((number, name.trim().to_owned()));
            }
        }
    }
    found
}

/// The inodes of a process's sockets; none if this user may not look into it.
fn sockets_of(process: &Path) -> BTreeSet<u64> {
    let entries = fs::read_dir(process.join("fd")).into_iter().flatten();
    let links = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use super::{Holder, Socket, overlaps};

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernel_are_read() {
        let lines = [
            (
                " 1018: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1772339 2 00000000cd5ab953 0       ",
                Some(("0.0.0.0:4789", 0, 1_772_339)),
            ),
            (
                "    7: 0100007F:17C1 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 99 2 0000000000000000 12",
                Some(("127.0.0.1:6081", 1_000, 99)),
            ),
            (
                " 4: 000080FE00000000FF565E0AE1E4F7FE:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 5 2 0 0",
                Some(("[fe80::a5e:56ff:fef7:e4e1]:4789", 101, 5)),
            ),
            (
                " 4: 0000000000000000FFFF00000100007F:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 5 2 0 0",
                Some(("127.0.0.1:4789", 101, 5)),
            ),
            (
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
                None,
            ),
            ("", None),
            ("1: 00:12B5 0 0 0 0 0 0 0 0", None),
        ];
        for (line, expected) in lines {
            let expected = expected.map(|(address, user, inode)| Socket {
                address: address.parse().unwrap(),
                user,
                inode,
            });
            assert_eq!(Socket::parse(line), expected, "{line}");
        }
    }

    #[test]
    fn addresses_overlap_if_a_datagram_may_be_for_both() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:1", "0.0.0.0:1", true),
            ("0.0.0.0:1", "10.0.0.1:1", true),
            ("[::]:1", "10.0.0.1:1", true),
        ] {
            let [one, other] = [one, other].map(|it| it.parse::<SocketAddr>().unwrap());
            assert_eq!(overlaps(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn our_own_sockets_are_nobody_elses() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(Holder::find(socket.local_addr().unwrap()), []);
    }
}
