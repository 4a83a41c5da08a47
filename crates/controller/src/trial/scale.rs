//! A large account over HTTP, with EC2's own token buckets: the first enrolment, and steady
//! minutes, in calls and virtual time.
//!
//! `INTERFACES=10000 cargo test -p vxscope-ec2 -p vxscope-controller --bin vxscope-controller
//! trial::scale -- --nocapture` prints them for as many as an account may mirror; without it for
//! some hundreds.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_standin::Seed;
use vxscope_units::Timestamp;

use super::{CONTROLLER, KEY, START, Trial};

/// Interfaces where nobody says how many.
const INTERFACES: usize = 500;
/// Interfaces of one instance.
const EACH: usize = 4;
/// Between two looks, in seconds.
const STEP: u64 = 2;

#[test]
fn a_large_account_takes_one_call_for_each_interface_and_then_readings_only() {
    let number = std::env::var("INTERFACES").ok();
    let interfaces = number.and_then(|text| text.parse().ok());
    let interfaces: usize = interfaces.unwrap_or(INTERFACES);
    let balancer = "[target]\nnetwork_load_balancer = \"arn:aws:elasticloadbalancing:x\"";
    let mut trial = Trial::without_controller(0, "", balancer);
    fill(&trial, interfaces);
    trial.begin();
    // The bucket gives 25 at once and 2.5 a second.
    let least = (interfaces as u64).saturating_sub(25) * 10 / 25;
    let made = |trial: &Trial| trial.account(|account| account.session_count());
    while made(&trial) < interfaces {
        look(&mut trial);
        assert!(
            trial.lived < least + 300,
            "{} after {} s",
            made(&trial),
            trial.lived
        );
    }
    let took = trial.lived;
    let calls = calls(&trial);
    println!(
        "{interfaces} interfaces: first enrolment in {took} s of virtual time, of which our share \
         of the account's rate takes {least} s; calls: {calls:?}"
    );
    assert_eq!(
        calls["CreateTrafficMirrorSession"], interfaces,
        "one each, and none is refused"
    );
    assert!(took + 2 * STEP >= least, "nobody is faster than the bucket");
    let refused = trial.standin.log();
    let refused = refused.entries().iter().filter(|one| !one.code.is_empty());
    assert_eq!(refused.count(), 0);

    // Until the last of them was seen by a reading, which is quick while somebody is in doubt.
    for _ in 0..180 / STEP {
        look(&mut trial);
    }
    trial.standin.clear_log();
    for _ in 0..600 / STEP {
        look(&mut trial);
    }
    let calls = self::calls(&trial);
    println!("ten steady minutes: {calls:?}");
    let changes = calls
        .keys()
        .filter(|action| !action.starts_with("Describe"));
    let changes: Vec<&String> = changes.filter(|one| *one != "GetCallerIdentity").collect();
    assert!(changes.is_empty(), "{calls:?}");
    // Once a minute by enrolment, once by reconciliation.
    let pages = interfaces.div_ceil(1_000);
    let most = 2 * 11 * pages;
    assert!(calls["DescribeTrafficMirrorSessions"] <= most, "{calls:?}");
    assert!(
        calls["DescribeNetworkInterfaces"] <= 11 * (pages + 1),
        "{calls:?}"
    );
}

fn fill(trial: &Trial, interfaces: usize) {
    trial.account(|account| {
        account.set_throttles(true);
        for at in 0..interfaces.div_ceil(EACH) {
            let name = |n: usize| format!("eni-{:017x}", at * EACH + n);
            let address = |n: usize| {
                let bits = u32::try_from(at * EACH + n).unwrap();
                std::net::Ipv4Addr::from_bits(0x0a00_0000 + bits).to_string()
            };
            let mut seed = Seed::new(&format!("i-{at:017x}"), &name(0), &address(0));
            for n in (1..EACH).filter(|n| at * EACH + n < interfaces) {
                seed = seed.interface(&name(n), &address(n));
            }
            account.add_instance(seed.tag(KEY, "yes"));
        }
    });
}

/// Time passes, and the controller does its part. Nobody reports.
fn look(trial: &mut Trial) {
    trial.lived += STEP;
    trial.now = Timestamp::new(trial.now.seconds() + STEP, 0);
    trial
        .standin
        .set_time(START + Duration::from_secs(trial.lived));
    trial.settle();
}

/// Calls of the controller by name.
fn calls(trial: &Trial) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for entry in trial.standin.log().entries() {
        if entry.caller == CONTROLLER {
            *calls.entry(entry.action.clone()).or_default() += 1;
        }
    }
    calls
}
