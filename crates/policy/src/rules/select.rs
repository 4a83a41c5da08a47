//! Which sources a rule means: by address, tag, group or interface.

use std::net::IpAddr;

use vxscope_units::MirrorSource;

/// What is known of a source from outside its traffic.
#[derive(Clone, Copy, Debug)]
pub struct SourceFacts<'a> {
    /// Who sends the copies.
    pub mirror: MirrorSource,
    /// The mirrored interface, if known.
    pub eni: Option<&'a str>,
    /// The network in which its address is unique, such as a VPC.
    pub network: &'a str,
    /// What it does, from a tag.
    pub role: &'a str,
    /// Where it is.
    pub subnet: &'a str,
    /// Its tags.
    pub tags: &'a [(String, String)],
}

impl SourceFacts<'_> {
    /// A source of which only its address and VNI are known.
    #[must_use]
    pub const fn bare(mirror: MirrorSource) -> Self {
        Self {
            mirror,
            eni: None,
            network: "",
            role: "",
            subnet: "",
            tags: &[],
        }
    }
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address; `None` if it is neither or has bits behind
    /// the prefix.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse().ok()?, Some(length.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let bits = if IpAddr::is_ipv4(&address) { 32 } else { 128 };
        let length: u8 = length.unwrap_or(bits);
        if length > bits || masked(address, length) != address {
            return None;
        }
        Some(Self { address, length })
    }

    /// Whether the address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.length) == self.address
    }
}

/// The address with everything behind the prefix cleared.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::from((u32::from(v4) & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::from((u128::from(v6) & mask).to_be_bytes())
        }
    }
}

/// Which sources a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Source address within a network.
    Cidr(Cidr),
    /// A tag of this key and value.
    Tag(String, String),
    /// The role and, if given, the subnet.
    Group(String, Option<String>),
    /// The mirrored interface.
    Eni(String),
    /// Every source.
    All,
}

impl Selector {
    /// Whether the source is meant.
    #[must_use]
    pub fn fits(&self, facts: &SourceFacts<'_>) -> bool {
        match self {
            Self::Cidr(cidr) => cidr.contains(facts.mirror.address),
            Self::Tag(key, value) => facts.tags.iter().any(|(k, v)| k == key && v == value),
            Self::Group(role, subnet) => {
                facts.role == role && subnet.as_ref().is_none_or(|subnet| facts.subnet == subnet)
            }
            Self::Eni(eni) => facts.eni == Some(eni.as_str()),
            Self::All => true,
        }
    }
}

/// The network that stands in for an unknown subnet: 256 IPv4 addresses, or an IPv6 /64.
pub(crate) fn neighbourhood(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 64 };
    format!("{}/{length}", masked(address, length))
}
