//! Killed at every call: one run later everything is right.

use std::time::Duration;

use vxscope_standin::{Fault, FaultKind};

use crate::kit::{ALL, site, tagged};

/// Kills the controller while its n-th changing call is under way, done or not, until it makes
/// no more of them.
fn kill_at_every(action: &str, most: u32) {
    for after in [false, true] {
        for skip in 0..most {
            let site = site();
            site.account(|account| {
                account.add_instance(tagged("a", "10.0.0.1", ALL));
                account.add_instance(tagged("b", "10.0.0.2", ALL));
            });
            let fault = Fault::once(action, FaultKind::Freeze { after }, skip);
            site.standin.faults(|faults| faults.add(fault));
            let running = site.start();
            let frozen = site.standin.wait_frozen(Duration::from_secs(60));
            assert!(frozen, "{action} {skip}: there is no such call");
            running.kill();
            site.standin.thaw();
            site.settle();
            let context = format!("{action} {skip} done: {after}");
            for interface in ["eni-a", "eni-b"] {
                let sessions = site.sessions(interface);
                assert_eq!(sessions.len(), 1, "{context}: {sessions:?}");
            }
            let filters = site.account(|account| account.filters());
            let mut names: Vec<&str> = filters
                .iter()
                .map(|one| one.tags["Name"].as_str())
                .collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{context}: a filter twice");
            assert_eq!(
                site.account(|account| account.targets()).len(),
                1,
                "{context}"
            );
        }
    }
}

#[test]
fn killed_while_a_session_is_made() {
    kill_at_every("CreateTrafficMirrorSession", 2);
}

#[test]
fn killed_while_a_target_is_made() {
    kill_at_every("CreateTrafficMirrorTarget", 1);
}

#[test]
fn killed_while_a_filter_is_made() {
    kill_at_every("CreateTrafficMirrorFilter", 2);
}

#[test]
fn killed_while_a_rule_of_a_filter_is_made() {
    kill_at_every("CreateTrafficMirrorFilterRule", 1);
}
