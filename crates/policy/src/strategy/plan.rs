//! A plan: strategies put together, source by source, with what they cover and cost.

use std::collections::BTreeMap;

use vxscope_units::{EvidenceClass, Grade};

use super::choice::{Extent, Sampling, Strategy, families_name, stratum};
use super::filter::{Compiled, DNS, Family, Standard, Use, Widen, request};
use super::inventory::{Interface, Inventory};
use super::role::Role;
use super::sample::{chance_of_meeting, rotations_of};
use crate::Importance;
use crate::money::{Ceiling, Path, PriceTable, Range, Traffic, Usd};
use crate::rules::Terms;

/// Hours in a month, as AWS's own examples count them.
pub const MONTH_HOURS: u64 = 730;

/// Mirror sessions of one account and Region (quota, not adjustable).
pub const SESSIONS_MAX: usize = 10_000;

/// Bytes of a frame where an inventory says bytes and no frames: about the mean of mixed traffic.
/// It only decides how much encapsulation is billed.
const FRAME_BYTES: u64 = 700;

/// What DNS and never-traffic are of all bytes at most, in 1,000: an assumption, the low end is
/// nothing.
const SENTINEL_PERMILLE: u64 = 50;

/// How a plan is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Put together in this order; at least one.
    pub strategies: Vec<Strategy>,
    /// What a source gets that no strategy wants.
    pub base: Extent,
    /// For the sample.
    pub sampling: Sampling,
    /// What filters may accept beyond what is asked.
    pub widen: Widen,
    /// For how many touched hosts the chance of meeting a mirrored one is printed.
    pub touched: Vec<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strategies: vec![Strategy::All],
            base: Extent::Sentinel,
            sampling: Sampling::default(),
            widen: Widen::Never,
            touched: vec![1, 2, 5, 10, 20],
        }
    }
}

/// What to mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One for each interface, in the order of the inventory.
    pub sources: Vec<SourcePlan>,
    /// Each filter that a source refers to, by name.
    pub filters: BTreeMap<String, Compiled>,
    /// Each strategy alone, in the order asked for, then all together.
    pub outcomes: Vec<Outcome>,
}

/// What one source gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlan {
    /// Its id.
    pub id: String,
    /// How much of it at full.
    pub extent: Extent,
    /// Name of the filter that its tag should name; none if it gets no session.
    pub filter: Option<String>,
    /// What it is worth: how low and for how long it may be lowered.
    pub importance: Importance,
    /// The lowest grade that dynamic mirroring may give it.
    pub floor: Grade,
    /// Who wants it.
    pub because: Vec<Strategy>,
}

/// What some strategies cover and cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Who, joined by `+`.
    pub name: String,
    /// Sources in the inventory.
    pub sources: usize,
    /// How many of them get each extent, by its rank from none to all.
    pub extents: [usize; 4],
    /// How many show each class of evidence, by [`EvidenceClass::index`]. A source whose filter is
    /// that of its role's ports shows all classes of these and is counted in `extents` only.
    pub covered: [usize; EvidenceClass::COUNT],
    /// Of the bytes that the inventory knows, how many in 1,000 are mirrored whole.
    pub bytes_permille: Option<u64>,
    /// Sources whose bytes the inventory does not know: their data is not in the cost.
    pub without_bytes: usize,
    /// Sources whose Region has no documented price.
    pub undocumented: usize,
    /// A month of it: sessions and data.
    pub month: Range,
    /// A month's session-hours alone.
    pub month_sessions: Range,
    /// What dynamic mirroring could save of the higher end of `month` at most, by the default terms.
    pub ceiling: Ceiling,
    /// Sources with a session whose data stays in its zone and costs nothing.
    pub same_zone: usize,
    /// For so many touched hosts, the chance that one of them is mirrored whole: over all hosts,
    /// and in the stratum where it is worst.
    pub chances: Vec<Chance>,
    /// Most rotations until each source has had its turn, if there is a sample.
    pub rotations: Option<usize>,
}

/// The chance of meeting a source that is mirrored whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Hosts touched.
    pub touched: u64,
    /// Chosen from all.
    pub overall: f64,
    /// All in the one stratum where the chance is least.
    pub worst_stratum: f64,
}

/// The plan for an inventory.
#[must_use]
pub fn plan(inventory: &Inventory, options: &Options, prices: &PriceTable) -> Plan {
    let mut planner = Planner {
        inventory,
        options,
        prices,
        filters: BTreeMap::new(),
    };
    let mut outcomes = Vec::new();
    if options.strategies.len() > 1 {
        for strategy in &options.strategies {
            let sources = planner.sources(std::slice::from_ref(strategy));
            outcomes.push(planner.outcome(&[*strategy], &sources));
        }
    }
    planner.filters.clear();
    let sources = planner.sources(&options.strategies);
    outcomes.push(planner.outcome(&options.strategies, &sources));
    Plan {
        sources,
        filters: planner.filters,
        outcomes,
    }
}

struct Planner<'a> {
    inventory: &'a Inventory,
    options: &'a Options,
    prices: &'a PriceTable,
    filters: BTreeMap<String, Compiled>,
}

impl Planner<'_> {
    fn sources(&mut self, strategies: &[Strategy]) -> Vec<SourcePlan> {
        let interfaces = &self.inventory.interfaces;
        let mut extents = vec![self.options.base; interfaces.len()];
        let mut worth: Vec<Importance> = interfaces.iter().map(|one| one.importance).collect();
        let mut because = vec![Vec::new(); interfaces.len()];
        for strategy in strategies {
            for choice in strategy.choose(self.inventory, self.options.sampling) {
                let at = choice.interface;
                extents[at] = extents[at].max(choice.extent);
                worth[at] = worth[at].max(choice.importance);
                because[at].push(*strategy);
            }
        }
        let each = interfaces.iter().zip(extents).zip(worth).zip(because);
        each.map(|(((one, extent), importance), because)| SourcePlan {
            id: one.id.clone(),
            extent,
            filter: self.filter(one, extent),
            importance,
            floor: Terms::of(importance).lowest(),
            because,
        })
        .collect()
    }

    /// Compiles a filter the first time that somebody needs it.
    fn filter(&mut self, one: &Interface, extent: Extent) -> Option<String> {
        let role = self.inventory.roles.get(&one.role)?;
        let families = families_name(&one.families);
        let name = match extent {
            Extent::None => return None,
            Extent::All => Standard::All.name().to_owned(),
            Extent::Sentinel => format!("vxscope sentinel {} {families}", one.role),
            Extent::Expected => format!("vxscope {} {families}", one.role),
        };
        if !self.filters.contains_key(&name) {
            let compiled = compile(&name, role, &one.families, extent, self.options.widen);
            self.filters.insert(name.clone(), compiled);
        }
        Some(name)
    }

    fn outcome(&self, strategies: &[Strategy], sources: &[SourcePlan]) -> Outcome {
        let interfaces = &self.inventory.interfaces;
        let mut outcome = Outcome {
            name: strategies
                .iter()
                .map(|one| one.name())
                .collect::<Vec<_>>()
                .join("+"),
            sources: sources.len(),
            ..Outcome::default()
        };
        let (mut bytes, mut whole) = (0u128, 0u128);
        for (one, source) in interfaces.iter().zip(sources) {
            outcome.extents[source.extent as usize] += 1;
            for class in EvidenceClass::ALL {
                let shown = match source.extent {
                    Extent::All => true,
                    Extent::Expected | Extent::Sentinel => class == EvidenceClass::DnsNever,
                    Extent::None => false,
                };
                outcome.covered[class.index()] += usize::from(shown);
            }
            match one.bytes_per_hour {
                Some(count) => {
                    bytes += u128::from(count);
                    whole += u128::from(count) * u128::from(source.extent == Extent::All);
                }
                None => outcome.without_bytes += 1,
            }
            let (sessions, data, estimate) = self.month(one, source.extent);
            outcome.month_sessions = outcome.month_sessions + sessions;
            outcome.month = outcome.month + sessions + data;
            outcome.undocumented += usize::from(estimate);
            let has_session = source.extent != Extent::None;
            outcome.same_zone += usize::from(has_session && one.path == Path::SameAz);
            add_to_ceiling(&mut outcome.ceiling, source.importance, sessions, data);
        }
        outcome.bytes_permille = (whole * 1_000)
            .checked_div(bytes)
            .and_then(|permille| u64::try_from(permille).ok());
        outcome.chances = self.chances(sources);
        if strategies.contains(&Strategy::Sample) {
            outcome.rotations = self.rotations();
        }
        outcome
    }

    /// Session-hours and data of a month, and whether the prices are an estimate.
    fn month(&self, one: &Interface, extent: Extent) -> (Range, Range, bool) {
        let card = self.prices.card(&one.region);
        if extent == Extent::None {
            return (Range::default(), Range::default(), false);
        }
        let hour = card.session_hour();
        let each = |price: Usd| price.times(u128::from(MONTH_HOURS), 1);
        let sessions = Range {
            low: each(hour.low),
            high: each(hour.high),
        };
        let month = |permille: u64| month_of(one, permille);
        let (least, most) = match extent {
            Extent::All => (month(1_000), month(1_000)),
            Extent::Expected => (month(0), month(1_000)),
            Extent::Sentinel | Extent::None => (month(0), month(SENTINEL_PERMILLE)),
        };
        let data = Range {
            low: card.data(one.path, least).low,
            high: card.data(one.path, most).high,
        };
        (sessions, data, card.is_estimate())
    }

    fn chances(&self, sources: &[SourcePlan]) -> Vec<Chance> {
        let mut strata: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for (one, source) in self.inventory.interfaces.iter().zip(sources) {
            let counts = strata.entry(stratum(one)).or_default();
            counts.0 += 1;
            counts.1 += u64::from(source.extent == Extent::All);
        }
        let total = strata
            .values()
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let chance = |touched: u64| Chance {
            touched,
            overall: chance_of_meeting(total.0, total.1, touched),
            worst_stratum: strata
                .values()
                .map(|(members, mirrored)| chance_of_meeting(*members, *mirrored, touched))
                .fold(1.0, f64::min),
        };
        let touched = self.options.touched.iter();
        touched
            .filter(|touched| **touched <= total.0)
            .map(|touched| chance(*touched))
            .collect()
    }

    fn rotations(&self) -> Option<usize> {
        let mut strata: BTreeMap<_, usize> = BTreeMap::new();
        for one in &self.inventory.interfaces {
            *strata.entry(stratum(one)).or_default() += 1;
        }
        let size = self.options.sampling.size;
        strata
            .into_values()
            .map(|members| rotations_of(members, size))
            .max()
            .flatten()
    }
}

/// Session-hours can be saved where off is allowed, data at any lower grade: each the share
/// `b/(a+b)` of the time.
fn add_to_ceiling(ceiling: &mut Ceiling, importance: Importance, sessions: Range, data: Range) {
    let terms = Terms::of(importance);
    let times = |grade: Grade| {
        let off = terms.blind_max_of(grade)?;
        (terms.lowest() <= grade).then_some((terms.on_min.as_secs(), off.as_secs()))
    };
    ceiling.add(sessions.high, times(Grade::Off));
    ceiling.add(data.high, times(terms.lowest()));
}

/// DNS and never-traffic first, whatever else is wanted: they are what every strategy keeps.
fn compile(name: &str, role: &Role, families: &[Family], extent: Extent, widen: Widen) -> Compiled {
    if extent == Extent::All {
        return Standard::All.compile(&Family::BOTH);
    }
    let expected = match extent {
        Extent::Expected => role.expected.as_slice(),
        _ => &[],
    };
    let lists = [
        (Use::Asked, &DNS[..]),
        (Use::Tried, &role.never),
        (Use::Served, expected),
        (Use::Used, &DNS[..]),
    ];
    request(name, families, lists).compile(widen)
}

fn month_of(one: &Interface, permille: u64) -> Traffic {
    let bytes = one.bytes_per_hour.unwrap_or_default();
    let packets = one.packets_per_hour.unwrap_or(bytes / FRAME_BYTES);
    let part = |count: u64| {
        let month = u128::from(count) * u128::from(MONTH_HOURS) * u128::from(permille) / 1_000;
        u64::try_from(month).unwrap_or(u64::MAX)
    };
    Traffic {
        packets: part(packets),
        bytes: part(bytes),
    }
}
