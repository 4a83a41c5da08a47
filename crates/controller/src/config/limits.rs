//! `[limits]` and `[lease]`: how often AWS is asked, and how long others wait for who acts.

use std::time::Duration;

use serde::Deserialize;
use vxscope_control::reconcile::Limits;
use vxscope_enrolment::lead::LeaseTerms;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) calls_at_once: Option<u32>,
    pub(super) calls_per_second: Option<f64>,
    pub(super) describe_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLease {
    pub(super) seconds: Option<u64>,
}

pub(super) fn limits(raw: &RawLimits, problems: &mut Vec<String>) -> Limits {
    let limits = Limits::default();
    let per_second = raw.calls_per_second.map(|rate| rate * 1_000.0);
    if per_second.is_some_and(|milli| !(1.0..=1_000_000.0).contains(&milli)) {
        problems.push("limits.calls_per_second: 0.001 to 1000".to_owned());
    }
    let describe = raw.describe_seconds.map(Duration::from_secs);
    if raw.describe_seconds == Some(0) {
        problems.push("limits.describe_seconds: at least 1".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    let milli = per_second.map(|milli| milli as u64);
    Limits {
        burst: raw.calls_at_once.unwrap_or(limits.burst),
        rate_milli: milli.unwrap_or(limits.rate_milli),
        describe_every: describe.unwrap_or(limits.describe_every),
    }
}

/// The calls of a holder that lost its lease have ended when the next one begins: two that wait for
/// each other take twice as long as one.
pub(super) fn lease(raw: &RawLease, call_timeout: Duration) -> Result<LeaseTerms, String> {
    let term = raw
        .seconds
        .map_or_else(|| LeaseTerms::default().term, Duration::from_secs);
    let terms = LeaseTerms {
        term,
        beat: term / 6,
        call_max: 2 * call_timeout,
        drift: term / 30,
    };
    let least = terms.call_max + terms.drift + 2 * terms.beat;
    if term <= least {
        return Err(format!(
            "lease.seconds: more than {} with aws.call_timeout_seconds of {}",
            least.as_secs(),
            call_timeout.as_secs()
        ));
    }
    Ok(terms)
}
