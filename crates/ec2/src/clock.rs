//! The clock at the edge. That of the requests' signatures is the SDK's: it corrects itself by
//! what AWS says the time is, so that a machine whose clock is wrong can bring its sources back.

use std::time::{SystemTime, UNIX_EPOCH};

use vxscope_units::Timestamp;

/// Now, by the machine's clock.
#[must_use]
pub fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock at the edge")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.unwrap_or_default().as_nanos();
    Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
