//! Filters are made if absent, step by step, and never overwritten.

use vxscope_enrolment::inventory::Filter;
use vxscope_enrolment::{BUILDING, FindingKind, Missing, narrows};
use vxscope_policy::strategy::filter::{Family, Standard, System};
use vxscope_units::Grade;

use super::account::{Account, has};

#[test]
fn the_ready_filters_are_made_with_the_rules_of_the_page() {
    let mut account = Account::new();
    account.source("web", "All");
    let plan = account.look();
    assert!(plan.sources.is_empty());
    assert!(has(&plan, FindingKind::FilterPending, "eni-web"));
    assert_eq!(plan.filters.len(), 1);
    assert_eq!(plan.filters[0].missing, Missing::All);
    let plan = account.settle();
    let names: Vec<&str> = account
        .inventory
        .filters
        .values()
        .map(|one| one.filter.name.as_str())
        .collect();
    let ready = |standard: Standard| standard.compile(&[Family::V4]).filter;
    assert_eq!(names.len(), 3, "{names:?}");
    for standard in [
        Standard::All,
        Standard::Essential(System::Linux),
        Standard::Sentinel(System::Linux),
    ] {
        let filters = account.inventory.filters.values();
        let made = filters
            .map(|one| &one.filter)
            .find(|one| one.name == standard.name());
        assert_eq!(made, Some(&ready(standard)));
    }
    let subject = &plan.source("eni-web").unwrap().subject;
    for grade in Grade::ALL.into_iter().filter(|grade| *grade > Grade::Off) {
        assert_eq!(subject.available(grade), grade);
    }
}

#[test]
fn a_crash_while_a_filter_is_made_leaves_none_that_looks_done() {
    let mut account = Account::new();
    account.source("web", "All");
    let first = account.look();
    account.make(&first.filters[0]);
    // Created, without rules: a controller that begins now goes on.
    let second = account.look();
    assert!(second.sources.is_empty());
    let Missing::Rest {
        rules, amazon_dns, ..
    } = &second.filters[0].missing
    else {
        panic!("{:?}", second.filters);
    };
    assert_eq!((rules.len(), *amazon_dns), (2, true));
    account.make(&second.filters[0]);
    let third = account.look();
    assert!(matches!(&third.filters[0].missing, Missing::Rest { rules, .. } if rules.is_empty()));
    account.make(&third.filters[0]);
    assert_eq!(account.look().sources.len(), 1);
}

#[test]
fn what_a_user_edits_stays_edited() {
    let mut account = Account::new();
    account.source("web", "All");
    account.settle();
    let made = account
        .inventory
        .filters
        .values_mut()
        .find(|one| one.filter.name.ends_with("All"));
    let made = made.unwrap();
    made.filter.rules.pop();
    let id = made.id.clone();
    let plan = account.settle();
    assert!(plan.filters.is_empty());
    assert_eq!(plan.sources[0].subject.saved.settings.filter, id);
    let made = &mut account.inventory.filters.get_mut(&id).unwrap().filter;
    (made.amazon_dns, made.rules) = (false, Vec::new());
    let plan = account.settle();
    assert!(has(&plan, FindingKind::EmptyFilter, "eni-web"));
}

#[test]
fn a_lower_grade_never_mirrors_what_the_own_filter_does_not() {
    let mut account = Account::new();
    account.filter(
        "web",
        "web",
        "10 accept ingress tcp/443\n20 accept ingress tcp/22 10.0.0.0/8",
    );
    account.source("web", "web");
    let plan = account.settle();
    let subject = &plan.source("eni-web").unwrap().subject;
    let content = |id: &str| account.inventory.filters[id].filter.clone();
    let (own, essential) = (content("web"), content(subject.essential.as_ref().unwrap()));
    assert!(!narrows(&essential, &own), "{essential}");
    assert!(essential.to_string().contains("10.0.0.0/8"), "{essential}");
    assert!(essential.name.contains("within web"), "{}", essential.name);
    let sentinel = content(subject.sentinel.as_ref().unwrap());
    assert!(
        !narrows(&sentinel, &own) && !narrows(&sentinel, &essential),
        "{sentinel}"
    );
}

#[test]
fn a_ready_filter_that_somebody_widened_is_not_used_below_a_narrower_one() {
    let mut account = Account::new();
    account.filter(
        "e",
        "STA - Mirror Filter - Essential",
        "10 accept ingress\n10 accept egress",
    );
    account.filter("own", "own", "10 accept ingress tcp/22");
    account.source("web", "own");
    let plan = account.settle();
    let subject = &plan.source("eni-web").unwrap().subject;
    assert_ne!(subject.essential.as_deref(), Some("e"));
}

#[test]
fn a_filter_that_is_half_built_is_never_a_grade() {
    let mut account = Account::new();
    account.source("web", "All");
    account.settle();
    let filters = account.inventory.filters.values_mut();
    for filter in filters.filter(|one| one.filter.name.contains("Sentinel")) {
        filter.tags.insert(BUILDING.to_owned(), "1".to_owned());
        filter.filter.rules.pop();
    }
    let plan = account.look();
    assert_eq!(plan.sources[0].subject.sentinel, None);
    assert_eq!(plan.filters.len(), 1);
}

#[test]
fn narrowing_is_told_exactly() {
    let mut account = Account::new();
    let mut filter = |rules: &str| {
        account.filter("x", "x", rules);
        account.inventory.filters["x"].filter.clone()
    };
    let table = [
        ("10 accept ingress", "10 accept ingress", false),
        ("10 accept ingress", "10 accept egress", true),
        ("10 accept ingress tcp/443", "10 accept ingress", false),
        ("10 accept ingress", "10 accept ingress tcp/443", true),
        (
            "10 accept ingress",
            "10 reject ingress tcp/25\n20 accept ingress",
            true,
        ),
        (
            "10 reject ingress tcp/25\n20 accept ingress",
            "10 accept ingress",
            false,
        ),
        (
            "10 accept ingress 10.0.0.0/9",
            "10 accept ingress 10.0.0.0/8",
            false,
        ),
        (
            "10 accept ingress 10.0.0.0/8",
            "10 accept ingress 10.0.0.0/9",
            true,
        ),
        (
            "10 accept ingress 10.0.0.0/8",
            "10 accept ingress 10.0.0.0/9\n20 accept ingress 10.128.0.0/9",
            false,
        ),
        (
            "10 accept ingress tcp/22 10.0.0.0/8",
            "10 accept ingress tcp/22",
            false,
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(
            narrows(&filter(old), &filter(new)),
            expected,
            "{old} -> {new}"
        );
    }
    let dns = filter("10 accept ingress");
    let without = Filter {
        amazon_dns: false,
        ..dns.clone()
    };
    assert!(narrows(&dns, &without) && !narrows(&without, &dns));
    for (one, two) in [
        (Standard::All, Standard::Moderate),
        (Standard::All, Standard::Sentinel(System::Linux)),
    ] {
        let compile = |standard: Standard| standard.compile(&Family::BOTH).filter;
        assert!(narrows(&compile(one), &compile(two)));
        assert!(!narrows(&compile(two), &compile(one)));
    }
}
