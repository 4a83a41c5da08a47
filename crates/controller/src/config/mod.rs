//! The controller's file: TOML that only root writes, read whole or not at all.
//!
//! `[mirroring] mode`, `tag_key` and `[target] network_interface` are enough; everything else has
//! a default. What bounds blindness and cost is only here, never in a bucket.

mod file;
mod limits;
mod mirroring;
mod target;

use std::path::{Path, PathBuf};
use std::time::Duration;

use vxscope_config::{HandlingMode, StaConf};
use vxscope_control::reconcile::Limits;
use vxscope_enrolment::lead::LeaseTerms;
use vxscope_enrolment::preflight::Host;
use vxscope_enrolment::{Sensor, Settings};
use vxscope_log::Format;
use vxscope_policy::rules::Mode;

use crate::host::here;
use file::Raw;

/// Everything that a run needs.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) aws: vxscope_ec2::Settings,
    /// As this file says it; see [`Config::settings`] for what holds.
    pub(crate) enrolment: Settings,
    /// Whether this file names a mode.
    names_mode: bool,
    /// A `sta.conf` beside the bucket's.
    pub(crate) sta_conf: Option<PathBuf>,
    pub(crate) sensors: Vec<Sensor>,
    /// Sensors that have a control socket, by name.
    pub(crate) sockets: Vec<(String, PathBuf)>,
    /// The names of those sensors, which are on this machine.
    local: Vec<String>,
    pub(crate) limits: Limits,
    /// How long a lease lasts, where there is a bucket for it.
    pub(crate) lease: Option<LeaseTerms>,
    /// Metrics of CloudWatch that may be asked for: each is billed.
    pub(crate) metrics_per_hour: u32,
    /// A queue of events that tell that the account is worth a look, by its URL.
    pub(crate) queue: Option<String>,
    /// How old a heartbeat of the reaper may be; `None`: sources are never off.
    pub(crate) reaper_max: Option<Duration>,
    /// Seals what is left in the account.
    pub(crate) key_file: PathBuf,
    /// Where the journal is.
    pub(crate) folder: PathBuf,
    /// What a line of the log looks like.
    pub(crate) log: Format,
}

impl Config {
    /// Reads the file and those that it names.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = read(path).map_err(|problem| vec![problem])?;
        let of_file = |problem: String| format!("{}: {problem}", path.display());
        let raw: Raw = toml::from_str(&text).map_err(|error| vec![of_file(error.to_string())])?;
        let checked = raw.check(path.parent().unwrap_or_else(|| Path::new("")));
        checked.map_err(|problems| problems.into_iter().map(of_file).collect())
    }

    /// What this machine tells of itself, for each sensor on it.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        self.local.iter().filter_map(|name| here(name)).collect()
    }

    /// What holds with this `sta.conf`: names where ours has none, and a mode that never lowers
    /// more than ours lets it. Nothing else of it.
    pub(crate) fn settings(&self, conf: Option<&StaConf>) -> Settings {
        let mut settings = self.enrolment.clone();
        let Some(conf) = conf else {
            return settings;
        };
        settings.selection = settings.selection.named_by(
            conf.tag_key.clone(),
            conf.indicator_key.clone(),
            conf.role_key.clone(),
        );
        let ours = if self.names_mode {
            settings.rules.mode
        } else {
            Mode::Dynamic
        };
        settings.rules.mode = match conf.mode {
            HandlingMode::Manual => Mode::Manual,
            HandlingMode::Dynamic => ours,
        };
        settings
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_are_enough() {
        let config = parse(
            "[mirroring]\nmode = \"manual\"\ntag_key = \"mirror\"\n\
             [target]\nnetwork_interface = \"eni-1\"\n",
        );
        let config = config.unwrap();
        assert_eq!(
            config.enrolment.selection.tag_key.as_deref(),
            Some("mirror")
        );
        assert_eq!(config.sensors.len(), 1);
        assert_eq!(config.enrolment.rules.mode, Mode::Manual);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = parse(
            "[mirroring]\nmode = \"sometimes\"\n[owner]\nname = \"\"\n[target]\nweight = 2\n",
        );
        let problems = problems.unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        let unknown = parse("[mirroring]\nfilter = 1\n").unwrap_err();
        assert!(unknown[0].contains("unknown field"), "{unknown:?}");
    }

    #[test]
    fn a_sta_conf_chooses_names_and_never_lowers_more_than_ours() {
        let conf = |mode: &str| {
            let text = format!(
                r#"{{"automations": {{"vpc-mirroring-auto-handler": {{
                    "mirror_handling_mode": "{mode}", "mirror_filter_tagname": "theirs",
                    "role_tagname": "app"}}}}}}"#
            );
            StaConf::parse(&text).unwrap()
        };
        let settings = |ours: &str, theirs: &str| {
            let target = "[target]\nnetwork_interface = \"eni-1\"\n";
            let config = parse(&format!("[mirroring]\n{ours}\n{target}")).unwrap();
            config.settings(Some(&conf(theirs)))
        };
        for (ours, theirs, holds) in [
            ("", "MANUAL", Mode::Manual),
            ("", "DYNAMIC", Mode::Dynamic),
            ("mode = \"manual\"", "DYNAMIC", Mode::Manual),
            ("mode = \"shadow\"", "DYNAMIC", Mode::Shadow),
            ("mode = \"shadow\"", "MANUAL", Mode::Manual),
            ("mode = \"dynamic\"", "DYNAMIC", Mode::Dynamic),
            ("mode = \"dynamic\"", "MANUAL", Mode::Manual),
        ] {
            let settings = settings(ours, theirs);
            assert_eq!(settings.rules.mode, holds, "{ours} {theirs}");
            assert_eq!(settings.selection.tag_key.as_deref(), Some("theirs"));
            assert_eq!(settings.selection.role_key, "app");
        }
        let ours = settings("tag_key = \"ours\"\nrole_key = \"r\"", "MANUAL").selection;
        assert_eq!(
            (ours.tag_key.as_deref(), &*ours.role_key),
            (Some("ours"), "r")
        );
    }

    fn parse(text: &str) -> Result<Config, Vec<String>> {
        let raw: Raw = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        raw.check(Path::new(""))
    }
}
