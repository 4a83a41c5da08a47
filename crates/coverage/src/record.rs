//! Lines of the journal.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::calendar::stamp;

/// Something that is so from `at` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// µs since 1970.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run began to receive.
    Start {
        /// The sensor's name.
        sensor: String,
    },
    /// It receives.
    Alive,
    /// Since `from` the kernel dropped datagrams; whose they were nobody knows.
    Loss {
        /// µs since 1970.
        from: u64,
        /// How many.
        lost: u64,
        /// How many were received in the same time.
        received: u64,
    },
    /// It no longer receives.
    Stop,
    /// A source was heard for the first time in this run.
    Source {
        /// Who sends the copies.
        outer_ip: IpAddr,
        /// Network identifier.
        vni: u32,
        /// The mirrored interface, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eni: Option<String>,
    },
    /// A mirror has another grade.
    Grade {
        /// Who sends the copies.
        outer_ip: IpAddr,
        /// Network identifier.
        vni: u32,
        /// The mirrored interface.
        interface: String,
        /// The grade since then.
        grade: String,
        /// Why, in one word.
        reason: String,
        /// Since when, µs since 1970, by whoever keeps mirrors apart from the sensor: what is so
        /// also while no sensor is there, and after its next start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
    },
}

/// A line is no record.
#[derive(Debug, thiserror::Error)]
#[error("not a record of coverage: {0}")]
pub struct RecordError(#[from] serde_json::Error);

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// It is something else, or cut off.
    pub fn parse(line: &str) -> Result<Self, RecordError> {
        Ok(serde_json::from_str(line)?)
    }

    /// The line, its newline included.
    #[must_use]
    pub fn line(&self) -> String {
        // Keys are strings and numbers are whole, so this does not fail.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// The name of the file that records of this time are in: one a month, so that old ones can be
/// put away.
#[must_use]
pub fn file_of(at: u64) -> String {
    let stamp = stamp(at);
    format!("coverage-{}.ndjson", stamp.get(..7).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_from_their_lines() {
        let address = IpAddr::from([10, 0, 0, 5]);
        for event in [
            Event::Start {
                sensor: "a".to_owned(),
            },
            Event::Alive,
            Event::Loss {
                from: 1,
                lost: 2,
                received: 3,
            },
            Event::Stop,
            Event::Source {
                outer_ip: address,
                vni: 7,
                eni: Some("eni-1".to_owned()),
            },
            Event::Grade {
                outer_ip: address,
                vni: 7,
                interface: "eni-1".to_owned(),
                grade: "off".to_owned(),
                reason: "quiet".to_owned(),
                since: Some(8),
            },
        ] {
            let record = Record { at: 9, event };
            let line = record.line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Record::parse(&line).unwrap(), record, "{line}");
        }
        for line in ["", "{}", "{\"at\":1}", "{\"at\":1,\"event\":\"sto"] {
            assert!(Record::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_month_has_a_file() {
        assert_eq!(file_of(1_796_000_000_000_000), "coverage-2026-11.ndjson");
    }
}
