//! The dated price table: what ships, what a user's file replaces, and what one source pays.

use std::collections::BTreeMap;

use toml::Table;

use super::price_file::Reader;
use super::{Billing, Path, Range, Traffic};

/// The price table that ships with the program.
pub const PUBLISHED: &str = include_str!("prices.toml");

/// What one Region asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// One mirror session for one hour.
    pub session_hour: Range,
    /// One gigabyte by [`Path::index`].
    pub per_gigabyte: [Range; Path::COUNT],
    /// One written breadcrumb of a pause.
    pub breadcrumb: Range,
    /// One call that changes something.
    pub management_event: Range,
    /// Who says so.
    pub source: String,
}

/// Prices of one moment, all Regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    pub(super) as_of: String,
    pub(super) gigabyte: u64,
    pub(super) billing: Vec<Billing>,
    pub(super) default_region: String,
    pub(super) undocumented_percent: (u64, u64),
    pub(super) ingest: Ingest,
    pub(super) regions: BTreeMap<String, Rates>,
}

/// What the consumer behind the sensor asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ingest {
    pub(crate) per_gigabyte: Range,
    /// How many of 1,000 mirrored bytes it sees.
    pub(crate) permille: u64,
}

/// The prices that one source pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub(crate) rates: Rates,
    pub(crate) ingest: Ingest,
    pub(crate) gigabyte: u64,
    pub(crate) billing: Vec<Billing>,
    pub(crate) estimate: bool,
}

impl Card {
    /// Whether the Region is not in the table, so that a neighbour's prices stand in.
    #[must_use]
    pub const fn is_estimate(&self) -> bool {
        self.estimate
    }

    /// One session-hour.
    #[must_use]
    pub const fn session_hour(&self) -> Range {
        self.rates.session_hour
    }

    /// One gigabyte on a path.
    #[must_use]
    pub const fn per_gigabyte(&self, path: Path) -> Range {
        self.rates.per_gigabyte[path.index()]
    }

    /// What so much traffic costs on a path, from the least to the most encapsulation and price.
    #[must_use]
    pub fn data(&self, path: Path, traffic: Traffic) -> Range {
        let price = self.per_gigabyte(path);
        Range {
            low: traffic.cost(path, false, price.low, self.gigabyte),
            high: traffic.cost(path, true, price.high, self.gigabyte),
        }
    }
}

impl PriceTable {
    /// The table that ships with the program.
    ///
    /// # Errors
    /// None, as a test shows; a text cannot be parsed without the possibility.
    pub fn published() -> Result<Self, Vec<String>> {
        let empty = Self {
            as_of: String::new(),
            gigabyte: 0,
            billing: Vec::new(),
            default_region: String::new(),
            undocumented_percent: (100, 100),
            ingest: Ingest::default(),
            regions: BTreeMap::new(),
        };
        empty.with(PUBLISHED)
    }

    /// This table with everything replaced that `text` names (TOML, see `prices.toml`).
    ///
    /// # Errors
    /// Every problem of the text, each with its key; nothing is replaced then.
    pub fn with(&self, text: &str) -> Result<Self, Vec<String>> {
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| vec![error.to_string().trim_end().to_owned()])?;
        Reader::new(self.clone()).read(&table)
    }

    /// The day on which the sources of the prices were read.
    #[must_use]
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// The billing models that a pause must pay off under.
    #[must_use]
    pub fn billing(&self) -> &[Billing] {
        &self.billing
    }

    /// What a source in `region` pays. A Region that is not in the table takes its nearest
    /// neighbour's prices, widened by `undocumented_percent` and marked as an estimate.
    #[must_use]
    pub fn card(&self, region: &str) -> Card {
        let documented = self.regions.get(region);
        let rates = documented
            .or_else(|| self.regions.get(self.neighbour(region)))
            .cloned()
            .unwrap_or_default();
        Card {
            rates: match documented {
                Some(_) => rates,
                None => rates.widened(self.undocumented_percent),
            },
            ingest: self.ingest,
            gigabyte: self.gigabyte,
            billing: self.billing.clone(),
            estimate: documented.is_none(),
        }
    }

    /// The documented Region with the most leading parts in common (`eu-west-2`: `eu-west-1`,
    /// then `eu-*`), else the default.
    #[must_use]
    pub fn neighbour(&self, region: &str) -> &str {
        let shared = |other: &str| {
            let pairs = region.split('-').zip(other.split('-'));
            pairs.take_while(|(one, two)| one == two).count()
        };
        let nearest = self
            .regions
            .keys()
            .max_by_key(|name| (shared(name), **name == self.default_region));
        match nearest {
            Some(name) if shared(name) > 0 => name,
            _ => &self.default_region,
        }
    }
}

impl Rates {
    fn widened(self, (low, high): (u64, u64)) -> Self {
        let widen = |range: Range| Range {
            low: range.low.times(u128::from(low), 100),
            high: range.high.times(u128::from(high), 100),
        };
        Self {
            session_hour: widen(self.session_hour),
            per_gigabyte: self.per_gigabyte.map(widen),
            breadcrumb: widen(self.breadcrumb),
            management_event: widen(self.management_event),
            source: self.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usd;

    #[test]
    fn the_published_table_is_read_whole() {
        let table = published();
        let card = table.card("us-east-1");
        assert_eq!(table.as_of(), "2026-09-20");
        assert_eq!(table.billing(), Billing::ALL);
        assert_eq!(
            card.rates.session_hour,
            Range::exactly(Usd::from_nanos(15_000_000))
        );
        assert_eq!(
            card.rates.per_gigabyte[Path::Gwlb.index()].high.nanos(),
            7_500_000
        );
        assert_eq!(
            card.rates.per_gigabyte[Path::SameAz.index()],
            Range::default()
        );
        assert!(!card.is_estimate());
        for (name, rates) in &table.regions {
            assert!(rates.session_hour.low > Usd::ZERO, "{name}");
            assert!(!rates.source.is_empty(), "{name} names its source");
        }
    }

    #[test]
    fn an_unknown_region_takes_its_neighbours_prices_as_an_estimate() {
        let table = published()
            .with("[region.eu-west-1]\nsession_hour = \"0.017\"")
            .expect("a good file");
        let hour = |region| table.card(region).rates.session_hour;
        assert!(table.card("eu-west-2").is_estimate());
        assert!(!table.card("eu-west-1").is_estimate());
        assert_eq!(hour("eu-west-2").low.nanos(), 15_300_000);
        assert_eq!(hour("eu-west-2").high.nanos(), 34_000_000);
        assert_eq!(hour("eu-north-1"), hour("eu-west-2"));
        assert_eq!(hour("ap-south-1").low.nanos(), 13_500_000);
        assert_eq!(table.neighbour("us-west-2"), "us-east-1");
        assert_eq!(table.neighbour(""), "us-east-1");
    }

    #[test]
    fn a_users_file_replaces_only_what_it_names() {
        let table = published()
            .with("billing = [\"started_hour\"]\n[ingest]\nper_gigabyte = \"0.5\"\npermille = 20\n[region.us-east-1]\nnlb = \"0.006\"")
            .expect("a good file");
        let card = table.card("us-east-1");
        assert_eq!(card.billing, [Billing::StartedHour]);
        assert_eq!(card.rates.session_hour.low.nanos(), 15_000_000);
        assert_eq!(
            card.rates.per_gigabyte[Path::Nlb.index()].high.nanos(),
            6_000_000
        );
        assert_eq!(card.ingest.permille, 20);
    }

    fn published() -> PriceTable {
        PriceTable::published().expect("the table that ships")
    }
}
