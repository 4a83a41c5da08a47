//! What can be asked about flows that have ended: words as an analyst types them.

use std::net::IpAddr;

use vxscope_units::Prefix;

/// Most words of a search; more are refused.
const TERMS_MAX: usize = 8;
/// Most flows of an answer.
pub const FLOWS_MAX: usize = 500;

/// Which flows are wanted: those that every term takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSearch {
    /// All of them must hold.
    pub terms: Vec<FlowTerm>,
    /// Only flows that ended before the one with this number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

/// One word of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowTerm {
    /// Either end, or the mirror source, is one of these addresses.
    Address(Prefix),
    /// Either port.
    Port(u16),
    /// The IP protocol.
    Protocol(u8),
    /// The network identifier.
    Vni(u32),
    /// The Community ID, in its usual form.
    CommunityId(String),
    /// The flow's own number.
    Flow(u64),
}

impl FlowSearch {
    /// Reads words that are separated by spaces: `10.0.0.5`, `10.0.0.0/8`, `443`, `tcp`,
    /// `vni:7`, `flow:123`, `1:…`.
    ///
    /// # Errors
    /// Which word is not understood, for people.
    pub fn parse(text: &str) -> Result<Vec<FlowTerm>, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.len() > TERMS_MAX {
            return Err(format!("a search has at most {TERMS_MAX} words"));
        }
        words.into_iter().map(FlowTerm::parse).collect()
    }
}

impl FlowTerm {
    fn parse(word: &str) -> Result<Self, String> {
        let lower = word.to_ascii_lowercase();
        let protocol = match lower.as_str() {
            "icmp" => Some(1),
            "tcp" => Some(6),
            "udp" => Some(17),
            "icmpv6" => Some(58),
            "sctp" => Some(132),
            _ => None,
        };
        if let Some(protocol) = protocol {
            return Ok(Self::Protocol(protocol));
        }
        let wrong = || {
            format!(
                "{word:?}: not an address, a network, a port, tcp, udp, icmp, vni:N, flow:N or a \
                 Community ID"
            )
        };
        if let Some(vni) = lower.strip_prefix("vni:") {
            return vni.parse().map(Self::Vni).map_err(|_| wrong());
        }
        if let Some(flow) = lower.strip_prefix("flow:") {
            return flow.parse().map(Self::Flow).map_err(|_| wrong());
        }
        if let Ok(port) = word.parse() {
            return Ok(Self::Port(port));
        }
        if let Ok(prefix) = word.parse() {
            return Ok(Self::Address(prefix));
        }
        // 20 bytes in base64; an IPv6 address was taken before.
        if word.starts_with("1:") && word.len() == 30 {
            return Ok(Self::CommunityId(word.to_owned()));
        }
        Err(wrong())
    }

    /// Whether one of these addresses is meant.
    #[must_use]
    pub fn takes_address(prefix: &Prefix, addresses: [IpAddr; 3]) -> bool {
        addresses.iter().any(|address| prefix.contains(*address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood() {
        let id = "1:wCb3OG7yAFWelaUydu0D+125CLM=";
        let text = format!("10.0.0.5 10.0.0.0/8 2001:db8::/32 443 TCP vni:7 flow:12 {id}");
        let terms = FlowSearch::parse(&text).unwrap();
        assert_eq!(
            terms,
            [
                FlowTerm::Address("10.0.0.5".parse().unwrap()),
                FlowTerm::Address("10.0.0.0/8".parse().unwrap()),
                FlowTerm::Address("2001:db8::/32".parse().unwrap()),
                FlowTerm::Port(443),
                FlowTerm::Protocol(6),
                FlowTerm::Vni(7),
                FlowTerm::Flow(12),
                FlowTerm::CommunityId(id.to_owned()),
            ]
        );
        assert!(FlowSearch::parse("  ").unwrap().is_empty());
    }

    #[test]
    fn others_are_named() {
        for word in [
            "10.0.0.5/8",
            "65536",
            "vni:",
            "flow:x",
            "1:short",
            "\"><script>",
        ] {
            let error = FlowSearch::parse(word).unwrap_err();
            assert!(error.contains("not an address"), "{word}: {error}");
        }
        assert!(FlowSearch::parse("1 2 3 4 5 6 7 8 9").is_err());
    }
}
