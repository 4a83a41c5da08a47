//! A block of addresses, as a filter rule names it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Which version of IP; one rule has only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The version of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// A CIDR block without bits behind its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    family: Family,
    /// The address, its first bit on top.
    bits: u128,
    length: u8,
}

impl Net {
    /// All addresses of a family: `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub const fn all(family: Family) -> Self {
        Self {
            family,
            bits: 0,
            length: 0,
        }
    }

    /// The block of `length` leading bits around an address; `None` if the address is shorter.
    #[must_use]
    pub fn try_new(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        (length <= family.width()).then(|| Self {
            family,
            bits: bits_of(address) & mask(length),
            length,
        })
    }

    /// Whether it holds IPv4 or IPv6.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// Its first address, and the one behind its last; `None` where there is none.
    #[must_use]
    pub fn ends(self) -> (IpAddr, Option<IpAddr>) {
        let address = |bits: u128| match self.family {
            Family::V4 => IpAddr::from(Ipv4Addr::from_bits((bits >> 96) as u32)),
            Family::V6 => IpAddr::from(Ipv6Addr::from_bits(bits)),
        };
        let size = 1_u128.checked_shl(128 - u32::from(self.length));
        let behind = size.and_then(|size| self.bits.checked_add(size));
        (address(self.bits), behind.map(address))
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family && bits_of(address) & mask(self.length) == self.bits
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.family == other.family
            && self.length <= other.length
            && other.bits & mask(self.length) == self.bits
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        if self.covers(other) {
            Some(other)
        } else {
            other.covers(self).then_some(self)
        }
    }

    /// The block that holds both and nothing else, if there is one.
    #[must_use]
    pub fn union(self, other: Self) -> Option<Self> {
        if self.covers(other) {
            return Some(self);
        }
        if other.covers(self) {
            return Some(other);
        }
        let parent = Self {
            length: self.length.checked_sub(1)?,
            bits: self.bits & mask(self.length - 1),
            family: self.family,
        };
        (self.length == other.length && parent.covers(other)).then_some(parent)
    }
}

fn mask(length: u8) -> u128 {
    match length {
        0 => 0,
        length => u128::MAX << (128 - u32::from(length.min(128))),
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// `10.0.0.0/8`, `fd00::/8`; an address alone is a block of one. Bits behind the length are an
/// error, because they show that something else was meant.
impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no CIDR block like 10.0.0.0/8 or fd00::/8");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length = length.unwrap_or_else(|| Family::of(address).width());
        let net = Self::try_new(address, length).ok_or_else(wrong)?;
        if net.bits == bits_of(address) {
            Ok(net)
        } else {
            Err(format!(
                "`{text}` has bits behind its length: {net} is the block"
            ))
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::V4 => Ipv4Addr::from_bits((self.bits >> 96) as u32).fmt(f)?,
            Family::V6 => Ipv6Addr::from_bits(self.bits).fmt(f)?,
        }
        write!(f, "/{}", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_and_printed() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.2.3/32",
            "::/0",
            "fd00::/8",
            "::1/128",
        ] {
            assert_eq!(net(text).to_string(), text);
        }
        assert_eq!(net("10.1.2.3").to_string(), "10.1.2.3/32");
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "fd00::/129",
            "x/8",
            "10.0.0.0/-1",
        ] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }

    #[test]
    fn blocks_join_only_where_nothing_is_added() {
        let union = |one, two| net(one).union(net(two)).map(|net| net.to_string());
        check(union("10.0.0.0/25", "10.0.0.128/25"), Some("10.0.0.0/24"));
        check(union("10.0.0.128/25", "10.0.0.0/25"), Some("10.0.0.0/24"));
        check(union("10.0.1.0/24", "10.0.2.0/24"), None);
        check(union("10.0.0.0/8", "10.3.0.0/16"), Some("10.0.0.0/8"));
        check(union("0.0.0.0/0", "::/0"), None);
        check(union("0.0.0.0/1", "128.0.0.0/1"), Some("0.0.0.0/0"));
    }

    #[test]
    fn a_block_knows_its_addresses() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(net("10.0.0.0/8").contains(address("10.255.0.1")));
        assert!(!net("10.0.0.0/8").contains(address("11.0.0.0")));
        assert!(!net("0.0.0.0/0").contains(address("::1")));
        assert!(net("::/0").contains(address("::1")));
        check(
            net("10.0.0.0/8")
                .intersection(net("10.1.0.0/16"))
                .map(|net| net.to_string()),
            Some("10.1.0.0/16"),
        );
    }

    #[test]
    fn a_block_ends_where_the_next_begins() {
        let ends = |text: &str| {
            let (first, behind) = net(text).ends();
            format!(
                "{first} {}",
                behind.map_or_else(String::new, |it| it.to_string())
            )
        };
        assert_eq!(ends("10.0.0.0/8"), "10.0.0.0 11.0.0.0");
        assert_eq!(ends("10.0.0.255/32"), "10.0.0.255 10.0.1.0");
        assert_eq!(ends("0.0.0.0/0"), "0.0.0.0 ");
        assert_eq!(ends("255.0.0.0/8"), "255.0.0.0 ");
        assert_eq!(ends("fd00::/16"), "fd00:: fd01::");
        assert_eq!(ends("::/0"), ":: ");
    }

    fn net(text: &str) -> Net {
        text.parse().expect("a block")
    }

    fn check(found: Option<String>, expected: Option<&str>) {
        assert_eq!(found.as_deref(), expected);
    }
}
