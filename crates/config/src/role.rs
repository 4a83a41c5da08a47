//! `[[role]]`: what machines of a role never serve.

use std::fmt::Write as _;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vxscope_units::ServedPort;

use crate::Config;
use crate::place::{Place, Problem};
use crate::source::Text;

/// The name of the list.
pub(crate) const LIST: &str = "role";
/// Roles that the sensor knows by itself; a `[[role]]` of the same name replaces one.
pub(crate) const KNOWN: [&str; 3] = ["linux", "windows", "web-server"];
/// Most roles, the known ones included. One that is asked about is found by its place, and a
/// policy with more roles than this is a list of machines.
const ROLES_MAX: usize = 256;
/// Longest name of a role.
const NAME_MAX: usize = 64;
/// What a role may be called, for people.
pub(crate) const NAME_ALLOWED: &str = "1 to 64 lower-case letters, digits and hyphens";

/// The list in the commented reference.
pub(crate) const EXPLAINED: &str = r#"
# What machines of a role never serve. Whoever tries is counted as a never hit, and eve.json has an
# anomaly. linux, windows and web-server are known; a role of the same name replaces one.
#
# [[role]]
# name = "printer"                  # as a source names it; lower-case letters, digits, hyphens
# never = ["tcp/22", "tcp/3389"]    # required; may be empty
"#;

/// A role as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// As sources name it.
    pub name: String,
    /// Ports that machines of this role never serve.
    pub never: Vec<ServedPort>,
}

/// Whether a role may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_fit)
}

/// Reads the list: the roles that are right, and what is wrong with the others.
pub(crate) fn read(value: &Spanned<DeValue<'_>>, text: &Text<'_>) -> (Vec<Role>, Vec<Problem>) {
    let (mut roles, mut problems) = (Vec::new(), Vec::new());
    let allowed = "allowed: one [[role]] table for each role";
    let Some(array) = value.get_ref().as_array() else {
        let message = format!("found {}; {allowed}", (text.found)(value));
        return (
            roles,
            vec![problem((text.place)(&value.span()), "", message)],
        );
    };
    for entry in array.iter() {
        let place = (text.place)(&entry.span());
        let read = match entry.get_ref().as_table() {
            Some(table) => read_entry(table, &place, text),
            None => {
                let message = format!("found {}; {allowed}", (text.found)(entry));
                Err(vec![problem(place.clone(), "", message)])
            }
        };
        match read {
            Err(found) => problems.extend(found),
            Ok(role) if roles.iter().any(|known: &Role| known.name == role.name) => {
                let message = format!("{} is there already; keep one of them", role.name);
                problems.push(problem(place, "name", message));
            }
            Ok(_) if roles.len() + KNOWN.len() >= ROLES_MAX => {
                problems.push(problem(place, "", format!("more than {ROLES_MAX} roles")));
            }
            Ok(role) => roles.push(role),
        }
    }
    (roles, problems)
}

fn read_entry(table: &DeTable<'_>, place: &Place, text: &Text<'_>) -> Result<Role, Vec<Problem>> {
    let (mut name, mut never, mut problems) = (None, None, Vec::new());
    for (key, value) in table {
        let refuse = |allowed: &str| {
            let message = format!("found {}; allowed: {allowed}", (text.found)(value));
            problem((text.place)(&value.span()), key.get_ref(), message)
        };
        match &**key.get_ref() {
            "name" => match value.get_ref().as_str().filter(|it| is_name(it)) {
                Some(read) => name = Some(read.to_owned()),
                None => problems.push(refuse(NAME_ALLOWED)),
            },
            "never" => match ports(value.get_ref()) {
                Some(read) => never = Some(read),
                None => problems.push(refuse("ports, like [\"tcp/3389\", \"udp/161\"]")),
            },
            other => {
                let place = (text.place)(&key.span());
                let message = "unknown key; known here: name, never".to_owned();
                problems.push(problem(place, other, message));
            }
        }
    }
    match (name, never) {
        (Some(name), Some(never)) if problems.is_empty() => Ok(Role { name, never }),
        _ if problems.is_empty() => {
            let message = "a role needs a name and what it never serves".to_owned();
            Err(vec![problem(place.clone(), "", message)])
        }
        _ => Err(problems),
    }
}

fn ports(value: &DeValue<'_>) -> Option<Vec<ServedPort>> {
    let ports = value.as_array()?.iter();
    ports
        .map(|port| port.get_ref().as_str()?.parse().ok())
        .collect()
}

fn problem(place: Place, key: &str, message: String) -> Problem {
    let key = if key.is_empty() {
        LIST.to_owned()
    } else {
        format!("{LIST}.{key}")
    };
    Problem {
        place,
        key,
        message,
    }
}

/// Roles that sources name and nobody describes; `places` are those of the sources.
pub(crate) fn unknown(config: &Config, places: &[Place]) -> Vec<Problem> {
    let roles = &config.signals.roles;
    let names = || {
        KNOWN
            .into_iter()
            .chain(roles.iter().map(|role| role.name.as_str()))
    };
    let mut problems = Vec::new();
    for (number, binding) in config.sources.listed.iter().enumerate() {
        if let Some(role) = binding.role.as_deref()
            && !names().any(|known| known == role)
        {
            let place = places.get(number).cloned().unwrap_or(Place::Default);
            let known = names().collect::<Vec<_>>().join(", ");
            problems.push(Problem {
                place,
                key: "source.role".to_owned(),
                message: format!("no role is called {role}; there are {known}"),
            });
        }
    }
    problems
}

/// The list as TOML.
pub(crate) fn print(config: &Config) -> String {
    let mut text = String::new();
    for role in &config.signals.roles {
        let never: Vec<_> = role
            .never
            .iter()
            .map(|port| format!("\"{port}\""))
            .collect();
        let (name, never) = (&role.name, never.join(", "));
        let _ = write!(text, "\n[[{LIST}]]\nname = \"{name}\"\nnever = [{never}]\n");
    }
    text
}
