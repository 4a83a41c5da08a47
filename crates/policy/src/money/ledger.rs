//! The accounts of all sources, and what the policy asks of them.

use vxscope_units::{Grade, Timestamp};

use super::billing::{self, Billing, HOUR};
use super::path::{Path, Traffic};
use super::{Account, Card, Pause, PriceTable, Prices, Statement, Usd};
use crate::SourceKey;

/// How long a deletion may take that is asked for now: a call takes seconds, a throttled one up to
/// a minute. An hour that ends sooner is taken for over, because one second too late pays another.
pub const DELETION_SECONDS: u64 = 60;

#[derive(Clone, Debug)]
struct Row {
    /// Position in [`Ledger::cards`].
    card: usize,
    account: Account,
}

/// One account for each source that is enrolled, and one statement for all that are gone.
#[derive(Clone, Debug)]
pub struct Ledger {
    table: PriceTable,
    /// One for each Region that a source was in.
    cards: Vec<(String, Card)>,
    /// By row, which whoever enrolls keeps dense and never reuses.
    rows: Vec<Option<Box<Row>>>,
    gone: Statement,
    /// For rows that nobody enrolled.
    default: Card,
}

impl Ledger {
    /// An empty ledger over a price table.
    #[must_use]
    pub fn new(table: PriceTable) -> Self {
        Self {
            default: table.card(""),
            table,
            cards: Vec::new(),
            rows: Vec::new(),
            gone: Statement::default(),
        }
    }

    /// The prices it uses.
    #[must_use]
    pub const fn table(&self) -> &PriceTable {
        &self.table
    }

    /// A source is mirrored from `at` on.
    pub fn enroll(&mut self, source: SourceKey, region: &str, path: Path, at: Timestamp) {
        let known = self.cards.iter().position(|(name, _)| name == region);
        let card = known.unwrap_or_else(|| {
            self.cards
                .push((region.to_owned(), self.table.card(region)));
            self.cards.len() - 1
        });
        if self.rows.len() <= source.index() {
            self.rows.resize(source.index() + 1, None);
        }
        let account = Account::new(at, path, Grade::Full);
        if let Some(row) = self.rows.get_mut(source.index()) {
            *row = Some(Box::new(Row { card, account }));
        }
    }

    /// The source's account, to be told what happens; `None` if it is not enrolled.
    pub fn account_mut(&mut self, source: SourceKey) -> Option<&mut Account> {
        let row = self.rows.get_mut(source.index())?.as_deref_mut()?;
        Some(&mut row.account)
    }

    /// What was mirrored since the last call. See [`Account::observe`].
    pub fn observe(
        &mut self,
        source: SourceKey,
        at: Timestamp,
        mirrored: Traffic,
        whole: Option<Traffic>,
    ) {
        if let Some(account) = self.account_mut(source) {
            account.observe(at, mirrored, whole);
        }
    }

    /// The source has another grade from `at` on. See [`Account::change`].
    pub fn change(&mut self, source: SourceKey, at: Timestamp, grade: Grade) {
        if let Some(account) = self.account_mut(source) {
            account.change(at, grade);
        }
    }

    /// The source is gone; what it cost stays in the total.
    pub fn retire(&mut self, source: SourceKey, at: Timestamp) {
        if let Some(account) = self.account_mut(source) {
            account.retire(at);
            if let Some(statement) = self.statement(source, at) {
                self.gone += &statement;
            }
            if let Some(row) = self.rows.get_mut(source.index()) {
                *row = None;
            }
        }
    }

    /// One source's statement as of `at`.
    #[must_use]
    pub fn statement(&self, source: SourceKey, at: Timestamp) -> Option<Statement> {
        let row = self.row(source)?;
        Some(Statement::draw(
            &row.account.quantities(at),
            self.card(source),
        ))
    }

    /// Every enrolled source's statement as of `at`, by row.
    pub fn statements(&self, at: Timestamp) -> impl Iterator<Item = (SourceKey, Statement)> + '_ {
        let rows = 0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        rows.map(SourceKey::new)
            .filter_map(move |source| Some((source, self.statement(source, at)?)))
    }

    /// The statement of those that are gone.
    #[must_use]
    pub const fn gone(&self) -> &Statement {
        &self.gone
    }

    /// The statement of all sources that ever were, as of `at`: the sum of theirs.
    #[must_use]
    pub fn total(&self, at: Timestamp) -> Statement {
        self.statements(at)
            .fold(self.gone.clone(), |sum, (_, one)| sum + &one)
    }

    fn row(&self, source: SourceKey) -> Option<&Row> {
        self.rows.get(source.index())?.as_deref()
    }

    fn card(&self, source: SourceKey) -> &Card {
        let card = self
            .row(source)
            .and_then(|row| Some(&self.cards.get(row.card)?.1));
        card.unwrap_or(&self.default)
    }
}

impl Prices for Ledger {
    fn saving(&self, pause: &Pause) -> Usd {
        let row = self.row(pause.source);
        let path = row.map_or(Path::SameAz, |row| row.account.path());
        saving(self.card(pause.source), path, pause)
    }

    fn paid_until(&self, session_since: Timestamp, now: Timestamp) -> Timestamp {
        let second = paid_until(self.table.billing(), session_since.seconds(), now.seconds());
        Timestamp::new(second, 0).max(now)
    }
}

/// The least that the pause saves, over the selected billing models and both ends of all prices.
pub(crate) fn saving(card: &Card, path: Path, pause: &Pause) -> Usd {
    let models = card.billing.iter();
    let least = models.map(|billing| {
        let (saved, of) = saved_session_seconds(*billing, pause);
        let high = price_of_seconds(card.rates.session_hour.high, saved, of);
        price_of_seconds(card.rates.session_hour.low, saved, of).min(high)
    });
    let session = least.min().unwrap_or(Usd::ZERO);
    session + saved_on_bytes(card, path, pause) - cost_of_pausing(card, pause)
}

fn saved_session_seconds(billing: Billing, pause: &Pause) -> (i128, i128) {
    if pause.to != Grade::Off || pause.from == Grade::Off {
        return (0, 1);
    }
    let (shortest, longest) = seconds_of(pause);
    let (at, since) = (pause.at.seconds(), pause.session_since.seconds());
    billing::saved_seconds(billing, at, since, shortest, longest)
}

fn price_of_seconds(hour: Usd, seconds: i128, of: i128) -> Usd {
    let nanos = i128::from(hour.nanos()) * seconds;
    // Rounded down, a loss too.
    Usd::from_wide(nanos.div_euclid(of * i128::from(HOUR)))
}

fn saved_on_bytes(card: &Card, path: Path, pause: &Pause) -> Usd {
    let (shortest, longest) = seconds_of(pause);
    let rate = |grade: Grade| i128::from(whole(pause.bytes_per_hour[grade.index()]));
    let fewer = rate(pause.from) - rate(pause.to);
    let twice_seconds = i128::from(shortest) + i128::from(longest);
    let spared = |gigabyte: Usd, permille: i128| {
        let nanos = i128::from(gigabyte.nanos()) * permille;
        let unit = i128::from(card.gigabyte.max(1)) * i128::from(2 * HOUR) * 1_000;
        let per_second = fewer.saturating_mul(twice_seconds);
        Usd::from_wide(per_second.saturating_mul(nanos).div_euclid(unit))
    };
    let line = |range: super::Range, permille| {
        spared(range.low, permille).min(spared(range.high, permille))
    };
    line(card.rates.per_gigabyte[path.index()], 1_000)
        + line(card.ingest.per_gigabyte, i128::from(card.ingest.permille))
}

/// There and back: two calls that change something, and a breadcrumb where a session goes.
fn cost_of_pausing(card: &Card, pause: &Pause) -> Usd {
    let event = card.rates.management_event.high;
    let breadcrumb = if pause.to == Grade::Off {
        card.rates.breadcrumb.high
    } else {
        Usd::ZERO
    };
    event + event + breadcrumb
}

fn seconds_of(pause: &Pause) -> (u64, u64) {
    let shortest = whole(pause.seconds.0).min(SECONDS_MAX);
    let longest = whole(pause.seconds.1).min(SECONDS_MAX);
    (shortest, longest.max(shortest))
}

/// No pause is reckoned longer than ten years: far beyond any bound, and within all integers here.
const SECONDS_MAX: u64 = 10 * 366 * 86_400;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and takes not-a-number for 0"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// The end of the hour that is paid anyway when a deletion that is asked for now is done; `now` if
/// billing is by the second. Where hours of the clock are selected they decide: they lose up to an
/// hour at each end of a pause, started hours only at its beginning.
fn paid_until(selected: &[Billing], since: u64, now: u64) -> u64 {
    let done = now + DELETION_SECONDS;
    if selected.contains(&Billing::CalendarHour) {
        done.div_ceil(HOUR) * HOUR
    } else if selected.contains(&Billing::StartedHour) {
        done + billing::unused_seconds(done, since)
    } else {
        now
    }
}
