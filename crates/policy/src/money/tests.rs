//! Facts about the ledger as a whole: sums, cuts, and amounts worked out by hand.

use proptest::prelude::*;
use vxscope_units::{Grade, Timestamp};

use super::billing::HOUR;
use super::*;
use crate::SourceKey;

const S: SourceKey = SourceKey::new(0);

#[test]
fn a_month_of_one_session_costs_what_aws_says() {
    // 730 hours at $0.015, as public calculators print it.
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::SameAz, at(0));
    let total = ledger.total(at(730 * HOUR));
    assert_eq!(total.spent(), Range::exactly(Usd::from_dollars(10.95)));
    assert_eq!(total.saved(), Range::default());
}

#[test]
fn gigabytes_are_billed_by_their_path() {
    let table = [
        (Path::SameAz, 0.0, 0.0),
        (Path::CrossAz, 20.0, 20.0),
        (Path::Nlb, 6.0, 26.0),
        (Path::Gwlb, 7.5, 7.5),
    ];
    for (path, low, high) in table {
        let mut ledger = ledger("");
        ledger.enroll(S, "us-east-1", path, at(0));
        // A thousand gigabytes in so few frames that their headers cost nothing to speak of.
        ledger.observe(S, at(HOUR), traffic(0, 1_000 << 30), None);
        let data = ledger
            .total(at(HOUR))
            .spent_on(|lines| lines.data[path.index()]);
        assert_eq!(data.low, Usd::from_dollars(low), "{path:?}");
        assert_eq!(data.high, Usd::from_dollars(high), "{path:?}");
    }
}

#[test]
fn a_pause_of_four_hours_by_hand() {
    // On 10:00 to 11:30, off until 15:30, on until 16:00: 2 h; 2 + 1 started hours; the hours of
    // the clock 10, 11 and 15. Always: 6. Two calls, one breadcrumb, cross-zone.
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::CrossAz, at(10 * HOUR));
    let on = at(11 * HOUR + HOUR / 2);
    ledger.observe(S, on, traffic(0, 3 << 30), None);
    ledger.change(S, on, Grade::Off);
    ledger.change(S, at(15 * HOUR + HOUR / 2), Grade::Full);
    ledger.observe(S, at(16 * HOUR), traffic(0, 1 << 30), None);
    let total = ledger.total(at(16 * HOUR));
    let session = |billing| total.by_billing(billing).0.low - Usd::from_dollars(4.0 * 0.02);
    let pausing = Usd::from_nanos(5_000);
    assert_eq!(session(Billing::Second), Usd::from_dollars(0.030) + pausing);
    for hours in [Billing::StartedHour, Billing::CalendarHour] {
        assert_eq!(session(hours), Usd::from_dollars(0.045) + pausing);
    }
    // Full would have gone on at 2 GiB an hour: 8 GiB more, which one calls an estimate.
    let full = total.always_full_on(|lines| lines.data[Path::CrossAz.index()]);
    assert_eq!(full, Range::exactly(Usd::from_dollars(12.0 * 0.02)));
    assert_eq!(total.usage().estimated_seconds, 4 * 3_600);
    assert_eq!(total.saved().high, Usd::from_dollars(0.22) - pausing);
    assert_eq!(
        total.saved().low,
        Usd::from_dollars(0.205) - Usd::from_nanos(48_000)
    );
    assert_eq!(total.usage().unused_seconds(), HOUR);
}

#[test]
fn the_same_zone_saves_bandwidth_and_ingest_but_no_aws_money() {
    let mut ledger = ledger("[ingest]\nper_gigabyte = \"0.5\"\npermille = 100");
    ledger.enroll(S, "us-east-1", Path::SameAz, at(0));
    ledger.observe(S, at(HOUR), traffic(1_000, 10 << 30), None);
    ledger.change(S, at(HOUR), Grade::Sentinel);
    let total = ledger.total(at(2 * HOUR));
    assert_eq!(total.saved_aws().high, Usd::ZERO);
    assert!(
        total
            .summary()
            .to_string()
            .contains("note: data within a zone costs nothing")
    );
    assert_eq!(
        total.saved().low,
        Usd::from_dollars(0.5) - Usd::from_nanos(20_000)
    );
}

#[test]
fn what_full_would_have_mirrored_is_between_its_mean_and_its_latest() {
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::CrossAz, at(0));
    ledger.observe(S, at(HOUR), traffic(0, 4 << 30), None);
    ledger.change(S, at(HOUR), Grade::Off);
    ledger.change(S, at(2 * HOUR), Grade::Full);
    ledger.observe(S, at(3 * HOUR), traffic(0, 2 << 30), None);
    ledger.change(S, at(3 * HOUR), Grade::Off);
    let total = ledger.total(at(4 * HOUR));
    let full = total.always_full_on(|lines| lines.data[Path::CrossAz.index()]);
    // 4 + 4 + 2 and, in the last hour, 2 by the latest or 3 by the mean.
    assert_eq!(full.low, Usd::from_dollars(12.0 * 0.02));
    assert_eq!(full.high, Usd::from_dollars(13.0 * 0.02));
}

#[test]
fn known_volumes_are_no_estimate() {
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::CrossAz, at(0));
    ledger.change(S, at(HOUR), Grade::Truncated);
    let (cut, whole) = (traffic(10, 1 << 20), traffic(10, 1 << 30));
    ledger.observe(S, at(2 * HOUR), cut, Some(whole));
    let total = ledger.total(at(2 * HOUR));
    assert_eq!(total.usage().estimated_seconds, 0);
    assert!(total.saved().low > Usd::from_dollars(0.019));
}

#[test]
fn a_source_that_went_stays_in_the_total() {
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::SameAz, at(0));
    ledger.retire(S, at(HOUR));
    ledger.retire(S, at(2 * HOUR));
    assert_eq!(
        ledger.total(at(9 * HOUR)).spent().high.to_string(),
        "$0.0150"
    );
    assert!(ledger.statement(S, at(HOUR)).is_none());
}

#[test]
fn estimates_are_marked() {
    let mut ledger = ledger("");
    ledger.enroll(S, "mars-north-1", Path::Nlb, at(0));
    ledger.observe(S, at(HOUR), traffic(1_000, 1 << 30), None);
    ledger.change(S, at(HOUR), Grade::Off);
    let summary = ledger.total(at(2 * HOUR)).summary();
    let text = summary.to_string();
    for part in [
        "rounds session-hours",
        "1 source-hours below",
        "2 source-hours in",
        "Network",
    ] {
        let marks = summary.estimates.iter().filter(|one| one.contains(part));
        assert_eq!(marks.count(), 1, "{part}: {text}");
    }
    assert!(summary.session.low < summary.session.high, "{text}");
}

#[test]
fn a_pause_is_worth_its_worst_model_less_its_price() {
    let whole = |ledger: &Ledger, pause: &Pause| ledger.saving(pause).nanos();
    let off = pause(Grade::Off, 5_400, 14_400.0);
    // Half an hour into a paid hour, at half past: 4, 3.5 and 3 hours. $0.00006 for the calls.
    check(&off, "", 45_000_000 - 48_000);
    check(&off, "billing = [\"second\"]", 60_000_000 - 48_000);
    check(&off, "billing = [\"started_hour\"]", 52_500_000 - 48_000);
    // Too short to save an hour of the clock.
    check(&pause(Grade::Off, 5_400, 1_800.0), "", -48_000);
    let in_place = pause(Grade::Sentinel, 5_400, 14_400.0);
    check(&in_place, "", -40_000);
    // 2 GiB an hour less over another zone: 8 GiB.
    let mut ledger = ledger("");
    ledger.enroll(S, "us-east-1", Path::CrossAz, at(0));
    assert_eq!(whole(&ledger, &in_place), 160_000_000 - 40_000);
    assert_eq!(whole(&ledger, &off), 205_000_000 - 48_000);
    let not_a_number = Pause {
        seconds: (f64::NAN, f64::INFINITY),
        bytes_per_hour: [f64::NAN; 5],
        ..off
    };
    assert!(whole(&ledger, &not_a_number) > 0);
}

#[test]
fn the_paid_hour_is_filled_unless_a_deletion_would_come_too_late() {
    let until = |billing: &str, since: u64, now: u64| {
        let ledger = ledger(&format!("billing = [\"{billing}\"]"));
        ledger.paid_until(at(since), at(now)).seconds()
    };
    assert_eq!(until("second", 0, 100), 100);
    assert_eq!(until("started_hour", 600, 700), 4_200);
    assert_eq!(until("started_hour", 600, 4_200 - DELETION_SECONDS), 4_200);
    assert_eq!(until("started_hour", 600, 4_201 - DELETION_SECONDS), 7_800);
    assert_eq!(until("calendar_hour", 600, 700), 3_600);
    assert_eq!(until("calendar_hour", 600, 3_600 - DELETION_SECONDS), 3_600);
    assert_eq!(until("calendar_hour", 600, 3_600), 7_200);
}

#[derive(Clone, Debug)]
struct Step {
    source: u8,
    seconds: u32,
    grade: u8,
    path: u8,
    traffic: Traffic,
    whole: Option<Traffic>,
    cut: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let traffic = || (0..1_000u64, 0..1u64 << 40).prop_map(|(p, b)| traffic(p, b));
    let step = (
        0..3u8,
        0..9_000u32,
        0..8u8,
        0..12u8,
        traffic(),
        proptest::option::of(traffic()),
        0..101u8,
    );
    let step = step.prop_map(|(source, seconds, grade, path, traffic, whole, cut)| Step {
        source,
        seconds,
        grade,
        path,
        traffic,
        whole,
        cut,
    });
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #[test]
    fn sums_of_sources_are_the_total(steps in steps()) {
        let (ledger, end) = run(&steps, false);
        let sum = ledger.statements(at(end)).fold(Statement::default(), |sum, (_, one)| sum + &one);
        prop_assert_eq!(sum, ledger.total(at(end)));
    }

    #[test]
    fn telling_and_asking_more_often_changes_nothing(steps in steps()) {
        let (whole, end) = run(&steps, false);
        let (cut, _) = run(&steps, true);
        prop_assert_eq!(whole.total(at(end)), cut.total(at(end)));
    }

    #[test]
    fn adjoining_times_add_up(steps in steps(), cuts in proptest::collection::vec(0..40usize, 1..5)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut sum = Statement::default();
        let mut before = Statement::default();
        for cut in cuts {
            let (ledger, end) = run(&steps[..cut.min(steps.len())], false);
            let now = ledger.total(at(end));
            sum += &now.since(&before);
            before = now;
        }
        prop_assert_eq!(sum, before);
    }

    #[test]
    fn ranges_hold_every_selected_model(steps in steps()) {
        let (ledger, end) = run(&steps, false);
        let total = ledger.total(at(end));
        prop_assert!(total.spent().low <= total.spent().high);
        for billing in Billing::ALL {
            let (spent, full) = total.by_billing(*billing);
            prop_assert!(total.spent().low <= spent.low && spent.high <= total.spent().high);
            prop_assert!(total.always_full().high >= full.high);
        }
    }
}

/// The steps, told in one piece or with statements and empty reports in between.
fn run(steps: &[Step], often: bool) -> (Ledger, u64) {
    let mut ledger = ledger("");
    for row in 0..3 {
        let region = ["us-east-1", "us-east-2", "eu-west-3"][row as usize];
        ledger.enroll(SourceKey::new(row), region, Path::SameAz, at(0));
    }
    let mut now = 0;
    for step in steps {
        let source = SourceKey::new(u32::from(step.source));
        let begin = now;
        now += u64::from(step.seconds);
        if often {
            let middle = begin + u64::from(step.seconds) * u64::from(step.cut) / 100;
            // What is known of the whole interval is known of its first part too.
            let whole = step.whole.map(|_| Traffic::default());
            ledger.observe(source, at(middle), Traffic::default(), whole);
            let _ = ledger.total(at(middle));
        }
        ledger.observe(source, at(now), step.traffic, step.whole);
        if let Some(grade) = Grade::ALL.get(usize::from(step.grade)) {
            ledger.change(source, at(now), *grade);
        }
        if let Some(path) = Path::ALL.get(usize::from(step.path))
            && let Some(account) = ledger.account_mut(source)
        {
            account.reroute(at(now), *path);
        }
    }
    (ledger, now)
}

fn check(pause: &Pause, billing: &str, nanos: i64) {
    let mut ledger = ledger(billing);
    ledger.enroll(S, "us-east-1", Path::SameAz, at(0));
    assert_eq!(ledger.saving(pause).nanos(), nanos, "{billing}");
}

fn pause(to: Grade, at_second: u64, seconds: f64) -> Pause {
    let full = (2u64 << 30) as f64;
    Pause {
        source: S,
        at: at(at_second),
        session_since: at(3_600),
        from: Grade::Full,
        to,
        seconds: (seconds, seconds),
        on_seconds: 3_600.0,
        bytes_per_hour: [0.0, 0.0, 0.0, 0.0, full],
    }
}

fn ledger(prices: &str) -> Ledger {
    let published = PriceTable::published().expect("the table that ships");
    Ledger::new(published.with(prices).expect("good prices"))
}

fn traffic(packets: u64, bytes: u64) -> Traffic {
    Traffic { packets, bytes }
}

fn at(second: u64) -> Timestamp {
    Timestamp::new(second, 0)
}
