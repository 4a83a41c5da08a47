//! Community ID v1 (<https://github.com/corelight/community-id-spec>): one id for both directions.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use vxscope_wire::{Addresses, Tuple, protocol};

/// Version and separator that every id starts with.
const PREFIX: &[u8; 2] = b"1:";

/// The text of a Community ID v1: `1:` and 28 base64 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommunityId([u8; 30]);

impl CommunityId {
    /// What one looks like, for people.
    pub const EXAMPLE: &str = "1:wCb3OG7yAFWelaUydu0D+125CLM=";

    /// The id of a flow, whichever direction `tuple` is of. `seed` keeps domains with the same
    /// addresses apart; others join on seed 0.
    ///
    /// The VNI is not part of it. ICMP ports are the type and the answering type; a message
    /// without an answer (`one_way`) has an id of its own for each direction.
    #[must_use]
    pub fn new(seed: u16, tuple: &Tuple) -> Self {
        let ports = [
            tuple.source_port.to_be_bytes(),
            tuple.destination_port.to_be_bytes(),
        ];
        let digest = match tuple.addresses {
            Addresses::V4 {
                source,
                destination,
            } => digest(
                seed,
                tuple,
                [source.to_be_bytes(), destination.to_be_bytes()],
                ports,
            ),
            Addresses::V6 {
                source,
                destination,
            } => digest(seed, tuple, [source, destination], ports),
        };
        let mut text = [0; 30];
        let (prefix, rest) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        let encoded = STANDARD.encode_slice(digest, rest);
        debug_assert_eq!(encoded, Ok(28), "20 bytes are 28 base64 characters");
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Hashes the two ends in ascending order of (address, port); a one-way message as it travelled.
fn digest<const N: usize>(
    seed: u16,
    tuple: &Tuple,
    [source, destination]: [[u8; N]; 2],
    [source_port, destination_port]: [[u8; 2]; 2],
) -> [u8; 20] {
    let has_ports = matches!(
        tuple.protocol,
        protocol::ICMP | protocol::TCP | protocol::UDP | protocol::ICMPV6 | protocol::SCTP
    );
    let sender = (source, source_port);
    let receiver = (destination, destination_port);
    let swap = !tuple.one_way && sender > receiver;
    let (first, second) = if swap {
        (receiver, sender)
    } else {
        (sender, receiver)
    };

    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    hash.update(first.0);
    hash.update(second.0);
    hash.update([tuple.protocol, 0]);
    if has_ports {
        hash.update(first.1);
        hash.update(second.1);
    }
    hash.finalize().into()
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommunityId({})", self.as_str())
    }
}

/// Text that is not a Community ID v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityIdError;

impl fmt::Display for CommunityIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a Community ID: expected `1:` and 28 base64 characters, as in 1:wCb3OG7yAFWelaUydu0D+125CLM=")
    }
}

impl std::error::Error for CommunityIdError {}

impl FromStr for CommunityId {
    type Err = CommunityIdError;

    /// Reads an id as it is printed.
    ///
    /// # Errors
    ///
    /// If it is not `1:` and the canonical base64 of 20 bytes.
    fn from_str(text: &str) -> Result<Self, CommunityIdError> {
        let whole: [u8; 30] = text.as_bytes().try_into().map_err(|_| CommunityIdError)?;
        let encoded = whole.strip_prefix(PREFIX).ok_or(CommunityIdError)?;
        let mut digest = [0; 21];
        match STANDARD.decode_slice(encoded, &mut digest) {
            Ok(20) => Ok(Self(whole)),
            _ => Err(CommunityIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use vxscope_wire::{Addresses, Tuple};

    use super::{CommunityId, CommunityIdError};

    #[test]
    fn known_flows_have_their_published_ids() {
        check(6, 1_122, 3_344, "1:wCb3OG7yAFWelaUydu0D+125CLM=");
        check(17, 1_122, 3_344, "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=");
        check(132, 1_122, 3_344, "1:EKt4MsxuyaE6mL+hmrEkQ9csDD8=");
        check(1, 8, 0, "1:crodRHL2FEsHjbv3UkRrfbs4bZ0=");
        check(1, 11, 0, "1:f/YiSyWqczrTgfUCZlBUnvHRcPk=");
        check(46, 0, 0, "1:ikv3kmf89luf73WPz1jOs49S768=");
    }

    #[test]
    fn both_directions_have_one_id_except_one_way_messages() {
        for (protocol, one_way) in [(6, false), (17, false), (46, false), (1, true), (58, true)] {
            let forward = tuple("10.0.0.1", "10.0.0.2", 3, 1, protocol, one_way);
            let back = tuple("10.0.0.2", "10.0.0.1", 1, 3, protocol, one_way);
            let same = CommunityId::new(0, &forward) == CommunityId::new(0, &back);
            assert_eq!(same, !one_way, "protocol {protocol}");
        }
        let one_address = tuple("10.0.0.1", "10.0.0.1", 5, 9, 6, false);
        let reverse = tuple("10.0.0.1", "10.0.0.1", 9, 5, 6, false);
        assert_eq!(
            CommunityId::new(0, &one_address),
            CommunityId::new(0, &reverse)
        );
        assert_ne!(
            CommunityId::new(0, &one_address),
            CommunityId::new(1, &one_address)
        );
    }

    #[test]
    fn parses_what_it_prints_and_nothing_else() {
        let text = "1:wCb3OG7yAFWelaUydu0D+125CLM=";
        let id: CommunityId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(
            id,
            CommunityId::new(0, &tuple("1.2.3.4", "5.6.7.8", 1_122, 3_344, 6, false))
        );
        for wrong in [
            "",
            "wCb3OG7yAFWelaUydu0D+125CLM=",
            "2:wCb3OG7yAFWelaUydu0D+125CLM=",
            "1:wCb3OG7yAFWelaUydu0D+125CLM",
            "1:wCb3OG7yAFWelaUydu0D+125CLMA",
            "1:wCb3OG7yAFWelaUydu0D+125CLN=",
            "1:wCb3OG7yAFWelaUydu0D-125CLM=",
            "1:wCb3OG7yAFWelaUydu0D+125CLM= ",
        ] {
            assert_eq!(
                wrong.parse::<CommunityId>(),
                Err(CommunityIdError),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn agrees_with_every_published_baseline() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/corpus/expected/community-id-spec/baseline");
        if !folder.exists() {
            return;
        }
        for (file, seed) in [
            ("baseline_deflt.json", 0),
            ("baseline_seed1.json", 1),
            ("baseline_nob64.json", 0),
        ] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            let rows: Vec<&str> = text.split('{').skip(1).collect();
            assert_eq!(rows.len(), 23, "{file}");
            for row in rows {
                check_row(seed, row, file == "baseline_nob64.json");
            }
        }
    }

    /// One flat JSON object of a baseline file.
    fn check_row(seed: u16, row: &str, is_hex: bool) {
        let text = |key: &str| {
            let (_, rest) = row.split_once(&format!("\"{key}\": ")).unwrap();
            rest.split([',', '}'])
                .next()
                .unwrap()
                .trim_matches('"')
                .to_owned()
        };
        let number = |key: &str| text(key).parse::<u16>().unwrap_or(0);
        let protocol = u8::try_from(number("proto")).unwrap();
        let (source_port, destination_port) = (number("sport"), number("dport"));
        let one_way = is_one_way(protocol, source_port);
        let (source, destination) = (text("saddr"), text("daddr"));
        let flow = tuple(
            &source,
            &destination,
            source_port,
            destination_port,
            protocol,
            one_way,
        );
        let id = CommunityId::new(seed, &flow);
        let printed = if is_hex { hex(id) } else { id.to_string() };
        assert_eq!(printed, text("communityid"), "{row}");
    }

    fn hex(id: CommunityId) -> String {
        let digest = STANDARD.decode(&id.as_str()[2..]).unwrap();
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("1:{digits}")
    }

    /// ICMP types without an answering type (Community ID v1, ICMP support).
    fn is_one_way(protocol: u8, kind: u16) -> bool {
        let answered: &[u16] = match protocol {
            1 => &[0, 8, 9, 10, 13, 14, 15, 16, 17, 18],
            58 => &[128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145],
            _ => return false,
        };
        !answered.contains(&kind)
    }

    fn check(protocol: u8, source_port: u16, destination_port: u16, expected: &str) {
        let one_way = is_one_way(protocol, source_port);
        let flow = tuple(
            "1.2.3.4",
            "5.6.7.8",
            source_port,
            destination_port,
            protocol,
            one_way,
        );
        assert_eq!(CommunityId::new(0, &flow).to_string(), expected);
    }

    fn tuple(
        source: &str,
        destination: &str,
        source_port: u16,
        destination_port: u16,
        protocol: u8,
        one_way: bool,
    ) -> Tuple {
        let addresses = match (source.parse().unwrap(), destination.parse().unwrap()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 {
                source: source.into(),
                destination: destination.into(),
            },
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 {
                source: source.octets(),
                destination: destination.octets(),
            },
            _ => panic!("one family"),
        };
        Tuple {
            addresses,
            source_port,
            destination_port,
            protocol,
            one_way,
        }
    }
}
