//! What a machine of a role should never serve, and whether somebody tries.

use std::fmt;
use std::str::FromStr;

use vxscope_wire::protocol::{TCP, UDP};

/// A port that a role never serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeverPort {
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// The port.
    pub port: u16,
}

/// Why a text names no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortError;

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a protocol and a port; write \"tcp/3389\" or \"udp/161\"")
    }
}

impl std::error::Error for PortError {}

impl FromStr for NeverPort {
    type Err = PortError;

    /// `tcp/3389`, `udp/161`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (protocol, port) = text.split_once('/').ok_or(PortError)?;
        let protocol = match protocol {
            "tcp" => TCP,
            "udp" => UDP,
            _ => return Err(PortError),
        };
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { protocol, port }),
            _ => Err(PortError),
        }
    }
}

impl fmt::Display for NeverPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == UDP { "udp" } else { "tcp" };
        write!(f, "{protocol}/{}", self.port)
    }
}

/// What machines are for, and what they therefore never serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// As the configuration names it.
    pub name: String,
    /// What it never serves; ascending.
    never: Vec<NeverPort>,
}

impl Role {
    /// A role and what it never serves, in any order.
    #[must_use]
    pub fn new(name: String, never: impl IntoIterator<Item = NeverPort>) -> Self {
        let mut never: Vec<_> = never.into_iter().collect();
        never.sort_unstable();
        never.dedup();
        Self { name, never }
    }

    /// What it never serves; ascending.
    #[must_use]
    pub fn never(&self) -> &[NeverPort] {
        &self.never
    }

    /// Whether it never serves this port.
    #[must_use]
    pub fn is_never(&self, protocol: u8, port: u16) -> bool {
        self.never
            .binary_search(&NeverPort { protocol, port })
            .is_ok()
    }
}

/// A role's place among the roles of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(u16);

/// All roles of a sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

/// Remote desktops, SMB, NetBIOS and LDAP: nothing that Linux serves unless somebody says so.
const LINUX: &[(u8, u16)] = &[
    (TCP, 135),
    (TCP, 137),
    (TCP, 138),
    (TCP, 139),
    (TCP, 389),
    (TCP, 445),
    (TCP, 636),
    (TCP, 3_389),
    (UDP, 137),
    (UDP, 138),
    (UDP, 389),
    (UDP, 3_389),
];
/// SSH and NFS.
const WINDOWS: &[(u8, u16)] = &[
    (TCP, 22),
    (TCP, 111),
    (TCP, 2_049),
    (UDP, 111),
    (UDP, 2_049),
];
/// FTP and TFTP.
const WEB_SERVER: &[(u8, u16)] = &[(TCP, 20), (TCP, 21), (TCP, 989), (TCP, 990), (UDP, 69)];

impl Default for Roles {
    /// `linux`, `windows` and `web-server`.
    fn default() -> Self {
        let known = [
            ("linux", LINUX),
            ("windows", WINDOWS),
            ("web-server", WEB_SERVER),
        ];
        Self(
            known
                .iter()
                .map(|(name, ports)| {
                    let never = ports.iter().map(|(protocol, port)| NeverPort {
                        protocol: *protocol,
                        port: *port,
                    });
                    Role::new((*name).to_owned(), never)
                })
                .collect(),
        )
    }
}

impl Roles {
    /// Adds a role, or replaces the one of this name.
    pub fn put(&mut self, role: Role) {
        match self.0.iter_mut().find(|known| known.name == role.name) {
            Some(known) => *known = role,
            None => self.0.push(role),
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<RoleId> {
        let place = self.0.iter().position(|role| role.name == name)?;
        u16::try_from(place).ok().map(RoleId)
    }

    /// A role.
    #[must_use]
    pub fn get(&self, id: RoleId) -> Option<&Role> {
        self.0.get(usize::from(id.0))
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use vxscope_wire::protocol::{TCP, UDP};

    use super::{NeverPort, PortError, Role, Roles};

    #[test]
    fn known_roles_never_serve_what_the_strategy_names() {
        for (role, protocol, port, never) in [
            ("web-server", TCP, 21, true),
            ("web-server", TCP, 443, false),
            ("windows", TCP, 22, true),
            ("windows", UDP, 2_049, true),
            ("windows", TCP, 3_389, false),
            ("linux", TCP, 3_389, true),
            ("linux", TCP, 445, true),
            ("linux", UDP, 137, true),
            ("linux", TCP, 389, true),
            ("linux", TCP, 22, false),
        ] {
            let roles = Roles::default();
            let role_of = roles.find(role).and_then(|id| roles.get(id)).unwrap();
            assert_eq!(
                role_of.is_never(protocol, port),
                never,
                "{role} {protocol}/{port}"
            );
        }
    }

    #[test]
    fn a_role_of_a_known_name_replaces_it_and_another_is_added() {
        let mut roles = Roles::default();
        let samba = Role::new("linux".to_owned(), ["tcp/3389".parse().unwrap()]);
        let printer = Role::new("printer".to_owned(), ["tcp/22".parse().unwrap()]);
        roles.put(samba.clone());
        roles.put(printer.clone());
        assert_eq!(roles.iter().count(), 4);
        let get = |name| roles.find(name).and_then(|id| roles.get(id));
        assert_eq!(
            (get("linux"), get("printer")),
            (Some(&samba), Some(&printer))
        );
        assert_eq!(get("toaster"), None);
    }

    #[test]
    fn ports_are_read_as_they_are_written() {
        for text in ["tcp/3389", "udp/1", "tcp/65535"] {
            assert_eq!(
                text.parse::<NeverPort>().map(|port| port.to_string()),
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
            assert_eq!(text.parse::<NeverPort>(), Err(PortError), "{text}");
        }
    }
}
