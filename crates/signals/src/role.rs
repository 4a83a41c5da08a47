//! What a machine of a role should never serve, and whether somebody tries.

use vxscope_units::ServedPort;
use vxscope_wire::protocol::{TCP, UDP};

/// What machines are for, and what they therefore never serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// As the configuration names it.
    pub name: String,
    /// What it never serves; ascending.
    never: Vec<ServedPort>,
}

impl Role {
    /// A role and what it never serves, in any order.
    #[must_use]
    pub fn new(name: String, never: impl IntoIterator<Item = ServedPort>) -> Self {
        let mut never: Vec<_> = never.into_iter().collect();
        never.sort_unstable();
        never.dedup();
        Self { name, never }
    }

    /// What it never serves; ascending.
    #[must_use]
    pub fn never(&self) -> &[ServedPort] {
        &self.never
    }

    /// Whether it never serves this port.
    #[must_use]
    pub fn is_never(&self, protocol: u8, port: u16) -> bool {
        self.never
            .binary_search(&ServedPort { protocol, port })
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
                    let never = ports.iter().map(|(protocol, port)| ServedPort {
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

    use super::{Role, Roles};

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
}
