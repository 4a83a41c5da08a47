//! `vxscope coverage`: what of a source was seen when, from the journal that sensors leave.

use std::fmt::Write;
use std::time::SystemTime;

use indicatif::HumanDuration;
use serde_json::json;
use vxscope_coverage::{Share, Sight, Source, Span, csv, month, parse_time, stamp};
use vxscope_engine::read_journal;

use crate::arguments::CoverageArguments;
use crate::failure::Failure;
use crate::print;

/// Prints a timeline, or a row for each source.
pub(crate) fn run(arguments: &CoverageArguments) -> Result<(), Failure> {
    let usage = |error: vxscope_coverage::TimeError| Failure::Usage(error.to_string());
    let now = now();
    let (from, to) = match (&arguments.month, &arguments.from, &arguments.to) {
        (Some(text), _, _) => {
            let (from, to) = month(text).map_err(usage)?;
            (from, to.min(now).max(from))
        }
        (None, from, to) => (
            parse_time(from.as_deref().unwrap_or("-24h"), now).map_err(usage)?,
            to.as_deref()
                .map_or(Ok(now), |to| parse_time(to, now))
                .map_err(usage)?,
        ),
    };
    if from >= to {
        return Err(Failure::Usage("--from must be before --to".to_owned()));
    }
    let (book, cut) = read_journal(&arguments.journal).map_err(Failure::Failed)?;
    let Some(name) = &arguments.source else {
        return print(&csv(&book, from, to));
    };
    let found = book.find(name);
    if found.is_empty() {
        return Err(Failure::Failed(format!(
            "{name}: no record speaks of it; without a source every one is listed"
        )));
    }
    for source in found {
        let spans = book.timeline(source, from, to);
        print(&match arguments.json {
            true => object(source, &spans, cut),
            false => told(source, &spans, cut),
        })?;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of a command that asks for now"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    u64::try_from(micros).unwrap_or(u64::MAX)
}

fn object((address, vni): Source, spans: &[Span], cut: u64) -> String {
    let share = Share::of(spans);
    let object = json!({
        "outer_ip": address, "vni": vni, "spans": spans, "share": share, "unreadable_lines": cut
    });
    format!("{object}\n")
}

fn told((address, vni): Source, spans: &[Span], cut: u64) -> String {
    let mut text = format!("{address} vni {vni}\n");
    for span in spans {
        let lasts = std::time::Duration::from_micros(span.micros());
        let what = match span.sight {
            Sight::Mirrored => format!("mirrored {}", span.grade),
            Sight::Lossy => format!(
                "mirrored {}, {} packets lost of all sources",
                span.grade, span.lost
            ),
            Sight::NotMirrored => "NOT MIRRORED".to_owned(),
            Sight::NotSeen => "NOT SEEN".to_owned(),
            Sight::Unknown => "unknown".to_owned(),
        };
        let lasts = HumanDuration(lasts).to_string();
        let (from, to) = (stamp(span.from), stamp(span.to));
        let _ = writeln!(
            text,
            "{from} to {to}  {lasts:>12}  {what}  ({})",
            span.cause
        );
    }
    let share = Share::of(spans);
    let seconds = share.seconds.iter();
    let seconds = seconds.map(|(sight, seconds)| format!("{sight} {seconds:.0} s"));
    let percent = share.visible_percent.iter();
    let percent = percent.map(|(class, percent)| format!("{class} {percent:.3} %"));
    let _ = writeln!(text, "in all: {}", seconds.collect::<Vec<_>>().join(", "));
    let _ = writeln!(text, "visible: {}", percent.collect::<Vec<_>>().join(", "));
    if cut > 0 {
        let _ = writeln!(
            text,
            "{cut} lines of the journal cannot be read, as a crash leaves them"
        );
    }
    text
}
