//! Which filter a source gets: the one that its tag names, the ready ones, and what is lower.
//!
//! Filters that exist are used as they are, whatever their rules. One of ours that is missing is
//! made: first the filter with the tag [`BUILDING`], then its rules, then the tag goes. So a crash
//! in between leaves no filter that looks done and mirrors nothing, and rules that somebody
//! removed later stay removed.

use std::collections::BTreeMap;

use vxscope_policy::strategy::filter::{
    Action, Compiled, Direction, Family, Filter, Packet, Rule, Standard, System, Widen,
};

use crate::inventory::{Inventory, MirrorFilter, Platform};
use crate::selection::is_yes;

/// The tag of a filter of ours whose rules are not all there yet.
pub const BUILDING: &str = "vxscope:building";

/// Filters that are compiled for grades below those of a filter of the user's. Beyond, such a
/// source keeps the grade above instead; EC2 allows 10,000 filters, and each is one to understand.
pub const DERIVED_MAX: usize = 500;

/// A filter that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterNeed {
    /// What it is to be, its name included.
    pub filter: Filter,
    /// What of it is missing.
    pub missing: Missing,
}

/// What of a filter is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// All of it: create it with the tag [`BUILDING`].
    All,
    /// Something that creating it left to be done.
    Rest {
        /// Of the filter.
        id: String,
        /// Rules to be created; with none, the tag [`BUILDING`] is to be removed.
        rules: Vec<Rule>,
        /// Whether the network service `amazon-dns` is to be added.
        amazon_dns: bool,
    },
}

/// What the value of a tag means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A filter that exists.
    Id(String),
    /// It is one of ours, and is made.
    Pending,
    /// Several have the name; the one with the lowest id.
    Ambiguous(String),
    /// None.
    Unknown,
}

/// The filters of an account, and what ours still need.
#[derive(Debug)]
pub(crate) struct Filters<'a> {
    inventory: &'a Inventory,
    by_name: BTreeMap<&'a str, Vec<&'a MirrorFilter>>,
    /// The IP versions that the ready filters are compiled for.
    families: &'static [Family],
    needs: BTreeMap<String, FilterNeed>,
    derived: usize,
    /// What was answered before: many sources share few filters.
    lower: BTreeMap<(String, Standard), Option<String>>,
    pub(crate) omitted: usize,
}

impl<'a> Filters<'a> {
    pub(crate) fn new(inventory: &'a Inventory) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&MirrorFilter>> = BTreeMap::new();
        for filter in inventory.filters.values() {
            by_name.entry(&filter.filter.name).or_default().push(filter);
        }
        let addresses = inventory.interfaces.values().flat_map(|one| &one.addresses);
        let ipv6 = addresses
            .into_iter()
            .any(|one| Family::of(*one) == Family::V6);
        Self {
            inventory,
            by_name,
            families: if ipv6 { &Family::BOTH } else { &[Family::V4] },
            needs: BTreeMap::new(),
            derived: 0,
            lower: BTreeMap::new(),
            omitted: 0,
        }
    }

    /// The filter that a tag's value means: an id, the name of a filter, `All`, `Moderate` or
    /// `Essential`, or a yes, which is `All`.
    pub(crate) fn named(&mut self, value: &str, system: System) -> Named {
        if self.inventory.filters.contains_key(value) {
            return Named::Id(value.to_owned());
        }
        if let Some(standard) = standard_of(value, system) {
            return self.ready(&standard.compile(self.families).filter);
        }
        let Some(found) = self.by_name.get(value).filter(|_| !value.is_empty()) else {
            return Named::Unknown;
        };
        match found.as_slice() {
            [one] => Named::Id(one.id.clone()),
            [one, ..] => Named::Ambiguous(one.id.clone()),
            [] => Named::Unknown,
        }
    }

    /// The filter of a lower grade of a source whose own is `full`: of what that one mirrors, what
    /// `standard` mirrors too. `None` if there is none yet, it mirrors nothing, or it mirrors all
    /// that the source's own does.
    pub(crate) fn below(&mut self, full: &str, standard: Standard) -> Option<String> {
        let key = (full.to_owned(), standard);
        if let Some(known) = self.lower.get(&key) {
            return known.clone();
        }
        let found = self.derive(full, standard);
        self.lower.insert(key, found.clone());
        found
    }

    fn derive(&mut self, full: &str, standard: Standard) -> Option<String> {
        let own = &self.inventory.filters.get(full)?.filter;
        // What is there counts: somebody may have edited the ready one.
        let there = self
            .by_name
            .get(standard.name())
            .and_then(|all| all.first());
        let built = there.filter(|one| !one.tags.contains_key(BUILDING));
        let ready = built.map_or_else(
            || standard.compile(self.families).filter,
            |one| one.filter.clone(),
        );
        let filter = if narrows(&ready, own) {
            self.within(own, full, standard)?
        } else {
            ready
        };
        if !mirrors_anything(&filter) || !narrows(own, &filter) {
            return None;
        }
        match self.ready(&filter) {
            Named::Id(id) | Named::Ambiguous(id) => Some(id),
            Named::Pending | Named::Unknown => None,
        }
    }

    fn within(&mut self, own: &Filter, full: &str, standard: Standard) -> Option<Filter> {
        if self.derived >= DERIVED_MAX {
            self.omitted += 1;
            return None;
        }
        self.derived += 1;
        let request = standard.request(self.families).within(own);
        let Compiled { mut filter, .. } = request.compile(Widen::Never);
        // Other rules are another filter: one that exists is never changed.
        filter.name = format!(
            "{} within {full} {:08x}",
            standard.name(),
            print_of(&filter)
        );
        Some(filter)
    }

    /// A filter of ours, as it is if it exists, else noted as needed.
    fn ready(&mut self, filter: &Filter) -> Named {
        let missing = match self.by_name.get(filter.name.as_str()).map(Vec::as_slice) {
            None | Some([]) => Missing::All,
            Some([one, rest @ ..]) => match unfinished(filter, one) {
                Some(missing) => missing,
                None if rest.is_empty() => return Named::Id(one.id.clone()),
                None => return Named::Ambiguous(one.id.clone()),
            },
        };
        let need = FilterNeed {
            filter: filter.clone(),
            missing,
        };
        self.needs.insert(filter.name.clone(), need);
        Named::Pending
    }

    /// What is to be made, by name.
    pub(crate) fn into_needs(self) -> Vec<FilterNeed> {
        self.needs.into_values().collect()
    }
}

/// What a filter of ours that is being built lacks.
fn unfinished(wanted: &Filter, there: &MirrorFilter) -> Option<Missing> {
    there.tags.get(BUILDING)?;
    let has = |rule: &&Rule| !there.filter.rules.contains(rule);
    Some(Missing::Rest {
        id: there.id.clone(),
        rules: wanted.rules.iter().filter(has).copied().collect(),
        amazon_dns: wanted.amazon_dns && !there.filter.amazon_dns,
    })
}

/// The ready filter that a tag's value means.
fn standard_of(value: &str, system: System) -> Option<Standard> {
    if is_yes(value) {
        return Some(Standard::All);
    }
    let by_name = Standard::ALL.into_iter().find(|one| one.name() == value);
    by_name.or_else(|| match value.trim().to_ascii_lowercase().as_str() {
        "all" => Some(Standard::All),
        "moderate" => Some(Standard::Moderate),
        "essential" => Some(Standard::Essential(system)),
        "sentinel" => Some(Standard::Sentinel(system)),
        _ => None,
    })
}

/// The system that decides what should never happen to a host.
pub(crate) const fn system_of(platform: Platform) -> System {
    match platform {
        Platform::Linux => System::Linux,
        Platform::Windows => System::Windows,
    }
}

/// Whether anything at all passes.
pub(crate) fn mirrors_anything(filter: &Filter) -> bool {
    let accepts = |rule: &Rule| rule.action == Action::Accept;
    filter.amazon_dns || filter.rules.iter().any(accepts)
}

/// Whether anything of a family passes.
pub(crate) fn mirrors_family(filter: &Filter, family: Family) -> bool {
    let accepts = |rule: &Rule| rule.action == Action::Accept && rule.clause.family() == family;
    filter.rules.iter().any(accepts)
}

/// Cells that are looked at when two filters are compared; one comparison beyond says that
/// something may be lost, which is the safe answer. Ten rules each make some thousands.
const CELLS_MAX: usize = 4_000_000;

/// Whether some packet that `old` mirrors is not mirrored by `new`.
///
/// Exact: the ends of all ranges cut the space of packets into cells in which both filters say
/// one thing, and one packet of each cell is tried.
#[must_use]
pub fn narrows(old: &Filter, new: &Filter) -> bool {
    if old.amazon_dns && !new.amazon_dns {
        return true;
    }
    let pairs = Direction::BOTH
        .into_iter()
        .flat_map(|direction| Family::BOTH.map(|family| (direction, family)));
    for (direction, family) in pairs {
        let of = |filter: &Filter| {
            let is_there = |rule: &&Rule| {
                rule.clause.direction() == direction && rule.clause.family() == family
            };
            filter.rules.iter().filter(is_there).copied().collect()
        };
        let (one, other): (Vec<Rule>, Vec<Rule>) = (of(old), of(new));
        if one.iter().any(|rule| rule.action == Action::Accept)
            && loses(&one, &other, direction, family)
        {
            return true;
        }
    }
    false
}

fn loses(old: &[Rule], new: &[Rule], direction: Direction, family: Family) -> bool {
    let grid = Grid::of(old.iter().chain(new), family);
    if grid.cells() > CELLS_MAX {
        return true;
    }
    let accepts = |rules: &[Rule], packet: &Packet| {
        let first = rules.iter().find(|rule| rule.clause.matches(packet));
        first.is_some_and(|rule| rule.action == Action::Accept)
    };
    grid.packets(direction)
        .any(|packet| accepts(old, &packet) && !accepts(new, &packet))
}

/// One packet of every cell.
struct Grid {
    sources: Vec<std::net::IpAddr>,
    destinations: Vec<std::net::IpAddr>,
    protocols: Vec<u8>,
    source_ports: Vec<u16>,
    destination_ports: Vec<u16>,
}

impl Grid {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>, family: Family) -> Self {
        let nothing = match family {
            Family::V4 => std::net::IpAddr::from([0_u8; 4]),
            Family::V6 => std::net::IpAddr::from([0_u16; 8]),
        };
        let mut grid = Self {
            sources: vec![nothing],
            destinations: vec![nothing],
            protocols: Vec::new(),
            source_ports: vec![0],
            destination_ports: vec![0],
        };
        for rule in rules {
            let (source, source_ports) = rule.clause.source();
            let (destination, destination_ports) = rule.clause.destination();
            for (net, into) in [
                (source, &mut grid.sources),
                (destination, &mut grid.destinations),
            ] {
                let (first, behind) = net.ends();
                into.push(first);
                into.extend(behind);
            }
            grid.protocols.extend(rule.clause.protocol());
            for (ports, into) in [
                (source_ports, &mut grid.source_ports),
                (destination_ports, &mut grid.destination_ports),
            ] {
                into.push(ports.first());
                into.extend(ports.last().checked_add(1));
            }
        }
        // A protocol that no rule names stands for all others.
        let other = (0..=u8::MAX).find(|one| !grid.protocols.contains(one));
        grid.protocols.extend(other);
        sort(&mut grid.sources);
        sort(&mut grid.destinations);
        sort(&mut grid.protocols);
        sort(&mut grid.source_ports);
        sort(&mut grid.destination_ports);
        grid
    }

    fn cells(&self) -> usize {
        let sizes = [
            self.sources.len(),
            self.destinations.len(),
            self.protocols.len(),
            self.source_ports.len(),
            self.destination_ports.len(),
        ];
        sizes.into_iter().fold(1, usize::saturating_mul)
    }

    fn packets(&self, direction: Direction) -> impl Iterator<Item = Packet> + '_ {
        let ports = self.source_ports.iter().flat_map(|from| {
            let to = self.destination_ports.iter();
            to.map(move |to| (*from, *to))
        });
        ports.flat_map(move |(source_port, destination_port)| {
            let ends = self.sources.iter().flat_map(|from| {
                let to = self.destinations.iter();
                to.map(move |to| (*from, *to))
            });
            ends.flat_map(move |(source, destination)| {
                self.protocols.iter().map(move |protocol| Packet {
                    direction,
                    source,
                    destination,
                    protocol: *protocol,
                    source_port,
                    destination_port,
                    amazon_dns: false,
                })
            })
        })
    }
}

fn sort<T: Ord>(all: &mut Vec<T>) {
    all.sort_unstable();
    all.dedup();
}

/// A short print of what a filter says (FNV-1a, 32 bits), so that its name changes with it.
fn print_of(filter: &Filter) -> u32 {
    let text = Filter {
        name: String::new(),
        ..filter.clone()
    };
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    text.to_string().as_bytes().iter().fold(0x811c_9dc5, step)
}
