//! Which interfaces are to be mirrored, and through which filter, by their tags and their place.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, FindingKind};
use crate::inventory::{Interface, InterfaceKind, Inventory, Tags};
use crate::junction;

/// The tag of a sensor's instance whose value is the key to look for (Coralogix STA).
pub const INDICATOR: &str = "sta.coralogix.com:mirror-filter-indicator-tagname";

/// The key that deployments with a bucket use where nobody says otherwise.
#[must_use]
pub fn key_of_bucket(bucket: &str) -> String {
    format!("sta.{bucket}.coralogix.com:mirror-filter-id")
}

/// A tag, with one value or any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagMatch {
    /// Its key.
    pub key: String,
    /// Its value; `None` for any.
    pub value: Option<String>,
}

impl TagMatch {
    /// `key=value`, or `key`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        Self {
            key: key.to_owned(),
            value,
        }
    }

    fn fits(&self, tags: &Tags) -> bool {
        let there = tags.get(&self.key);
        there.is_some_and(|there| self.value.as_ref().is_none_or(|value| value == there))
    }

    fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("{}={value}", self.key),
            None => self.key.clone(),
        }
    }
}

/// What becomes of the session of a stopped instance, which is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStopped {
    /// It is removed after the waiting time, and made again when the instance starts.
    #[default]
    Remove,
    /// It stays, and is reported.
    Report,
}

/// What the operator chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The key to look for; if absent, sensors say it by their indicator tag, else the bucket.
    pub tag_key: Option<String>,
    /// The name of the indicator tag: [`INDICATOR`].
    pub indicator: String,
    /// Name of the bucket, for [`key_of_bucket`].
    pub bucket: Option<String>,
    /// A source must have all of these.
    pub require: Vec<TagMatch>,
    /// A source must have none of these.
    pub exclude: Vec<TagMatch>,
    /// Only these subnets; empty: all.
    pub subnets: BTreeSet<String>,
    /// Only these VPCs; empty: all.
    pub vpcs: BTreeSet<String>,
    /// Target groups, balancers and web ACLs whose members are mirrored, each with a filter.
    pub junctions: BTreeMap<String, String>,
    /// What happens when an instance is stopped.
    pub stopped: WhenStopped,
    /// The tag that says what a machine is for.
    pub role_key: String,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            tag_key: None,
            indicator: INDICATOR.to_owned(),
            bucket: None,
            require: Vec::new(),
            exclude: Vec::new(),
            subnets: BTreeSet::new(),
            vpcs: BTreeSet::new(),
            junctions: BTreeMap::new(),
            stopped: WhenStopped::Remove,
            role_key: "Role".to_owned(),
        }
    }
}

impl Selection {
    /// Takes over the names that a `sta.conf` gives, where the operator gave none: what only root
    /// writes goes before what lies in a bucket.
    #[must_use]
    pub fn named_by(
        self,
        tag_key: Option<String>,
        indicator: Option<String>,
        role_key: Option<String>,
    ) -> Self {
        let usual = Self::default();
        let name = |mine: String, usual: String, theirs: Option<String>| {
            if mine == usual {
                theirs.unwrap_or(mine)
            } else {
                mine
            }
        };
        Self {
            tag_key: self.tag_key.or(tag_key),
            indicator: name(self.indicator, usual.indicator, indicator),
            role_key: name(self.role_key, usual.role_key, role_key),
            ..self
        }
    }

    /// The key that a sensor on this instance looks for.
    #[must_use]
    pub fn key_for(&self, instance: Option<&str>, inventory: &Inventory) -> Option<String> {
        let instance = instance.and_then(|id| inventory.instances.get(id));
        let indicated = instance.and_then(|one| one.tags.get(&self.indicator));
        let named = self.tag_key.clone().or_else(|| indicated.cloned());
        named
            .filter(|key| !key.is_empty())
            .or_else(|| self.bucket.as_deref().map(key_of_bucket))
    }
}

/// An interface that is to be mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The value of its tag.
    pub(crate) filter: String,
    /// The key that it stands under; empty for one that a junction named.
    pub(crate) key: String,
}

/// Everything that tags, junctions and places say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selected {
    pub(crate) wanted: BTreeMap<String, Wanted>,
    /// Why not, of those that have the tag.
    pub(crate) refused: BTreeMap<String, Finding>,
    pub(crate) findings: Vec<Finding>,
    /// Interfaces of running instances that nobody asked for.
    pub(crate) untagged: usize,
}

/// Looks at every interface. `keys` are those of the sensors, `own` their interfaces.
pub(crate) fn select(
    selection: &Selection,
    inventory: &Inventory,
    keys: &BTreeSet<String>,
    own: &BTreeSet<String>,
) -> Selected {
    let mut selected = Selected::default();
    let through = junction::members(&selection.junctions, inventory, &mut selected.findings);
    for interface in inventory.interfaces.values() {
        let tags = tags_of(interface, inventory);
        let Some(wanted) = asked_for(interface, &tags, keys, &through, &mut selected.findings)
        else {
            let runs = inventory.instance_of(interface).is_some();
            selected.untagged += usize::from(runs && !own.contains(&interface.id));
            continue;
        };
        match refuse(selection, inventory, interface, &tags, &wanted, own) {
            Some((kind, detail)) => {
                let finding = Finding::new(kind, &interface.id, detail);
                selected.refused.insert(interface.id.clone(), finding);
            }
            None => {
                selected.wanted.insert(interface.id.clone(), wanted);
            }
        }
    }
    selected
}

/// Tags of the instance, over them those of the interface itself.
pub(crate) fn tags_of(interface: &Interface, inventory: &Inventory) -> Tags {
    let mut tags = inventory
        .instance_of(interface)
        .map(|instance| instance.tags.clone())
        .unwrap_or_default();
    tags.extend(interface.tags.clone());
    tags
}

fn asked_for(
    interface: &Interface,
    tags: &Tags,
    keys: &BTreeSet<String>,
    through: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) -> Option<Wanted> {
    let mut named = keys.iter().filter_map(|key| Some((key, tags.get(key)?)));
    if let Some((key, filter)) = named.next() {
        if let Some((other, differs)) = named.find(|(_, other)| *other != filter) {
            let detail = format!("{key}={filter}, {other}={differs}");
            findings.push(Finding::new(
                FindingKind::TagsDisagree,
                &interface.id,
                detail,
            ));
        }
        return Some(Wanted {
            filter: filter.clone(),
            key: key.clone(),
        });
    }
    let filter = through.get(&interface.id)?.clone();
    let key = String::new();
    Some(Wanted { filter, key })
}

/// Why an interface that was asked for is not mirrored all the same.
fn refuse(
    selection: &Selection,
    inventory: &Inventory,
    interface: &Interface,
    tags: &Tags,
    wanted: &Wanted,
    own: &BTreeSet<String>,
) -> Option<(FindingKind, String)> {
    if own.contains(&interface.id) {
        return Some((FindingKind::OwnInterface, String::new()));
    }
    if is_no(&wanted.filter) {
        return Some((FindingKind::SwitchedOff, wanted.filter.clone()));
    }
    if let InterfaceKind::Other(kind) = &interface.kind {
        return Some((FindingKind::InterfaceKind, kind.clone()));
    }
    let accounts = (&interface.account, &inventory.account);
    if !accounts.0.is_empty() && !accounts.1.is_empty() && accounts.0 != accounts.1 {
        return Some((FindingKind::OtherAccount, interface.account.clone()));
    }
    if let Some(found) = selection.exclude.iter().find(|one| one.fits(tags)) {
        return Some((FindingKind::Excluded, found.text()));
    }
    if let Some(lacking) = selection.require.iter().find(|one| !one.fits(tags)) {
        return Some((FindingKind::LacksTag, lacking.text()));
    }
    let is_elsewhere = |only: &BTreeSet<String>, one| !only.is_empty() && !only.contains(one);
    if is_elsewhere(&selection.subnets, &interface.subnet) {
        return Some((FindingKind::OtherSubnet, interface.subnet.clone()));
    }
    if is_elsewhere(&selection.vpcs, &interface.vpc) {
        return Some((FindingKind::OtherVpc, interface.vpc.clone()));
    }
    let subnet = inventory.subnets.get(&interface.subnet);
    if subnet.is_some_and(|subnet| subnet.ipv6_only) {
        return Some((FindingKind::Ipv6Only, interface.subnet.clone()));
    }
    let instance = inventory.instance_of(interface)?;
    let is_up = instance.state.is_up() || selection.stopped == WhenStopped::Report;
    (!is_up || instance.state.is_over())
        .then(|| (FindingKind::Stopped, instance.state.name().to_owned()))
}

/// Whether the value of a tag means that it is not to be mirrored.
fn is_no(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    matches!(value.as_str(), "false" | "no" | "off" | "none" | "0")
}

/// Whether the value of a tag means that it is to be mirrored and names no filter.
pub(crate) fn is_yes(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    matches!(value.as_str(), "" | "true" | "yes" | "on" | "1")
}
