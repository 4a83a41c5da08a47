//! `sta.conf`: names of tags and the mode, from the bucket, else from a file beside ours.
//!
//! It is watched by its tag, and taken over whole or not at all: a bad one changes nothing and is
//! told. What held last is kept in the state folder, so that a restart beside a bad file changes
//! nothing either.

use std::io;
use std::path::{Path, PathBuf};

use vxscope_config::StaConf;
use vxscope_control::mirror::ApiError;
use vxscope_ec2::{ObjectAnswer, ObjectAsk, ObjectCall};
use vxscope_enrolment::{Finding, FindingKind, Settings};

use crate::config::Config;
use crate::store::replace;

/// Its key in the bucket.
const KEY: &str = "sta.conf";
/// What held last, in the state folder.
const KEPT: &str = "sta.conf";

/// See the module.
#[derive(Debug)]
pub(crate) struct Names {
    bucket: Option<String>,
    file: Option<PathBuf>,
    /// Where what holds is kept, by whoever carries it out.
    kept: Option<PathBuf>,
    /// What holds; `None` where there is no such file.
    conf: Option<StaConf>,
    /// The bucket's object as it was read last, good or bad.
    tag: Option<String>,
    /// The file as it was read last.
    text: Option<String>,
    /// Why what is there does not hold.
    problem: Option<Problem>,
    known: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    place: String,
    text: String,
}

impl Names {
    /// With what held when the run before ended; whoever only looks leaves it as it is.
    pub(crate) fn open(config: &Config, keeps: bool) -> Self {
        let bucket = config.enrolment.selection.bucket.clone();
        let kept = config.folder.join(KEPT);
        let is_used = bucket.is_some() || config.sta_conf.is_some();
        let text = std::fs::read_to_string(&kept).ok().filter(|_| is_used);
        Self {
            conf: text.and_then(|text| StaConf::parse(&text).ok()),
            bucket,
            file: config.sta_conf.clone(),
            kept: keeps.then_some(kept),
            tag: None,
            text: None,
            problem: None,
            known: false,
        }
    }

    /// What is to be asked of the bucket; without one the file is looked at.
    pub(crate) fn ask(&mut self) -> Option<ObjectAsk> {
        if self.bucket.is_none() {
            self.read_file();
        }
        Some(ObjectAsk {
            bucket: self.bucket.clone()?,
            what: ObjectCall::Get {
                key: KEY.to_owned(),
                unless: self.tag.clone(),
            },
        })
    }

    /// The bucket's answer.
    pub(crate) fn handle(&mut self, answer: Result<ObjectAnswer, ApiError>) {
        let bucket = self.bucket.as_deref().unwrap_or_default();
        let place = format!("s3://{bucket}/{KEY}");
        match answer {
            Ok(ObjectAnswer::There { bytes, tag }) => {
                (self.tag, self.text) = (Some(tag), None);
                self.take(&place, &bytes);
            }
            Ok(ObjectAnswer::Missing) => {
                self.tag = None;
                self.read_file();
            }
            Ok(_) => self.known = true,
            Err(error) => {
                self.tag = None;
                self.fail(&place, error.to_string());
            }
        }
    }

    /// Whether it is known what holds: until then nobody can say who is to be mirrored.
    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    /// What holds, of this configuration.
    pub(crate) fn settings(&self, config: &Config) -> Settings {
        config.settings(self.conf.as_ref())
    }

    /// What somebody should know.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let problem = self.problem.as_ref()?;
        let (place, text) = (&problem.place, problem.text.as_str());
        Some(Finding::new(FindingKind::BadStaConf, place, text))
    }

    fn read_file(&mut self) {
        let Some(file) = self.file.clone() else {
            return self.hold(None, "");
        };
        let place = file.display().to_string();
        match std::fs::read_to_string(&file) {
            Ok(text) if self.text.as_ref() == Some(&text) => self.known = true,
            Ok(text) => {
                self.take(&place, text.as_bytes());
                self.text = Some(text);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.hold(None, ""),
            Err(error) => {
                self.text = None;
                self.fail(&place, error.to_string());
            }
        }
    }

    /// A text that was not there before.
    fn take(&mut self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match StaConf::parse(&text) {
            Ok(conf) => {
                let unknown = conf.unknown();
                if !unknown.is_empty() {
                    tracing::info!(place, ?unknown, "keys that are not read");
                }
                self.hold(Some(conf), &text);
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                self.fail(place, problems.join("; "));
            }
        }
    }

    fn hold(&mut self, conf: Option<StaConf>, text: &str) {
        (self.known, self.problem) = (true, None);
        if conf.is_none() {
            self.text = None;
        }
        if conf == self.conf {
            return;
        }
        tracing::info!(there = conf.is_some(), "other names and another mode");
        self.conf = conf;
        let kept = self.kept.as_ref().map_or(Ok(()), |path| keep(path, text));
        if let Err(error) = kept {
            tracing::warn!(%error, "what sta.conf says is forgotten with a restart");
        }
    }

    fn fail(&mut self, place: &str, text: String) {
        self.known = true;
        let place = place.to_owned();
        let problem = Some(Problem { place, text });
        if problem != self.problem {
            tracing::warn!(?problem, "what sta.conf said before holds on");
            self.problem = problem;
        }
    }
}

fn keep(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
    }
    replace(path, text.as_bytes())
}
