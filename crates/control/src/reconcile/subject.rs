//! What is wanted of one source's session, at every grade.

use vxscope_units::Grade;

use crate::journal::Saved;
use crate::mirror::Settings;

/// One mirrored interface and what its session is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its session at full.
    pub saved: Saved,
    /// The filter of [`Grade::Essential`]; without one the grade above is used.
    pub essential: Option<String>,
    /// The filter of [`Grade::Sentinel`]; without one the grade above is used.
    pub sentinel: Option<String>,
    /// Bytes of each frame at [`Grade::Truncated`]; 0: the grade above is used.
    pub truncated: u16,
}

impl Subject {
    /// The lowest grade that there is for this source, from `grade` up.
    #[must_use]
    pub fn available(&self, grade: Grade) -> Grade {
        let is_there = |grade| match grade {
            Grade::Off | Grade::Full => true,
            Grade::Sentinel => self.sentinel.is_some(),
            Grade::Essential => self.essential.is_some(),
            Grade::Truncated => self.truncated > 0,
        };
        let mut grades = Grade::ALL.into_iter().filter(|one| *one >= grade);
        grades.find(|one| is_there(*one)).unwrap_or(Grade::Full)
    }

    /// The settings of its session at this grade; `None` for no session.
    #[must_use]
    pub fn settings(&self, grade: Grade) -> Option<Settings> {
        let full = &self.saved.settings;
        let filtered = |filter: &Option<String>| Settings {
            filter: filter.clone().unwrap_or_else(|| full.filter.clone()),
            ..full.clone()
        };
        match self.available(grade) {
            Grade::Off => None,
            Grade::Sentinel => Some(filtered(&self.sentinel)),
            Grade::Essential => Some(filtered(&self.essential)),
            Grade::Truncated => Some(Settings {
                packet_length: Some(
                    full.packet_length
                        .map_or(self.truncated, |length| length.min(self.truncated)),
                ),
                ..full.clone()
            }),
            Grade::Full => Some(full.clone()),
        }
    }

    /// The grade that a session of these settings has; `None` if it is not as any of ours.
    #[must_use]
    pub fn grade_of(&self, there: &Settings) -> Option<Grade> {
        let is = |grade: &Grade| {
            let settings = self.settings(*grade);
            settings.is_some_and(|settings| settings.is_met_by(there))
        };
        Grade::ALL.into_iter().rev().find(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grade_has_settings_that_lead_back() {
        let subject = subject();
        for grade in Grade::ALL.into_iter().filter(|grade| *grade > Grade::Off) {
            let settings = subject.settings(grade).unwrap();
            assert_eq!(subject.grade_of(&settings), Some(grade));
            let elsewhere = Settings {
                target: "tmt-2".to_owned(),
                ..settings
            };
            assert_eq!(subject.grade_of(&elsewhere), None);
        }
        assert_eq!(subject.settings(Grade::Off), None);
    }

    #[test]
    fn a_grade_that_is_not_there_is_the_next_above() {
        let without = Subject {
            essential: None,
            sentinel: None,
            ..subject()
        };
        assert_eq!(without.available(Grade::Sentinel), Grade::Truncated);
        let neither = Subject {
            truncated: 0,
            ..without
        };
        assert_eq!(neither.available(Grade::Sentinel), Grade::Full);
        assert_eq!(neither.available(Grade::Off), Grade::Off);
    }

    #[test]
    fn truncated_is_never_longer_than_full() {
        let mut subject = subject();
        subject.saved.settings.packet_length = Some(128);
        let settings = subject.settings(Grade::Truncated).unwrap();
        assert_eq!(settings.packet_length, Some(128));
    }

    fn subject() -> Subject {
        Subject {
            saved: Saved {
                interface: "eni-1".to_owned(),
                settings: Settings {
                    target: "tmt-1".to_owned(),
                    filter: "tmf-all".to_owned(),
                    number: 1,
                    ..Settings::default()
                },
                ..Saved::default()
            },
            essential: Some("tmf-essential".to_owned()),
            sentinel: Some("tmf-sentinel".to_owned()),
            truncated: 512,
        }
    }
}
