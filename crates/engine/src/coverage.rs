//! What of a source was seen when, for whoever asks a running sensor.

use std::path::Path;

use serde_json::{Value, json};
use vxscope_api::{CoverageSearch, Refusal};
use vxscope_coverage::{Share, parse_time};

use crate::journal::read_journal;

/// Longest time that one answer is about, in microseconds: a month and a day.
const TIME_MAX: u64 = 32 * 86_400 * 1_000_000;
/// Most spans in an answer; more take a shorter time, which is said.
const SPANS_MAX: usize = 10_000;

/// The timelines of the sources that the search names. `now` is in microseconds.
pub(crate) fn answer(folder: &Path, search: &CoverageSearch, now: u64) -> Result<Value, Refusal> {
    let time = |text: &str| {
        let time = parse_time(text, now);
        time.map_err(|error| Refusal::wrong(error.to_string()))
    };
    let from = time(search.from.as_deref().unwrap_or("-24h"))?;
    let to = search.to.as_deref().map_or(Ok(now), time)?;
    if from >= to || to - from > TIME_MAX {
        let message = "from must be before to, by 32 days at most";
        return Err(Refusal::wrong(message));
    }
    let (book, cut) = read_journal(folder).map_err(Refusal::failed)?;
    let found = book.find(&search.source);
    if found.is_empty() {
        return Err(Refusal::not_found("no record speaks of such a source"));
    }
    let mut spans_left = SPANS_MAX;
    let mut timelines = Vec::new();
    for source in found {
        let spans = book.timeline(source, from, to);
        let Some(left) = spans_left.checked_sub(spans.len()) else {
            let message = format!("more than {SPANS_MAX} spans; ask for a shorter time");
            return Err(Refusal::wrong(message));
        };
        spans_left = left;
        let (address, vni) = source;
        timelines.push(json!({
            "outer_ip": address, "vni": vni, "share": Share::of(&spans), "spans": spans
        }));
    }
    Ok(json!({"from": from, "to": to, "timelines": timelines, "unreadable_lines": cut}))
}
