//! Which way mirrored bytes take to the sensor, and what of them is billed.

use super::Usd;

vxscope_units::reasons! {
    /// The way from a mirrored interface to its target.
    pub enum Path {
        /// An interface in the same Availability Zone.
        SameAz = "same_az",
        /// An interface in another zone of the Region.
        CrossAz = "cross_az",
        /// A Network Load Balancer.
        Nlb = "nlb",
        /// A Gateway Load Balancer endpoint.
        Gwlb = "gwlb",
    }
}

impl Path {
    /// The path of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// Bytes that encapsulation adds to each mirrored frame on this path, least and most: outer
    /// IPv4, UDP and VXLAN headers; at most outer IPv6, the outer Ethernet header and a VLAN tag
    /// (Traffic Mirroring guide: headroom of 54 and 74 bytes). GENEVE adds 68 (re:Post).
    const fn encapsulation(self) -> (u64, u64) {
        match self {
            Self::SameAz | Self::CrossAz | Self::Nlb => (36, 74),
            Self::Gwlb => (36 + 68, 74 + 68),
        }
    }
}

/// Mirrored frames, without their encapsulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub packets: u64,
    /// Bytes of layer 2, as mirrored.
    pub bytes: u64,
}

impl Traffic {
    /// Both counts added, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// The smaller of each count.
    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            packets: self.packets.min(other.packets),
            bytes: self.bytes.min(other.bytes),
        }
    }

    /// The greater of each count.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            packets: self.packets.max(other.packets),
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// As much of it as falls to `part` of `whole` seconds, rounded down.
    pub(crate) fn share(self, part: u64, whole: u64) -> Self {
        let scaled = |count: u64| {
            let exact = u128::from(count) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(exact).unwrap_or(u64::MAX)
        };
        Self {
            packets: scaled(self.packets),
            bytes: scaled(self.bytes),
        }
    }

    /// What these frames cost at `price` for each `gigabyte` bytes on the path, by the least or the
    /// most encapsulation.
    pub(crate) fn cost(self, path: Path, most: bool, price: Usd, gigabyte: u64) -> Usd {
        let (least, greatest) = path.encapsulation();
        let each = if most { greatest } else { least };
        let bytes = u128::from(self.bytes) + u128::from(self.packets) * u128::from(each);
        price.times(bytes, u128::from(gigabyte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabyte_of_frames_costs_its_encapsulation_too() {
        let traffic = Traffic {
            packets: 1_000_000,
            bytes: 1_000_000_000,
        };
        let price = Usd::CENT + Usd::CENT;
        check(traffic, Path::CrossAz, false, price, 20_720_000);
        check(traffic, Path::CrossAz, true, price, 21_480_000);
        check(traffic, Path::Gwlb, false, price, 22_080_000);
        check(traffic, Path::SameAz, true, Usd::ZERO, 0);
    }

    #[test]
    fn a_share_is_rounded_down() {
        let traffic = Traffic {
            packets: 7,
            bytes: 1_000,
        };
        assert_eq!(traffic.share(1, 3).bytes, 333);
        assert_eq!(traffic.share(1, 3).packets, 2);
        assert_eq!(traffic.share(9, 0).bytes, 9_000);
    }

    fn check(traffic: Traffic, path: Path, most: bool, price: Usd, nanos: i64) {
        let cost = traffic.cost(path, most, price, 1_000_000_000);
        assert_eq!(cost.nanos(), nanos, "{path:?}");
    }
}
