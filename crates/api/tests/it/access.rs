//! Who gets what: tokens, scopes, and what nobody is told without one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use vxscope_api::Told;
use vxscope_report::{BlindWindow, MirrorRow, Oversight};

use crate::Served;

const LONG: Duration = Duration::from_secs(60);
const METADATA: &str = "metadata-0123456789abcdef0123456789abcdef";
const PACKETS: &str = "packets-0123456789abcdef0123456789abcdef";
const CONTROL: &str = "control-0123456789abcdef0123456789abcdef";

fn tokens() -> String {
    format!("a metadata {METADATA}\nb packets {PACKETS}\nc control {CONTROL}\n")
}

fn with_tokens() -> Served {
    Served::with(LONG, Some(&tokens()))
}

impl Served {
    fn ask(&self, path: &str, token: &str) -> (u16, String) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let answer = self.exchange(&request);
        (answer.status, answer.body)
    }

    fn order(&self, token: &str, body: &str) -> u16 {
        let request = format!(
            "POST /api/v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(&request).status
    }
}

#[test]
fn with_tokens_nothing_but_probes_and_the_empty_page_is_for_everybody() {
    let served = with_tokens();
    for path in ["/", "/page.js", "/healthz", "/readyz", "/api/2.0/status"] {
        assert_eq!(served.get(path).status, 200, "{path}");
    }
    for path in [
        "/metrics",
        "/api/v1/status",
        "/api/v1/sources",
        "/api/v1/decisions",
        "/api/v1/duplicates",
        "/api/v1/flows",
        "/api/v1/events",
        "/api/v1/config",
        "/api/v1/coverage",
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        let wrong = [&METADATA[..METADATA.len() - 1], "", "x", PACKETS, CONTROL];
        for token in wrong {
            let (status, body) = served.ask(path, token);
            assert!([401, 403].contains(&status), "{path} {token}");
            assert!(token.len() < 20 || !body.contains(token), "{body}");
        }
    }
    assert_eq!(served.ask("/api/v1/status", METADATA).0, 200);
    let (_, metrics) = served.ask("/metrics", METADATA);
    assert!(!metrics.contains("vxscope_api_denied_requests_total 0\n"));
    assert!(!metrics.contains(METADATA));
}

#[test]
fn orders_take_the_scope_control_and_a_token_at_all() {
    let served = with_tokens();
    assert_eq!(served.order(METADATA, "\"hold\""), 403);
    assert_eq!(served.order(PACKETS, "\"hold\""), 403);
    // Nobody looks after the mirrors here: it was understood and refused.
    assert_eq!(served.order(CONTROL, "\"hold\""), 409);
    assert_eq!(served.order(CONTROL, "\"off\""), 400);
    assert_eq!(served.order(CONTROL, &"x".repeat(5_000)), 413);
    let open = Served::new(LONG);
    assert_eq!(open.order(CONTROL, "\"hold\""), 403);
}

#[test]
fn nobody_without_a_token_is_told_what_is_to_come() {
    let (open, closed) = (Served::new(LONG), with_tokens());
    for served in [&open, &closed] {
        served.hub.oversee(Oversight {
            mode: "dynamic".to_owned(),
            mirrors: vec![mirror()],
            ..Oversight::default()
        });
        served.hub.publish(vxscope_api::Snapshot {
            sources: vec![source()],
            ..vxscope_api::Snapshot::default()
        });
        served.hub.tell(Told {
            source: ([10, 0, 0, 1].into(), 7),
            interface: "eni-1".to_owned(),
            outcome: "granted",
            shown: json!({"reason": "quiet"}),
            whole: json!({"reason": "quiet", "until": 987_654_321}),
        });
    }
    for path in [
        "/api/v1/sources",
        "/api/v1/mirrors",
        "/api/v1/decisions",
        "/api/v1/pins",
        "/metrics",
    ] {
        let body = open.get(path).body;
        assert!(!body.contains("987654321"), "{path}: {body}");
    }
    for path in ["/api/v1/sources", "/api/v1/decisions"] {
        let (status, body) = closed.ask(path, METADATA);
        assert_eq!(status, 200);
        assert!(body.contains("987654321"), "{path}: {body}");
    }
    let listed: Value = serde_json::from_str(&open.get("/api/v1/sources").body).unwrap();
    assert_eq!(listed["sources"][0]["mirror"]["grade"], "off");
}

#[test]
fn the_listener_for_load_balancers_says_one_word_to_everybody() {
    let served = with_tokens();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(served.health).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: 10.1.2.3\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("/api/2.0/status");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    for path in ["/metrics", "/api/v1/status", "/"] {
        assert!(ask(path).starts_with("HTTP/1.1 404"), "{path}");
    }
    served.rest(5_000);
    assert!(ask("/api/2.0/status").starts_with("HTTP/1.1 503"));
}

fn mirror() -> MirrorRow {
    MirrorRow {
        outer_ip: [10, 0, 0, 1].into(),
        vni: 7,
        interface: "eni-1".to_owned(),
        grade: "off".to_owned(),
        since: 5,
        pinned: false,
        reason: "quiet".to_owned(),
        sentence: "it goes".to_owned(),
        until: Some(987_654_321),
        blind: vec![BlindWindow {
            class: "flow".to_owned(),
            seconds: 1.0,
            bound_seconds: 60.0,
        }],
    }
}

fn source() -> std::sync::Arc<vxscope_report::SourceStatus> {
    std::sync::Arc::new(vxscope_report::SourceStatus {
        report: vxscope_report::SourceReport {
            outer_ip: [10, 0, 0, 1].into(),
            vni: 7,
            eni: None,
            signals: vxscope_report::Signals::default(),
        },
        name: None,
        instance: None,
        vpc: None,
        account: None,
        bytes: 0,
        ip_bytes: 0,
        ingress_bytes: 0,
        egress_bytes: 0,
        unknown_direction_bytes: 0,
        first_seen: 0,
        last_seen: 0,
    })
}
