//! Who looks after the mirrors of `vxscope run`: the configured mode and rules, read again when
//! their files change, whole or not at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vxscope_config::{Config, HandlingMode, PolicyMode, StaConf};
use vxscope_control::simulated::Faults;
use vxscope_engine::{Mirrors, Order, Orders, Stewardship};
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Mode, RawRules, Rules};
use vxscope_steward::EmbeddedSetup;

use crate::failure::Failure;

/// What the configuration says, and the files it names as they were read last.
#[derive(Debug)]
pub(crate) struct Mirroring {
    mode: PolicyMode,
    rules: Watched,
    sta: Watched,
    pub(crate) orders: Orders,
    /// What nobody has been told yet.
    said: Vec<String>,
}

/// A file and its text as it was read last.
#[derive(Debug)]
struct Watched {
    path: Option<PathBuf>,
    text: Option<String>,
    /// Why it could not be read when somebody looked last: told once, not each second.
    unread: Option<String>,
}

impl Mirroring {
    /// Nobody looks after the mirrors unless somebody asked for it.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let policy = &config.policy;
        let mirroring = Self {
            mode: policy.mode,
            rules: Watched::new(&policy.file),
            sta: Watched::new(&policy.sta_conf),
            orders: Orders::default(),
            said: Vec::new(),
        };
        let files = mirroring.rules.path.is_some() || mirroring.sta.path.is_some();
        (files || policy.mode != PolicyMode::Manual).then_some(mirroring)
    }

    /// What the engine needs. A file that cannot be read or is wrong ends it here.
    pub(crate) fn stewardship(&mut self, mirrors: Mirrors) -> Result<Stewardship, Failure> {
        for file in [&mut self.rules, &mut self.sta] {
            file.text = file.read().map_err(Failure::Usage)?;
        }
        let rules = self.read_rules().map_err(Failure::Usage)?;
        self.said.extend(self.not_read());
        let wrong = |problems: Vec<String>| Failure::Failed(problems.join("; "));
        let setup = EmbeddedSetup {
            prices: PriceTable::published().map_err(wrong)?,
            faults: Faults::default(),
            describe_every: Duration::from_secs(30),
            learn: Duration::ZERO,
            seed: seed(),
            rules,
        };
        Ok(Stewardship {
            setup,
            mirrors,
            orders: self.orders.clone(),
            text: self.rules.text.clone().unwrap_or_default(),
        })
    }

    /// Looks whether a file has changed; what somebody should know about it.
    pub(crate) fn look(&mut self) -> Vec<String> {
        let mut said = std::mem::take(&mut self.said);
        said.extend(self.orders.take_answers());
        let files = [&mut self.rules, &mut self.sta];
        if !files.map(|file| file.look(&mut said)).contains(&true) {
            return said;
        }
        match self.read_rules() {
            Ok(rules) => {
                let mode = rules.mode.name();
                if self.orders.give(Order::Rules(Box::new(rules))) {
                    said.push(format!("mirrors: rules read again, mode {mode}"));
                    said.extend(self.not_read());
                }
            }
            Err(problems) => said.push(format!("{problems}\nnothing is changed")),
        }
        said
    }

    /// The rules that the files say, or everything that is wrong with them.
    fn read_rules(&self) -> Result<Rules, String> {
        let mut problems = Vec::new();
        let text = self.rules.text.as_deref().unwrap_or_default();
        let mut rules = match parse_rules(text) {
            Ok(rules) => rules,
            Err(wrong) => {
                problems.extend(wrong.lines().map(|line| self.rules.named(line)));
                Rules::default()
            }
        };
        rules.mode = match self.mode {
            PolicyMode::Manual => Mode::Manual,
            PolicyMode::Shadow => Mode::Shadow,
            PolicyMode::Dynamic => Mode::Dynamic,
        };
        if let Some(text) = &self.sta.text {
            match StaConf::parse(text) {
                Ok(conf) => {
                    rules.mode = match conf.mode {
                        HandlingMode::Manual => Mode::Manual,
                        HandlingMode::Dynamic => Mode::Dynamic,
                    };
                }
                Err(wrong) => {
                    let wrong = wrong.iter().map(ToString::to_string);
                    problems.extend(wrong.map(|line| self.sta.named(&line)));
                }
            }
        }
        if problems.is_empty() {
            Ok(rules)
        } else {
            Err(problems.join("\n"))
        }
    }

    /// What of the sta.conf is kept and not read, if anything is.
    fn not_read(&self) -> Option<String> {
        let conf = StaConf::parse(self.sta.text.as_deref()?).ok()?;
        let unknown = conf.unknown();
        let line = || self.sta.named(&format!("not read: {}", unknown.join(", ")));
        (!unknown.is_empty()).then(line)
    }
}

fn parse_rules(text: &str) -> Result<Rules, String> {
    let raw: RawRules = toml::from_str(text).map_err(|error| error.to_string())?;
    raw.check().map_err(|errors| errors.to_string())
}

impl Watched {
    fn new(path: &str) -> Self {
        Self {
            path: (!path.is_empty()).then(|| PathBuf::from(path)),
            text: None,
            unread: None,
        }
    }

    /// Reads the file again; whether it says something else now. One that cannot be read is as it
    /// was, and so is one that is empty, as while somebody writes it.
    fn look(&mut self, said: &mut Vec<String>) -> bool {
        let (text, unread) = match self.read() {
            Ok(text) => (text.filter(|text| !text.is_empty()), None),
            Err(problem) => (None, Some(problem)),
        };
        let known = std::mem::replace(&mut self.unread, unread);
        let new = self.unread.iter().filter(|_| self.unread != known);
        said.extend(new.map(|it| format!("{it}; what held before holds on")));
        let is_new = text.is_some() && text != self.text;
        if is_new {
            self.text = text;
        }
        is_new
    }

    fn read(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path);
        text.map(Some)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))
    }

    fn named(&self, line: &str) -> String {
        let path = self.path.as_deref().unwrap_or_else(|| Path::new("policy"));
        format!("{}: {line}", path.display())
    }
}

/// A number that nobody outside knows: the standard library's hasher is keyed by the system's
/// randomness. Whoever knew it would know when a source is not watched.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DYNAMIC: &str = r#"{"automations": {"vpc-mirroring-auto-handler":
        {"mirror_handling_mode": "DYNAMIC"}}}"#;

    #[test]
    fn nobody_looks_after_the_mirrors_unless_asked() {
        assert!(Mirroring::of(&Config::default()).is_none());
        let config = Config::parse("policy.mode = 'dynamic'").unwrap();
        let mut mirroring = Mirroring::of(&config).unwrap();
        let stewardship = mirroring.stewardship(Mirrors::default()).unwrap();
        assert_eq!(stewardship.setup.rules.mode, Mode::Dynamic);
    }

    #[test]
    fn a_sta_conf_decides_on_the_mode_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sta.conf");
        std::fs::write(&path, DYNAMIC).unwrap();
        let text = format!("policy.sta_conf = '{}'", path.display());
        let mut mirroring = Mirroring::of(&Config::parse(&text).unwrap()).unwrap();
        let stewardship = mirroring.stewardship(Mirrors::default()).unwrap();
        assert_eq!(stewardship.setup.rules.mode, Mode::Dynamic);
        assert!(mirroring.look().is_empty());
        std::fs::write(&path, r#"{"x": 1}"#).unwrap();
        let unknown = format!("{}: not read: x", path.display());
        let expected = ["mirrors: rules read again, mode manual", &unknown];
        assert_eq!(mirroring.look(), expected);
    }

    #[test]
    fn each_file_is_read_again_whatever_is_with_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let (rules, sta) = (folder.path().join("rules"), folder.path().join("sta"));
        std::fs::write(&rules, "[limits]\nrefusal = 0.1\n").unwrap();
        let alone = format!(
            "policy.mode = 'dynamic'\npolicy.file = '{}'",
            rules.display()
        );
        let both = format!("{alone}\npolicy.sta_conf = '{}'", sta.display());
        let read_again = |mode| format!("mirrors: rules read again, mode {mode}");

        let mut mirroring = Mirroring::of(&Config::parse(&alone).unwrap()).unwrap();
        mirroring.stewardship(Mirrors::default()).unwrap();
        std::fs::write(&rules, "[limits]\nrefusal = 0.2\n").unwrap();
        assert_eq!(mirroring.look(), [read_again("dynamic")]);
        assert!(mirroring.look().is_empty());

        std::fs::write(&sta, DYNAMIC).unwrap();
        let mut mirroring = Mirroring::of(&Config::parse(&both).unwrap()).unwrap();
        mirroring.stewardship(Mirrors::default()).unwrap();
        std::fs::remove_file(&rules).unwrap();
        std::fs::write(&sta, "{}").unwrap();
        let said = mirroring.look();
        assert!(said[0].contains("cannot be read"), "{said:?}");
        assert_eq!(said[1..], [read_again("manual")]);
        // While somebody writes it, it is empty.
        std::fs::write(&rules, "").unwrap();
        assert!(mirroring.look().is_empty());
    }

    #[test]
    fn wrong_files_are_refused_whole_with_all_errors() {
        let folder = tempfile::tempdir().unwrap();
        let (rules, sta) = (folder.path().join("rules"), folder.path().join("sta"));
        std::fs::write(&rules, "[limits]\nrefusal = 0.1\n").unwrap();
        std::fs::write(&sta, DYNAMIC).unwrap();
        let text = format!(
            "policy.file = '{}'\npolicy.sta_conf = '{}'",
            rules.display(),
            sta.display()
        );
        let mut mirroring = Mirroring::of(&Config::parse(&text).unwrap()).unwrap();
        mirroring.stewardship(Mirrors::default()).unwrap();
        std::fs::write(&rules, "[limits]\nrefusal = 7\nbulk_max = 9\n").unwrap();
        std::fs::write(&sta, "[]").unwrap();
        let said = mirroring.look().join("\n");
        for part in [
            "limits.refusal",
            "limits.bulk_max",
            "JSON object",
            "nothing is changed",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(mirroring.look().is_empty(), "it is said once");
        for _ in 0..2 {
            std::fs::remove_file(&rules).unwrap();
            let said = mirroring.look();
            assert!(said[0].contains("cannot be read"), "{said:?}");
            assert!(mirroring.look().is_empty(), "it is said once");
            std::fs::write(&rules, "[limits]\nrefusal = 7\nbulk_max = 9\n").unwrap();
            assert!(mirroring.look().is_empty(), "it is as it was");
        }
    }
}
