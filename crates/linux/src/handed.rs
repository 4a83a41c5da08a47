//! Descriptors that a service manager hands to a process, and takes from it: `sd_listen_fds(3)`
//! and `SCM_RIGHTS`.

use std::env;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{MsgHdr, SockRef};

/// Where descriptors that are handed over begin (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// Most that are taken: several times what any configuration opens. Others stay as they are.
const HANDED_MAX: RawFd = 4_096;

/// A descriptor that was open before this process began.
#[derive(Debug)]
pub struct Handed {
    /// What whoever stored it called it.
    pub name: String,
    /// The descriptor; nobody this process starts has it.
    pub descriptor: OwnedFd,
}

/// What the environment says was handed to this process, in its order. The second call returns
/// nothing.
#[must_use]
pub fn take_handed() -> Vec<Handed> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    let is_ours = number("LISTEN_PID") == Some(std::process::id());
    if !is_ours || TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|it| RawFd::try_from(it).ok());
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(str::to_owned);
    (FIRST..)
        .take_while(|at| at - FIRST < count.unwrap_or(0).min(HANDED_MAX))
        .zip(names.chain(std::iter::repeat_with(String::new)))
        .filter_map(|(at, name)| {
            let descriptor = take(at)?;
            Some(Handed { name, descriptor })
        })
        .collect()
}

/// Takes a descriptor that came with the process, if there is one of this number.
fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asks for flags and takes no pointers; for a number that is not open it fails.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    // Whatever this process opened itself has the flag: what has not, nobody here owns.
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return None;
    }
    // SAFETY: sets a flag of an open descriptor and takes no pointers.
    let set = unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
    // SAFETY: it is open and came with the process, as just seen; the caller comes here once, and
    // from now on it has the flag, so this is its only owner.
    (set == 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends a text over a connected socket, and descriptors with it. Does not wait.
///
/// # Errors
/// Nobody reads, or there is no room.
pub fn send_with(
    socket: &UnixDatagram,
    text: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let control = rights(descriptors);
    let text = [IoSlice::new(text)];
    let message = MsgHdr::new().with_buffers(&text).with_control(&control);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    SockRef::from(&socket.as_fd()).sendmsg(&message, flags)?;
    Ok(())
}

/// A control message with descriptors, as `cmsg(3)` lays it out: length, level, kind, numbers,
/// and room up to the next word.
fn rights(descriptors: &[BorrowedFd<'_>]) -> Vec<u8> {
    const WORD: usize = size_of::<usize>();
    const HEAD: usize = WORD + 2 * size_of::<libc::c_int>();
    let length = HEAD + size_of_val(descriptors);
    let mut message = Vec::with_capacity(length.next_multiple_of(WORD));
    message.extend(length.to_ne_bytes());
    message.extend(libc::SOL_SOCKET.to_ne_bytes());
    message.extend(libc::SCM_RIGHTS.to_ne_bytes());
    for descriptor in descriptors {
        message.extend(descriptor.as_raw_fd().to_ne_bytes());
    }
    message.resize(length.next_multiple_of(WORD), 0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    /// In a process of its own, whose environment says what it was handed.
    #[test]
    fn what_is_handed_over_is_taken_once_and_nothing_else_is() {
        const CHILD: &str = "VXSCOPE_TEST_HANDED";
        if env::var_os(CHILD).is_some() {
            let handed = take_handed();
            let names: Vec<_> = handed.iter().map(|it| it.name.as_str()).collect();
            // The third is not open, or is something that this process has opened since.
            assert_eq!(names, ["first", "second", ""]);
            let mut second = std::fs::File::from(handed.into_iter().nth(1).unwrap().descriptor);
            let mut text = String::new();
            second.read_to_string(&mut text).unwrap();
            assert_eq!(text, "for you\n");
            assert!(take_handed().is_empty());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("second");
        std::fs::write(&file, "for you\n").unwrap();
        let test = "handed::tests::what_is_handed_over_is_taken_once_and_nothing_else_is";
        let script = "exec 3</dev/null 4<\"$0\" 5<&- 6</dev/null; LISTEN_PID=$$ exec \"$@\"";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(&file)
            .arg(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .envs([(CHILD, "1"), ("LISTEN_FDS", "4")])
            .env("LISTEN_FDNAMES", "first:second:third")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
    }

    #[test]
    fn what_is_for_another_process_is_left_alone() {
        // The environment of a test says nothing about it.
        assert!(take_handed().is_empty());
    }

    #[test]
    fn descriptors_travel_with_a_text() {
        let (here, there) = UnixDatagram::pair().unwrap();
        let (mut kept, sent) = UnixStream::pair().unwrap();
        send_with(&here, b"FDSTORE=1", &[sent.as_fd()]).unwrap();
        drop(sent);
        // It waits in the message: nobody has closed it.
        kept.write_all(b"still there").unwrap();
        let mut text = [0; 32];
        assert_eq!(there.recv(&mut text).unwrap(), 9);
        // A read that has no room for descriptors closes them.
        assert_eq!(
            kept.write(b"gone").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
