//! What traffic is asked for.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use vxscope_units::Timestamp;

use super::tunnel::OUTER_HEADERS;
use crate::random::Random;

/// Most mirror sources: their addresses come from 10.0.0.0/12.
const SOURCES_MAX: u32 = 1_000_000;
/// Most mirror sources with a loopback address each: every one takes an open file, of which a
/// process has 1,024 by default.
const LOOPBACK_SOURCES_MAX: u32 = 750;
/// Most flows; the generator keeps 20 bytes of each.
const FLOWS_MAX: u32 = 1 << 26;
/// Most packets, so that no time stamp leaves the range of capture files at one packet a second.
const PACKETS_MAX: u64 = 1 << 31;
/// Conversations that two ends can have on different ports of one of them.
pub(crate) const PORTS_MAX: u32 = 28_000;
/// The shortest and the longest inner frame: Ethernet's minimum, and AWS's jumbo MTU.
const FRAME_BYTES: (usize, usize) = (64, 14 + 9_001);

/// The traffic of a number of mirror sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Mirror sources, each with its outer address, and its VNI unless [`Spec::one_vni`].
    pub sources: u32,
    /// Inner conversations of all sources together.
    pub flows: u32,
    /// Packets of all sources together.
    pub packets: u64,
    /// Packets a second of capture time.
    pub rate: u64,
    /// Lengths of inner frames that carry data.
    pub size: Size,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Cut inner frames after this many bytes, as a session's PacketLength does.
    pub packet_length: Option<u16>,
    /// Through a Gateway Load Balancer: the VXLAN packet inside GENEVE.
    pub gwlb: bool,
    /// All sessions have the same VNI.
    pub one_vni: bool,
    /// Share of the flows that speak IPv6, from 0 to 1.
    pub ipv6_share: f64,
    /// What is special about it.
    pub scenario: Scenario,
    /// How packets leave.
    pub carrier: Carrier,
    /// Time of the first packet.
    pub start: Timestamp,
}

impl Default for Spec {
    /// Ten seconds of four small servers.
    fn default() -> Self {
        Self {
            sources: 4,
            flows: 100,
            packets: 10_000,
            rate: 1_000,
            size: Size::Imix,
            seed: 0,
            packet_length: None,
            gwlb: false,
            one_vni: false,
            ipv6_share: 0.1,
            scenario: Scenario::Mixed,
            carrier: Carrier::Capture,
            start: Timestamp::new(1_767_225_600, 0),
        }
    }
}

/// How packets leave, and so which addresses mirror sources have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a capture, with all their headers. Source n is 10.0.0.16 + n.
    Capture,
    /// Through sockets on loopback, one for each source. 250 sources share a third octet:
    /// 127.0.0.2 to 127.0.0.251, then 127.0.1.2 to 127.0.1.251, and so on.
    Loopback,
    /// Through one socket, which has this address. Only VNIs tell sources apart, or behind a
    /// Gateway Load Balancer the addresses inside, which are those of [`Carrier::Capture`].
    Shared(IpAddr),
}

impl Carrier {
    /// Bytes at the front of a packet that its carrier writes itself: Ethernet, IPv4 and UDP
    /// headers where sockets send. They are in no count of bytes then.
    #[must_use]
    pub fn headers(self) -> usize {
        match self {
            Self::Capture => 0,
            Self::Loopback | Self::Shared(_) => OUTER_HEADERS,
        }
    }
}

/// Lengths of the inner frames that carry data. Handshakes have their natural length, and no
/// frame is shorter than its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Of every twelve frames seven of 64, four of 576 and one of 1,400 bytes.
    Imix,
    /// All the same.
    Bytes(u16),
}

impl Size {
    pub(crate) fn draw(self, random: &mut Random) -> usize {
        match self {
            Self::Bytes(bytes) => usize::from(bytes),
            Self::Imix => match random.below(12) {
                0..7 => 64,
                7..11 => 576,
                _ => 1_400,
            },
        }
    }
}

/// `imix`, `jumbo` (9,015: an Ethernet header and AWS's largest MTU), or a number of bytes.
impl FromStr for Size {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match text {
            "imix" => return Ok(Self::Imix),
            "jumbo" => Ok(9_015),
            number => number.parse::<u16>(),
        };
        let size = bytes.map(Self::Bytes).map_err(|_| SpecError::Size)?;
        size.check().map(|()| size)
    }
}

impl Size {
    fn check(self) -> Result<(), SpecError> {
        let (shortest, longest) = FRAME_BYTES;
        match self {
            Self::Bytes(bytes) if !(shortest..=longest).contains(&usize::from(bytes)) => {
                Err(SpecError::Size)
            }
            Self::Bytes(_) | Self::Imix => Ok(()),
        }
    }
}

vxscope_units::reasons! {
    /// What is special about the traffic.
    pub enum Scenario {
        /// Nothing: TCP, DNS and echo, all flows equally busy.
        Mixed = "mixed",
        /// Half of the spare packets belong to one flow.
        Elephant = "elephant",
        /// Every second flow is a SYN of one scanner to another port of the first source,
        /// answered by RST or not at all.
        Scan = "scan",
        /// Half of the flows are UDP datagrams of three IP fragments each.
        Fragments = "fragments",
        /// Sources talk to each other, so that every packet is mirrored at both ends.
        EastWest = "east-west",
        /// The inner addresses and ports of all sources are the same.
        Overlap = "overlap",
        /// One packet of eight is damaged.
        Malformed = "malformed",
    }
}

impl FromStr for Scenario {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.name() == text)
            .ok_or(SpecError::Scenario)
    }
}

/// Why traffic cannot be as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Zero or too many sources.
    #[error("sources: from 1 to {SOURCES_MAX}")]
    Sources,
    /// Too few or too many flows.
    #[error("flows: from {flows_min} to {FLOWS_MAX} (one for each source, two with scenario scan)")]
    Flows {
        /// The fewest for this number of sources.
        flows_min: u64,
    },
    /// More flows between two ends than there are ports.
    #[error("flows: at most {PORTS_MAX} for each source with scenario east-west")]
    Ports,
    /// Too few or too many packets.
    #[error("packets: from {packets_min} to {PACKETS_MAX} (one for each flow and copy)")]
    Packets {
        /// The fewest for this number of flows.
        packets_min: u64,
    },
    /// No packets a second.
    #[error("rate: at least 1 packet a second, at most 1,000,000,000")]
    Rate,
    /// A frame too short or too long.
    #[error("size: imix, jumbo, or from 64 to 9015 bytes")]
    Size,
    /// A frame cut to nothing.
    #[error("packet length: at least 1 byte")]
    PacketLength,
    /// Not a share.
    #[error("ipv6: a share from 0 to 1")]
    Ipv6Share,
    /// One source has nobody to talk to.
    #[error("sources: at least 2 with scenario east-west")]
    Lonely,
    /// More sources than sockets.
    #[error("sources: at most {LOOPBACK_SOURCES_MAX} over loopback, each has its socket")]
    Sockets,
    /// Sources with the same address and VNI.
    #[error("one VNI: sources that share an address need a VNI each")]
    Alike,
    /// Damage to headers that the kernel writes.
    #[error("scenario malformed is for captures; sockets have the fault corrupt=SHARE")]
    Malformed,
    /// No such scenario.
    #[error("scenario: mixed, elephant, scan, fragments, east-west, overlap or malformed")]
    Scenario,
}

impl Spec {
    /// Checks every number.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn check(&self) -> Result<(), SpecError> {
        let per_source = if self.scenario == Scenario::Scan {
            2
        } else {
            1
        };
        let flows_min = u64::from(self.sources) * per_source;
        let copies = if self.scenario == Scenario::EastWest {
            2
        } else {
            1
        };
        let packets_min = u64::from(self.flows) * copies;
        let east_west = self.scenario == Scenario::EastWest;
        let rules = [
            (
                (1..=SOURCES_MAX).contains(&self.sources),
                SpecError::Sources,
            ),
            (!east_west || self.sources > 1, SpecError::Lonely),
            (
                (flows_min..=u64::from(FLOWS_MAX)).contains(&u64::from(self.flows)),
                SpecError::Flows { flows_min },
            ),
            (
                !east_west || self.flows.div_ceil(self.sources.max(1)) <= PORTS_MAX,
                SpecError::Ports,
            ),
            (
                (packets_min..=PACKETS_MAX).contains(&self.packets),
                SpecError::Packets { packets_min },
            ),
            ((1..=1_000_000_000).contains(&self.rate), SpecError::Rate),
            (
                self.carrier != Carrier::Loopback || self.sources <= LOOPBACK_SOURCES_MAX,
                SpecError::Sockets,
            ),
            (!self.sources_look_alike(), SpecError::Alike),
            (
                self.carrier == Carrier::Capture || self.scenario != Scenario::Malformed,
                SpecError::Malformed,
            ),
            (self.packet_length != Some(0), SpecError::PacketLength),
            ((0.0..=1.0).contains(&self.ipv6_share), SpecError::Ipv6Share),
        ];
        self.size.check()?;
        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    fn sources_look_alike(&self) -> bool {
        self.one_address() && self.one_vni && self.sources > 1
    }

    /// Whether all sources have one address.
    pub(crate) fn one_address(&self) -> bool {
        matches!(self.carrier, Carrier::Shared(_)) && !self.gwlb
    }
}
