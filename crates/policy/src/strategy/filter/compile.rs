//! From what should be mirrored to at most ten rules, exactly or not at all.
//!
//! A Traffic Mirror filter has at most ten rules over both directions; each is stateless and says
//! one block, one protocol and one range of ports at either end, IPv4 or IPv6. What one asks for
//! is often more. The compiler merges what one rule can say as well as two, takes in order of rank
//! what fits, and hands back the rest by name. It accepts nothing beyond the request unless told
//! how many ports between two ranges it may take along, and names those too.

use std::fmt;

use super::clause::{Clause, Direction, Packet};

/// Rules of one filter, both directions together (Traffic Mirroring quotas: not adjustable).
pub const RULES_MAX: usize = 10;

/// Clauses of one request: a few hundred would still compile in no time, and nobody reads them. A
/// longer one is cut at its end, and what is cut is handed back as omitted.
pub const CLAUSES_MAX: usize = 128;

/// What is asked of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Name of the filter.
    pub name: String,
    /// Whether the traffic of the VPC's resolver is mirrored; that takes no rule.
    pub amazon_dns: bool,
    /// Tried one after the other, as rules are: the first that names a packet decides.
    pub layers: Vec<Layer>,
}

/// Exceptions, and what is accepted but for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Never accepted, here and in later layers.
    pub except: Vec<Clause>,
    /// Accepted, the most important first.
    pub accept: Vec<Wanted>,
}

/// One thing that should be mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its packets.
    pub clause: Clause,
    /// What it is, for people.
    pub what: String,
    /// Lower ranks are fitted first.
    pub rank: u32,
}

/// What may be accepted beyond the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Widen {
    /// Nothing.
    #[default]
    Never,
    /// Up to so many ports between two ranges, where that makes room for something that else would
    /// be omitted.
    Gaps(u32),
}

/// Whether a rule mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It does.
    Accept,
    /// It ends the search: not mirrored.
    Reject,
}

impl Action {
    /// The name that EC2 uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// One rule of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique within its direction; lower numbers are tried first.
    pub number: u16,
    /// What it does.
    pub action: Action,
    /// To which packets.
    pub clause: Clause,
}

/// A Traffic Mirror filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its name.
    pub name: String,
    /// Whether `amazon-dns` is among its network services.
    pub amazon_dns: bool,
    /// At most [`RULES_MAX`], in the order of their numbers.
    pub rules: Vec<Rule>,
}

impl Filter {
    /// Whether a packet is mirrored: the first rule of its direction that names it decides, and
    /// none means no.
    #[must_use]
    pub fn accepts(&self, packet: &Packet) -> bool {
        if packet.amazon_dns {
            return self.amazon_dns;
        }
        let first = self.rules.iter().find(|rule| rule.clause.matches(packet));
        first.is_some_and(|rule| rule.action == Action::Accept)
    }

    /// The rules of one direction.
    pub fn rules_of(&self, direction: Direction) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.clause.direction() == direction)
    }
}

/// One line for each rule: `10 accept ingress tcp from 0.0.0.0/0 to 0.0.0.0/0 port 443`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amazon_dns {
            writeln!(f, "network service amazon-dns")?;
        }
        for rule in &self.rules {
            writeln!(f, "{} {} {}", rule.number, rule.action.name(), rule.clause)?;
        }
        Ok(())
    }
}

/// A filter, and how it differs from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// What to create.
    pub filter: Filter,
    /// What was asked for and is not mirrored, because rules ran out.
    pub omitted: Vec<Wanted>,
    /// What is mirrored and was not asked for: only what the caller allowed.
    pub widened: Vec<Clause>,
}

/// The filter's rules, then a line for each difference from the request.
impl fmt::Display for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)?;
        for one in &self.omitted {
            writeln!(f, "omitted: {} ({})", one.what, one.clause)?;
        }
        for clause in &self.widened {
            writeln!(f, "accepted beyond the request: {clause}")?;
        }
        Ok(())
    }
}

impl Request {
    /// Whether the request, were rules without limit, accepts a packet.
    #[must_use]
    pub fn accepts(&self, packet: &Packet) -> bool {
        if packet.amazon_dns {
            return self.amazon_dns;
        }
        for layer in &self.layers {
            if layer.except.iter().any(|clause| clause.matches(packet)) {
                return false;
            }
            if layer.accept.iter().any(|one| one.clause.matches(packet)) {
                return true;
            }
        }
        false
    }

    /// This request, but nothing that `filter` does not mirror: a lower grade of a source whose
    /// own filter is narrower than everything. What both accept is accepted if the request has one
    /// layer; of several, a later one may lose what a rule between two of the filter rejects.
    #[must_use]
    pub fn within(&self, filter: &Filter) -> Self {
        let mut layers = Vec::new();
        for layer in &self.layers {
            layers.push(Layer {
                except: layer.except.clone(),
                accept: Vec::new(),
            });
            for rule in &filter.rules {
                if rule.action == Action::Reject {
                    continue;
                }
                // Rules before it that reject come first here as well.
                let before = filter.rules.iter().take_while(|other| *other != rule);
                let rejected = before.filter(|other| other.action == Action::Reject);
                layers.push(Layer {
                    except: rejected.map(|other| other.clause).collect(),
                    accept: layer.narrowed(&rule.clause),
                });
            }
        }
        Self {
            name: self.name.clone(),
            amazon_dns: self.amazon_dns && filter.amazon_dns,
            layers,
        }
    }

    /// The filter for this request.
    #[must_use]
    pub fn compile(&self, widen: Widen) -> Compiled {
        let mut draft = Draft::new(self);
        draft.fit();
        if let Widen::Gaps(ports) = widen {
            draft.widen(ports);
        }
        draft.finish(self)
    }
}

impl Layer {
    /// What of this layer a rule of another filter lets through.
    fn narrowed(&self, rule: &Clause) -> Vec<Wanted> {
        let within = |one: &Wanted| {
            Some(Wanted {
                clause: one.clause.intersection(rule)?,
                what: one.what.clone(),
                rank: one.rank,
            })
        };
        self.accept.iter().filter_map(within).collect()
    }
}

/// A filter in the making.
struct Draft<'a> {
    request: &'a Request,
    /// What is accepted so far, with the layer it stands in.
    kept: Vec<(usize, Clause)>,
    /// What is not, by rank.
    omitted: Vec<(usize, &'a Wanted)>,
    /// What is beyond [`CLAUSES_MAX`].
    cut: Vec<(usize, &'a Wanted)>,
    widened: Vec<Clause>,
}

impl<'a> Draft<'a> {
    fn new(request: &'a Request) -> Self {
        let layers = request.layers.iter().enumerate();
        let mut omitted: Vec<(usize, &Wanted)> = layers
            .flat_map(|(index, layer)| layer.accept.iter().map(move |one| (index, one)))
            .collect();
        omitted.sort_by_key(|(_, one)| one.rank);
        let cut = omitted.split_off(omitted.len().min(CLAUSES_MAX));
        Self {
            request,
            kept: Vec::new(),
            omitted,
            cut,
            widened: Vec::new(),
        }
    }

    /// Takes what fits. A clause that is taken later may close the gap between two, so what was
    /// refused is tried again until nothing changes.
    fn fit(&mut self) {
        loop {
            let before = self.omitted.len();
            let waiting = std::mem::take(&mut self.omitted);
            for (layer, one) in waiting {
                self.kept.push((layer, one.clause));
                if self.rules().len() > RULES_MAX {
                    self.kept.pop();
                    self.omitted.push((layer, one));
                } else {
                    self.kept = self.merged();
                }
            }
            if self.omitted.len() == before || self.omitted.is_empty() {
                return;
            }
        }
    }

    /// Closes the smallest gaps for what was omitted, as far as that lets it fit.
    fn widen(&mut self, ports: u32) {
        let waiting = std::mem::take(&mut self.omitted);
        for (layer, one) in waiting {
            let (kept, widened) = (self.kept.clone(), self.widened.clone());
            self.kept.push((layer, one.clause));
            while self.rules().len() > RULES_MAX {
                let Some((layer, gap)) = self.smallest_gap(ports) else {
                    break;
                };
                self.kept.push((layer, gap));
                self.widened.push(gap);
            }
            if self.rules().len() > RULES_MAX {
                (self.kept, self.widened) = (kept, widened);
                self.omitted.push((layer, one));
            }
        }
        // A gap may also have made room for something that was refused before it.
        self.fit();
    }

    fn smallest_gap(&self, ports: u32) -> Option<(usize, Clause)> {
        let merged = self.merged();
        let pairs = merged.iter().enumerate().flat_map(|(index, (layer, one))| {
            let later = merged.iter().skip(index + 1);
            later
                .filter(move |(other, _)| other == layer)
                .filter_map(move |(_, two)| Some((*layer, one.gap(two)?)))
        });
        pairs
            .filter(|(_, gap)| gap.ports() <= ports)
            .min_by_key(|(_, gap)| gap.ports())
    }

    /// What is kept, merged within each layer.
    fn merged(&self) -> Vec<(usize, Clause)> {
        let layers = 0..self.request.layers.len();
        layers
            .flat_map(|layer| {
                let kept = self.kept.iter().filter(move |(other, _)| *other == layer);
                let clauses = kept.map(|(_, clause)| *clause).collect();
                merge(clauses).into_iter().map(move |one| (layer, one))
            })
            .collect()
    }

    /// The rules in order. An exception that no later accepted clause touches needs none.
    fn rules(&self) -> Vec<(Action, Clause)> {
        let merged = self.merged();
        let mut rules: Vec<(Action, Clause)> = Vec::new();
        for (index, layer) in self.request.layers.iter().enumerate() {
            let needed = |except: &&Clause| {
                let touches = |(at, one): &(usize, Clause)| {
                    *at >= index && one.intersection(except).is_some()
                };
                merged.iter().any(touches)
            };
            let except = layer.except.iter().filter(needed).copied().collect();
            let accepted = merged.iter().filter(|(at, _)| *at == index);
            let rejects = merge(except).into_iter().map(|one| (Action::Reject, one));
            let accepts = accepted.map(|(_, one)| (Action::Accept, *one));
            for rule in rejects.chain(accepts) {
                // An earlier rule that names all of its packets leaves it nothing to decide.
                if !rules.iter().any(|(_, earlier)| earlier.covers(&rule.1)) {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    fn finish(self, request: &Request) -> Compiled {
        let mut numbers = [0u16; 2];
        let rules = self.rules().into_iter().map(|(action, clause)| {
            let number = &mut numbers[clause.direction() as usize];
            // Room between them for rules of the operator's own.
            *number += 10;
            Rule {
                number: *number,
                action,
                clause,
            }
        });
        let mut rules: Vec<Rule> = rules.collect();
        rules.sort_by_key(|rule| (rule.number, rule.clause.direction()));
        let mut omitted: Vec<Wanted> = Vec::new();
        for (_, one) in self.omitted.iter().chain(&self.cut) {
            // Two services may want the same; it is missed once.
            if omitted.iter().all(|other| other.clause != one.clause) {
                omitted.push((*one).clone());
            }
        }
        Compiled {
            filter: Filter {
                name: request.name.clone(),
                amazon_dns: request.amazon_dns,
                rules,
            },
            omitted,
            widened: self.widened,
        }
    }
}

/// The fewest clauses that pairwise merging leaves; together they say what they said before.
fn merge(mut clauses: Vec<Clause>) -> Vec<Clause> {
    while let Some((one, two, joined)) = joinable(&clauses) {
        clauses[one] = joined;
        clauses.remove(two);
    }
    clauses
}

fn joinable(clauses: &[Clause]) -> Option<(usize, usize, Clause)> {
    clauses.iter().enumerate().find_map(|(one, clause)| {
        let later = clauses.iter().enumerate().skip(one + 1);
        later
            .filter_map(|(two, other)| Some((one, two, clause.union(other)?)))
            .next()
    })
}
