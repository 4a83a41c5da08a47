//! `vxscope mirrors`: how a sensor's mirrors stand, and what an operator says about them.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vxscope_api::{Alert, Client, ClientError, Done, MirrorMode, MirrorOrder, Severity};
use vxscope_report::{MirrorState, MirrorStatus};
use vxscope_units::Timestamp;

use crate::arguments::AskArguments;
use crate::failure::Failure;
use crate::print;
use crate::report::align;

#[derive(Debug, Args)]
pub(crate) struct MirrorsArguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    ask: AskArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How they stand: mode, who is lowered, who is pinned (also without any word).
    Show,
    /// Lower nothing from now on; what is lowered comes back in its time.
    Hold,
    /// Lower again, after hold or resume-all.
    Release,
    /// Bring everything back now, and lower nothing until released.
    ResumeAll,
    /// Keep a source full.
    Pin {
        #[command(flatten)]
        source: Source,
        /// For so long, as in 30m, 4h or 2d [default: until unpinned or the sensor ends].
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        lasts: Option<Duration>,
    },
    /// End a pin of the operator; those of alerts stay.
    Unpin {
        #[command(flatten)]
        source: Source,
    },
    /// Change who decides, until the sensor ends; files do not change it meanwhile.
    Mode {
        /// manual brings everything back; configured is what the files say.
        mode: ModeName,
    },
    /// Name a source as a detector would: it comes back and stays full for a while.
    Alert {
        #[command(flatten)]
        source: Source,
        /// For the longer time.
        #[arg(long)]
        severe: bool,
        /// Why; the first 256 bytes are kept.
        #[arg(long, value_name = "TEXT", default_value = "named by an operator")]
        reason: String,
        /// Who troubled it, or was troubled by it.
        #[arg(long, value_name = "ADDRESS")]
        peer: Option<IpAddr>,
    },
}

#[derive(Clone, Debug, Args)]
struct Source {
    /// Outer source address.
    address: IpAddr,
    /// Network identifier of its mirror session.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=0xff_ffff))]
    vni: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    Manual,
    Shadow,
    Dynamic,
    Configured,
}

/// Asks or orders, and says what came of it.
pub(crate) fn run(arguments: &MirrorsArguments) -> Result<(), Failure> {
    let ask = &arguments.ask;
    let mut client = Client::connect(&ask.socket).map_err(failed)?;
    let Some((request, done)) = arguments.action.as_ref().and_then(request) else {
        let request = r#"{"get":"mirrors"}"#;
        if ask.json {
            let answer: Value = client.ask(request).map_err(failed)?;
            return print(&format!("{answer}\n"));
        }
        let status: MirrorStatus = client.ask(request).map_err(failed)?;
        return print(&text(&status));
    };
    let answer: Done = client.ask(&request.to_string()).map_err(failed)?;
    if ask.json {
        return print(&format!("{}\n", json!(answer)));
    }
    let says = answer.says.map(|says| format!("; {says}"));
    print(&format!("{done}{}\n", says.unwrap_or_default()))
}

fn failed(error: ClientError) -> Failure {
    Failure::Failed(error.to_string())
}

/// What is sent, and what is said once it is done; nothing to show how they stand.
fn request(action: &Action) -> Option<(Value, String)> {
    let (order, done) = match action {
        Action::Show => return None,
        Action::Hold => (
            MirrorOrder::Hold,
            "held: nothing is lowered any more".to_owned(),
        ),
        Action::Release => (MirrorOrder::Release, "released".to_owned()),
        Action::ResumeAll => (MirrorOrder::ResumeAll, "called back, and held".to_owned()),
        Action::Pin { source, lasts } => {
            let order = MirrorOrder::Pin {
                address: source.address,
                vni: source.vni,
                seconds: lasts.map(|lasts| lasts.as_secs()),
            };
            let lasts = lasts.map_or_else(
                || "until unpinned".to_owned(),
                |it| format!("for {}", span(it)),
            );
            (order, format!("pinned {source} {lasts}"))
        }
        Action::Unpin { source } => {
            let order = MirrorOrder::Unpin {
                address: source.address,
                vni: source.vni,
            };
            (order, format!("unpinned {source}"))
        }
        Action::Mode { mode } => {
            let (mode, done) = match mode {
                ModeName::Manual => (MirrorMode::Manual, "mode manual"),
                ModeName::Shadow => (MirrorMode::Shadow, "mode shadow"),
                ModeName::Dynamic => (MirrorMode::Dynamic, "mode dynamic"),
                ModeName::Configured => (MirrorMode::Configured, "mode as configured"),
            };
            (MirrorOrder::Mode(mode), done.to_owned())
        }
        Action::Alert {
            source,
            severe,
            reason,
            peer,
        } => {
            let alert = Alert {
                address: source.address,
                vni: source.vni,
                severity: if *severe {
                    Severity::Severe
                } else {
                    Severity::Normal
                },
                reason: reason.clone(),
                peer: *peer,
            };
            return Some((
                json!({"alert": alert}),
                format!("alert about {source} taken"),
            ));
        }
    };
    Some((json!({"set": "mirrors", "order": order}), done))
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} vni {}", self.address, self.vni)
    }
}

fn text(status: &MirrorStatus) -> String {
    let MirrorStatus {
        mode,
        sources,
        lowered,
        ..
    } = status;
    let mut text = format!("mode       {mode}");
    text += match (status.mode_ordered, status.held) {
        (true, true) => ", ordered; held",
        (true, false) => ", ordered",
        (false, true) => "; held",
        (false, false) => "",
    };
    let resume = status.resume_seconds;
    let _ = writeln!(
        text,
        "\nsources    {sources}, of which {lowered} lowered; all back within {resume:.0} s if ordered"
    );
    if !status.mirrors.is_empty() {
        let mut table = vec![["source", "vni", "grade", "pinned until"].map(str::to_owned)];
        // Who is hidden is what one looks for.
        let mut rows: Vec<&MirrorState> = status.mirrors.iter().collect();
        rows.sort_by_key(|one| (one.grade == "full", one.outer_ip, one.vni));
        table.extend(rows.into_iter().map(|one| {
            let pinned = one
                .pinned_until
                .map(|micros| Timestamp::from_nanos(micros.saturating_mul(1_000)).to_string());
            [
                one.outer_ip.to_string(),
                one.vni.to_string(),
                one.grade.clone(),
                pinned.unwrap_or_else(|| "-".to_owned()),
            ]
        }));
        text += &align(&table);
    }
    text
}

/// A number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    const HELP: &str = "a number and s, m, h or d, as in 90s or 4h, is needed";
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(HELP.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| HELP.to_owned())?;
    let seconds = number.checked_mul(unit).filter(|it| *it > 0);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| HELP.to_owned())
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = units
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, name) = fits.unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("4h", 14_400), ("2d", 172_800)] {
            let parsed = duration(text).unwrap();
            assert_eq!(parsed.as_secs(), seconds);
            assert_eq!(span(parsed), text);
        }
        for text in [
            "",
            "4",
            "h",
            "-4h",
            "0h",
            "4µ",
            "1.5h",
            "99999999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_hidden_come_first() {
        let state = |last: u8, grade: &str, pinned_until| MirrorState {
            outer_ip: [10, 0, 0, last].into(),
            vni: 7,
            grade: grade.to_owned(),
            pinned_until,
        };
        let status = MirrorStatus {
            mode: "manual".to_owned(),
            mode_ordered: true,
            sources: 2,
            lowered: 1,
            mirrors: vec![state(1, "full", Some(1_000_000)), state(2, "off", None)],
            ..MirrorStatus::default()
        };
        let lines = text(&status);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], "mode       manual, ordered");
        assert!(lines[3].starts_with("10.0.0.2"), "{lines:?}");
        assert!(lines[4].contains("1970-01-01T00:00:01"), "{lines:?}");
    }
}
