//! Files in, fleets and events out.

use std::sync::Arc;

use vxscope_policy::Importance;
use vxscope_policy::rules::Limits;
use vxscope_report::EventKind;

use super::*;
use crate::closed::{NoWatch, Senses, bounds_of, fleet_rules, run};
use crate::time::{DAY, HOUR};
use crate::world::{Real, Setup, World};

const EVE: &str = r#"
{"event_type":"flow","src_ip":"10.0.0.1","src_port":50000,"dest_ip":"10.0.0.2","dest_port":22,"proto":"TCP","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":400,"bytes_toclient":600,"start":"2026-11-21T10:30:00.000000+0000","end":"2026-11-21T11:30:00.000000+0000"},"tcp":{"tcp_flags_ts":"1b","tcp_flags_tc":"1b"},"vni":7,"outer_ip":"10.0.0.1"}
{"event_type":"flow","src_ip":"10.0.0.1","src_port":50000,"dest_ip":"10.0.0.2","dest_port":22,"proto":"TCP","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":400,"bytes_toclient":600,"start":"2026-11-21T10:30:00.000000+0000","end":"2026-11-21T11:30:00.000000+0000"},"tcp":{"tcp_flags_ts":"1b","tcp_flags_tc":"1b"},"vni":8,"outer_ip":"10.0.0.2"}
{"event_type":"stats","stats":{}}
{"timestamp":"2026-11-21T10:31:00.000000+0000","event_type":"anomaly","src_ip":"203.0.113.9","src_port":4000,"dest_ip":"10.0.0.2","dest_port":445,"proto":"TCP","anomaly":{"type":"vxscope","event":"never_port"},"vni":8,"outer_ip":"10.0.0.2"}
"#;

const VPC: &str = "version interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action tcp-flags flow-direction log-status
5 eni-a 10.0.0.1 10.0.0.2 50000 22 6 5 400 1795257000 1795257060 ACCEPT 2 egress OK
5 eni-a 10.0.0.2 10.0.0.1 22 50000 6 4 600 1795257000 1795257060 ACCEPT 18 ingress OK
5 eni-a 10.0.0.1 10.0.0.2 50000 22 6 5 400 1795257060 1795257120 ACCEPT 0 egress OK
5 eni-b 203.0.113.9 10.0.0.2 4000 23 6 1 60 1795257000 1795257000 REJECT 2 ingress OK
5 eni-b - - - - - - - 1795257000 1795257060 - - - NODATA
";

#[test]
fn what_both_ends_show_is_one_event_seen_from_both() {
    let (recording, lines) = eve(EVE);
    assert_eq!((lines.conversations, lines.other), (3, 1));
    let background = Background::new(&recording).unwrap();
    assert_eq!(background.sources(), 2);
    let day = background.day(0);
    let kinds: Vec<_> = day
        .events
        .iter()
        .map(|it| (it.kind, it.source, it.peer))
        .collect();
    assert_eq!(
        kinds,
        [
            (EventKind::FirstEdge, 0, Some(1)),
            (EventKind::ManagementLogin, 0, Some(1)),
            (EventKind::NeverHit, 1, None),
            (EventKind::FirstEdge, 1, None),
        ]
    );
    assert_eq!(day.events[0].at, 10 * HOUR + HOUR / 2);
    let tomorrow = background.day(1);
    assert_eq!(tomorrow.events[0].at, day.events[0].at + DAY);
    assert_eq!(
        tomorrow.events[0].novelty, day.events[0].novelty,
        "new once"
    );
}

#[test]
fn bytes_lie_in_the_hours_in_which_they_flowed() {
    let background = Background::new(&eve(EVE).0).unwrap();
    let fleet = background.fleet(Importance::Standard, true, 3);
    for day in 0..3 {
        let of =
            |from: u64, to: u64| fleet.bytes(0, day * DAY + from * HOUR, day * DAY + to * HOUR);
        let hours = [of(0, 10), of(10, 11), of(11, 12), of(12, 24)];
        for (found, expected) in hours.into_iter().zip([0.0, 500.0, 500.0, 0.0]) {
            assert!((found - expected).abs() < 1.0, "{hours:?}");
        }
    }
    assert_eq!(fleet.slots[0].peers, [1]);
    assert_eq!(fleet.sources[0].group, fleet.sources[1].group);
}

#[test]
fn directions_of_flow_logs_are_put_together() {
    let mut recording = Recording::new();
    let lines = read_vpc_flow_logs(&mut VPC.as_bytes(), &mut recording, &mut |_| ()).unwrap();
    assert_eq!((lines.conversations, lines.other), (2, 2));
    let [one, other] = &recording.conversations[..] else {
        panic!("two conversations: {recording:?}");
    };
    assert_eq!((one.packets, one.bytes, one.port), (14, 1_400, 22));
    assert_eq!(
        (one.crossed, one.answered, one.failed),
        (Crossed::Out, true, false)
    );
    assert_eq!(
        (other.crossed, other.answered, other.failed),
        (Crossed::In, false, true)
    );
    assert_eq!(
        recording.names.keys().collect::<Vec<_>>(),
        ["eni-a", "eni-b"]
    );
    // The default format has no header, no flags and no direction.
    let plain = "2 123456789012 eni-a 10.0.0.1 10.0.0.2 50000 22 6 5 400 1795257000 1795257060 ACCEPT OK\n\
                 2 123456789012 eni-a 10.0.0.2 10.0.0.1 22 50000 6 4 600 1795257000 1795257060 ACCEPT OK\n\
                 2 123456789012 eni-a 10.0.0.1 198.51.100.7 40000 443 6 4 600 1795257000 1795257060 ACCEPT OK\n";
    let mut recording = Recording::new();
    read_vpc_flow_logs(&mut plain.as_bytes(), &mut recording, &mut |_| ()).unwrap();
    let crossed: Vec<_> = recording
        .conversations
        .iter()
        .map(|it| (it.crossed, it.port))
        .collect();
    assert_eq!(crossed, [(Crossed::Out, 443), (Crossed::Out, 22)]);
    assert_eq!(recording.addresses, ["10.0.0.1".parse().ok()]);
}

#[test]
fn a_malformed_line_is_named() {
    let wrong_eve = |line: &str, part: &str| {
        let text = format!("{}\n{line}\n", r#"{"event_type":"stats"}"#);
        let error = read_eve(&mut text.as_bytes(), &mut Recording::new(), &mut |_| ()).unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains(part), "{error}");
    };
    wrong_eve("{", "not an EVE record");
    wrong_eve(r#"{"event_type":"flow"}"#, "without flow");
    let time = EVE.lines().nth(1).unwrap().replace("T10:30", "T25:30");
    wrong_eve(&time, "is no time");
    let protocol = EVE.lines().nth(1).unwrap().replace("\"TCP\"", "\"QUICK\"");
    wrong_eve(&protocol, "is no protocol");
    let wrong_vpc = |line: &str, part: &str| {
        let header = VPC.lines().next().unwrap();
        let text = format!("{header}\n{line}\n");
        let error = read_vpc_flow_logs(&mut text.as_bytes(), &mut Recording::new(), &mut |_| ());
        let error = error.unwrap_err();
        assert_eq!(error.line, 2);
        assert!(error.to_string().contains(part), "{error}");
    };
    wrong_vpc("5 eni-a 10.0.0.1", "15 are expected");
    let line = VPC.lines().nth(1).unwrap();
    wrong_vpc(
        &line.replace("10.0.0.1", "here"),
        "srcaddr: \"here\" is no address",
    );
    wrong_vpc(
        &line.replace(" 400 ", " many "),
        "bytes: \"many\" is no number",
    );
    wrong_vpc(&line.replace(" 22 ", " 70000 "), "dstport");
    wrong_vpc("version srcaddr", "the header has no dstaddr");
}

/// Arbitrary text must end in an error or in nothing, never in a panic.
#[test]
fn nothing_that_is_read_panics() {
    for text in [EVE, VPC] {
        for cut in 0..text.len() {
            let mut recording = Recording::new();
            let part = &text.as_bytes()[..cut];
            let _ = read_eve(&mut &*part, &mut recording, &mut |_| ());
            let _ = read_vpc_flow_logs(&mut &*part, &mut recording, &mut |_| ());
            if let Ok(background) = Background::new(&recording) {
                let fleet = background.fleet(Importance::Low, false, 1);
                assert_eq!(fleet.sources.len(), background.sources());
            }
        }
    }
}

#[test]
fn attacks_are_placed_into_what_was_recorded_and_those_over_the_bound_are_seen() {
    // Twelve machines that speak now and then, all day.
    let mut text = String::new();
    for machine in 1..=12 {
        for hour in 0..24 {
            text += &format!(
                "2 1 eni-{machine} 10.0.0.{machine} 198.51.100.7 4{2:04} 443 6 400 300000 {0} {1} ACCEPT OK\n\
                 2 1 eni-{machine} 198.51.100.7 10.0.0.{machine} 443 4{2:04} 6 400 300000 {0} {1} ACCEPT OK\n",
                1_795_219_200 + hour * 3_600,
                1_795_219_200 + hour * 3_600 + 3_000,
                hour,
            );
        }
    }
    let mut recording = Recording::new();
    read_vpc_flow_logs(&mut text.as_bytes(), &mut recording, &mut |_| ()).unwrap();
    let background = Arc::new(Background::new(&recording).unwrap());
    let world = |seed| {
        let real = Real {
            background: background.clone(),
            importance: Importance::Low,
            allow_off: true,
        };
        let spec = real.background.fleet(real.importance, true, 1).spec;
        let rules = fleet_rules(&spec, Limits::default());
        let setup = Setup {
            bounds: bounds_of(&rules),
            spec,
            sources: 12,
            days: 10,
            seed,
            prices: vxscope_policy::money::PriceTable::published().unwrap(),
            real: Some(real),
        };
        (World::new(&setup), rules)
    };
    let (drawn, rules) = world(1);
    assert!(drawn.placebos.len() > 100);
    let (timeline, ran) = run(&drawn, &rules, Senses::ALL, &mut NoWatch);
    assert!(
        ran.lowered > 20,
        "what is the same every day is not worth its price: {ran:?}"
    );
    let (same, _) = run(&world(1).0, &rules, Senses::ALL, &mut NoWatch);
    assert_eq!(timeline, same);
    let outcome = crate::outcome::Outcome::new("dynamic", &drawn, timeline);
    let tally = crate::tally::Tally::new(&drawn, &outcome, Some(ran));
    assert!(tally.placebos.certain.total > 0);
    assert_eq!(tally.placebos.certain.seen, tally.placebos.certain.total);
}

fn eve(text: &str) -> (Recording, Lines) {
    let mut recording = Recording::new();
    let lines = read_eve(&mut text.as_bytes(), &mut recording, &mut |_| ()).unwrap();
    (recording, lines)
}
