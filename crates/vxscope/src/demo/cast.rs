//! Who sends in the demo: interfaces with something to show, each at its own pace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use vxscope_sim::traffic::{Carrier, Faults, Scenario, Size, Spec, Stream};
use vxscope_units::{MirrorSource, Vni};

use super::{Sent, no_socket};
use crate::failure::Failure;
use crate::generate::session::Sessions;

/// Bytes of a VXLAN header that hold the VNI.
const VNI: std::ops::Range<usize> = 4..7;
/// Packets of a member at most; none sends as many in two minutes.
const PACKETS_MAX: u64 = 1_000_000;

/// One mirrored interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) vni: u32,
    flows: u32,
    size: Size,
    scenario: Scenario,
    pace: Pace,
}

/// Packets a second over the demo, whose time goes from 0 to 1.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// Always the same.
    Steady(f64),
    /// Up and down, three times.
    Wave(f64),
    /// More and more.
    Ramp(f64),
    /// Only from here to there.
    Burst(f64, f64, f64),
}

/// All but the last are known to the sensor.
pub(crate) const CAST: [Member; 7] = [
    member(2, "web", 300, Size::Imix, Pace::Steady(900.0)),
    member(3, "api", 200, Size::Imix, Pace::Wave(1_200.0)),
    member(4, "database", 80, Size::Bytes(256), Pace::Steady(600.0)),
    member(
        5,
        "backup",
        3,
        Size::Bytes(1_400),
        Pace::Burst(0.3, 0.7, 1_500.0),
    ),
    member(6, "batch", 100, Size::Imix, Pace::Ramp(1_000.0)),
    Member {
        scenario: Scenario::Scan,
        ..member(
            7,
            "scanner",
            2_000,
            Size::Bytes(64),
            Pace::Burst(0.6, 0.9, 1_000.0),
        )
    },
    member(66, FORGER, 10, Size::Imix, Pace::Steady(40.0)),
];

/// Sends what no `[[source]]` names.
pub(crate) const FORGER: &str = "forger";

const fn member(last: u8, name: &'static str, flows: u32, size: Size, pace: Pace) -> Member {
    Member {
        name,
        address: Ipv4Addr::new(127, 0, 100, last),
        vni: 1_000 + last as u32,
        flows,
        size,
        scenario: Scenario::Mixed,
        pace,
    }
}

impl Member {
    fn mirror(&self) -> MirrorSource {
        MirrorSource {
            address: self.address.into(),
            vni: Vni::try_new(self.vni).unwrap_or_default(),
        }
    }
}

impl Pace {
    fn at(self, time: f64) -> f64 {
        match self {
            Self::Steady(rate) => rate,
            Self::Wave(rate) => {
                let turn = (time * 3.0 * std::f64::consts::TAU).sin();
                rate * (0.55 + 0.45 * turn)
            }
            Self::Ramp(rate) => rate * time,
            Self::Burst(from, to, rate) if (from..to).contains(&time) => rate,
            Self::Burst(..) => 0.0,
        }
    }

    /// Packets in so many seconds, for a demo in which each hundredth is the same.
    fn packets(self, seconds: f64) -> u64 {
        let sum: f64 = (0..100)
            .map(|part| self.at((f64::from(part) + 0.5) / 100.0))
            .sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rates are positive and small"
        )]
        let packets = (sum / 100.0 * seconds) as u64;
        packets.clamp(1, PACKETS_MAX)
    }
}

/// A member with its traffic and its socket.
pub(crate) struct Actor {
    member: Member,
    stream: Stream,
    socket: UdpSocket,
    /// Packets that it should have sent by now, and has not.
    due: f64,
}

impl Actor {
    /// Prepares the traffic of `seconds`.
    pub(crate) fn try_new(member: Member, seconds: u64) -> Result<Self, Failure> {
        let packets = member.pace.packets(seconds as f64);
        let spec = Spec {
            sources: 1,
            flows: u32::try_from(packets).map_or(member.flows, |it| it.min(member.flows)),
            packets,
            size: member.size,
            scenario: member.scenario,
            seed: member.vni.into(),
            carrier: Carrier::Loopback,
            ..Spec::default()
        };
        let address = IpAddr::V4(member.address);
        let stream = Stream::try_new(spec, Faults::default());
        Ok(Self {
            member,
            stream: stream.map_err(|error| Failure::Failed(error.to_string()))?,
            socket: UdpSocket::bind((address, 0)).map_err(|error| no_socket(address, &error))?,
            due: 0.0,
        })
    }

    /// Sends what is due after `step` seconds more, as far as its session lets it through.
    pub(crate) fn send(
        &mut self,
        time: f64,
        step: f64,
        target: SocketAddr,
        sessions: &mut Sessions,
    ) -> Sent {
        self.due += self.member.pace.at(time) * step;
        let (mut sent, mut buffer) = (Sent::default(), Vec::new());
        let source = self.member.mirror();
        while self.due >= 1.0 {
            self.due -= 1.0;
            if self.stream.next_datagram(&mut buffer).is_none() {
                return sent;
            }
            let headers = self.stream.carrier().headers();
            let Some(payload) = buffer.get_mut(headers..) else {
                continue;
            };
            if let Some(vni) = payload.get_mut(VNI) {
                vni.copy_from_slice(&self.member.vni.to_be_bytes()[1..]);
            }
            match sessions.pass(source, payload) {
                None => sent.withheld += 1,
                Some(part) => {
                    sent.sent += u64::from(self.socket.send_to(part, target).is_ok());
                }
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vxscope_engine::Mirrors;

    use super::{Actor, CAST, Pace};
    use crate::generate::session::Sessions;

    #[test]
    fn members_differ_in_address_vni_and_name() {
        let count =
            |key: fn(&super::Member) -> String| CAST.iter().map(key).collect::<BTreeSet<_>>().len();
        assert_eq!(count(|it| it.name.to_owned()), CAST.len());
        assert_eq!(count(|it| it.address.to_string()), CAST.len());
        assert_eq!(count(|it| it.vni.to_string()), CAST.len());
    }

    #[test]
    fn paces_are_what_they_say() {
        let burst = Pace::Burst(0.25, 0.75, 100.0);
        assert_eq!(
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| burst.at(at)),
            [0.0, 100.0, 100.0, 0.0, 0.0]
        );
        assert_eq!(burst.packets(10.0), 500);
        assert_eq!(Pace::Ramp(100.0).packets(10.0), 500);
        assert_eq!(Pace::Steady(3.0).packets(10.0), 30);
        assert!((0..100).all(|at| Pace::Wave(100.0).at(f64::from(at) / 100.0) > 0.0));
    }

    #[test]
    fn a_member_sends_what_is_prepared_for_it() {
        for member in CAST {
            let mut actor = Actor::try_new(member, 1).unwrap();
            let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let target = receiver.local_addr().unwrap();
            let steps = (0..1_000_u32).map(|step| f64::from(step) / 1_000.0);
            let mut sessions = Sessions::here(Mirrors::default());
            let sent: u64 = steps
                .map(|time| actor.send(time, 0.001, target, &mut sessions).sent)
                .sum();
            let prepared = member.pace.packets(1.0);
            assert!(
                sent.abs_diff(prepared) < 20,
                "{}: {sent} {prepared}",
                member.name
            );
        }
    }
}
