//! Services as people name them, and the clauses that mirror them.

use std::fmt;
use std::str::FromStr;

use super::clause::{Clause, Direction, ICMP, ICMPV6, TCP, UDP};
use super::compile::{Layer, Request, Wanted};
use super::net::{Family, Net};
use super::ports::Ports;

/// A service at a host: `tcp/443`, `udp/137-138`, `icmp`, `any`, each also `… from 10.0.0.0/8`,
/// which names the only peers it is expected with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    protocol: Transport,
    ports: Ports,
    peer: Option<Net>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Transport {
    Tcp,
    Udp,
    Icmp,
    Any,
}

/// Which half of a service's packets is meant, and from whose side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// This host offers it: requests that come in and answers that go out.
    Served,
    /// This host uses it elsewhere: requests that go out and answers that come in.
    Used,
    /// Whoever tries to reach it here: only what comes in.
    Tried,
    /// What this host asks elsewhere: only what goes out.
    Asked,
}

impl Service {
    /// A TCP service.
    #[must_use]
    pub const fn tcp(ports: Ports) -> Self {
        Self {
            protocol: Transport::Tcp,
            ports,
            peer: None,
        }
    }

    /// A UDP service.
    #[must_use]
    pub const fn udp(ports: Ports) -> Self {
        Self {
            protocol: Transport::Udp,
            ports,
            peer: None,
        }
    }

    /// The same with these peers only.
    #[must_use]
    pub const fn with(self, peer: Net) -> Self {
        Self {
            peer: Some(peer),
            ..self
        }
    }

    /// Whether all of `other` is part of this service, with any peer.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let transport = self.protocol == Transport::Any || self.protocol == other.protocol;
        let ports =
            self.ports.first() <= other.ports.first() && other.ports.last() <= self.ports.last();
        transport && ports
    }

    /// Its clauses in one family, the request before the answer; none where its peers are of the
    /// other family.
    fn clauses(&self, way: Use, family: Family) -> Vec<Clause> {
        let requests = match way {
            Use::Served | Use::Tried => Direction::Ingress,
            Use::Used | Use::Asked => Direction::Egress,
        };
        let answers = match requests {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let both = matches!(way, Use::Served | Use::Used);
        let request = self.clause(requests, family, way, true);
        let answer = both.then(|| self.clause(answers, family, way, false));
        request.into_iter().chain(answer.flatten()).collect()
    }

    fn clause(
        &self,
        direction: Direction,
        family: Family,
        way: Use,
        is_request: bool,
    ) -> Option<Clause> {
        let all = Clause::all(direction, family);
        let clause = match (self.protocol, family) {
            (Transport::Tcp, _) => all.of(TCP),
            (Transport::Udp, _) => all.of(UDP),
            (Transport::Icmp, Family::V4) => all.of(ICMP),
            (Transport::Icmp, Family::V6) => all.of(ICMPV6),
            (Transport::Any, _) => all,
        };
        let clause = if is_request {
            clause.to_ports(self.ports)
        } else {
            clause.from_ports(self.ports)
        };
        let Some(peer) = self.peer else {
            return Some(clause);
        };
        // The peer sends requests to what is served here, and answers to what is used there.
        let peer_sends = matches!(way, Use::Served | Use::Tried) == is_request;
        if peer_sends {
            clause.from_net(peer)
        } else {
            clause.to_net(peer)
        }
    }
}

/// A request of one layer for services, those named first ranked first; each with all its clauses
/// before the next. The resolver of the VPC is always mirrored: it takes no rule.
#[must_use]
pub fn request<'a>(
    name: &str,
    families: &[Family],
    services: impl IntoIterator<Item = (Use, &'a [Service])>,
) -> Request {
    let mut accept = Vec::new();
    for (way, services) in services {
        for service in services {
            for family in families {
                for clause in service.clauses(way, *family) {
                    accept.push(Wanted {
                        clause,
                        what: format!("{service} {way}"),
                        rank: u32::try_from(accept.len()).unwrap_or(u32::MAX),
                    });
                }
            }
        }
    }
    Request {
        name: name.to_owned(),
        amazon_dns: true,
        layers: vec![Layer {
            except: Vec::new(),
            accept,
        }],
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no service: write tcp/443, udp/137-138, icmp or any, \
                 and ` from 10.0.0.0/8` where peers are known"
            )
        };
        let (what, peer) = match text.split_once(" from ") {
            Some((what, peer)) => (what, Some(peer.trim().parse()?)),
            None => (text, None),
        };
        let (transport, ports) = what.split_once('/').unwrap_or((what, ""));
        let protocol = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            "icmp" => Transport::Icmp,
            "any" => Transport::Any,
            _ => return Err(wrong()),
        };
        let with_ports = matches!(protocol, Transport::Tcp | Transport::Udp);
        let ports = match ports {
            "" if what.contains('/') => return Err(wrong()),
            "" => Ports::ALL,
            _ if !with_ports => return Err(wrong()),
            ports => read_ports(ports).ok_or_else(wrong)?,
        };
        Ok(Self {
            protocol,
            ports,
            peer,
        })
    }
}

fn read_ports(text: &str) -> Option<Ports> {
    let number = |text: &str| text.parse::<u16>().ok();
    match text.split_once('-') {
        Some((first, last)) => Ports::try_new(number(first)?, number(last)?),
        None => number(text).map(Ports::one),
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Icmp => "icmp",
            Transport::Any => "any",
        })?;
        if self.ports != Ports::ALL {
            write!(f, "/{}", self.ports)?;
        }
        match self.peer {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served here",
            Self::Used => "used elsewhere",
            Self::Tried => "tried here",
            Self::Asked => "asked elsewhere",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_and_printed() {
        for text in [
            "tcp/443",
            "udp/137-138",
            "icmp",
            "any",
            "tcp",
            "tcp/5432 from 10.0.0.0/8",
        ] {
            assert_eq!(service(text).to_string(), text);
        }
        for bad in [
            "",
            "tcp/",
            "tcp/0x1",
            "tcp/9-8",
            "tcp/70000",
            "icmp/8",
            "sctp/1",
            "tcp/1 from x",
        ] {
            assert!(bad.parse::<Service>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_use_has_its_clauses() {
        check(
            "tcp/443",
            Use::Served,
            &[
                "ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 443",
                "egress tcp from 0.0.0.0/0 port 443 to 0.0.0.0/0",
            ],
        );
        check(
            "udp/53",
            Use::Used,
            &[
                "egress udp from 0.0.0.0/0 to 0.0.0.0/0 port 53",
                "ingress udp from 0.0.0.0/0 port 53 to 0.0.0.0/0",
            ],
        );
        check(
            "icmp",
            Use::Tried,
            &["ingress icmp from 0.0.0.0/0 to 0.0.0.0/0"],
        );
        check(
            "any",
            Use::Asked,
            &["egress any from 0.0.0.0/0 to 0.0.0.0/0"],
        );
        check(
            "tcp/22 from 10.0.0.0/8",
            Use::Served,
            &[
                "ingress tcp from 10.0.0.0/8 to 0.0.0.0/0 port 22",
                "egress tcp from 0.0.0.0/0 port 22 to 10.0.0.0/8",
            ],
        );
        check(
            "tcp/22 from 10.0.0.0/8",
            Use::Used,
            &[
                "egress tcp from 0.0.0.0/0 to 10.0.0.0/8 port 22",
                "ingress tcp from 10.0.0.0/8 port 22 to 0.0.0.0/0",
            ],
        );
        check("tcp/22 from fd00::/8", Use::Served, &[]);
    }

    fn service(text: &str) -> Service {
        text.parse().expect("a service")
    }

    fn check(text: &str, way: Use, expected: &[&str]) {
        let clauses = service(text).clauses(way, Family::V4);
        let printed: Vec<String> = clauses.iter().map(Clause::to_string).collect();
        assert_eq!(printed, expected);
    }
}
