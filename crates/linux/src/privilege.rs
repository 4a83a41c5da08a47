//! Giving up what is no longer needed: capabilities, new privileges, core dumps, system calls that
//! a sensor never makes.
//!
//! Capabilities belong to threads: each gives up its own. A compromised thread shares its memory
//! with those that keep some; what all of them lack is lost for good.

use std::io;

/// What a thread keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Packet sockets and interfaces (`CAP_NET_RAW`, `CAP_NET_ADMIN`).
    pub network: bool,
    /// Files of others, for a process of root, whose own folder may lie in somebody else's
    /// (`CAP_DAC_OVERRIDE`).
    pub files: bool,
}

const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
/// `_LINUX_CAPABILITY_VERSION_3`: two words of 32 capabilities.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up every capability of this thread but those; threads that it starts have no more.
///
/// # Errors
/// The kernel refuses.
pub fn drop_capabilities(kept: Kept) -> io::Result<()> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let mut held = [CapabilityData::default(); 2];
    // SAFETY: the header is of version 3, which writes two words of data; both live until the call
    // returns.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, held.as_mut_ptr()) })?;
    let mut mask = 0;
    for (is_kept, capability) in [
        (kept.network, CAP_NET_ADMIN),
        (kept.network, CAP_NET_RAW),
        (kept.files, CAP_DAC_OVERRIDE),
    ] {
        mask |= u32::from(is_kept) << capability;
    }
    let left = held[0].permitted & mask;
    let data = [
        CapabilityData {
            effective: left,
            permitted: left,
            inheritable: 0,
        },
        CapabilityData::default(),
    ];
    // SAFETY: as above; the kernel only reads both.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    Ok(())
}

/// The capabilities that this thread has, as a mask of the first 32.
///
/// # Errors
/// The kernel refuses.
pub fn capabilities() -> io::Result<u32> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let mut held = [CapabilityData::default(); 2];
    // SAFETY: the header is of version 3, which writes two words of data; both live until the call
    // returns.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, held.as_mut_ptr()) })?;
    Ok(held[0].effective)
}

/// From now on nothing that this process executes has more privileges than it.
///
/// # Errors
/// The kernel refuses.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    Ok(())
}

/// No memory of this process goes to a core file or to another process of its user: it holds
/// other people's packets.
///
/// # Errors
/// The kernel refuses.
pub fn no_core_dumps() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit lives until the call returns, and the kernel only reads it.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) }.into())?;
    // A limit does not hold for programs that cores are piped to; this does.
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }.into())?;
    Ok(())
}

/// Whether a process still executes programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It does.
    Kept,
    /// It never does.
    Refused,
}

/// See [`Execution`].
const EXECUTING: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// What our processes never do after their start, and what somebody who took one over would like
/// to.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_acct,
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// On x86-64 the numbers of another calling convention begin here.
const X32_BIT: u32 = 0x4000_0000;
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_SET_MODE_FILTER`, and the flag that all threads get the filter.
const SET_MODE_FILTER: libc::c_long = 1;
const FLAG_TSYNC: libc::c_long = 1;

/// Lets the kernel refuse system calls that this process never makes, in all threads and in what
/// it executes, with `EPERM`. Takes [`no_new_privileges`] first.
///
/// # Errors
/// The kernel has no such filters, or a thread has another.
pub fn refuse_system_calls(execution: Execution) -> io::Result<()> {
    let program = filter(execution);
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program and its instructions live until the call returns; the kernel copies and
    // checks them.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SET_MODE_FILTER,
            FLAG_TSYNC,
            &raw const program,
        )
    })?;
    Ok(())
}

/// One comparison for each call, then what becomes of it.
fn filter(execution: Execution) -> Vec<libc::sock_filter> {
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let returns = |value| statement(libc::BPF_RET | libc::BPF_K, value);
    let refuse = RETURN_ERRNO | 1;
    // `struct seccomp_data`: the number of the call, then the architecture.
    let mut program = vec![
        load(4),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        returns(refuse),
        load(0),
        jump(libc::BPF_JGE, X32_BIT, 0, 1),
        returns(refuse),
    ];
    let executing: &[libc::c_long] = match execution {
        Execution::Kept => &[],
        Execution::Refused => EXECUTING,
    };
    for call in REFUSED.iter().chain(executing) {
        let number = u32::try_from(*call).unwrap_or(u32::MAX);
        program.push(jump(libc::BPF_JEQ, number, 0, 1));
        program.push(returns(refuse));
    }
    program.push(returns(RETURN_ALLOW));
    program
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    instruction(code, k, 0, 0)
}

/// How many instructions to leave out if it holds, and if not.
fn jump(test: u32, k: u32, holds: u8, holds_not: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | test | libc::BPF_K, k, holds, holds_not)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        // All codes are below 256.
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    }
}

/// The one who runs this process.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::thread;

    #[test]
    fn a_thread_has_what_it_keeps_and_others_what_they_had() {
        let before = capabilities().unwrap();
        let (network, none) = apart(|| {
            drop_capabilities(Kept {
                network: true,
                files: false,
            })
            .unwrap();
            let network = capabilities().unwrap();
            drop_capabilities(Kept::default()).unwrap();
            // What is gone does not come back.
            drop_capabilities(Kept {
                network: true,
                files: true,
            })
            .unwrap();
            (network, capabilities().unwrap())
        });
        let of_network = 1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW;
        assert_eq!(network, before & of_network);
        assert_eq!(none, 0);
        assert_eq!(capabilities().unwrap(), before);
    }

    /// What a thread of its own returns.
    fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    /// In a process of its own: there is no way back.
    #[test]
    fn a_process_executes_nothing_any_more() {
        const CHILD: &str = "VXSCOPE_TEST_REFUSES";
        if std::env::var_os(CHILD).is_some() {
            no_core_dumps().unwrap();
            no_new_privileges().unwrap();
            refuse_system_calls(Execution::Refused).unwrap();
            // In every thread, and files and threads are as before.
            let refused = apart(|| Command::new("true").status());
            let error = refused.expect_err("nothing is executed");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(
                std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
                    status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2")
                })
            );
            return;
        }
        let test = "privilege::tests::a_process_executes_nothing_any_more";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
    }
}
