//! A port that somebody serves, as people write it: `tcp/3389`.

use std::fmt;
use std::str::FromStr;

/// IP protocol numbers (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A port that somebody serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServedPort {
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// The port.
    pub port: u16,
}

/// Why a text names no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedPortError;

impl fmt::Display for ServedPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a protocol and a port; write \"tcp/3389\" or \"udp/161\"")
    }
}

impl std::error::Error for ServedPortError {}

impl FromStr for ServedPort {
    type Err = ServedPortError;

    /// `tcp/3389`, `udp/161`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (protocol, port) = text.split_once('/').ok_or(ServedPortError)?;
        let protocol = match protocol {
            "tcp" => TCP,
            "udp" => UDP,
            _ => return Err(ServedPortError),
        };
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { protocol, port }),
            _ => Err(ServedPortError),
        }
    }
}

impl fmt::Display for ServedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == UDP { "udp" } else { "tcp" };
        write!(f, "{protocol}/{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::{ServedPort, ServedPortError};

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["tcp/3389", "udp/1", "tcp/65535"] {
            assert_eq!(
                text.parse::<ServedPort>().map(|port| port.to_string()),
                Ok(text.into())
            );
        }
        for text in [
            "",
            "tcp",
            "tcp/",
            "tcp/0",
            "tcp/65536",
            "sctp/1",
            "TCP/22",
            "tcp/-1",
        ] {
            assert_eq!(text.parse::<ServedPort>(), Err(ServedPortError), "{text}");
        }
    }
}
