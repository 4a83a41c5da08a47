//! What a mirror session lets through of what its interface sends: generated sources obey, as
//! those of AWS do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use vxscope_engine::Mirrors;
use vxscope_policy::strategy::filter::{Compiled, Direction, Family, Packet, Standard, System};
use vxscope_units::{Grade, MirrorSource, Vni};
use vxscope_wire::{Class, parse_frame};

/// Bytes of a VXLAN header.
const VXLAN: usize = 8;
/// `PacketLength` of truncated sessions.
const PACKET_LENGTH: usize = 512;
/// How often a file of sessions is read again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The sessions of all sources.
#[derive(Debug)]
pub(crate) struct Sessions {
    told: Told,
    grades: BTreeMap<MirrorSource, Grade>,
    essential: Compiled,
    sentinel: Compiled,
}

/// Who says what the sessions are.
#[derive(Debug)]
enum Told {
    /// A sensor in this process.
    Here { mirrors: Mirrors, version: u64 },
    /// A sensor that writes `sessions.json`.
    File { path: PathBuf, looked: Instant },
}

#[derive(Deserialize)]
struct File {
    sessions: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    outer_ip: IpAddr,
    vni: u32,
    grade: String,
}

impl Sessions {
    /// As a sensor in this process says.
    pub(crate) fn here(mirrors: Mirrors) -> Self {
        Self::new(Told::Here {
            mirrors,
            version: u64::MAX,
        })
    }

    /// As the `sessions.json` of a sensor says; everything passes while there is none.
    pub(crate) fn file(path: &Path) -> Self {
        let mut sessions = Self::new(Told::File {
            path: path.to_owned(),
            looked: now(),
        });
        sessions.read();
        sessions
    }

    fn new(told: Told) -> Self {
        let compile = |filter: Standard| filter.compile(&Family::BOTH);
        Self {
            told,
            grades: BTreeMap::new(),
            essential: compile(Standard::Essential(System::Linux)),
            sentinel: compile(Standard::Sentinel(System::Linux)),
        }
    }

    /// What leaves of a VXLAN packet, if anything does.
    pub(crate) fn pass<'a>(&mut self, source: MirrorSource, packet: &'a [u8]) -> Option<&'a [u8]> {
        self.look();
        let grade = self.grades.get(&source).copied().unwrap_or_default();
        match grade {
            Grade::Full => Some(packet),
            Grade::Truncated => packet.get(..packet.len().min(VXLAN + PACKET_LENGTH)),
            Grade::Essential => accepts(&self.essential, source, packet).then_some(packet),
            Grade::Sentinel => accepts(&self.sentinel, source, packet).then_some(packet),
            Grade::Off => None,
        }
    }

    /// Takes over what has changed.
    fn look(&mut self) {
        match &mut self.told {
            Told::Here { mirrors, version } => {
                let latest = mirrors.version();
                if latest != *version {
                    *version = latest;
                    self.grades = mirrors.all();
                }
            }
            Told::File { looked, .. } => {
                if looked.elapsed() >= LOOK_EVERY {
                    *looked = now();
                    self.read();
                }
            }
        }
    }

    /// A file that is not there, or not readable, changes nothing.
    fn read(&mut self) {
        let Told::File { path, .. } = &self.told else {
            return;
        };
        let read = std::fs::read(path).ok();
        let file = read.and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        for entry in file.into_iter().flat_map(|file| file.sessions) {
            if let (Some(vni), Some(grade)) =
                (Vni::try_new(entry.vni), Grade::from_name(&entry.grade))
            {
                let address = entry.outer_ip;
                self.grades.insert(MirrorSource { address, vni }, grade);
            }
        }
    }
}

/// Whether a filter lets a packet of this source through. What is not IP never passes.
fn accepts(filter: &Compiled, source: MirrorSource, packet: &[u8]) -> bool {
    let frame = packet.get(VXLAN..).unwrap_or_default();
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let view = parse_frame(frame, length);
    if view.class == Class::NonIp {
        return false;
    }
    let tuple = view.tuple;
    let (sender, receiver) = tuple.addresses.pair();
    let direction = if sender == source.address {
        Direction::Egress
    } else {
        Direction::Ingress
    };
    filter.filter.accepts(&Packet {
        direction,
        source: sender,
        destination: receiver,
        protocol: tuple.protocol,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        amazon_dns: false,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sender in real time is at the edge"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use vxscope_sim::traffic::{Carrier, Faults, Spec, Stream};

    use super::*;

    #[test]
    fn each_grade_lets_through_what_its_session_would() {
        let sent = Grade::ALL.map(send);
        let [off, sentinel, essential, truncated, full] = sent;
        assert_eq!(off, (0, 0));
        assert!(sentinel.0 > 0 && sentinel.0 < essential.0, "{sent:?}");
        assert!(essential.0 < truncated.0, "{sent:?}");
        assert_eq!(truncated.0, full.0);
        assert!(truncated.1 < full.1, "{sent:?}");
    }

    #[test]
    fn a_file_of_sessions_is_obeyed_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.json");
        let mut sessions = Sessions::file(&path);
        assert!(sessions.pass(source(0), &[0; 100]).is_some());
        let text = r#"{"sessions":[{"outer_ip":"127.0.0.2","vni":1169,"grade":"off"}]}"#;
        std::fs::write(&path, text).unwrap();
        sessions.read();
        assert!(sessions.pass(source(0), &[0; 100]).is_none());
        std::fs::write(&path, "{").unwrap();
        sessions.read();
        assert!(sessions.pass(source(0), &[0; 100]).is_none());
        assert!(sessions.pass(source(1), &[0; 100]).is_some());
    }

    /// Packets and bytes that leave of a thousand.
    fn send(grade: Grade) -> (usize, usize) {
        let mirrors = Mirrors::default();
        mirrors.set(source(0), grade);
        let mut sessions = Sessions::here(mirrors);
        let spec = Spec {
            sources: 1,
            packets: 1_000,
            ipv6_share: 0.0,
            carrier: Carrier::Loopback,
            ..Spec::default()
        };
        let mut stream = Stream::try_new(spec, Faults::default()).unwrap();
        let headers = stream.carrier().headers();
        let (mut buffer, mut packets, mut bytes) = (Vec::new(), 0, 0);
        while stream.next_datagram(&mut buffer).is_some() {
            if let Some(left) = sessions.pass(source(0), &buffer[headers..]) {
                packets += 1;
                bytes += left.len();
            }
        }
        (packets, bytes)
    }

    fn source(number: u8) -> MirrorSource {
        MirrorSource {
            address: Ipv4Addr::new(127, 0, 0, 2 + number).into(),
            vni: Vni::try_new(1_169 + u32::from(number)).unwrap(),
        }
    }
}
