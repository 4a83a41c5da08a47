//! The bundled recording of real programs: two tenants who have the same addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use vxscope_pcap::{Reader, Step};
use vxscope_units::{MirrorSource, Vni};

use super::{Sent, no_socket};
use crate::failure::Failure;
use crate::generate::session::Sessions;

/// The recording, and the Ethernet, IPv4 and UDP headers in front of each of its datagrams.
const RECORDING: &[u8] = include_bytes!("../../../../pcaps/two-tenants.pcap");
const HEADERS: usize = 14 + 20 + 8;
/// Where the outer source address of a recorded datagram ends.
const SOURCE_END: usize = 14 + 15;

/// The tenants by name, with the end of their address and their VNI in the recording.
pub(crate) const TENANTS: [(&str, u8, u32); 2] = [("tenant-a", 11, 4_711), ("tenant-b", 12, 4_712)];

/// The address of a tenant here.
pub(crate) const fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 200, last)
}

/// The recording's datagrams, spread evenly over the demo.
pub(crate) struct Recording {
    datagrams: Vec<&'static [u8]>,
    next: usize,
    sockets: Vec<(u8, UdpSocket)>,
}

impl Recording {
    pub(crate) fn try_new() -> Result<Self, Failure> {
        let sockets = TENANTS.iter().map(|(_, last, _)| {
            let address = IpAddr::V4(address(*last));
            let socket = UdpSocket::bind((address, 0));
            Ok((*last, socket.map_err(|error| no_socket(address, &error))?))
        });
        Ok(Self {
            datagrams: recorded(),
            next: 0,
            sockets: sockets.collect::<Result<_, Failure>>()?,
        })
    }

    /// Sends what is due at `time`, from 0 to 1, as far as its session lets it through.
    pub(crate) fn send(&mut self, time: f64, target: SocketAddr, sessions: &mut Sessions) -> Sent {
        let mut sent = Sent::default();
        while let Some(datagram) = self.datagrams.get(self.next) {
            if self.next as f64 > time * self.datagrams.len() as f64 {
                break;
            }
            self.next += 1;
            let last = datagram.get(SOURCE_END).copied();
            let socket = self.sockets.iter().find(|(it, _)| Some(*it) == last);
            let payload = datagram.get(HEADERS..).unwrap_or_default();
            let Some((last, socket)) = socket else {
                continue;
            };
            match mirror(*last, payload).map_or(Some(payload), |it| sessions.pass(it, payload)) {
                None => sent.withheld += 1,
                Some(part) => sent.sent += u64::from(socket.send_to(part, target).is_ok()),
            }
        }
        sent
    }
}

/// Who sends a recorded packet.
fn mirror(last: u8, packet: &[u8]) -> Option<MirrorSource> {
    let [_, _, _, _, a, b, c, ..] = *packet else {
        return None;
    };
    Some(MirrorSource {
        address: address(last).into(),
        vni: Vni::from_bytes([a, b, c]),
    })
}

fn recorded() -> Vec<&'static [u8]> {
    let (mut reader, mut rest, mut datagrams) = (Reader::new(), RECORDING, Vec::new());
    while let Ok(step) = reader.read(rest) {
        let consumed = match step {
            Step::Record { consumed, record } => {
                datagrams.push(record.data);
                consumed
            }
            Step::Skip { consumed } => consumed,
            Step::NeedMore { .. } => break,
        };
        rest = rest.get(consumed..).unwrap_or_default();
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::{HEADERS, SOURCE_END, TENANTS, recorded};

    #[test]
    fn every_recorded_datagram_is_of_a_tenant_with_its_vni() {
        let datagrams = recorded();
        assert!(datagrams.len() > 1_000);
        for datagram in datagrams {
            let header = &datagram[HEADERS..];
            let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
            let known = TENANTS
                .iter()
                .any(|(_, last, known)| *last == datagram[SOURCE_END] && *known == vni);
            assert!(known, "{vni}");
        }
    }
}
