//! Whether what was sent arrived: silence has four reasons that look the same to a sensor.
//!
//! CloudWatch counts per instance what was mirrored (`NetworkMirrorIn`, `NetworkMirrorOut`) and
//! what should have been and was not, because production traffic went first
//! (`NetworkSkipMirrorIn`, `NetworkSkipMirrorOut`). Against what sensors received of the same time that tells an
//! idle source from one that is paused, whose target is dead, or whose copies get lost. Metrics
//! cost money, so only those are asked for who are silent or about to be lowered, and a sample.
//!
//! ```
//! use vxscope_enrolment::assurance::{Received, Sent, State, Told, judge};
//!
//! let sent = Sent { mirrored: 0, skipped: 0, all: 9_000_000 };
//! let told = Told { sent: Some(sent), received: Received::default(), ..Told::default() };
//! assert_eq!(judge(&told).state, State::NotCopied, "it talks, and its filter lets nothing pass");
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::Bucket;
use vxscope_units::{Grade, Timestamp};

/// Metrics asked for one instance: in and out of all, mirrored, and skipped bytes.
pub const METRICS: u64 = 6;
/// The period of basic monitoring; nobody is asked about twice within it.
pub const PERIOD: Duration = Duration::from_secs(300);
/// Beyond this share, in thousandths, copies count as lost: below, the edges of periods differ.
/// It is also what the policy needs: 99 % before anything is concluded.
const LOST_PERMILLE: u64 = 10;
/// Bytes of a period that are too few to say more than that there are some.
const FEW: u64 = 10_000;

/// What one instance sent in a period, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// `NetworkMirrorIn` and `NetworkMirrorOut`: copied.
    pub mirrored: u64,
    /// `NetworkSkipMirrorIn` and `NetworkSkipMirrorOut`: to be copied, and dropped at the source.
    pub skipped: u64,
    /// `NetworkIn` and `NetworkOut`: all traffic, copied or not.
    pub all: u64,
}

/// What sensors received of an instance's sources in the same time: bytes of the original frames,
/// also where copies were cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// By the lengths in their headers.
    pub bytes: u64,
}

/// What is known of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What CloudWatch says; `None` if it was not asked or had nothing.
    pub sent: Option<Sent>,
    /// What arrived.
    pub received: Received,
    /// The highest grade of its interfaces in all of the period.
    pub grade: Grade,
    /// Whether its sessions exist.
    pub session: bool,
    /// Whether its target lives.
    pub target: bool,
    /// A canary of the sensor did not come back through its mirror, and nothing else came since.
    pub missed: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            sent: None,
            received: Received::default(),
            grade: Grade::Full,
            session: true,
            target: true,
            missed: false,
        }
    }
}

vxscope_units::reasons! {
    /// How an instance's copies fare.
    pub enum State {
        /// What was sent arrived.
        Arrives = "arrives",
        /// It sends and receives nothing that its filter names, by its own counters.
        Idle = "idle",
        /// We paused it.
        Paused = "paused",
        /// There is no session, and nobody paused it.
        NoSession = "no_session",
        /// It has traffic, and nothing of it is copied at full: the filter names none of it.
        NotCopied = "not_copied",
        /// Its target is dead: copies go nowhere, and are billed.
        DeadTarget = "dead_target",
        /// Copies leave and do not arrive.
        LostOnTheWay = "lost_on_the_way",
        /// The source drops copies because it has no bandwidth left.
        DroppedAtSource = "dropped_at_source",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

impl State {
    /// Whether silence at the sensor is as it should be.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Arrives | Self::Idle | Self::Paused)
    }
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How its copies fare.
    pub state: State,
    /// The share of what should have been seen that was, in thousandths; `None` if nothing should
    /// have been, or nobody knows.
    pub seen_permille: Option<u64>,
}

/// What the counters of both ends say together.
#[must_use]
pub fn judge(told: &Told) -> Judgement {
    let sent = told
        .sent
        .map(|sent| sent.mirrored.saturating_add(sent.skipped));
    let seen_permille = sent
        .filter(|sent| *sent > 0)
        .map(|sent| (told.received.bytes.saturating_mul(1_000) / sent).min(1_000));
    Judgement {
        state: state(told, seen_permille),
        seen_permille,
    }
}

fn state(told: &Told, seen_permille: Option<u64>) -> State {
    if told.grade == Grade::Off {
        return State::Paused;
    }
    if !told.session {
        return State::NoSession;
    }
    if told.missed {
        return match told.target {
            true => State::LostOnTheWay,
            false => State::DeadTarget,
        };
    }
    let Some(sent) = told.sent else {
        let silent = told.received == Received::default();
        return match (silent, told.target) {
            (true, false) => State::DeadTarget,
            // Silence alone is no proof of anything.
            (true, true) => State::Unknown,
            (false, _) => State::Arrives,
        };
    };
    let Some(seen) = seen_permille else {
        let talks = sent.all >= FEW && told.grade >= Grade::Truncated;
        return match (told.received.bytes, talks) {
            (0, true) => State::NotCopied,
            (0, false) => State::Idle,
            // It arrives, whatever the counters say: they may be late.
            _ => State::Arrives,
        };
    };
    if !told.target && told.received.bytes == 0 {
        return State::DeadTarget;
    }
    let few = sent.mirrored.saturating_add(sent.skipped) < FEW;
    if seen >= 1_000 - LOST_PERMILLE || (few && told.received.bytes > 0) {
        return State::Arrives;
    }
    let skipped = sent.skipped.saturating_mul(1_000);
    let on_the_way = sent.mirrored.saturating_sub(told.received.bytes);
    // Whichever took more.
    if skipped > 0 && sent.skipped >= on_the_way {
        State::DroppedAtSource
    } else {
        State::LostOnTheWay
    }
}

/// Why an instance is asked about, the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is lowered, or about to be: nothing must be concluded from silence.
    Lowering,
    /// Nothing arrives.
    Silent,
    /// A sample of all others.
    Sample,
}

/// Whom to ask about, within what may be spent.
#[derive(Clone, Debug)]
pub struct Questions {
    budget: Bucket,
    /// When each was asked about last.
    asked: BTreeMap<String, Timestamp>,
    /// How many had to be left out.
    left_out: u64,
}

impl Questions {
    /// `metrics_per_hour` is what may be spent: a metric of a call of `GetMetricData` is billed.
    #[must_use]
    pub fn new(metrics_per_hour: u32, now: Timestamp) -> Self {
        let rate_milli = u64::from(metrics_per_hour) * 1_000 / 3_600;
        let burst = (u64::from(metrics_per_hour) / 12).max(METRICS);
        Self {
            budget: Bucket::new(u32::try_from(burst).unwrap_or(u32::MAX), rate_milli, now),
            asked: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// The instances to ask about now. Of a sample those that were not for the longest time.
    #[must_use]
    pub fn poll<'a>(
        &mut self,
        candidates: impl IntoIterator<Item = (&'a str, Reason)>,
        now: Timestamp,
    ) -> Vec<&'a str> {
        let last = |instance: &str| self.asked.get(instance).copied();
        let mut order: Vec<(Reason, Option<Timestamp>, &str)> = candidates
            .into_iter()
            .map(|(instance, reason)| (reason, last(instance), instance))
            .filter(|(_, last, _)| {
                // One of the future: the clock went back.
                last.is_none_or(|last| now < last || now.nanos_since(last) >= nanos(PERIOD))
            })
            .collect();
        order.sort_unstable();
        let mut chosen = Vec::new();
        for (reason, _, instance) in order {
            if self.budget.tokens(now) < METRICS {
                self.left_out += u64::from(reason != Reason::Sample);
                continue;
            }
            (0..METRICS).for_each(|_| {
                self.budget.take(now);
            });
            self.asked.insert(instance.to_owned(), now);
            chosen.push(instance);
        }
        chosen
    }

    /// Instances that are gone need not be remembered.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.asked.retain(|instance, _| is_there(instance));
    }

    /// How often one that was silent or about to be lowered could not be asked about: then nothing
    /// is concluded of it.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_its_reason() {
        let sent = |mirrored, skipped, all| {
            Some(Sent {
                mirrored,
                skipped,
                all,
            })
        };
        let mb = 1_000_000;
        let base = Told::default();
        let table = [
            ("nobody asked", base, State::Unknown),
            ("idle", told(sent(0, 0, 500), 0), State::Idle),
            (
                "talks, not copied",
                told(sent(0, 0, mb), 0),
                State::NotCopied,
            ),
            (
                "a sentinel copies little",
                Told {
                    grade: Grade::Sentinel,
                    ..told(sent(0, 0, mb), 0)
                },
                State::Idle,
            ),
            (
                "paused",
                Told {
                    grade: Grade::Off,
                    session: false,
                    ..told(sent(0, 0, mb), 0)
                },
                State::Paused,
            ),
            (
                "removed by somebody",
                Told {
                    session: false,
                    ..told(sent(0, 0, mb), 0)
                },
                State::NoSession,
            ),
            (
                "dead target",
                Told {
                    target: false,
                    ..told(sent(mb, 0, mb), 0)
                },
                State::DeadTarget,
            ),
            (
                "dead target, nobody asked",
                Told {
                    target: false,
                    ..base
                },
                State::DeadTarget,
            ),
            ("all lost", told(sent(mb, 0, mb), 0), State::LostOnTheWay),
            (
                "a tenth lost",
                told(sent(mb, 0, mb), mb * 9 / 10),
                State::LostOnTheWay,
            ),
            (
                "within the edges",
                told(sent(mb, 0, mb), mb * 995 / 1_000),
                State::Arrives,
            ),
            (
                "more than was sent",
                told(sent(mb, 0, mb), 2 * mb),
                State::Arrives,
            ),
            (
                "dropped first",
                told(sent(mb, mb, 2 * mb), mb),
                State::DroppedAtSource,
            ),
            (
                "dropped and lost",
                told(sent(mb, mb / 10, mb), 0),
                State::LostOnTheWay,
            ),
            ("a few bytes", told(sent(900, 0, 900), 400), State::Arrives),
            (
                "a canary is missed",
                Told {
                    missed: true,
                    ..told(sent(0, 0, 500), 0)
                },
                State::LostOnTheWay,
            ),
            (
                "a canary is missed, and so is the target",
                Told {
                    missed: true,
                    target: false,
                    ..base
                },
                State::DeadTarget,
            ),
            (
                "nobody misses whom we paused",
                Told {
                    missed: true,
                    grade: Grade::Off,
                    ..base
                },
                State::Paused,
            ),
            ("late counters", told(sent(0, 0, mb), mb), State::Arrives),
        ];
        for (what, told, expected) in table {
            assert_eq!(judge(&told).state, expected, "{what}");
        }
        assert_eq!(judge(&told(sent(mb, mb, mb), mb)).seen_permille, Some(500));
        assert_eq!(judge(&base).seen_permille, None);
        assert!(State::Idle.is_well() && !State::Unknown.is_well());
    }

    #[test]
    fn the_pressing_ones_are_asked_first_and_the_budget_is_kept() {
        let at = |seconds: u64| Timestamp::new(1_000_000 + seconds, 0);
        let mut questions = Questions::new(720, at(0));
        let names: Vec<String> = (0..100).map(|n| format!("i-{n:03}")).collect();
        let candidates = || {
            names.iter().enumerate().map(|(n, name)| {
                let reason = match n {
                    50..60 => Reason::Silent,
                    60..64 => Reason::Lowering,
                    _ => Reason::Sample,
                };
                (name.as_str(), reason)
            })
        };
        let first = questions.poll(candidates(), at(0));
        assert_eq!(first.len(), 10);
        assert_eq!(first[..5], ["i-060", "i-061", "i-062", "i-063", "i-050"]);
        assert_eq!(questions.left_out(), 4);
        assert!(
            questions.poll(candidates(), at(10)).is_empty(),
            "no money, and the same period"
        );
        let mut asked = first.len();
        for minute in 1..=60 {
            asked += questions.poll(candidates(), at(minute * 60)).len();
        }
        assert!((110..=130).contains(&asked), "{asked}");
    }

    fn told(sent: Option<Sent>, received: u64) -> Told {
        Told {
            sent,
            received: Received { bytes: received },
            ..Told::default()
        }
    }
}
