//! A plan as people and programs read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use vxscope_units::EvidenceClass;

use super::choice::Strategy;
use super::filter::{Clause, Compiled, Ports, Rule};
use super::plan::{Outcome, Plan, SESSIONS_MAX, SourcePlan};
use crate::money::{Ceiling, Range};

impl Outcome {
    fn strategies(&self) -> Vec<Strategy> {
        self.name
            .split('+')
            .filter_map(Strategy::from_name)
            .collect()
    }

    /// What the numbers leave out or assume, a sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let sessions = self.sources - self.extents[0];
        if sessions > SESSIONS_MAX {
            notes.push(format!(
                "{sessions} sessions: an account has {SESSIONS_MAX} at most in a Region"
            ));
        }
        if self.without_bytes > 0 {
            notes.push(format!(
                "{} sources have no bytes_per_hour: their data is not in the cost",
                self.without_bytes
            ));
        }
        if self.undocumented > 0 {
            notes.push(format!(
                "{} sources are in Regions without a documented price: estimates",
                self.undocumented
            ));
        }
        if self.same_zone > 0 {
            notes.push(format!(
                "{} sources send within their zone, which costs nothing: there grades above off \
                 save bandwidth and the consumer's ingest, not AWS money",
                self.same_zone
            ));
        }
        if self.extents[1] + self.extents[2] > 0 {
            notes.push(
                "what filters let through is not known beforehand: data is from nothing to all \
                 of it for expected ports, to 5 % for DNS and never-traffic"
                    .to_owned(),
            );
        }
        notes
    }
}

/// Each strategy with its coverage, cost, cons and tips; then the filters.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            write_outcome(f, outcome)?;
        }
        writeln!(f, "filters")?;
        for (name, compiled) in &self.filters {
            let used = self
                .sources
                .iter()
                .filter(|one| one.filter.as_ref() == Some(name));
            writeln!(
                f,
                "  {name}: {} rules, for {} sources",
                compiled.filter.rules.len(),
                used.count()
            )?;
            for one in &compiled.omitted {
                writeln!(f, "    omitted: {} ({})", one.what, one.clause)?;
            }
            for clause in &compiled.widened {
                writeln!(f, "    accepted beyond the request: {clause}")?;
            }
        }
        Ok(())
    }
}

fn write_outcome(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let strategies = outcome.strategies();
    writeln!(f, "{}", outcome.name)?;
    if let [one] = strategies[..] {
        writeln!(f, "  for       {}", one.advice().about)?;
    }
    let [none, sentinel, expected, all] = outcome.extents;
    writeln!(
        f,
        "  sources   {all} whole, {expected} expected ports, {sentinel} DNS and never-traffic, \
         {none} none"
    )?;
    write!(f, "  shown     ")?;
    for class in EvidenceClass::ALL {
        write!(f, "{class} {}, ", outcome.covered[class.index()])?;
    }
    writeln!(f, "of {}", outcome.sources)?;
    if let Some(permille) = outcome.bytes_permille {
        let (whole, tenth) = (permille / 10, permille % 10);
        writeln!(
            f,
            "  bytes     {whole}.{tenth} % are of sources mirrored whole"
        )?;
    }
    writeln!(
        f,
        "  month     {}, of which sessions {}",
        outcome.month, outcome.month_sessions
    )?;
    writeln!(f, "  ceiling   pausing: {}", outcome.ceiling)?;
    for chance in &outcome.chances {
        writeln!(
            f,
            "  chance    {:5.1} % that {} touched hosts meet one mirrored whole, {:.1} % in the \
             worst group",
            chance.overall * 100.0,
            chance.touched,
            chance.worst_stratum * 100.0
        )?;
    }
    if let Some(rotations) = outcome.rotations {
        writeln!(
            f,
            "  turns     each source has had one after {rotations} rotations"
        )?;
    }
    // Together, each strategy has said its own above.
    if let [one] = strategies[..] {
        for con in one.advice().cons {
            writeln!(f, "  con       {con}")?;
        }
        for tip in one.advice().tips {
            writeln!(f, "  tip       {tip}")?;
        }
    }
    for note in outcome.notes() {
        writeln!(f, "  note      {note}")?;
    }
    writeln!(f)
}

/// A plan for programs.
#[derive(Debug, Serialize)]
pub struct PlanView<'a> {
    schema: u32,
    outcomes: Vec<OutcomeView<'a>>,
    sources: Vec<SourceView<'a>>,
    filters: BTreeMap<&'a str, FilterView>,
}

#[derive(Debug, Serialize)]
struct OutcomeView<'a> {
    name: &'a str,
    sources: usize,
    whole: usize,
    expected: usize,
    sentinel: usize,
    none: usize,
    covered: BTreeMap<&'static str, usize>,
    bytes_permille: Option<u64>,
    month: Range,
    month_sessions: Range,
    ceiling: Ceiling,
    chances: Vec<ChanceView>,
    rotations: Option<usize>,
    cons: Vec<&'static str>,
    tips: Vec<&'static str>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChanceView {
    touched: u64,
    overall: f64,
    worst_group: f64,
}

#[derive(Debug, Serialize)]
struct SourceView<'a> {
    id: &'a str,
    extent: &'static str,
    filter: Option<&'a str>,
    importance: &'static str,
    floor: &'static str,
    because: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct FilterView {
    amazon_dns: bool,
    rules: Vec<RuleView>,
    omitted: Vec<String>,
    widened: Vec<String>,
}

/// A rule, its fields as EC2 names them.
#[derive(Debug, Serialize)]
struct RuleView {
    rule_number: u16,
    direction: &'static str,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u8>,
    source_cidr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port_range: Option<[u16; 2]>,
    destination_cidr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_port_range: Option<[u16; 2]>,
}

impl Plan {
    /// This plan for programs.
    #[must_use]
    pub fn view(&self) -> PlanView<'_> {
        PlanView {
            schema: 1,
            outcomes: self.outcomes.iter().map(OutcomeView::of).collect(),
            sources: self.sources.iter().map(SourceView::of).collect(),
            filters: self
                .filters
                .iter()
                .map(|(name, compiled)| (name.as_str(), FilterView::of(compiled)))
                .collect(),
        }
    }
}

impl<'a> OutcomeView<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let [none, sentinel, expected, whole] = outcome.extents;
        let strategies = outcome.strategies();
        let chance = |one: &super::plan::Chance| ChanceView {
            touched: one.touched,
            overall: one.overall,
            worst_group: one.worst_stratum,
        };
        Self {
            name: &outcome.name,
            sources: outcome.sources,
            whole,
            expected,
            sentinel,
            none,
            covered: EvidenceClass::ALL
                .into_iter()
                .map(|class| (class.name(), outcome.covered[class.index()]))
                .collect(),
            bytes_permille: outcome.bytes_permille,
            month: outcome.month,
            month_sessions: outcome.month_sessions,
            ceiling: outcome.ceiling,
            chances: outcome.chances.iter().map(chance).collect(),
            rotations: outcome.rotations,
            cons: strategies
                .iter()
                .flat_map(|one| one.advice().cons)
                .copied()
                .collect(),
            tips: strategies
                .iter()
                .flat_map(|one| one.advice().tips)
                .copied()
                .collect(),
            notes: outcome.notes(),
        }
    }
}

impl<'a> SourceView<'a> {
    fn of(source: &'a SourcePlan) -> Self {
        Self {
            id: &source.id,
            extent: source.extent.name(),
            filter: source.filter.as_deref(),
            importance: source.importance.name(),
            floor: source.floor.name(),
            because: source.because.iter().map(|one| one.name()).collect(),
        }
    }
}

impl FilterView {
    fn of(compiled: &Compiled) -> Self {
        Self {
            amazon_dns: compiled.filter.amazon_dns,
            rules: compiled.filter.rules.iter().map(RuleView::of).collect(),
            omitted: compiled
                .omitted
                .iter()
                .map(|one| format!("{} ({})", one.what, one.clause))
                .collect(),
            widened: compiled.widened.iter().map(Clause::to_string).collect(),
        }
    }
}

impl RuleView {
    fn of(rule: &Rule) -> Self {
        let range = |ports: Ports| (ports != Ports::ALL).then(|| [ports.first(), ports.last()]);
        let (source, source_ports) = rule.clause.source();
        let (destination, destination_ports) = rule.clause.destination();
        Self {
            rule_number: rule.number,
            direction: rule.clause.direction().name(),
            action: rule.action.name(),
            protocol: rule.clause.protocol(),
            source_cidr: source.to_string(),
            source_port_range: range(source_ports),
            destination_cidr: destination.to_string(),
            destination_port_range: range(destination_ports),
        }
    }
}
