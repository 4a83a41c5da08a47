//! What can be looked at from here without disturbing anybody.

use std::fs;
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use vxscope_config::{Config, ExportKind, Way};

use super::Consumer;

/// How long a listener may take to answer, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(3);
/// The first bytes of a little-endian microsecond pcap.
const MAGIC: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];

/// One finding.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) verdict: Verdict,
    pub(super) what: String,
    pub(super) told: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    /// Not looked at, or a matter of taste.
    Unknown,
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "FAILED",
            Self::Unknown => "note",
        }
    }
}

impl Check {
    pub(super) fn new(verdict: Verdict, what: &str, told: &str) -> Self {
        let (what, told) = (what.to_owned(), told.to_owned());
        Self {
            verdict,
            what,
            told,
        }
    }

    fn either(is_good: bool, what: &str, [good, bad]: [&str; 2]) -> Self {
        match is_good {
            true => Self::new(Verdict::Good, what, good),
            false => Self::new(Verdict::Bad, what, bad),
        }
    }
}

/// All checks of one way out.
pub(super) fn of(consumer: Consumer, way: &Way, config: &Config) -> Vec<Check> {
    let target = way.target.as_deref().unwrap_or_default();
    let mut checks = vec![suits(consumer, way.kind)];
    match way.kind {
        ExportKind::Tap => checks.extend(interface(target, config)),
        ExportKind::PcapStream if target != "-" => checks.extend(stream(Path::new(target))),
        ExportKind::PcapOverIp => checks.push(over_ip(target)),
        ExportKind::Pcap | ExportKind::Pcapng => checks.extend(folder(target, config)),
        _ => {}
    }
    checks.extend(version(consumer, way.kind));
    checks
}

/// Whether the consumer reads this at all.
fn suits(consumer: Consumer, kind: ExportKind) -> Check {
    use ExportKind as Kind;
    let what = "way out";
    let (verdict, told) = match (consumer, kind) {
        (Consumer::Arkime, Kind::PcapStream) => (
            Verdict::Bad,
            "Arkime reads no pipes; use pcap-over-ip, tap or pcap",
        ),
        (Consumer::Suricata | Consumer::Zeek, Kind::PcapOverIp) => (
            Verdict::Unknown,
            "it reads pcap-over-IP only through nc; tap is the better way",
        ),
        (Consumer::Zeek, Kind::Pcap | Kind::Pcapng) => (
            Verdict::Unknown,
            "it reads one file at a time and forgets connections in between; use tap or pcap-stream",
        ),
        (_, Kind::Pcapng) => (
            Verdict::Unknown,
            "readers built on libpcap merge the interfaces of pcapng; only VLAN tags remain",
        ),
        _ => (Verdict::Good, "the consumer reads this"),
    };
    Check::new(verdict, what, told)
}

/// The interface is there, up, large enough, quiet, and somebody sniffs on it.
fn interface(name: &str, config: &Config) -> Vec<Check> {
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let is_name = |line: &str| line.trim_start().split(':').next() == Some(name);
    let there = devices.lines().any(is_name);
    let what = format!("interface {name}");
    let bad = "not there; start the sensor first, and look in the network that it runs in";
    let mut checks = vec![Check::either(there, &what, ["there", bad])];
    if !there {
        return checks;
    }
    let read = |file: &str| {
        let text = fs::read_to_string(format!("/sys/class/net/{name}/{file}")).ok()?;
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    match read("flags") {
        None => checks.push(Check::new(
            Verdict::Unknown,
            &what,
            "/sys shows another network",
        )),
        Some(flags) => {
            let up = ["up", "down; ip link set it up"];
            checks.push(Check::either(flags & 1 != 0, &what, up));
            let arp = ["no ARP", "answers ARP; ip link set it arp off"];
            checks.push(Check::either(flags & 0x80 != 0, &what, arp));
        }
    }
    if let Some(mtu) = read("mtu") {
        let wanted = u64::from(config.handoff.tap.mtu);
        let told = [
            format!("MTU {mtu}"),
            format!("MTU {mtu} instead of {wanted}: sniffers size their buffers by it"),
        ];
        checks.push(Check::either(mtu >= wanted, &what, [&told[0], &told[1]]));
    }
    let quiet = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"));
    let quiet = quiet.map_or(true, |text| text.trim() == "1");
    let told = [
        "no IPv6",
        "has IPv6; set net.ipv6.conf.NAME.disable_ipv6 = 1",
    ];
    checks.push(Check::either(quiet, &what, told));
    checks.push(offloads(name, &what));
    let told = [
        "somebody sniffs on it",
        "nobody sniffs on it in this network",
    ];
    checks.push(Check::either(is_sniffed(name), &what, told));
    checks
}

/// Frames that are put together on the way look longer than they were.
fn offloads(name: &str, what: &str) -> Check {
    let Ok(output) = Command::new("ethtool").args(["-k", name]).output() else {
        return Check::new(
            Verdict::Unknown,
            what,
            "offloads not looked at: no ethtool here",
        );
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_on = |line: &&str| line.starts_with("large-receive-offload: on");
    let told = [
        "no frames are put together",
        "large-receive-offload is on; ethtool -K NAME lro off",
    ];
    Check::either(!text.lines().any(|line| is_on(&line)), what, told)
}

/// Whether a socket of this network is bound to the interface and ready.
fn is_sniffed(name: &str) -> bool {
    let index = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).unwrap_or_default();
    let sockets = fs::read_to_string("/proc/net/packet").unwrap_or_default();
    // sk RefCnt Type Proto Iface R Rmem User Inode
    sockets.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields.as_slice(), [_, _, _, protocol, on, ..]
            if *on == index.trim() && *protocol != "0000")
    })
}

fn stream(path: &Path) -> Vec<Check> {
    let what = path.display().to_string();
    let Ok(found) = fs::metadata(path) else {
        let told = "not there yet; the sensor makes a FIFO when it starts";
        return vec![Check::new(Verdict::Unknown, &what, told)];
    };
    let kind = found.file_type();
    if kind.is_socket() {
        return vec![Check::new(Verdict::Good, &what, "a unix socket")];
    }
    if !kind.is_fifo() {
        return vec![Check::new(
            Verdict::Bad,
            &what,
            "neither a FIFO nor a unix socket",
        )];
    }
    let told = [
        "has a reader",
        "nobody reads it, as far as this user can see",
    ];
    vec![Check::either(
        has_reader((found.dev(), found.ino())),
        &what,
        told,
    )]
}

/// Whether a process has it open to read. Opening it to find out could end a reader.
fn has_reader(place: (u64, u64)) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        let descriptors = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten();
        descriptors.flatten().any(|descriptor| {
            let found = fs::metadata(descriptor.path());
            let is_it = found.is_ok_and(|found| (found.dev(), found.ino()) == place);
            is_it && reads(&process.path().join("fdinfo").join(descriptor.file_name()))
        })
    })
}

/// The last octal digit of a descriptor's flags: 0 reads, 1 writes, 2 does both.
fn reads(info: &Path) -> bool {
    let text = fs::read_to_string(info).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .is_some_and(|flags| matches!(flags.trim().bytes().last(), Some(b'0' | b'2' | b'4' | b'6')))
}

fn over_ip(target: &str) -> Check {
    if let Some(target) = target.strip_prefix("connect:") {
        let told = "not tried: a reader that takes one connection would take this for the sensor";
        return Check::new(Verdict::Unknown, target, told);
    }
    let told = [
        "a capture is read there",
        "no capture can be read there; is the sensor running?",
    ];
    Check::either(begins_capture(target).is_some(), target, told)
}

/// Reads the beginning of the stream, as a reader that leaves at once.
fn begins_capture(target: &str) -> Option<()> {
    let address = target.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).ok()?;
    (magic == MAGIC).then_some(())
}

fn folder(path: &str, config: &Config) -> Vec<Check> {
    let files = &config.handoff.files;
    let there = fs::metadata(path).is_ok_and(|found| found.is_dir());
    let told = if there {
        "there"
    } else {
        "not there yet; the sensor makes it when it starts"
    };
    let verdict = if there {
        Verdict::Good
    } else {
        Verdict::Unknown
    };
    let mut checks = vec![Check::new(verdict, path, told)];
    let told = [
        "has a budget",
        "handoff.files.budget is 0: it grows until the disk is full",
    ];
    checks.push(Check::either(files.budget.get() > 0, path, told));
    let socket = files.suricata_socket.as_str();
    if !socket.is_empty() {
        let found = fs::metadata(socket).is_ok_and(|found| found.file_type().is_socket());
        checks.push(Check::either(
            found,
            socket,
            ["a socket", "no socket; is Suricata running?"],
        ));
    }
    checks
}

/// Versions that are known to lose packets, where the consumer is installed here.
fn version(consumer: Consumer, kind: ExportKind) -> Option<Check> {
    if consumer != Consumer::Suricata || kind != ExportKind::PcapStream {
        return None;
    }
    let what = "Suricata's version";
    let Ok(output) = Command::new("suricata").arg("-V").output() else {
        return Some(Check::new(
            Verdict::Unknown,
            what,
            "not looked at: not installed here",
        ));
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let bad = (0..=5).any(|patch| text.contains(&format!("8.0.{patch} ")));
    let told = [
        "reads pipes",
        "8.0.0 to 8.0.5 lose packets from pipes; use 7.0, 8.0.6 or tap",
    ];
    Some(Check::either(!bad, what, told))
}
