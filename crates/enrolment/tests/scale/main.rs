//! A large account: the first enrolment, and a steady minute, in calls, virtual time and memory.
//!
//! `INTERFACES=10000 cargo test -p vxscope-enrolment --test scale -- --nocapture` prints them for
//! ten thousand interfaces, which is all that an account may mirror; without it some hundreds.

use std::alloc::System;
use std::collections::BTreeMap;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use vxscope_control::Row;
use vxscope_control::guard::{Bounds, Enrolment, Rules};
use vxscope_control::keeper::{Keeper, Setup};
use vxscope_control::mirror::{MirrorApi, Session};
use vxscope_control::reconcile::{Limits, Owner};
use vxscope_control::simulated::{Faults, Simulated};
use vxscope_enrolment::inventory::{
    Attachment, Filter, Instance, Interface, Inventory, MirrorFilter, Target, TargetPlace,
};
use vxscope_enrolment::{Enroller, Memory, Plan, Seen, Sensor, SensorPlace, Settings};
use vxscope_policy::money::PriceTable;
use vxscope_policy::strategy::filter::{Family, Standard, System as Os};
use vxscope_units::Timestamp;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Interfaces where nobody says how many.
const INTERFACES: u32 = 600;
/// Interfaces of one instance.
const EACH: u32 = 4;

#[test]
fn a_large_account_is_enrolled_as_fast_as_the_api_takes_calls() {
    let interfaces = std::env::var("INTERFACES")
        .ok()
        .and_then(|text| text.parse().ok());
    let interfaces: u32 = interfaces.unwrap_or(INTERFACES);
    let mut inventory = account(interfaces);
    let prices = PriceTable::published().expect("the table that ships");
    let settings = Settings {
        selection: vxscope_enrolment::Selection {
            tag_key: Some("mirror".to_owned()),
            ..vxscope_enrolment::Selection::default()
        },
        ..Settings::new(owner(), prices)
    };
    let seen = Seen {
        sensors: vec![Sensor {
            name: "sensors".to_owned(),
            instance: None,
            place: SensorPlace::Target("tmt-1".to_owned()),
            weight: 1,
            alive: true,
        }],
        bytes: BTreeMap::new(),
    };
    let mut now = Timestamp::new(1_700_000_000, 0);

    let region = Region::new(ALLOCATOR);
    let mut enroller = Enroller::new(settings, Memory::default());
    let plan = enroller.plan(&inventory, &seen, now);
    assert_eq!(
        plan.sources.len(),
        interfaces as usize,
        "{:?}",
        plan.findings.first()
    );
    let planned = held(&region);

    let region = Region::new(ALLOCATOR);
    let mut keeper = keeper(now);
    enrol(&mut keeper, &plan, now);
    let kept = held(&region);

    let mut api = Simulated::new(Faults::default(), 1, now);
    let began = now;
    let mut done = Duration::ZERO;
    // The bucket gives 25 at once and 2.5 a second.
    let least = u64::from(interfaces.saturating_sub(25)) * 10 / 25;
    while api.sessions().count() < interfaces as usize {
        now = second(&mut keeper, &mut api, now);
        done = Duration::from_nanos(now.nanos_since(began));
        assert!(
            done.as_secs() < least + 300,
            "{} after {done:?}",
            api.sessions().count()
        );
    }
    let (creates, describes) = (api.tally("create"), api.tally("describe"));
    assert_eq!(
        (creates.calls, creates.throttled),
        (u64::from(interfaces), 0)
    );
    assert!(
        done.as_secs() + 2 >= least,
        "nobody is faster than the bucket"
    );
    println!(
        "{interfaces} interfaces: first enrolment {} creates, {} pages of Describe, {} s of \
         virtual time (the bucket allows {least} s); plan and memory {} bytes a source, gate and \
         reconciliation {} bytes a source",
        creates.calls,
        describes.calls,
        done.as_secs(),
        planned / u64::from(interfaces),
        kept / u64::from(interfaces),
    );
    assert!(planned / u64::from(interfaces) < 8_192 && kept / u64::from(interfaces) < 8_192);

    for _ in 0..180 {
        now = second(&mut keeper, &mut api, now);
    }
    let first = &plan;
    let api = &mut api;
    let pages = steady(
        &mut enroller,
        &mut inventory,
        &seen,
        &mut keeper,
        api,
        first,
        now,
    );
    println!("a steady minute: {pages} pages of Describe, nothing else");
}

/// Ten minutes in which nothing happens cost readings only, and the plan stays as it is. Pages of
/// one minute.
fn steady(
    enroller: &mut Enroller,
    inventory: &mut Inventory,
    seen: &Seen,
    keeper: &mut Keeper,
    api: &mut Simulated,
    first: &Plan,
    mut now: Timestamp,
) -> u64 {
    let sessions = api
        .sessions()
        .map(|one: &Session| (one.id.clone(), one.clone()));
    inventory.sessions = sessions.collect();
    let before = ["create", "modify", "delete", "describe"].map(|one| api.tally(one).calls);
    for _ in 0..10 {
        let plan = enroller.plan(inventory, seen, now);
        assert_eq!(plan.sources, first.sources, "the same again");
        assert!(plan.leaving.is_empty() && plan.filters.is_empty());
        for _ in 0..60 {
            now = second(keeper, api, now);
        }
    }
    let after = ["create", "modify", "delete", "describe"].map(|one| api.tally(one).calls);
    let [creates, modifies, deletes, describes] = std::array::from_fn(|at| after[at] - before[at]);
    assert_eq!([creates, modifies, deletes], [0; 3]);
    let pages = (first.sources.len() as u64).div_ceil(1_000);
    assert!(describes <= 10 * 2 * pages + 2 * pages, "{describes}");
    describes / 10
}

/// One second of a controller.
fn second(keeper: &mut Keeper, api: &mut Simulated, now: Timestamp) -> Timestamp {
    let now = now.plus_nanos(1_000_000_000);
    while let Some((id, result)) = api.poll(now) {
        keeper.handle_reply(id, result, now);
    }
    keeper.tick(now);
    for step in keeper.poll_steps(now) {
        api.submit(step.id, step.call, now);
    }
    let _ = keeper.poll_records();
    while keeper.poll_event().is_some() {}
    now
}

fn enrol(keeper: &mut Keeper, plan: &Plan, now: Timestamp) {
    for (row, source) in (0..).zip(&plan.sources) {
        let enrolment = Enrolment {
            bounds: Bounds::STANDARD,
            group: row % 100,
            pinned: Duration::from_secs(86_400),
        };
        assert!(keeper.enrol(Row::new(row), source.subject.clone(), enrolment, now));
    }
}

fn keeper(now: Timestamp) -> Keeper {
    let setup = Setup {
        owner: owner(),
        limits: Limits::default(),
        rules: Rules::default(),
        epoch: 1,
        seed: 1,
    };
    Keeper::new(setup, now)
}

fn account(interfaces: u32) -> Inventory {
    let mut inventory = Inventory {
        account: "111".to_owned(),
        region: "us-east-1".to_owned(),
        ..Inventory::default()
    };
    for standard in [
        Standard::All,
        Standard::Essential(Os::Linux),
        Standard::Sentinel(Os::Linux),
    ] {
        let filter: Filter = standard.compile(&[Family::V4]).filter;
        let id = format!("tmf-{}", inventory.filters.len());
        let filter = MirrorFilter {
            id: id.clone(),
            filter,
            ..MirrorFilter::default()
        };
        inventory.filters.insert(id, filter);
    }
    let target = Target {
        id: "tmt-1".to_owned(),
        place: TargetPlace::NetworkLoadBalancer("nlb".to_owned()),
        account: "111".to_owned(),
        description: String::new(),
        tags: BTreeMap::new(),
    };
    inventory.targets.insert(target.id.clone(), target);
    for n in 0..interfaces {
        let instance = format!("i-{:017x}", n / EACH);
        inventory
            .instances
            .entry(instance.clone())
            .or_insert_with(|| Instance {
                id: instance.clone(),
                kind: "m5.large".to_owned(),
                zone: "us-east-1a".to_owned(),
                vpc: "vpc-1".to_owned(),
                account: "111".to_owned(),
                tags: [("mirror".to_owned(), "All".to_owned())].into(),
                ..Instance::default()
            });
        let id = format!("eni-{n:017x}");
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into();
        let interface = Interface {
            id: id.clone(),
            attachment: Some(Attachment {
                instance,
                device: n % EACH,
            }),
            zone: "us-east-1a".to_owned(),
            subnet: format!("subnet-{}", n % 50),
            vpc: "vpc-1".to_owned(),
            account: "111".to_owned(),
            primary: Some(address),
            addresses: vec![address],
            ..Interface::default()
        };
        inventory.interfaces.insert(id, interface);
    }
    inventory
}

fn owner() -> Owner {
    Owner {
        tag: "managed-by".to_owned(),
        value: "vxscope".to_owned(),
        marker: "vxscope: ".to_owned(),
    }
}

/// Bytes that are held since the region began.
fn held(region: &Region<'_, System>) -> u64 {
    let change = region.change();
    let freed = change.bytes_deallocated;
    let held = change.bytes_allocated.saturating_sub(freed);
    u64::try_from(held).unwrap_or(u64::MAX)
}
