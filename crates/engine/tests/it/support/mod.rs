//! What the tests share: captures, runs, and the outputs read back.

use std::collections::BTreeSet;

pub(crate) mod capture;
pub(crate) mod corpus;
pub(crate) mod flow;
pub(crate) mod live;
pub(crate) mod output;
pub(crate) mod program;
pub(crate) mod run;
pub(crate) mod watchdog;

/// What agrees with another program, and what differs. It must differ exactly as listed: a
/// difference that is not listed fails, and so does one that is listed and gone.
#[derive(Debug)]
pub(crate) struct Comparison {
    list: &'static [(&'static str, &'static str)],
    agreeing: BTreeSet<String>,
    differing: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Comparison {
    /// `list` has captures and the reason why each differs.
    pub(crate) fn new(list: &'static [(&'static str, &'static str)]) -> Self {
        let (agreeing, differing, complaints) = Default::default();
        Self {
            list,
            agreeing,
            differing,
            complaints,
        }
    }

    /// Notes a capture with its differences; whether there are none.
    pub(crate) fn note(&mut self, name: &str, differences: &[String]) -> bool {
        if differences.is_empty() {
            self.agreeing.insert(name.to_owned());
            return true;
        }
        self.differing.insert(name.to_owned());
        match self.list.iter().find(|(listed, _)| *listed == name) {
            Some((_, reason)) => println!("differs as listed: {name}: {reason}"),
            None => self
                .complaints
                .push(format!("{name}: {}", differences.join("; "))),
        }
        false
    }

    /// How many captures agree.
    pub(crate) fn agreeing(&self) -> usize {
        self.agreeing.len()
    }

    /// Fails if anything is not as listed.
    pub(crate) fn finish(mut self) {
        let complete = corpus::root().is_some();
        for (name, _) in self.list {
            let gone = self.agreeing.contains(*name);
            if gone || complete && !self.differing.contains(*name) {
                self.complaints
                    .push(format!("{name} is listed as different and is not"));
            }
        }
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
    }
}
