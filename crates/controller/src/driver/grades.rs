//! What each mirror has, since when and why, kept over restarts: for sensors, which cannot know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vxscope_units::{Grade, MirrorSource};

/// Mirrors that are gone stay listed so long: a sensor that was down meanwhile has to hear of it.
const KEPT_MICROS: u64 = 7 * 86_400_000_000;
/// Most of those; the oldest are forgotten first.
const GONE_MAX: usize = 10_000;

/// Whose copies go where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) outer_ip: IpAddr,
    pub(super) vni: u32,
    pub(super) target: String,
}

impl Key {
    pub(super) fn new(mirror: MirrorSource, target: &str) -> Self {
        Self {
            outer_ip: mirror.address,
            vni: mirror.vni.get(),
            target: target.to_owned(),
        }
    }
}

/// How one stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) interface: String,
    pub(super) grade: String,
    pub(super) reason: String,
    /// µs since 1970.
    pub(super) since: u64,
    /// Whether its source is no longer looked after there.
    #[serde(default)]
    gone: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Key, Told)>", into = "Vec<(Key, Told)>")]
pub(super) struct Grades(BTreeMap<Key, Told>);

impl From<Vec<(Key, Told)>> for Grades {
    fn from(all: Vec<(Key, Told)>) -> Self {
        Self(all.into_iter().collect())
    }
}

impl From<Grades> for Vec<(Key, Told)> {
    fn from(grades: Grades) -> Self {
        grades.0.into_iter().collect()
    }
}

impl Grades {
    /// Where they are kept.
    pub(super) const FILE: &str = "grades.json";

    /// A mirror has this grade. Why it began is told once: a controller that was restarted
    /// does not know it any more.
    pub(super) fn tell(
        &mut self,
        key: Key,
        interface: &str,
        (grade, reason): (Grade, &str),
        now: u64,
    ) {
        let grade = grade.name();
        let is_vague = matches!(reason, "adopted" | "enrolled" | "");
        if let Some(told) = self.0.get_mut(&key)
            && told.grade == grade
            && !told.gone
            && (told.reason == reason || is_vague)
        {
            return;
        }
        let told = Told {
            interface: interface.to_owned(),
            grade: grade.to_owned(),
            reason: reason.to_owned(),
            since: now,
            gone: false,
        };
        self.0.insert(key, told);
    }

    /// Who is not here any more sends nothing there; `why` says it of an interface.
    pub(super) fn leave<'w>(
        &mut self,
        here: &BTreeSet<Key>,
        now: u64,
        why: impl Fn(&str) -> &'w str,
    ) {
        let elsewhere: BTreeSet<(IpAddr, u32)> =
            here.iter().map(|key| (key.outer_ip, key.vni)).collect();
        let left = self
            .0
            .iter_mut()
            .filter(|(key, it)| !it.gone && !here.contains(key));
        for (key, told) in left {
            let moved = elsewhere.contains(&(key.outer_ip, key.vni));
            let reason = if moved { "moved" } else { why(&told.interface) };
            if told.grade != Grade::Off.name() {
                told.since = now;
            }
            told.grade = Grade::Off.name().to_owned();
            told.reason = reason.to_owned();
            told.gone = true;
        }
        self.0
            .retain(|_, told| !told.gone || now.saturating_sub(told.since) < KEPT_MICROS);
        let gone = self.0.iter().filter(|(_, told)| told.gone);
        let mut gone: Vec<(u64, Key)> = gone.map(|(key, told)| (told.since, key.clone())).collect();
        let over = gone.len().saturating_sub(GONE_MAX);
        gone.sort_unstable();
        for (_, key) in gone.into_iter().take(over) {
            self.0.remove(&key);
        }
    }

    /// All whose copies go, or went, to a target.
    pub(super) fn of<'a>(&'a self, target: &'a str) -> impl Iterator<Item = (&'a Key, &'a Told)> {
        self.0.iter().filter(move |(key, _)| key.target == target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_units::Vni;

    #[test]
    fn a_reason_outlives_the_controller_that_knew_it() {
        let mut grades = Grades::default();
        grades.tell(key("a"), "eni-1", (Grade::Off, "quiet"), 5);
        let text = serde_json::to_string(&grades).unwrap();
        let mut again: Grades = serde_json::from_str(&text).unwrap();
        assert_eq!(again, grades);
        again.tell(key("a"), "eni-1", (Grade::Off, "adopted"), 9);
        check(&again, "a", &[("off", "quiet", 5)]);
        again.tell(key("a"), "eni-1", (Grade::Full, "deadline"), 12);
        check(&again, "a", &[("full", "deadline", 12)]);
        again.tell(key("a"), "eni-1", (Grade::Off, "no_session"), 20);
        again.tell(key("a"), "eni-1", (Grade::Full, "enrolled"), 30);
        check(&again, "a", &[("full", "enrolled", 30)]);
    }

    #[test]
    fn who_moves_or_leaves_is_told_to_the_sensor_that_had_it() {
        let mut grades = Grades::default();
        grades.tell(key("a"), "eni-1", (Grade::Full, "enrolled"), 1);
        grades.tell(key("b"), "eni-1", (Grade::Full, "enrolled"), 7);
        grades.leave(&[key("b")].into(), 7, |_| "removed");
        check(&grades, "a", &[("off", "moved", 7)]);
        check(&grades, "b", &[("full", "enrolled", 7)]);
        grades.leave(&BTreeSet::new(), 8, |_| "removed");
        check(&grades, "b", &[("off", "removed", 8)]);
        // Back again.
        grades.tell(key("b"), "eni-1", (Grade::Full, "enrolled"), 9);
        check(&grades, "b", &[("full", "enrolled", 9)]);
        grades.leave(&[key("b")].into(), 8 + KEPT_MICROS, |_| "removed");
        check(&grades, "a", &[]);
    }

    #[test]
    fn of_those_that_are_gone_so_many_are_remembered() {
        let mut grades = Grades::default();
        for number in 0..u32::try_from(GONE_MAX).unwrap() + 3 {
            let mirror = MirrorSource {
                address: std::net::Ipv4Addr::from_bits(number).into(),
                vni: Vni::try_new(1).unwrap(),
            };
            let key = Key::new(mirror, "a");
            grades.tell(key, "eni-1", (Grade::Full, "enrolled"), number.into());
        }
        grades.leave(&BTreeSet::new(), 1, |_| "removed");
        assert_eq!(grades.of("a").count(), GONE_MAX);
    }

    fn key(target: &str) -> Key {
        let mirror = MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(7).unwrap(),
        };
        Key::new(mirror, target)
    }

    fn check(grades: &Grades, target: &str, expected: &[(&str, &str, u64)]) {
        let told = grades.of(target);
        let told: Vec<_> = told
            .map(|(_, it)| (&*it.grade, &*it.reason, it.since))
            .collect();
        assert_eq!(told, expected);
    }
}
