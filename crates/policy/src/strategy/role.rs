//! What a machine is for, and so what is expected of it and what never.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::filter::{Service, System};
use crate::Importance;

/// The roles that ship with the program.
pub const ROLES: &str = include_str!("roles.toml");

/// A role of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// What its machines run.
    pub system: System,
    /// What they serve, the most important first.
    pub expected: Vec<Service>,
    /// What should never be tried at them: their system's list and their own, but for what is
    /// expected.
    pub never: Vec<Service>,
    /// What they are worth where an interface does not say.
    pub importance: Importance,
    /// Whether their traffic carries data that somebody would want.
    pub sensitive: bool,
    /// Whether traffic of many passes them.
    pub junction: bool,
}

/// A role as it stands in a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleFile {
    system: String,
    expected: Vec<String>,
    never: Vec<String>,
    importance: Option<String>,
    sensitive: bool,
    junction: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesFile {
    role: BTreeMap<String, RoleFile>,
}

/// The roles that ship with the program, by name.
///
/// # Errors
/// None, as a test shows; a text cannot be parsed without the possibility.
pub(crate) fn published() -> Result<BTreeMap<String, Role>, Vec<String>> {
    let file: RolesFile = toml::from_str(ROLES).map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    let roles = file
        .role
        .iter()
        .map(|(name, role)| (name.clone(), role.read(name, &mut problems)))
        .collect();
    if problems.is_empty() {
        Ok(roles)
    } else {
        Err(problems)
    }
}

impl RoleFile {
    /// The role; what is wrong with it is added to `problems`.
    pub(crate) fn read(&self, name: &str, problems: &mut Vec<String>) -> Role {
        let mut services = |key: &str, texts: &[String]| {
            let mut read = Vec::new();
            for text in texts {
                match text.parse::<Service>() {
                    Ok(service) => read.push(service),
                    Err(problem) => problems.push(format!("role.{name}.{key}: {problem}")),
                }
            }
            read
        };
        let expected = services("expected", &self.expected);
        let own_never = services("never", &self.never);
        let system = System::from_name(&self.system);
        if system.is_none() {
            problems.push(format!(
                "role.{name}.system: must be \"linux\" or \"windows\""
            ));
        }
        let importance = self.importance.as_deref().map(Importance::from_name);
        if importance == Some(None) {
            problems.push(format!(
                "role.{name}.importance: must be \"critical\", \"standard\" or \"low\""
            ));
        }
        let system = system.unwrap_or_default();
        let never = own_never
            .into_iter()
            .chain(system.never())
            .filter(|never| !expected.iter().any(|one| one.covers(never)))
            .collect();
        Role {
            system,
            expected,
            never,
            importance: importance.flatten().unwrap_or_default(),
            sensitive: self.sensitive,
            junction: self.junction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_roles_are_read_whole() {
        let roles = published().expect("the roles that ship");
        assert_eq!(roles["database"].importance, Importance::Critical);
        assert_eq!(roles["cache"].importance, Importance::Standard);
        assert!(roles["proxy"].junction && roles["storage"].sensitive);
        check(&roles["web"], "tcp/20-21 tcp/445 tcp/3389 tcp/389");
        check(&roles["desktop"], "tcp/22 tcp/2049 tcp/111");
    }

    #[test]
    fn what_is_expected_is_not_never() {
        let roles = published().expect("the roles that ship");
        check(&roles["storage"], "tcp/3389 tcp/389");
        check(&roles["jump"], "tcp/445 tcp/389");
    }

    #[test]
    fn every_problem_of_a_role_is_said() {
        let file = RoleFile {
            system: "vms".to_owned(),
            expected: vec!["tcp/x".to_owned(), "tcp/1".to_owned()],
            importance: Some("great".to_owned()),
            ..RoleFile::default()
        };
        let mut problems = Vec::new();
        let role = file.read("odd", &mut problems);
        assert_eq!(role.expected.len(), 1);
        let keys: Vec<&str> = problems
            .iter()
            .filter_map(|problem| problem.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "role.odd.expected",
                "role.odd.system",
                "role.odd.importance"
            ]
        );
    }

    /// NetBIOS, which all have, is left out.
    fn check(role: &Role, never: &str) {
        let found: Vec<String> = role
            .never
            .iter()
            .map(Service::to_string)
            .filter(|one| !one.contains("137"))
            .collect();
        assert_eq!(found.join(" "), never);
    }
}
