//! Reads a price table's text: every key is checked, and all that is wrong is said at once.

use toml::{Table, Value};

use super::{Billing, Path, PriceTable, Range, Usd};

/// Walks a user's table; collects everything that is wrong.
pub(super) struct Reader {
    prices: PriceTable,
    problems: Vec<String>,
}

impl Reader {
    /// Starts from the table that the file overlays.
    pub(super) const fn new(prices: PriceTable) -> Self {
        Self {
            prices,
            problems: Vec::new(),
        }
    }

    /// The table with everything replaced that the file names, or every problem of the file.
    pub(super) fn read(mut self, table: &Table) -> Result<PriceTable, Vec<String>> {
        self.read_top(table);
        self.check();
        if self.problems.is_empty() {
            Ok(self.prices)
        } else {
            Err(self.problems)
        }
    }

    fn read_top(&mut self, table: &Table) {
        for (key, value) in table {
            match (key.as_str(), value) {
                ("as_of", Value::String(day)) if is_day(day) => self.prices.as_of.clone_from(day),
                ("as_of", _) => self.fault(key, "must be a day in quotes, like \"2026-09-20\""),
                ("default_region", Value::String(name)) => {
                    self.prices.default_region.clone_from(name);
                }
                ("default_region", _) => self.fault(key, "must be the name of a Region in quotes"),
                ("gigabyte", Value::Integer(1_000_000_000 | 1_073_741_824)) => {
                    self.prices.gigabyte = value.as_integer().map_or(0, i64::unsigned_abs);
                }
                ("gigabyte", _) => self.fault(key, "must be 1_000_000_000 or 1_073_741_824"),
                ("billing", value) => self.read_billing(value),
                ("undocumented_percent", value) => self.read_percent(value),
                ("ingest", Value::Table(table)) => self.read_ingest(table),
                ("region", Value::Table(regions)) => {
                    for (name, value) in regions {
                        self.read_region(name, value);
                    }
                }
                ("ingest" | "region", _) => self.fault(key, "must be a table"),
                _ => self.fault(key, "is no key of a price table"),
            }
        }
    }

    fn fault(&mut self, key: &str, what: &str) {
        self.problems.push(format!("{key}: {what}"));
    }

    fn read_billing(&mut self, value: &Value) {
        let names = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let models: Option<Vec<Billing>> = names
            .iter()
            .map(|name| name.as_str().and_then(Billing::from_name))
            .collect();
        match models {
            Some(mut models) if !models.is_empty() => {
                models.sort_unstable();
                models.dedup();
                self.prices.billing = models;
            }
            _ => self.fault(
                "billing",
                "must be a list of at least one of \"second\", \"started_hour\", \"calendar_hour\"",
            ),
        }
    }

    fn read_percent(&mut self, value: &Value) {
        let numbers: Vec<u64> = value.as_array().map_or_else(Vec::new, |list| {
            let percent = |one: &Value| one.as_integer().and_then(|n| u64::try_from(n).ok());
            list.iter().filter_map(percent).collect()
        });
        match numbers.as_slice() {
            [low, high] if (1..=*high).contains(low) && *high <= 1_000 => {
                self.prices.undocumented_percent = (*low, *high);
            }
            _ => self.fault(
                "undocumented_percent",
                "must be two percentages, the lower first, from 1 to 1000",
            ),
        }
    }

    fn read_ingest(&mut self, table: &Table) {
        for (name, value) in table {
            let key = format!("ingest.{name}");
            match name.as_str() {
                "per_gigabyte" => {
                    if let Some(range) = self.range(&key, value) {
                        self.prices.ingest.per_gigabyte = range;
                    }
                }
                "permille" => match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
                    Some(permille @ 0..=1_000) => self.prices.ingest.permille = permille,
                    _ => self.fault(&key, "must be a number from 0 to 1000"),
                },
                _ => self.fault(&key, "is no key of a price table"),
            }
        }
    }

    fn read_region(&mut self, region: &str, value: &Value) {
        let prefix = format!("region.{region}");
        let Some(table) = value.as_table() else {
            self.fault(&prefix, "must be a table");
            return;
        };
        let known = self.prices.regions.get(region).cloned();
        // A new Region starts from its neighbour, so that a user may write only what differs.
        let mut rates = known.unwrap_or_else(|| {
            let neighbour = self.prices.neighbour(region);
            self.prices
                .regions
                .get(neighbour)
                .cloned()
                .unwrap_or_default()
        });
        for (name, value) in table {
            let key = format!("{prefix}.{name}");
            if name == "source" {
                match value.as_str() {
                    Some(text) => text.clone_into(&mut rates.source),
                    None => self.fault(&key, "must be text"),
                }
                continue;
            }
            let place = match name.as_str() {
                "session_hour" => &mut rates.session_hour,
                "breadcrumb" => &mut rates.breadcrumb,
                "management_event" => &mut rates.management_event,
                other => match Path::from_name(other) {
                    Some(path) => &mut rates.per_gigabyte[path.index()],
                    None => {
                        self.fault(&key, "is no key of a price table");
                        continue;
                    }
                },
            };
            if let Some(range) = self.range(&key, value) {
                *place = range;
            }
        }
        self.prices.regions.insert(region.to_owned(), rates);
    }

    /// One price, or a pair of the lowest and the highest.
    fn range(&mut self, key: &str, value: &Value) -> Option<Range> {
        let price = |value: &Value| {
            value
                .as_str()
                .and_then(Usd::parse)
                .filter(|p| *p <= PRICE_MAX)
        };
        let range = match value {
            Value::Array(pair) => match pair.as_slice() {
                [low, high] => price(low)
                    .zip(price(high))
                    .map(|(low, high)| Range { low, high }),
                _ => None,
            },
            _ => price(value).map(Range::exactly),
        };
        let range = range.filter(|range| range.low <= range.high);
        if range.is_none() {
            self.fault(
                key,
                "must be dollars in quotes, like \"0.015\", or a pair of them, the lower first; \
                 at most 1000",
            );
        }
        range
    }

    fn check(&mut self) {
        let default = &self.prices.default_region;
        if !self.prices.regions.contains_key(default) {
            let message = format!("names {default}, which has no prices");
            self.fault("default_region", &message);
        }
    }
}

/// The highest price of one hour, gigabyte or call: far above any known one, and low enough that
/// no sum over years saturates. A higher one is refused.
const PRICE_MAX: Usd = Usd::from_nanos(1_000_000_000_000);

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
    matches!(parts.as_slice(), [year, month, day]
        if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_refused_with_all_its_problems() {
        check("as_of = 3", &["as_of: must be a day"]);
        check("as_of = \"yesterday\"", &["as_of: must be a day"]);
        check("colour = 1", &["colour: is no key"]);
        check("billing = []", &["billing: must be"]);
        check("billing = [\"minute\"]", &["billing: must be"]);
        check("gigabyte = 5", &["gigabyte: must be"]);
        check(
            "undocumented_percent = [200, 90]",
            &["undocumented_percent: must"],
        );
        check(
            "default_region = \"mars-1\"",
            &["names mars-1, which has no prices"],
        );
        check(
            "[region.us-east-1]\nsession_hour = 0.015\nnlb = [\"2\", \"1\"]\nmoon = \"1\"\n[ingest]\npermille = 1001",
            &[
                "ingest.permille: must",
                "region.us-east-1.moon: is no key",
                "region.us-east-1.nlb: must",
                "region.us-east-1.session_hour: must",
            ],
        );
        check(
            "region = 1\ningest = 2",
            &["ingest: must be a table", "region: must be a table"],
        );
        check(
            "[region]\nus-east-1 = 3",
            &["region.us-east-1: must be a table"],
        );
        check(
            "[region.us-east-1]\nsession_hour = \"1000.1\"",
            &["session_hour: must"],
        );
        check("=", &["TOML parse error"]);
    }

    fn published() -> PriceTable {
        PriceTable::published().expect("the table that ships")
    }

    /// Every expected part is in a problem of its own, and there is no other problem.
    fn check(text: &str, expected: &[&str]) {
        let problems = published().with(text).expect_err("a bad file");
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        let mut problems = problems;
        problems.sort();
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
