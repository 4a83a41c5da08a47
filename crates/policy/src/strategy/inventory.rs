//! What there is to mirror: interfaces with their role, place and importance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Deserialize;

use super::filter::Family;
use super::role::{self, Role, RoleFile};
use crate::Importance;
use crate::money::Path;

/// Interfaces in one inventory: more than EC2's sessions of an account (10,000), and as many as a
/// ledger has rows. A longer inventory is refused.
pub const INTERFACES_MAX: usize = 16_384;

/// An inventory as it stands in a file (TOML or JSON).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryFile {
    /// Interfaces, one a table.
    #[serde(default)]
    interface: Vec<InterfaceFile>,
    /// Roles that replace or extend those that ship.
    #[serde(default)]
    role: BTreeMap<String, RoleFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceFile {
    id: String,
    role: String,
    region: String,
    subnet: String,
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    importance: Option<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    data: Vec<String>,
    #[serde(default)]
    behind: Vec<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    bytes_per_hour: Option<u64>,
    #[serde(default)]
    packets_per_hour: Option<u64>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// An inventory without errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Ordered by id.
    pub interfaces: Vec<Interface>,
    /// By name.
    pub roles: BTreeMap<String, Role>,
}

/// One interface that may be a mirror source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// `i-…`, where known.
    pub instance: Option<String>,
    /// A key of [`Inventory::roles`].
    pub role: String,
    /// Region, for its prices.
    pub region: String,
    /// Subnet: with role and Region, who its peers are.
    pub subnet: String,
    /// The interface's own, else its role's.
    pub importance: Importance,
    /// IP versions it has addresses of; both if its addresses are not known.
    pub families: Vec<Family>,
    /// Kinds of sensitive data that pass it.
    pub data: Vec<String>,
    /// Load balancers and gateways whose target it is. A Network Load Balancer itself cannot be
    /// mirrored, its targets can.
    pub behind: Vec<String>,
    /// The way to its sensor.
    pub path: Path,
    /// What a full mirror delivers in a mean hour, if known.
    pub bytes_per_hour: Option<u64>,
    /// The same in frames; an assumption stands in where only bytes are known.
    pub packets_per_hour: Option<u64>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Inventory {
    /// From TOML.
    ///
    /// # Errors
    /// Every problem, each with the interface or key; or the first thing that is no TOML.
    pub fn from_toml(text: &str) -> Result<Self, Vec<String>> {
        let file: InventoryFile =
            toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
        Self::try_new(&file)
    }

    /// From a file that was parsed, whatever its syntax.
    ///
    /// # Errors
    /// Every problem, each with the interface or key.
    pub fn try_new(file: &InventoryFile) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut roles = role::published()?;
        for (name, role) in &file.role {
            roles.insert(name.clone(), role.read(name, &mut problems));
        }
        if file.interface.len() > INTERFACES_MAX {
            problems.push(format!(
                "interface: {} of them, at most {INTERFACES_MAX} are read",
                file.interface.len()
            ));
        }
        let mut ids = BTreeSet::new();
        let mut interfaces = Vec::new();
        for one in file.interface.iter().take(INTERFACES_MAX) {
            if !ids.insert(&one.id) {
                problems.push(format!("{}: is there twice", one.id));
            }
            interfaces.push(one.read(&roles, &mut problems));
        }
        interfaces.sort_by(|one, two| one.id.cmp(&two.id));
        if problems.is_empty() {
            Ok(Self { interfaces, roles })
        } else {
            Err(problems)
        }
    }
}

impl InterfaceFile {
    fn read(&self, roles: &BTreeMap<String, Role>, problems: &mut Vec<String>) -> Interface {
        let mut fault = |what: String| problems.push(format!("{}: {what}", self.id));
        let role = roles.get(&self.role);
        if role.is_none() {
            fault(format!(
                "role {} is not known: add [role.{}] to the inventory",
                self.role, self.role
            ));
        }
        let importance = self.importance.as_deref().map(Importance::from_name);
        if importance == Some(None) {
            fault("importance must be \"critical\", \"standard\" or \"low\"".to_owned());
        }
        let path = self.path.as_deref().map(Path::from_name);
        if path == Some(None) {
            fault("path must be \"same_az\", \"cross_az\", \"nlb\" or \"gwlb\"".to_owned());
        }
        let mut families = BTreeSet::new();
        for address in &self.addresses {
            match address.parse::<IpAddr>() {
                Ok(address) => {
                    families.insert(Family::of(address));
                }
                Err(_) => fault(format!("`{address}` is no IP address")),
            }
        }
        if families.is_empty() {
            families.extend(Family::BOTH);
        }
        let role_importance = role.map(|role| role.importance);
        Interface {
            id: self.id.clone(),
            instance: self.instance.clone(),
            role: self.role.clone(),
            region: self.region.clone(),
            subnet: self.subnet.clone(),
            importance: importance.flatten().or(role_importance).unwrap_or_default(),
            families: families.into_iter().collect(),
            data: self.data.clone(),
            behind: self.behind.clone(),
            path: path.flatten().unwrap_or(Path::SameAz),
            bytes_per_hour: self.bytes_per_hour,
            packets_per_hour: self.packets_per_hour,
            tags: self.tags.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_its_roles_importance_unless_it_says_otherwise() {
        let inventory = Inventory::from_toml(
            r#"
            [[interface]]
            id = "eni-2"
            role = "database"
            region = "us-east-1"
            subnet = "a"
            [[interface]]
            id = "eni-1"
            role = "database"
            region = "us-east-1"
            subnet = "a"
            importance = "low"
            addresses = ["10.0.0.1"]
            path = "gwlb"
            "#,
        )
        .expect("a good file");
        let [one, two] = &inventory.interfaces[..] else {
            panic!("two interfaces");
        };
        assert_eq!(
            (one.id.as_str(), one.importance),
            ("eni-1", Importance::Low)
        );
        assert_eq!(
            (one.families.as_slice(), one.path),
            (&[Family::V4][..], Path::Gwlb)
        );
        assert_eq!(two.importance, Importance::Critical);
        assert_eq!(two.families, Family::BOTH);
    }

    #[test]
    fn a_bad_file_is_refused_with_all_its_problems() {
        let text = r#"
            [[interface]]
            id = "eni-1"
            role = "moon"
            region = "r"
            subnet = "s"
            importance = "high"
            path = "air"
            addresses = ["10.0.0"]
            [[interface]]
            id = "eni-1"
            role = "web"
            region = "r"
            subnet = "s"
            [role.odd]
            system = "vms"
        "#;
        let problems = Inventory::from_toml(text).expect_err("a bad file");
        let parts = [
            "odd.system",
            "role moon",
            "importance",
            "path",
            "10.0.0",
            "twice",
        ];
        assert_eq!(problems.len(), parts.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(parts) {
            assert!(problem.contains(part), "{problem}");
        }
        let unknown = Inventory::from_toml("colour = 1").expect_err("an unknown key");
        assert!(unknown[0].contains("colour"), "{unknown:?}");
    }
}
