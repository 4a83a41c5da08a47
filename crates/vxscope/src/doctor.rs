//! `vxscope doctor`: what a consumer needs for the hand-off that is configured, and whether what
//! can be looked at from here is as it should be.

mod advice;
mod check;

use std::fmt::Write;

use vxscope_config::{ExportKind, VlanMode, Way};

use crate::arguments::DoctorArguments;
use crate::configuration;
use crate::failure::Failure;
use crate::print;
use check::{Check, Verdict};

/// A program that reads what the sensor hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Consumer {
    Suricata,
    Zeek,
    Arkime,
}

impl Consumer {
    const fn name(self) -> &'static str {
        match self {
            Self::Suricata => "Suricata",
            Self::Zeek => "Zeek",
            Self::Arkime => "Arkime",
        }
    }
}

/// Prints options and findings; fails if a check did.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<(), Failure> {
    let config = configuration::with_options(&arguments.options, None)?;
    let consumer = arguments.consumer;
    let is_handoff = |way: &&Way| way.kind.takes_frames() && way.kind != ExportKind::Vxlan;
    let ways: Vec<&Way> = config.export.kinds.iter().filter(is_handoff).collect();
    if ways.is_empty() {
        let text = "no output hands frames over; choose one with --export, as in tap=cap0";
        return Err(Failure::Usage(text.to_owned()));
    }
    let (mut text, mut checks) = (String::new(), Vec::new());
    for way in &ways {
        let _ = writeln!(text, "# {} reads {way}", consumer.name());
        for line in advice::lines(consumer, way, &config) {
            let _ = writeln!(text, "{line}");
        }
        text.push('\n');
        checks.extend(check::of(consumer, way, &config));
    }
    if config.handoff.vlan == VlanMode::None {
        let what = "sources told apart";
        let told = "handoff.vlan is none: tenants with the same addresses become one; \
                    use map or qinq if there are any";
        checks.push(Check::new(Verdict::Unknown, what, told));
    }
    text.push_str("# checks\n");
    for Check {
        verdict,
        what,
        told,
    } in &checks
    {
        let _ = writeln!(text, "{:<8}{what}: {told}", verdict.word());
    }
    print(&text)?;
    let bad = checks
        .iter()
        .filter(|it| it.verdict == Verdict::Bad)
        .count();
    match bad {
        0 => Ok(()),
        bad => Err(Failure::Failed(format!(
            "{bad} of {} checks failed",
            checks.len()
        ))),
    }
}
