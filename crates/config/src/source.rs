//! `[[source]]`: the mirror sources that are known, one table each.

use std::fmt::Write as _;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use vxscope_units::{BindTable, Binding, ConflictKind, Payload, Prefix, PrefixError, Vni};

use crate::Config;
use crate::field::Field;
use crate::place::{Place, Problem};
use crate::role;
use crate::section::PayloadKept;

/// The name of the list.
pub(crate) const LIST: &str = "source";
/// Its keys.
const KEYS: [&str; 12] = [
    "address", "vni", "name", "eni", "instance", "vpc", "account", "role", "expected", "vlan",
    "payload", "forward",
];
/// Longest name of a source: it stands in tables and labels.
const NAME_MAX: usize = 64;
const NAME_ALLOWED: &str = "1 to 64 characters, none of them a control character";
const ENI_ALLOWED: &str = "the id of a network interface, like \"eni-0123456789abcdef0\"";
/// Longest id of AWS that is taken: several times those that there are.
const ID_MAX: usize = 64;
const ID_ALLOWED: &str = "an id of AWS: 1 to 64 letters, digits and hyphens";
/// The ids that a VLAN tag may name (IEEE 802.1Q §9.6).
const VLAN_IDS: RangeInclusive<u64> = 1..=4_094;
/// The largest VNI.
const VNI_MAX: u64 = (1 << 24) - 1;

/// The list at the end of the commented reference.
pub(crate) const EXPLAINED: &str = r#"
# Sources that are known: packet brokers, agents, mirrored interfaces. The longest prefix wins, and
# of two with the same prefix the one with the VNI. Repeat the table for each.
#
# [[source]]
# address = "10.0.0.0/24"           # one address, or a network; required
# vni = 7                           # only with this VNI; any without it
# name = "broker-1"                 # shown in sources.json; at most 64 characters
# eni = "eni-0123456789abcdef0"     # the mirrored interface; shown in sources.json
# instance = "i-0123456789abcdef0"  # its instance, and below its VPC and account; shown in outputs
# vpc = "vpc-0123456789abcdef0"
# account = "123456789012"
# role = "linux"                    # what it never serves: linux, windows, web-server, or a [[role]]
# expected = true                   # the summary warns when nothing came from it; default false
# vlan = 12                         # its id where tags tell sources apart ("map"); default: the next free one
# payload = "none"                  # full, head, none: what rings and outputs keep; default: sources.payload
# forward = true                    # vxlan= outputs send it on (handoff.forward = "marked"); default false
"#;

/// What a value is read with: where it stands, and how it was written.
pub(crate) struct Text<'a> {
    pub(crate) place: &'a dyn Fn(&Range<usize>) -> Place,
    pub(crate) found: &'a dyn Fn(&Spanned<DeValue<'_>>) -> String,
}

/// The bindings of a list with the places of their addresses; what is wrong with the others.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) bindings: Vec<Binding>,
    pub(crate) places: Vec<Place>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads the list.
pub(crate) fn read(value: &Spanned<DeValue<'_>>, text: &Text<'_>) -> Listed {
    let mut listed = Listed::default();
    let allowed = "allowed: one [[source]] table for each source";
    let Some(array) = value.get_ref().as_array() else {
        let message = format!("found {}; {allowed}", (text.found)(value));
        let place = (text.place)(&value.span());
        listed.problems.push(problem(place, "", message));
        return listed;
    };
    for entry in array.iter() {
        let place = (text.place)(&entry.span());
        match entry.get_ref().as_table() {
            Some(table) => read_entry(table, place, text, &mut listed),
            None => {
                let message = format!("found {}; {allowed}", (text.found)(entry));
                listed.problems.push(problem(place, "", message));
            }
        }
    }
    listed
}

fn read_entry(table: &DeTable<'_>, mut place: Place, text: &Text<'_>, listed: &mut Listed) {
    let before = listed.problems.len();
    let mut prefix = None;
    let mut binding = None;
    let mut others = Others::default();
    for (name, value) in table {
        let at = (text.place)(&value.span());
        let name_text: &str = name.get_ref();
        let read = match name_text {
            "address" => {
                place = at.clone();
                read_prefix(value, text).map(|found| prefix = Some(found))
            }
            known if KEYS.contains(&known) => others.read(known, value, text),
            _ => {
                let at = (text.place)(&name.span());
                let message = format!("unknown key; known here: {}", KEYS.join(", "));
                listed.problems.push(problem(at, name_text, message));
                continue;
            }
        };
        if let Err(message) = read {
            listed.problems.push(problem(at, name_text, message));
        }
    }
    if let Some(prefix) = prefix {
        binding = Some(others.bind(prefix));
    } else if listed.problems.len() == before {
        let message = "a source needs an address, like \"10.0.0.5\" or \"10.0.0.0/24\"";
        let missing = problem(place.clone(), "address", message.to_owned());
        listed.problems.push(missing);
    }
    if let Some(binding) = binding.filter(|_| listed.problems.len() == before) {
        listed.bindings.push(binding);
        listed.places.push(place);
    }
}

/// The keys beside the address.
#[derive(Default)]
struct Others {
    vni: Option<Vni>,
    name: Option<String>,
    eni: Option<String>,
    instance: Option<String>,
    vpc: Option<String>,
    account: Option<String>,
    role: Option<String>,
    expected: bool,
    vlan: Option<u16>,
    payload: Option<Payload>,
    forward: bool,
}

impl Others {
    fn read(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        text: &Text<'_>,
    ) -> Result<(), String> {
        let refuse = |allowed: &str| format!("found {}; allowed: {allowed}", (text.found)(value));
        let raw = value.get_ref();
        match key {
            "vni" => {
                let range = 0..=VNI_MAX;
                let vni = u32::read(raw, &range).and_then(Vni::try_new);
                self.vni = Some(vni.ok_or_else(|| refuse(&u32::allowed(&range)))?);
            }
            "name" => {
                let name = raw.as_str().filter(|name| is_name(name));
                self.name = Some(name.ok_or_else(|| refuse(NAME_ALLOWED))?.to_owned());
            }
            "eni" => {
                let eni = raw.as_str().filter(|eni| is_eni(eni));
                self.eni = Some(eni.ok_or_else(|| refuse(ENI_ALLOWED))?.to_owned());
            }
            "instance" | "vpc" | "account" => {
                let id = raw.as_str().filter(|id| is_id(id));
                let id = Some(id.ok_or_else(|| refuse(ID_ALLOWED))?.to_owned());
                match key {
                    "instance" => self.instance = id,
                    "vpc" => self.vpc = id,
                    _ => self.account = id,
                }
            }
            "role" => {
                let role = raw.as_str().filter(|role| role::is_name(role));
                self.role = Some(role.ok_or_else(|| refuse(role::NAME_ALLOWED))?.to_owned());
            }
            "vlan" => {
                let vlan = u16::read(raw, &VLAN_IDS);
                self.vlan = Some(vlan.ok_or_else(|| refuse(&u16::allowed(&VLAN_IDS)))?);
            }
            "payload" => {
                let payload = PayloadKept::read(raw, &());
                let payload = payload.ok_or_else(|| refuse(&PayloadKept::allowed(&())))?;
                self.payload = Some(payload.into());
            }
            _ => {
                let read = bool::read(raw, &()).ok_or_else(|| refuse(&bool::allowed(&())))?;
                match key {
                    "forward" => self.forward = read,
                    _ => self.expected = read,
                }
            }
        }
        Ok(())
    }

    fn bind(self, prefix: Prefix) -> Binding {
        Binding {
            prefix,
            vni: self.vni,
            name: self.name,
            eni: self.eni,
            instance: self.instance,
            vpc: self.vpc,
            account: self.account,
            role: self.role,
            expected: self.expected,
            vlan: self.vlan,
            payload: self.payload,
            forward: self.forward,
        }
    }
}

/// What a source is called, by whoever tells a running sensor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Called<'a> {
    /// By people.
    pub name: Option<&'a str>,
    /// Its interface.
    pub eni: Option<&'a str>,
    /// Its instance.
    pub instance: Option<&'a str>,
    /// Its VPC.
    pub vpc: Option<&'a str>,
    /// Its account.
    pub account: Option<&'a str>,
    /// Its role.
    pub role: Option<&'a str>,
}

/// A known source from what stands in its table: the same limits for whoever tells a running
/// sensor as for the file.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn binding(
    address: &str,
    vni: Option<u32>,
    called: Called<'_>,
    expected: bool,
) -> Result<Binding, String> {
    let Called {
        name,
        eni,
        instance,
        vpc,
        account,
        role,
    } = called;
    let prefix: Prefix = address
        .parse()
        .map_err(|error| format!("address {address:?}: {error}"))?;
    let vni = vni.map(|vni| Vni::try_new(vni).ok_or_else(|| format!("vni {vni}: above {VNI_MAX}")));
    if let Some(name) = name.filter(|name| !is_name(name)) {
        return Err(format!("name {name:?}: allowed: {NAME_ALLOWED}"));
    }
    if let Some(eni) = eni.filter(|eni| !is_eni(eni)) {
        return Err(format!("eni {eni:?}: allowed: {ENI_ALLOWED}"));
    }
    for (key, id) in [("instance", instance), ("vpc", vpc), ("account", account)] {
        if let Some(id) = id.filter(|id| !is_id(id)) {
            return Err(format!("{key} {id:?}: allowed: {ID_ALLOWED}"));
        }
    }
    if let Some(role) = role.filter(|role| !role::is_name(role)) {
        return Err(format!("role {role:?}: allowed: {}", role::NAME_ALLOWED));
    }
    let others = Others {
        vni: vni.transpose()?,
        name: name.map(ToOwned::to_owned),
        eni: eni.map(ToOwned::to_owned),
        instance: instance.map(ToOwned::to_owned),
        vpc: vpc.map(ToOwned::to_owned),
        account: account.map(ToOwned::to_owned),
        role: role.map(ToOwned::to_owned),
        expected,
        ..Others::default()
    };
    Ok(others.bind(prefix))
}

fn read_prefix(value: &Spanned<DeValue<'_>>, text: &Text<'_>) -> Result<Prefix, String> {
    let written = value.get_ref().as_str();
    let parsed = written.map_or(Err(PrefixError::Address), str::parse);
    parsed.map_err(|error| match error {
        PrefixError::Address => format!("found {}, which is {error}", (text.found)(value)),
        error => error.to_string(),
    })
}

fn is_name(name: &str) -> bool {
    let count = name.chars().count();
    (1..=NAME_MAX).contains(&count) && !name.chars().any(char::is_control)
}

fn is_id(id: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=ID_MAX).contains(&id.len()) && id.bytes().all(is_letter)
}

/// AWS: `eni-` and 8 or 17 hexadecimal digits.
fn is_eni(eni: &str) -> bool {
    let digits = eni.strip_prefix("eni-").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    matches!(digits.len(), 8 | 17) && digits.bytes().all(is_digit)
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

/// What is wrong with the sources together; `places` are those of their addresses.
pub(crate) fn conflicts(bindings: &[Binding], places: &[Place]) -> Vec<Problem> {
    let conflicts = BindTable::try_new(bindings.to_vec())
        .err()
        .unwrap_or_default();
    let place = |at: usize| places.get(at).cloned().unwrap_or(Place::Default);
    let name = |at: usize| match (bindings.get(at), place(at)) {
        (Some(binding), Place::Line { line, .. }) => format!("{binding} of line {line}"),
        (Some(binding), _) => binding.to_string(),
        (None, _) => String::new(),
    };
    let told = conflicts.iter().map(|conflict| {
        let first = name(conflict.first);
        let message = match conflict.kind {
            ConflictKind::Same => format!("the same as {first}; keep one of them"),
            ConflictKind::Crossing => format!(
                "overlaps {first}, and neither is within the other; add a source with the longer \
                 prefix and the VNI of the other"
            ),
            ConflictKind::TooMany => {
                format!("more than {} sources", BindTable::BINDINGS_MAX)
            }
        };
        problem(place(conflict.second), "address", message)
    });
    told.collect()
}

/// The list as TOML.
pub(crate) fn print(config: &Config) -> String {
    let mut text = String::new();
    for binding in &config.sources.listed {
        let _ = write!(text, "\n[[{LIST}]]\naddress = \"{}\"\n", binding.prefix);
        if let Some(vni) = binding.vni {
            let _ = writeln!(text, "vni = {vni}");
        }
        for (key, value) in [
            ("name", &binding.name),
            ("eni", &binding.eni),
            ("instance", &binding.instance),
            ("vpc", &binding.vpc),
            ("account", &binding.account),
            ("role", &binding.role),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        if let Some(vlan) = binding.vlan {
            let _ = writeln!(text, "vlan = {vlan}");
        }
        if let Some(payload) = binding.payload {
            let _ = writeln!(text, "payload = {}", PayloadKept::from(payload).print());
        }
        for (key, value) in [("expected", binding.expected), ("forward", binding.forward)] {
            if value {
                let _ = writeln!(text, "{key} = true");
            }
        }
    }
    text
}

/// As a basic string of TOML.
fn quoted(value: &str) -> String {
    let mut text = "\"".to_owned();
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
    text
}
