//! A TAP interface for other programs to sniff on: made by us, gone with the last descriptor, also
//! after `kill -9`.
//!
//! What we write is what the interface *receives*. Mirrored frames are no business of this host's
//! network stack, so it is kept from answering them or learning from them: no IPv6, no ARP, no
//! address, and nothing is routed that comes from there.

use std::ffi::{CStr, c_short, c_ulong};
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use libc::{c_int, ifreq};

use crate::tap_drop::TapDrop;
use crate::{ExtendedInstruction, LoadedProgram, Purpose};

/// Longest name of an interface, without the end mark.
pub const NAME_BYTES_MAX: usize = libc::IFNAMSIZ - 1;

/// Settings under `/proc/sys/net`, and what they must be: nobody configures himself by what comes
/// there, and no address is a way back there, so the stack drops what it is offered.
const SYSCTLS: [(&str, &str, &str); 6] = [
    ("ipv6", "disable_ipv6", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "autoconf", "0"),
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "arp_ignore", "8"),
    ("ipv4", "forwarding", "0"),
];

/// `IFF_PERSIST`: the interface stays when its last descriptor is closed.
const PERSISTENT: c_short = 0x0800;

/// One queue of a TAP interface. Each thread has its own.
#[derive(Debug)]
pub struct TapQueue {
    file: File,
    /// What the interface was like, if it is somebody else's and stays.
    before: Option<Before>,
    /// Throws away what sniffers have seen, before the host's network stack sees it.
    discard: Option<TapDrop>,
    warnings: Vec<String>,
}

/// What is put back on an interface that was there before us.
#[derive(Debug)]
struct Before {
    name: String,
    flags: c_short,
    mtu: c_int,
    sysctls: Vec<(PathBuf, String)>,
}

impl TapQueue {
    /// Makes the interface, or adds a queue to it, and keeps the host's network stack away from it.
    /// With `queues` above 1 others may add theirs.
    ///
    /// The first queue of a run is opened with `is_first`: an interface that is there already must
    /// then be one that the administrator made to stay (`ip tuntap add`), and is put back as it
    /// was in the end.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN` where the interface is not ours to use; `EEXIST` if another
    /// program has it; `EINVAL` for a name that no interface can have, or one that is no TAP.
    pub fn open(name: &str, mtu: u32, queues: usize, is_first: bool) -> io::Result<Self> {
        let request = named(name)?;
        let before = match is_first {
            true => Before::of(name)?,
            false => None,
        };
        let file = attach(&request, queues > 1)?;
        if before.is_some() && !stays(&file, request)? {
            let text = "another program has an interface of this name";
            return Err(io::Error::new(ErrorKind::AlreadyExists, text));
        }
        let mut queue = Self {
            file,
            before,
            discard: None,
            warnings: Vec::new(),
        };
        queue.configure(name, mtu)?;
        // Older kernels cannot: what is set above keeps all but broadcasts from the host anyway.
        queue.discard = discard(name).ok();
        Ok(queue)
    }

    /// Whether the host's network stack sees nothing at all of what is written.
    #[must_use]
    pub const fn is_discarded(&self) -> bool {
        self.discard.is_some()
    }

    /// What could not be set, as sentences for people.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes one frame, in pieces. Its length has nothing to do with the interface's MTU.
    ///
    /// # Errors
    /// `EBADFD` once the interface is gone, `EIO` while it is down; `EINVAL` for less than an
    /// Ethernet header.
    pub fn write(&self, frame: [&[u8]; 3]) -> io::Result<()> {
        // The kernel takes a frame whole or not at all.
        (&self.file)
            .write_vectored(&frame.map(IoSlice::new))
            .map(drop)
    }

    fn configure(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        for (family, key, value) in SYSCTLS {
            let path = sysctl(family, name, key);
            match fs::write(&path, value) {
                // A kernel without IPv6 has nothing to switch off.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let text = format!("{}: cannot be set to {value}: {error}", path.display());
                    self.warnings.push(text);
                }
                Ok(()) => {}
            }
        }
        let control = control()?;
        let mtu = c_int::try_from(mtu).map_err(|_| ErrorKind::InvalidInput)?;
        let up = libc::IFF_UP as c_short;
        let quiet = libc::IFF_NOARP as c_short;
        let configured = set_mtu(&control, name, mtu)
            .and_then(|()| flags(&control, name))
            .and_then(|now| set_flags(&control, name, now | up | quiet));
        match configured {
            // An interface that the administrator gave to this user may be ready as it is.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let now = flags(&control, name)?;
                if now & up == 0 {
                    return Err(error);
                }
                let text = format!("{name}: may not be configured without CAP_NET_ADMIN");
                self.warnings.push(text);
                Ok(())
            }
            result => result,
        }
    }
}

impl AsFd for TapQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for TapQueue {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            before.restore();
        }
    }
}

impl Before {
    /// What there is; `None` if there is nothing.
    fn of(name: &str) -> io::Result<Option<Self>> {
        let control = control()?;
        let flags = match flags(&control, name) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            flags => flags?,
        };
        let read = |(family, key, _)| {
            let path = sysctl(family, name, key);
            let value = fs::read_to_string(&path).ok()?;
            Some((path, value.trim().to_owned()))
        };
        Ok(Some(Self {
            flags,
            mtu: mtu(&control, name)?,
            sysctls: SYSCTLS.into_iter().filter_map(read).collect(),
            name: name.to_owned(),
        }))
    }

    /// Nobody is left to tell of an interface that is gone meanwhile.
    fn restore(self) {
        if let Ok(control) = control() {
            let _ = set_flags(&control, &self.name, self.flags);
            let _ = set_mtu(&control, &self.name, self.mtu);
        }
        for (path, value) in self.sysctls {
            let _ = fs::write(path, value);
        }
    }
}

fn sysctl(family: &str, name: &str, key: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/{family}/conf/{name}/{key}"))
}

/// Any socket will do to ask of interfaces.
fn control() -> io::Result<UdpSocket> {
    UdpSocket::bind("0.0.0.0:0")
}

/// A request about the interface of this name, all else zero.
fn named(name: &str) -> io::Result<ifreq> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    let bytes = name.as_bytes();
    let fits = (1..=NAME_BYTES_MAX).contains(&bytes.len());
    if !fits || matches!(name, "." | "..") || !bytes.iter().copied().all(is_name) {
        let text = "an interface's name has 1 to 15 letters, digits and signs";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    // SAFETY: `ifreq` is plain data of integers, arrays and raw pointers, for which zeros are a
    // valid value.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(bytes) {
        *place = byte.cast_signed();
    }
    Ok(request)
}

/// A new queue. An interface that is there may have been made for several queues or for one.
fn attach(request: &ifreq, several: bool) -> io::Result<File> {
    let tap = libc::IFF_TAP | libc::IFF_NO_PI;
    let kinds = match several {
        true => [tap | libc::IFF_MULTI_QUEUE].to_vec(),
        false => vec![tap, tap | libc::IFF_MULTI_QUEUE],
    };
    let mut refused = io::Error::from(ErrorKind::InvalidInput);
    for kind in kinds {
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        let mut request = *request;
        request.ifr_ifru.ifru_flags = kind as c_short;
        match ioctl(&file, libc::TUNSETIFF as c_ulong, &mut request) {
            Ok(()) => return Ok(file),
            Err(error) => refused = error,
        }
        if refused.raw_os_error() != Some(libc::EINVAL) {
            break;
        }
    }
    Err(refused)
}

/// A program that lets nothing pass, behind the sniffers: `r0 = TC_ACT_SHOT; exit`.
fn discard(name: &str) -> io::Result<TapDrop> {
    let mut request = named(name)?;
    ioctl(&control()?, libc::SIOCGIFINDEX as c_ulong, &mut request)?;
    // SAFETY: as in `flags`, for SIOCGIFINDEX and its field.
    let index = unsafe { request.ifr_ifru.ifru_ifindex };
    let instruction = |code, constant| ExtendedInstruction {
        code,
        registers: 0,
        offset: 0,
        constant,
    };
    let program = [instruction(0xb7, 2), instruction(0x95, 0)];
    let index = u32::try_from(index).map_err(|_| ErrorKind::InvalidData)?;
    LoadedProgram::load(&program, Purpose::Ingress)?.attach(index)
}

/// Whether the interface of a queue stays when we go.
fn stays(file: &File, mut request: ifreq) -> io::Result<bool> {
    ioctl(file, libc::TUNGETIFF as c_ulong, &mut request)?;
    // SAFETY: as in `flags`, for TUNGETIFF.
    Ok(unsafe { request.ifr_ifru.ifru_flags } & PERSISTENT != 0)
}

fn flags(control: &UdpSocket, name: &str) -> io::Result<c_short> {
    let mut request = named(name)?;
    ioctl(control, libc::SIOCGIFFLAGS as c_ulong, &mut request)?;
    // SAFETY: SIOCGIFFLAGS succeeded, so the kernel wrote this field; and the union was zeroed as a
    // whole before, so that any of its integers is initialised.
    Ok(unsafe { request.ifr_ifru.ifru_flags })
}

fn set_flags(control: &UdpSocket, name: &str, flags: c_short) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_flags = flags;
    ioctl(control, libc::SIOCSIFFLAGS as c_ulong, &mut request)
}

fn mtu(control: &UdpSocket, name: &str) -> io::Result<c_int> {
    let mut request = named(name)?;
    ioctl(control, libc::SIOCGIFMTU as c_ulong, &mut request)?;
    // SAFETY: as in `flags`, for SIOCGIFMTU and its field.
    Ok(unsafe { request.ifr_ifru.ifru_mtu })
}

fn set_mtu(control: &UdpSocket, name: &str, mtu: c_int) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_mtu = mtu;
    ioctl(control, libc::SIOCSIFMTU as c_ulong, &mut request)
}

/// One of the requests of this module, all of which take an `ifreq`.
fn ioctl(descriptor: &impl AsFd, number: c_ulong, request: &mut ifreq) -> io::Result<()> {
    debug_assert!(CStr::from_bytes_until_nul(&request.ifr_name.map(i8::cast_unsigned)).is_ok());
    let descriptor = descriptor.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as it is borrowed. Every request that this private
    // function is called with reads or writes one `ifreq`, which is borrowed mutably for the call
    // and whose name ends with a zero, because `named` leaves its last byte as it was.
    let result = unsafe { libc::ioctl(descriptor, number as _, std::ptr::from_mut(request)) };
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::{NAME_BYTES_MAX, named};

    #[test]
    fn names_are_those_that_an_interface_can_have() {
        for name in ["cap0", "a", "sensor-1.cut", &"x".repeat(NAME_BYTES_MAX)] {
            let request = named(name).unwrap();
            let bytes = request.ifr_name.map(i8::cast_unsigned);
            assert_eq!(&bytes[..name.len()], name.as_bytes());
            assert!(bytes[name.len()..].iter().all(|byte| *byte == 0));
        }
        for name in [
            "",
            ".",
            "..",
            "a b",
            "tap%d",
            "a/b",
            "eth0:1",
            "ü",
            &"x".repeat(16),
        ] {
            let error = named(name).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
    }
}
