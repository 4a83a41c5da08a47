//! A range of addresses that share their first bits: one address, or a network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// An address with the number of bits that count (RFC 4632 §3.1). The others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// Neither an address nor an address with a length.
    #[error("not an address; write 10.0.0.5, 10.0.0.0/24, 2001:db8::5 or 2001:db8::/32")]
    Address,
    /// More bits than an address has.
    #[error("a prefix of {address} has from 0 to {bits} bits")]
    Length {
        /// The address.
        address: IpAddr,
        /// How many bits it has.
        bits: u8,
    },
    /// Bits that do not count are set.
    #[error("{address} has bits beyond the first {length}; the network is {network}")]
    HostBits {
        /// The address.
        address: IpAddr,
        /// How many of its bits count.
        length: u8,
        /// What was probably meant.
        network: Prefix,
    },
    /// An IPv4 address in IPv6 form: sources have the plain one.
    #[error("{address} is an IPv4 address in IPv6 form; write it as one of IPv4")]
    Mapped {
        /// The address.
        address: Ipv6Addr,
    },
}

impl Prefix {
    /// The first `length` bits of `address`.
    ///
    /// # Errors
    /// More bits than there are, bits beyond them that are set, or an IPv4 address in IPv6 form.
    pub fn try_new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        if let IpAddr::V6(mapped) = address
            && mapped.to_ipv4_mapped().is_some()
        {
            return Err(PrefixError::Mapped { address: mapped });
        }
        let bits = bits(address);
        if length > bits {
            return Err(PrefixError::Length { address, bits });
        }
        let network = Self { address, length }.widened(length);
        if network.address != address {
            return Err(PrefixError::HostBits {
                address,
                length,
                network,
            });
        }
        Ok(network)
    }

    /// The first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits count.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// The prefix of `length` bits, if shorter, that this one lies in.
    #[must_use]
    pub fn widened(&self, length: u8) -> Self {
        let length = length.min(self.length);
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        };
        Self { address, length }
    }

    /// Whether an address begins with these bits.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, last) = self.range();
        let number = number(address);
        address.is_ipv4() == self.address.is_ipv4() && first <= number && number <= last
    }

    /// Its first and its last address, as numbers.
    pub(crate) fn range(&self) -> (u128, u128) {
        let first = number(self.address);
        let free = u32::from(bits(self.address) - self.length);
        let others = u128::MAX.checked_shl(free).map_or(u128::MAX, |mask| !mask);
        (first, first | others)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// `10.0.0.5`, `10.0.0.0/24`; without a length all bits count.
impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Address)?;
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length {
            None => bits(address),
            Some(text) => match Some(text).filter(digits).map(str::parse::<u16>) {
                Some(Ok(length)) => u8::try_from(length).unwrap_or(u8::MAX),
                _ => return Err(PrefixError::Address),
            },
        };
        Self::try_new(address, length)
    }
}

/// The address, with its length if not all bits count.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == bits(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn addresses_and_networks_read_back_as_they_are_written() {
        for text in [
            "10.0.0.5",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "2001:db8::5",
            "2001:db8::/32",
            "::/0",
        ] {
            check(text, Ok(text));
        }
        check("10.0.0.5/32", Ok("10.0.0.5"));
        check("2001:db8::5/128", Ok("2001:db8::5"));
    }

    #[test]
    fn what_is_no_prefix_says_what_would_be() {
        let example = "not an address; write 10.0.0.5, 10.0.0.0/24, 2001:db8::5 or 2001:db8::/32";
        for text in [
            "",
            "broker",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
        ] {
            check(text, Err(example));
        }
        check(
            "10.0.0.0/33",
            Err("a prefix of 10.0.0.0 has from 0 to 32 bits"),
        );
        check("::/99999", Err(example));
        check("::/300", Err("a prefix of :: has from 0 to 128 bits"));
        check(
            "10.0.0.5/24",
            Err("10.0.0.5 has bits beyond the first 24; the network is 10.0.0.0/24"),
        );
        check(
            "::ffff:10.0.0.5",
            Err("::ffff:10.0.0.5 is an IPv4 address in IPv6 form; write it as one of IPv4"),
        );
    }

    #[test]
    fn a_prefix_contains_its_addresses_and_no_other_familys() {
        let cases = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("10.0.0.5", "10.0.0.5", true),
        ];
        for (prefix, address, expected) in cases {
            let parsed: Prefix = prefix.parse().unwrap();
            let contains = parsed.contains(address.parse().unwrap());
            assert_eq!(contains, expected, "{prefix} {address}");
        }
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        let got = text.parse::<Prefix>();
        let got = got.map(|it| it.to_string()).map_err(|it| it.to_string());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(got, expected, "{text}");
    }
}
