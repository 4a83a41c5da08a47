//! Machines that know nothing of each other, and then do: what one of them does while its mirror
//! is paused, the other one's mirror shows.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use vxscope_sim::traffic::{Carrier, Datagram, Faults, Scenario, Spec, Stream};
use vxscope_units::{MirrorSource, Vni};

use super::{Sent, no_socket};
use crate::failure::Failure;
use crate::generate::session::Sessions;

/// Machines; the generator gives them 127.0.0.2 and following, and VNIs from 1,169.
pub(crate) const MACHINES: u32 = 4;
/// Packets a second of all, day by day.
const RATE: u64 = 800;
/// Packets a second while they find each other.
const STRIKE_RATE: u64 = 40;
/// When they do, in parts of the demo.
const STRIKE: (f64, f64) = (0.65, 0.9);

/// See the module.
pub(crate) struct Farm {
    everyday: Part,
    strike: Part,
    sockets: Vec<UdpSocket>,
}

/// One kind of traffic, at its pace.
struct Part {
    stream: Stream,
    span: (f64, f64),
    rate: u64,
    due: f64,
}

/// What people call a machine, its address and its VNI.
pub(crate) fn machines() -> impl Iterator<Item = (String, IpAddr, u32)> {
    (0..MACHINES).map(|number| {
        let last = 2 + u8::try_from(number).unwrap_or(0);
        let address = IpAddr::from([127, 0, 0, last]);
        (format!("node-{}", number + 1), address, 1_169 + number)
    })
}

impl Farm {
    pub(crate) fn try_new(seconds: u64) -> Result<Self, Failure> {
        let everyday = Spec {
            sources: MACHINES,
            flows: 400,
            packets: (RATE * seconds).max(400),
            rate: RATE,
            carrier: Carrier::Loopback,
            ..Spec::default()
        };
        let strike = Spec {
            flows: 8,
            packets: (STRIKE_RATE * seconds).max(16),
            rate: STRIKE_RATE,
            seed: 1,
            scenario: Scenario::EastWest,
            ipv6_share: 0.0,
            ..everyday.clone()
        };
        let sockets = machines().map(|(_, address, _)| {
            UdpSocket::bind((address, 0)).map_err(|error| no_socket(address, &error))
        });
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
            everyday: Part::try_new(everyday, (0.0, 1.0))?,
            strike: Part::try_new(strike, STRIKE)?,
        })
    }

    /// Sends what is due after `step` seconds more.
    pub(crate) fn send(
        &mut self,
        time: f64,
        step: f64,
        target: SocketAddr,
        sessions: &mut Sessions,
    ) -> Sent {
        let (sockets, mut sent) = (&self.sockets, Sent::default());
        for part in [&mut self.everyday, &mut self.strike] {
            part.send(time, step, |datagram, payload| {
                let Some(socket) = sockets.get(datagram.sender) else {
                    return;
                };
                let source = mirror(datagram);
                match source.map_or(Some(payload), |source| sessions.pass(source, payload)) {
                    None => sent.withheld += 1,
                    Some(payload) => {
                        sent.sent += u64::from(socket.send_to(payload, target).is_ok());
                    }
                }
            });
        }
        sent
    }
}

fn mirror(datagram: &Datagram) -> Option<MirrorSource> {
    Some(MirrorSource {
        address: datagram.outer_ip,
        vni: Vni::try_new(datagram.vni)?,
    })
}

impl Part {
    fn try_new(spec: Spec, span: (f64, f64)) -> Result<Self, Failure> {
        let rate = spec.rate;
        let stream = Stream::try_new(spec, Faults::default());
        Ok(Self {
            stream: stream.map_err(|error| Failure::Failed(error.to_string()))?,
            span,
            rate,
            due: 0.0,
        })
    }

    fn send(&mut self, time: f64, step: f64, mut leave: impl FnMut(&Datagram, &[u8])) {
        let (from, to) = self.span;
        if !(from..=to).contains(&time) {
            return;
        }
        self.due += self.rate as f64 * step;
        let mut buffer = Vec::new();
        while self.due >= 1.0 {
            self.due -= 1.0;
            let Some(datagram) = self.stream.next_datagram(&mut buffer) else {
                return;
            };
            let headers = self.stream.carrier().headers();
            leave(&datagram, buffer.get(headers..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use vxscope_engine::Mirrors;
    use vxscope_units::Grade;

    #[test]
    fn the_machines_are_those_of_the_generator() {
        let mut farm = Farm::try_new(2).unwrap();
        let named: BTreeSet<_> = machines().map(|(_, ip, vni)| (ip, vni)).collect();
        let mut seen = BTreeSet::new();
        let parts = [&mut farm.everyday, &mut farm.strike];
        for part in parts {
            part.send(part.span.0, 10.0, |datagram, _| {
                seen.insert((datagram.outer_ip, datagram.vni));
            });
        }
        assert_eq!(seen, named);
    }

    #[test]
    fn a_machine_without_session_sends_nothing() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = receiver.local_addr().unwrap();
        let mirrors = Mirrors::default();
        for (_, address, vni) in machines() {
            let vni = Vni::try_new(vni).unwrap();
            mirrors.set(MirrorSource { address, vni }, Grade::Off);
        }
        let mut farm = Farm::try_new(2).unwrap();
        let sent = farm.send(0.5, 1.0, target, &mut Sessions::here(mirrors));
        assert_eq!((sent.sent, sent.withheld), (0, RATE));
    }
}
