//! Which mirror sources are known, and what they are called.

use std::collections::BTreeMap;
use std::fmt;

use crate::prefix::{Prefix, number};
use crate::source::{MirrorSource, Vni};

/// Mirror sources that are known: one address or a network, with one VNI or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Their outer source addresses.
    pub prefix: Prefix,
    /// Their VNI; `None` for any.
    pub vni: Option<Vni>,
    /// What people call them.
    pub name: Option<String>,
    /// The mirrored network interface.
    pub eni: Option<String>,
    /// The instance that it is attached to.
    pub instance: Option<String>,
    /// The VPC, within which its address is unique.
    pub vpc: Option<String>,
    /// The account that owns it.
    pub account: Option<String>,
    /// What the machine is for, which says what it never serves.
    pub role: Option<String>,
    /// They should be heard in every run; one that is not is worth a warning.
    pub expected: bool,
    /// The VLAN id that stands for them where sources are told apart by tags.
    pub vlan: Option<u16>,
    /// How much of their payload is kept; `None` for what holds for all.
    pub payload: Option<Payload>,
    /// Their frames are sent on to another sensor, where only some are.
    pub forward: bool,
}

/// Who a mirror source is to AWS. Ids are opaque.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `NetworkInterfaceId` of what is mirrored.
    pub interface: Option<String>,
    /// `InstanceId` of what it is attached to.
    pub instance: Option<String>,
    /// `VpcId`.
    pub vpc: Option<String>,
    /// `OwnerId`: the account.
    pub account: Option<String>,
}

/// How much of a frame's payload is kept, in rings and outputs alike. Counters, flow records and
/// signals are of the whole frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// All of it.
    #[default]
    Full,
    /// Its first bytes.
    Head,
    /// Headers only.
    None,
}

impl Binding {
    /// All sources of these addresses, without a name.
    #[must_use]
    pub const fn new(prefix: Prefix, vni: Option<Vni>) -> Self {
        Self {
            prefix,
            vni,
            name: None,
            eni: None,
            instance: None,
            vpc: None,
            account: None,
            role: None,
            expected: false,
            vlan: None,
            payload: None,
            forward: false,
        }
    }

    /// Who it is to AWS, as far as it is known; `None` if nothing is.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let identity = Identity {
            interface: self.eni.clone(),
            instance: self.instance.clone(),
            vpc: self.vpc.clone(),
            account: self.account.clone(),
        };
        (identity != Identity::default()).then_some(identity)
    }

    /// Whether it speaks of this source; another one may do so more precisely.
    #[must_use]
    pub fn contains(&self, source: MirrorSource) -> bool {
        self.vni.is_none_or(|vni| vni == source.vni) && self.prefix.contains(source.address)
    }
}

/// `10.0.0.0/24 vni 7`.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)?;
        match self.vni {
            Some(vni) => write!(f, " vni {vni}"),
            None => Ok(()),
        }
    }
}

/// Two bindings that cannot both hold, by their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The one that came first.
    pub first: usize,
    /// The one that disagrees with it.
    pub second: usize,
    /// How.
    pub kind: ConflictKind,
}

/// How two bindings disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// The same addresses with the same VNI.
    Same,
    /// Each is more precise than the other, one by its addresses and one by its VNI, and no third
    /// says what holds for both together.
    Crossing,
    /// It is the first beyond [`BindTable::BINDINGS_MAX`].
    TooMany,
}

/// All known mirror sources. A look-up is two binary searches, so it is bounded for any source.
///
/// The longest prefix wins; of two with the same prefix the one with the source's VNI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindTable {
    bindings: Vec<Binding>,
    /// Where which binding begins to hold, in order; see [`spans`].
    spans: Vec<Span>,
}

/// Up to the next span of the same lane, `binding` is the longest prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    lane: Lane,
    first: u128,
    binding: Option<u32>,
}

/// A VNI or any, and a family: what is not compared with each other.
type Lane = (Option<Vni>, bool);

impl BindTable {
    /// Most bindings. One takes about 200 bytes, and a look-up among so many 18 steps. A list
    /// that is longer makes no table: better the old one than a part of the new.
    pub const BINDINGS_MAX: usize = 65_536;

    /// Takes the bindings in any order.
    ///
    /// # Errors
    /// Every conflict between two of them, one for each second binding; or that they are too many.
    pub fn try_new(bindings: Vec<Binding>) -> Result<Self, Vec<Conflict>> {
        if bindings.len() > Self::BINDINGS_MAX {
            return Err(vec![Conflict {
                first: Self::BINDINGS_MAX,
                second: Self::BINDINGS_MAX,
                kind: ConflictKind::TooMany,
            }]);
        }
        let conflicts = conflicts(&bindings);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let spans = spans(&bindings);
        Ok(Self { bindings, spans })
    }

    /// The binding that names this source.
    #[must_use]
    pub fn find(&self, source: MirrorSource) -> Option<&Binding> {
        self.bindings.get(self.place(source)?)
    }

    /// Where in [`BindTable::bindings`] the binding that names this source stands.
    #[must_use]
    pub fn place(&self, source: MirrorSource) -> Option<usize> {
        let precise = self.longest(Some(source.vni), source);
        let any = self.longest(None, source);
        let length = |place: Option<usize>| Some(self.bindings.get(place?)?.prefix.length());
        if length(precise) < length(any) {
            any
        } else {
            precise
        }
    }

    fn longest(&self, vni: Option<Vni>, source: MirrorSource) -> Option<usize> {
        let lane = (vni, source.address.is_ipv4());
        let key = (lane, number(source.address));
        let after = self
            .spans
            .partition_point(|span| (span.lane, span.first) <= key);
        let span = self.spans.get(after.checked_sub(1)?)?;
        if span.lane != lane {
            return None;
        }
        span.binding.map(|place| place as usize)
    }

    /// The bindings, as they were given.
    #[must_use]
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Whether no source is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }
}

fn conflicts(bindings: &[Binding]) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut places = BTreeMap::new();
    let mut with_vni: BTreeMap<Prefix, Vec<usize>> = BTreeMap::new();
    for (second, binding) in bindings.iter().enumerate() {
        let first = *places
            .entry((binding.prefix, binding.vni))
            .or_insert(second);
        if first != second {
            let kind = ConflictKind::Same;
            found.push(Conflict {
                first,
                second,
                kind,
            });
        } else if binding.vni.is_some() {
            with_vni.entry(binding.prefix).or_default().push(second);
        }
    }
    for (key, place) in &places {
        let Some(binding) = bindings.get(*place).filter(|_| key.1.is_none()) else {
            continue;
        };
        let wider = (0..binding.prefix.length()).map(|length| binding.prefix.widened(length));
        let mut crossing = wider.filter_map(|prefix| with_vni.get(&prefix)).flatten();
        let is_open = |other: &&usize| {
            let vni = bindings.get(**other).and_then(|other| other.vni);
            !places.contains_key(&(binding.prefix, vni))
        };
        if let Some(other) = crossing.find(is_open) {
            found.push(Conflict {
                first: *place.min(other),
                second: *place.max(other),
                kind: ConflictKind::Crossing,
            });
        }
    }
    found.sort_by_key(|conflict| (conflict.second, conflict.first));
    found
}

/// Prefixes nest or are apart, so each address has one longest; it changes where one begins or
/// ends:
///
/// ```text
///  10.0.0.0/8    |-------------------------|
///  10.1.0.0/16         |-----|
///  spans         0     1     0             none
/// ```
fn spans(bindings: &[Binding]) -> Vec<Span> {
    let lane = |binding: &Binding| (binding.vni, binding.prefix.address().is_ipv4());
    let mut order: Vec<(Lane, u128, u8, u128, u32)> = (0..)
        .zip(bindings)
        .map(|(place, binding)| {
            let (first, last) = binding.prefix.range();
            (lane(binding), first, binding.prefix.length(), last, place)
        })
        .collect();
    order.sort_unstable();
    let mut spans = Vec::new();
    let mut open: Vec<(Lane, u128, u32)> = Vec::new();
    for (lane, first, _, last, place) in order {
        close(&mut spans, &mut open, |(of, last, _)| {
            *of != lane || *last < first
        });
        begin(&mut spans, lane, first, Some(place));
        open.push((lane, last, place));
    }
    close(&mut spans, &mut open, |_| true);
    spans
}

/// Ends those of the open prefixes that `is_over`, the innermost first.
fn close(
    spans: &mut Vec<Span>,
    open: &mut Vec<(Lane, u128, u32)>,
    is_over: impl Fn(&(Lane, u128, u32)) -> bool,
) {
    while let Some((lane, last, _)) = open.pop_if(|prefix| is_over(prefix)) {
        let outside = open.last().filter(|(of, ..)| *of == lane);
        if let Some(next) = last.checked_add(1) {
            begin(spans, lane, next, outside.map(|(_, _, place)| *place));
        }
    }
}

/// What begins at the same place as the one before it holds instead.
fn begin(spans: &mut Vec<Span>, lane: Lane, first: u128, binding: Option<u32>) {
    spans.pop_if(|span| (span.lane, span.first) == (lane, first));
    spans.push(Span {
        lane,
        first,
        binding,
    });
}

/// What becomes of a mirror source that no binding names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is a source like any other.
    #[default]
    Accept,
    /// Its frames are counted for it, and go nowhere.
    Quarantine,
    /// Its frames are counted in one number, and go nowhere.
    Drop,
}

#[cfg(test)]
mod tests {
    use super::{BindTable, Binding, ConflictKind};
    use crate::{MirrorSource, Vni};

    #[test]
    fn the_longest_prefix_wins_and_then_the_vni() {
        let table = BindTable::try_new(bindings(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/24",
            "10.1.2.0/24 7",
            "10.1.2.255",
            "2001:db8::/32",
            "0.0.0.0/0 9",
            "10.0.0.0/8 9",
            "10.1.0.0/16 9",
            "10.1.2.0/24 9",
            "10.1.2.255 7",
            "10.1.2.255 9",
        ]));
        let table = table.unwrap();
        for (source, expected) in [
            ("10.0.0.1 1", Some("10.0.0.0/8")),
            ("10.255.255.255 1", Some("10.0.0.0/8")),
            ("11.0.0.0 1", None),
            ("9.255.255.255 1", None),
            ("11.0.0.0 9", Some("0.0.0.0/0 vni 9")),
            ("255.255.255.255 9", Some("0.0.0.0/0 vni 9")),
            ("10.1.0.0 1", Some("10.1.0.0/16")),
            ("10.1.2.0 1", Some("10.1.2.0/24")),
            ("10.1.2.0 7", Some("10.1.2.0/24 vni 7")),
            ("10.1.2.255 1", Some("10.1.2.255")),
            ("10.1.2.255 7", Some("10.1.2.255 vni 7")),
            ("10.1.3.0 1", Some("10.1.0.0/16")),
            ("10.2.0.0 1", Some("10.0.0.0/8")),
            ("2001:db8::1 1", Some("2001:db8::/32")),
            ("2001:db9:: 1", None),
            ("::10.1.2.0 1", None),
        ] {
            let found = table.find(mirror(source)).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{source}");
        }
        assert_eq!(BindTable::default().find(mirror("10.0.0.1 1")), None);
    }

    #[test]
    fn equal_bindings_are_told_with_both_places() {
        check(&["10.0.0.0/8", "10.0.0.0/8"], &[(0, 1, ConflictKind::Same)]);
        check(
            &[
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.2 5",
                "10.0.0.2 5",
                "10.0.0.1",
                "10.0.0.2 5",
            ],
            &[
                (2, 3, ConflictKind::Same),
                (0, 4, ConflictKind::Same),
                (2, 5, ConflictKind::Same),
            ],
        );
    }

    #[test]
    fn bindings_that_cross_need_a_third_for_what_they_share() {
        check(
            &["10.0.0.0/8 7", "10.1.0.0/16"],
            &[(0, 1, ConflictKind::Crossing)],
        );
        check(&["10.0.0.0/8 7", "10.1.0.0/16", "10.1.0.0/16 7"], &[]);
        // Inside each other, or apart.
        check(&["10.0.0.0/8", "10.1.0.0/16 7", "10.2.0.0/16"], &[]);
        check(&["10.0.0.0/8 7", "11.1.0.0/16", "::/0 7"], &[]);
    }

    #[test]
    fn a_list_that_is_too_long_makes_no_table() {
        let one = bindings(&["10.0.0.1"]);
        let many = one
            .iter()
            .cycle()
            .take(BindTable::BINDINGS_MAX + 1)
            .cloned();
        let conflicts = BindTable::try_new(many.collect()).unwrap_err();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].kind, ConflictKind::TooMany);
    }

    /// Any table finds what a look at every binding finds.
    #[test]
    fn a_look_up_finds_what_a_search_finds() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let mut listed = Vec::new();
            for _ in 0..draw(12) {
                let length = 24 + draw(9);
                let host = draw(256) & (0xff_u64 << (32 - length));
                let vni = if draw(2) == 0 { " 1" } else { "" };
                listed.push(format!("10.0.0.{host}/{length}{vni}"));
            }
            let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
            let Ok(table) = BindTable::try_new(bindings(&listed)) else {
                continue;
            };
            for host in 0..256 {
                for vni in [1, 2] {
                    let source = mirror(&format!("10.0.0.{host} {vni}"));
                    let matching = table.bindings().iter().filter(|it| it.contains(source));
                    let best = matching.max_by_key(|it| (it.prefix.length(), it.vni.is_some()));
                    assert_eq!(table.find(source), best, "{source} in {listed:?}");
                }
            }
        }
    }

    fn check(listed: &[&str], expected: &[(usize, usize, ConflictKind)]) {
        let conflicts = BindTable::try_new(bindings(listed))
            .err()
            .unwrap_or_default();
        let conflicts: Vec<_> = conflicts
            .iter()
            .map(|it| (it.first, it.second, it.kind))
            .collect();
        assert_eq!(conflicts, expected, "{listed:?}");
    }

    fn bindings(listed: &[&str]) -> Vec<Binding> {
        let binding = |text: &&str| {
            let (prefix, vni) = text.split_once(' ').unwrap_or((text, ""));
            let vni = vni.parse().ok().and_then(Vni::try_new);
            Binding::new(prefix.parse().expect("a prefix"), vni)
        };
        listed.iter().map(binding).collect()
    }

    fn mirror(text: &str) -> MirrorSource {
        let (address, vni) = text.split_once(' ').expect("address and VNI");
        MirrorSource {
            address: address.parse().expect("an address"),
            vni: vni.parse().ok().and_then(Vni::try_new).expect("a VNI"),
        }
    }
}
