//! What a timeline costs, by the product's own ledger and price table.

use vxscope_policy::SourceKey;
use vxscope_policy::money::{Billing, Ledger, Path, PriceTable, Traffic};
use vxscope_units::{Grade, Timestamp};

use crate::fleet::Fleet;
use crate::time::{EPOCH_SECONDS, SECOND};
use crate::timeline::Timeline;

/// Bytes in a packet of DNS or management, on average.
const SMALL_PACKET: f64 = 180.0;
/// Where fleets stand.
pub(crate) const REGION: &str = "us-east-1";
/// Bytes in a GiB.
const GIB: f64 = 1_073_741_824.0;

/// What was spent on a fleet over a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// By started hours, the middle of the price range: the number to compare by.
    pub usd: f64,
    /// The least of all billing models.
    pub usd_low: f64,
    /// The most of all billing models: the worst.
    pub usd_high: f64,
    /// Of `usd_high`, session-hours.
    pub sessions_high: f64,
    /// Mirrored, GiB.
    pub gib: f64,
    /// Time that sessions existed.
    pub session_hours: f64,
    /// Changes asked of the API.
    pub api_calls: u64,
}

/// The moment as the product writes it.
#[must_use]
pub fn timestamp(at: u64) -> Timestamp {
    Timestamp::new(EPOCH_SECONDS + at / SECOND, at % SECOND * 1_000_000)
}

/// Prices every source of a timeline. A source that is never mirrored never had a session.
#[must_use]
pub fn cost(fleet: &Fleet, timeline: &Timeline, prices: &PriceTable) -> Cost {
    let mut ledger = Ledger::new(prices.clone());
    for source in 0..timeline.sources() {
        bill(fleet, timeline, source, &mut ledger);
    }
    let total = ledger.total(timestamp(fleet.end));
    let usage = total.usage();
    let bytes: u64 = usage.mirrored.iter().map(|one| one.bytes).sum();
    let spent = total.spent();
    let (started, _) = total.by_billing(Billing::StartedHour);
    Cost {
        usd: (started.low.dollars() + started.high.dollars()) / 2.0,
        usd_low: spent.low.dollars(),
        usd_high: spent.high.dollars(),
        sessions_high: total.spent_on(|lines| lines.session).high.dollars(),
        gib: bytes as f64 / GIB,
        session_hours: usage.session_seconds as f64 / 3_600.0,
        api_calls: usage.calls.mutations,
    }
}

fn bill(fleet: &Fleet, timeline: &Timeline, source: u32, ledger: &mut Ledger) {
    if timeline
        .stretches(source)
        .all(|stretch| stretch.grade == Grade::Off)
    {
        return;
    }
    let alive = &fleet.sources[source as usize].alive;
    let path = if fleet.sources[source as usize].cross_zone {
        Path::CrossAz
    } else {
        Path::SameAz
    };
    let key = SourceKey::new(source);
    let mut enrolled = false;
    for stretch in timeline.stretches(source) {
        let at = timestamp(stretch.span.start);
        if enrolled {
            ledger.change(key, at, stretch.grade);
        } else if stretch.grade != Grade::Off {
            ledger.enroll(key, REGION, path, at);
            ledger.change(key, at, stretch.grade);
            enrolled = true;
        }
        let mirrored = traffic(fleet, source, &stretch.span, stretch.grade);
        ledger.observe(key, timestamp(stretch.span.end), mirrored, None);
    }
    ledger.retire(key, timestamp(alive.end));
}

/// What a mirror at that grade delivers of the source in a span.
#[must_use]
pub fn traffic(fleet: &Fleet, source: u32, span: &std::ops::Range<u64>, grade: Grade) -> Traffic {
    let role = fleet.role(source);
    let full = fleet.bytes(source, span.start, span.end);
    let bytes = full * role.shares()[grade.index()];
    let packets = match grade {
        Grade::Off => 0.0,
        Grade::Sentinel | Grade::Essential => bytes / SMALL_PACKET,
        Grade::Truncated | Grade::Full => full / role.packet_bytes,
    };
    Traffic {
        packets: whole(packets),
        bytes: whole(bytes),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline;
    use crate::fleet::{STANDARD, Spec};

    #[test]
    fn a_lower_grade_costs_less_and_only_off_saves_hours() {
        let fleet = Fleet::new(Spec::parse(STANDARD).unwrap(), 50, 2, 1);
        let prices = PriceTable::published().unwrap();
        let of = |grade| cost(&fleet, &baseline::always(&fleet, grade), &prices);
        let [off, sentinel, _, truncated, full] = Grade::ALL.map(of);
        assert_eq!(off, Cost::default());
        assert!(sentinel.usd < truncated.usd && truncated.usd < full.usd);
        assert_eq!(sentinel.session_hours, full.session_hours);
        let hours = crate::time::hours(fleet.source_time());
        assert!((full.session_hours / hours - 1.0).abs() < 0.001);
        assert!(full.usd_low <= full.usd && full.usd <= full.usd_high);
        let jewels = cost(&fleet, &baseline::crown_jewels(&fleet), &prices);
        assert!(jewels.usd < 0.5 * full.usd && jewels.usd > 0.0);
    }
}
