//! The second line: whoever is overdue is brought back, by something that has no part in anything else.
//!
//! It needs the breadcrumbs, one Describe and nothing of the controller. It creates what is missing
//! and sets to full what is lower; it never deletes, and touches nothing that is not ours. It acts
//! for a source when its time is over, and for all when no controller was there for
//! [`HEARTBEAT_MAX`].

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::mirror::{Call, Create, Session};
use vxscope_control::reconcile::Owner;

use super::breadcrumb::{Breadcrumb, Breadcrumbs};

/// Without a sign of life for so long everything comes back: an upgrade takes less.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(300);

/// Of a controller that was there within this time the reaper takes nothing before this much over
/// its time: the controller itself is faster.
const GRACE: Duration = Duration::from_secs(30);

/// What the reaper is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reap {
    /// Calls, most overdue first. Each is safe to repeat.
    pub calls: Vec<Call>,
    /// Sources that are lowered, and not due.
    pub waiting: usize,
    /// Whether a controller was there.
    pub alive: bool,
}

/// By the breadcrumbs and every session that there is; `now` in µs since 1970, by the clock of
/// the store or of EC2 where there is one.
#[must_use]
pub fn reap(crumbs: &Breadcrumbs, sessions: &[Session], owner: &Owner, now: u64) -> Reap {
    let silent = Duration::from_micros(now.saturating_sub(crumbs.beat));
    // A beat of the future: nobody knows how long ago it was.
    let alive = silent <= HEARTBEAT_MAX && crumbs.beat <= now;
    let ours = sessions.iter().filter(|session| owner.owns(session));
    let ours: BTreeMap<&str, &Session> = ours
        .map(|session| (session.interface.as_str(), session))
        .collect();
    let mut crumbs: Vec<&Breadcrumb> = crumbs.sources.iter().collect();
    crumbs.sort_by_key(|crumb| (crumb.due, &crumb.saved.interface));
    let mut reap = Reap {
        alive,
        ..Reap::default()
    };
    for crumb in crumbs {
        let grace = if silent <= GRACE {
            GRACE
        } else {
            Duration::ZERO
        };
        let grace = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
        if alive && now < crumb.due.saturating_add(grace) {
            reap.waiting += 1;
            continue;
        }
        let there = ours.get(crumb.saved.interface.as_str()).copied();
        reap.calls.extend(call(crumb, there));
    }
    reap
}

fn call(crumb: &Breadcrumb, there: Option<&Session>) -> Option<Call> {
    let settings = &crumb.saved.settings;
    match there {
        Some(there) if settings.is_met_by(&there.settings) => None,
        Some(there) => Some(Call::Modify {
            id: there.id.clone(),
            settings: settings.clone(),
        }),
        None => Some(Call::Create(Create {
            interface: crumb.saved.interface.clone(),
            settings: settings.clone(),
            tags: crumb.saved.tags.clone(),
            client_token: token(crumb),
        })),
    }
}

/// The same for every try to end this pause, and another one for every other pause. The
/// controller's own, if it had begun: then both make one session.
fn token(crumb: &Breadcrumb) -> String {
    let begun = crumb
        .pending
        .as_ref()
        .filter(|pending| pending.settings == crumb.saved.settings);
    begun.map_or_else(
        || {
            let interface = crate::balance::hash(&crumb.saved.interface, "reaper");
            format!("vxscope-reap-{interface:x}-{:x}", crumb.due)
        },
        |pending| pending.token.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_control::journal::{Memory, Record, Saved};
    use vxscope_control::mirror::Settings;
    use vxscope_units::{EvidenceClass, Grade};

    const MINUTE: u64 = 60_000_000;

    #[test]
    fn who_is_overdue_comes_back_and_nobody_before() {
        let crumbs = crumbs(10 * MINUTE);
        let at = |minutes: u64| reap(&crumbs, &[], &owner(), minutes * MINUTE);
        assert_eq!((at(12).calls.len(), at(12).waiting), (0, 2), "{:?}", at(12));
        let beats = Breadcrumbs {
            beat: 70 * MINUTE,
            ..crumbs.clone()
        };
        let due = reap(&beats, &[], &owner(), 71 * MINUTE);
        assert_eq!((due.calls.len(), due.waiting), (1, 1), "{due:?}");
        let Call::Create(create) = &due.calls[0] else {
            unreachable!("{due:?}");
        };
        assert_eq!(
            (create.interface.as_str(), &create.settings),
            ("eni-1", &settings(1))
        );
        // The same call again makes the same session.
        assert_eq!(
            reap(&beats, &[], &owner(), 72 * MINUTE).calls[0],
            due.calls[0]
        );
    }

    #[test]
    fn without_a_controller_all_come_back() {
        let crumbs = crumbs(10 * MINUTE);
        let reaped = reap(&crumbs, &[], &owner(), 16 * MINUTE);
        assert!(!reaped.alive);
        assert_eq!(reaped.calls.len(), 2);
        let future = reap(&crumbs, &[], &owner(), 9 * MINUTE);
        assert!(!future.alive, "the clock went back");
    }

    #[test]
    fn what_is_there_is_set_to_full_and_what_is_not_ours_left_alone() {
        let crumbs = crumbs(0);
        let session = |interface: &str, filter: &str, ours: bool| Session {
            id: format!("tms-{interface}"),
            interface: interface.to_owned(),
            settings: Settings {
                filter: filter.to_owned(),
                ..settings(1)
            },
            tags: if ours {
                [("managed-by".to_owned(), "us".to_owned())].into()
            } else {
                BTreeMap::new()
            },
            ..Session::default()
        };
        let ours = [
            session("eni-1", "tmf-sentinel", true),
            session("eni-2", "x", false),
        ];
        let reaped = reap(&crumbs, &ours, &owner(), 600 * MINUTE);
        let kinds: Vec<&str> = reaped.calls.iter().map(Call::name).collect();
        assert_eq!(kinds, ["modify", "create"]);
        let done = [session("eni-1", "tmf-all", true)];
        assert_eq!(reap(&crumbs, &done, &owner(), 600 * MINUTE).calls.len(), 1);
    }

    fn crumbs(now: u64) -> Breadcrumbs {
        let mut memory = Memory::default();
        for (n, since) in [(1, 10 * MINUTE), (2, 100 * MINUTE)] {
            memory.handle(&Record::Lower {
                generation: n,
                at: 0,
                saved: Saved {
                    interface: format!("eni-{n}"),
                    settings: settings(1),
                    ..Saved::default()
                },
                grade: Grade::Off,
                hidden: vxscope_control::journal::Hidden([Some(since); EvidenceClass::COUNT]),
            });
        }
        Breadcrumbs::new(&memory, 1, now, |_| [60 * MINUTE; EvidenceClass::COUNT])
    }

    fn settings(number: u16) -> Settings {
        Settings {
            target: "tmt-1".to_owned(),
            filter: "tmf-all".to_owned(),
            number,
            description: "ours: eni".to_owned(),
            ..Settings::default()
        }
    }

    fn owner() -> Owner {
        Owner {
            tag: "managed-by".to_owned(),
            value: "us".to_owned(),
            marker: "ours: ".to_owned(),
        }
    }
}
