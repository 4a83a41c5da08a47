//! What flows are at each milestone, and what they tell.

use vxscope_flow::{ATTEMPT_PACKETS_MAX, Crossing, FlowSoFar, Label, Milestone};
use vxscope_report::Category;
use vxscope_wire::flag::{ACK, RST, SYN};
use vxscope_wire::protocol::{ICMP, ICMPV6, TCP, UDP};

use super::{Ruling, judge};
use crate::fact::FactKind;
use crate::label::{category_of, label_of};
use crate::role::Roles;
use crate::testing::{address, inbound};

const ANSWERED: Milestone = Milestone::Answered {
    tcp_flags: SYN | ACK,
};
const REFUSED: Milestone = Milestone::Answered {
    tcp_flags: RST | ACK,
};
/// ESP.
const ESP: u8 = 50;

#[test]
fn only_what_is_known_from_the_start_has_a_category_at_the_start() {
    for (flow, category, asks) in [
        (inbound(TCP, 22), None, true),
        (inbound(UDP, 123), None, true),
        (inbound(UDP, 53), Some(Category::Dns), true),
        (inbound(TCP, 53), Some(Category::Dns), true),
        (inbound(UDP, 514), Some(Category::Other), true),
        (
            to(inbound(UDP, 123), "224.0.0.251"),
            Some(Category::Other),
            true,
        ),
        (
            to(inbound(UDP, 5_353), "224.0.0.251"),
            Some(Category::Dns),
            true,
        ),
        (
            to(inbound(UDP, 67), "255.255.255.255"),
            Some(Category::Other),
            true,
        ),
        (
            to(inbound(UDP, 137), "10.0.0.255"),
            Some(Category::File),
            true,
        ),
        (icmp(ICMP, 8), None, true),
        (icmp(ICMPV6, 128), None, true),
        (icmp(ICMP, 3), Some(Category::Other), false),
        (icmp(ICMPV6, 135), Some(Category::Other), false),
        (inbound(ESP, 0), Some(Category::Other), true),
    ] {
        let ruling = judge(&flow, Milestone::Opened, None);
        let found = (category_of(ruling.label), ruling.label.is_open());
        assert_eq!(
            found,
            (category, asks),
            "{} {}",
            flow.protocol,
            flow.responder_port
        );
        assert_eq!(ruling.fact, None);
    }
}

#[test]
fn a_port_that_the_role_never_serves_is_a_hit_for_who_comes_in() {
    for (role, protocol, port, crossing, hits) in [
        (Some("linux"), TCP, 3_389, Crossing::Ingress, true),
        (Some("linux"), UDP, 137, Crossing::Ingress, true),
        (Some("windows"), TCP, 22, Crossing::Ingress, true),
        (Some("web-server"), TCP, 21, Crossing::Ingress, true),
        (Some("web-server"), TCP, 443, Crossing::Ingress, false),
        (Some("linux"), TCP, 389, Crossing::Egress, false),
        (Some("linux"), TCP, 389, Crossing::Unknown, false),
        (None, TCP, 3_389, Crossing::Ingress, false),
    ] {
        let roles = Roles::default();
        let id = role.and_then(|name| roles.find(name));
        let role_of = id.and_then(|id| Some((id, roles.get(id)?)));
        let flow = FlowSoFar {
            crossing,
            ..inbound(protocol, port)
        };
        let ruling = judge(&flow, Milestone::Opened, role_of);
        let is_never = category_of(ruling.label) == Some(Category::Never);
        assert_eq!(is_never, hits, "{role:?} {port}");
        let expected = id.filter(|_| hits).map(|role| FactKind::NeverHit { role });
        assert_eq!(kind(&ruling), expected);
    }
}

#[test]
fn an_answer_makes_a_conversation_and_a_refusal_a_failure() {
    let syn = FlowSoFar {
        originator_flags: SYN,
        ..waiting(TCP, 22, 1)
    };
    check(&syn, ANSWERED, Category::Management, TALKED);
    check(&syn, REFUSED, Category::Scan, FAILED);
    // Whoever had a connection before is not refused one.
    let amidst = FlowSoFar {
        originator_flags: ACK,
        ..syn
    };
    check(&amidst, REFUSED, Category::Management, TALKED);
    check(&waiting(UDP, 123, 1), ANSWERED, Category::Other, TALKED);
    check(&waiting(TCP, 50_000, 1), ANSWERED, Category::Other, TALKED);
}

#[test]
fn what_nobody_answers_is_a_failure_if_it_was_an_attempt() {
    let tcp = |flags| FlowSoFar {
        originator_flags: flags,
        ..waiting(TCP, 22, 1)
    };
    for (flow, category, told) in [
        (tcp(SYN), Category::Scan, FAILED),
        (tcp(SYN | RST), Category::Scan, FAILED),
        (tcp(0), Category::Scan, FAILED),
        (tcp(ACK), Category::Management, ONE_WAY),
        (tcp(SYN | ACK), Category::Management, ONE_WAY),
        (tcp(RST), Category::Management, ONE_WAY),
        (waiting(UDP, 161, 1), Category::Scan, FAILED),
        (waiting(UDP, 514, 1), Category::Other, ONE_WAY),
        (
            to(waiting(UDP, 123, 1), "239.1.1.1"),
            Category::Other,
            ONE_WAY,
        ),
        (waiting(ICMP, 0, 1), Category::Scan, FAILED),
        (waiting(ESP, 0, 1), Category::Other, ONE_WAY),
    ] {
        check(&flow, Milestone::Ended, category, told);
    }
    let flipped = FlowSoFar {
        flipped: true,
        ..waiting(UDP, 123, 1)
    };
    check(&flipped, Milestone::Ended, Category::Other, ONE_WAY);
}

#[test]
fn many_packets_without_an_answer_are_one_direction_unless_they_knock() {
    let many = u64::from(ATTEMPT_PACKETS_MAX);
    let knocks = FlowSoFar {
        originator_flags: SYN,
        ..waiting(TCP, 22, many)
    };
    check(&knocks, Milestone::OneWay, Category::Scan, FAILED);
    check(
        &waiting(ICMP, 0, many),
        Milestone::OneWay,
        Category::Scan,
        FAILED,
    );
    check(
        &waiting(UDP, 9_999, many),
        Milestone::OneWay,
        Category::Other,
        ONE_WAY,
    );
    let acknowledges = FlowSoFar {
        originator_flags: ACK,
        ..knocks
    };
    check(
        &acknowledges,
        Milestone::OneWay,
        Category::Management,
        ONE_WAY,
    );
}

#[test]
fn few_packets_that_cross_elsewhere_are_decided_and_asked_about_again() {
    let ruling = judge(&waiting(TCP, 22, 1), Milestone::OneWay, None);
    assert_eq!(category_of(ruling.label), Some(Category::Management));
    assert!(ruling.label.is_open() && ruling.fact.is_none());
}

#[test]
fn a_category_that_was_given_stays() {
    for category in [Category::Never, Category::Dns] {
        let flow = FlowSoFar {
            label: label_of(category).for_now(),
            originator_flags: SYN,
            ..waiting(TCP, 22, 1)
        };
        check(&flow, ANSWERED, category, TALKED);
        check(&flow, REFUSED, category, FAILED);
        check(&flow, Milestone::Ended, category, FAILED);
    }
}

#[test]
fn large_flows_that_nobody_can_look_into_are_opaque_bulk() {
    for (protocol, port, category, expected) in [
        (TCP, 443, Category::Web, Category::OpaqueBulk),
        (UDP, 443, Category::Web, Category::OpaqueBulk),
        (TCP, 22, Category::Management, Category::OpaqueBulk),
        (TCP, 9_999, Category::Other, Category::OpaqueBulk),
        (ESP, 0, Category::Other, Category::OpaqueBulk),
        (TCP, 80, Category::Web, Category::Web),
        (TCP, 445, Category::File, Category::File),
        (TCP, 5_432, Category::Database, Category::Database),
        (TCP, 853, Category::Dns, Category::Dns),
        (TCP, 22, Category::Never, Category::Never),
        (TCP, 443, Category::OpaqueBulk, Category::OpaqueBulk),
        (TCP, 9_999, Category::Scan, Category::Scan),
    ] {
        let flow = FlowSoFar {
            label: label_of(category),
            ..inbound(protocol, port)
        };
        let ruling = judge(&flow, Milestone::Large, None);
        assert_eq!(
            category_of(ruling.label),
            Some(expected),
            "{protocol} {port}"
        );
        assert_eq!(ruling.fact, None);
    }
}

const TALKED: FactKind = FactKind::Conversation { answered: true };
const ONE_WAY: FactKind = FactKind::Conversation { answered: false };
const FAILED: FactKind = FactKind::Failure;

fn check(flow: &FlowSoFar, milestone: Milestone, category: Category, told: FactKind) {
    let ruling = judge(flow, milestone, None);
    let found = (category_of(ruling.label), kind(&ruling));
    assert_eq!(
        found,
        (Some(category), Some(told)),
        "{milestone:?} of {flow:?}"
    );
    assert!(!ruling.label.is_open(), "nothing further is to be decided");
}

fn kind(ruling: &Ruling) -> Option<FactKind> {
    ruling.fact.map(|fact| fact.kind)
}

/// A flow that nobody has answered; of ICMP an echo request.
fn waiting(protocol: u8, port: u16, packets: u64) -> FlowSoFar {
    let flow = if protocol == ICMP {
        icmp(ICMP, 8)
    } else {
        inbound(protocol, port)
    };
    FlowSoFar {
        packets,
        bytes: 100 * packets,
        label: Label::UNDECIDED,
        ..flow
    }
}

fn icmp(protocol: u8, kind: u16) -> FlowSoFar {
    FlowSoFar {
        originator_port: kind,
        ..inbound(protocol, 0)
    }
}

fn to(flow: FlowSoFar, responder: &str) -> FlowSoFar {
    FlowSoFar {
        responder: address(responder),
        ..flow
    }
}
