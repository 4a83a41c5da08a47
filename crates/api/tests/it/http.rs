//! HTTP: every path has its answer, and hostile clients theirs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vxscope_api::{HTTP_CLIENTS_MAX, Snapshot};
use vxscope_report::{
    DuplicatePairStatus, DuplicateStatus, Signals, SourceName, SourceReport, SourceStatus, State,
    Status,
};

use crate::Served;

const LONG: Duration = Duration::from_secs(60);
const TOKEN: &str = "token-0123456789abcdef0123456789abcdef";

#[test]
fn every_path_has_its_answer() {
    let served = Served::new(LONG);
    served.report(3, 4);
    for (path, status, content_type, part) in [
        ("/", 200, "text/html", "/page.js"),
        ("/page.js", 200, "text/javascript", "/api/v1/events"),
        ("/page.css", 200, "text/css", "prefers-color-scheme"),
        ("/healthz", 200, "text/plain", "ok\n"),
        ("/readyz", 200, "text/plain", "ok\n"),
        (
            "/metrics",
            200,
            "text/plain; version=0.0.4",
            "vxscope_received_packets_total 0\n",
        ),
        ("/api/v1/status", 200, "application/json", "\"seq\":3"),
        ("/api/v1/sources", 200, "application/json", "\"sources\":[]"),
        ("/api/v1/mirrors", 200, "application/json", "\"mode\":\"\""),
        ("/api/v1/decisions", 200, "application/json", "\"total\":0"),
        (
            "/api/v1/duplicates",
            200,
            "application/json",
            "\"totals\":null",
        ),
        ("/api/v1/flows", 200, "application/json", "\"flows\":[]"),
        (
            "/api/v1/flows?search=x",
            400,
            "application/json",
            "not an address",
        ),
        (
            "/api/v1/sources?limit=0",
            400,
            "application/json",
            "from 1 to",
        ),
        (
            "/api/v1/status?a=1",
            400,
            "application/json",
            "no such parameter",
        ),
        (
            "/api/v1/openapi.json",
            200,
            "application/json",
            "\"/api/v1/flows\"",
        ),
        (
            "/api/v1/health",
            200,
            "application/json",
            "\"healthy\":true",
        ),
        ("/api/v1/secrets", 404, "application/json", "\"error\""),
        ("/../etc/passwd", 404, "application/json", "\"error\""),
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(
            answer.header("content-type").starts_with(content_type),
            "{path}"
        );
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
    assert_eq!(served.get("/api/2.0/status").body, "ok");
}

#[test]
fn a_worker_that_hangs_fails_the_probes() {
    let served = Served::new(LONG);
    served.rest(5_000);
    for path in ["/healthz", "/readyz", "/api/2.0/status"] {
        assert_eq!(served.get(path).status, 503, "{path}");
    }
}

#[test]
fn a_sensor_that_stops_is_healthy_and_not_ready() {
    let served = Served::new(LONG);
    served.hub.publish(Snapshot {
        status: Status {
            state: State::Stopping,
            ..Status::default()
        },
        ..Snapshot::default()
    });
    let statuses = ["/healthz", "/api/2.0/status", "/readyz"].map(|path| served.get(path).status);
    assert_eq!(statuses, [200, 200, 503]);
}

#[test]
fn other_methods_are_refused() {
    let served = Served::new(LONG);
    let body = "x".repeat(100);
    let length = body.len();
    for request in [
        "DELETE /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        format!(
            "POST /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    ] {
        let answer = served.exchange(&request);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    }
    let answer = served.exchange("HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[test]
fn a_name_that_leads_here_by_somebody_elses_will_is_refused() {
    let served = Served::new(LONG);
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:9477", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:1", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("\u{7f}", 400),
        ("", 421),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(served.exchange(&request).status, status, "{host}");
    }
    assert_eq!(served.exchange("GET /healthz HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn malformed_and_oversized_requests_are_refused() {
    let served = Served::new(LONG);
    let many: String = (0..100).map(|n| format!("a{n}: b\r\n")).collect();
    for (request, status) in [
        ("what?\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), 431),
        (
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(20_000)),
            431,
        ),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
    ] {
        let answer = served.exchange(&request);
        assert!(
            [400, status].contains(&answer.status),
            "{} {status}",
            answer.status
        );
    }
    assert_eq!(served.get("/healthz").status, 200);
}

#[test]
fn a_head_that_trickles_is_cut_off_and_counted() {
    let served = Served::new(Duration::from_secs(1));
    let mut stream = TcpStream::connect(served.http).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: local").unwrap();
    let mut rest = Vec::new();
    // Ends when the server hangs up.
    let _ = stream.read_to_end(&mut rest);
    let stalled = "vxscope_api_stalled_clients_total{listener=\"http\"} 1\n";
    while !served.get("/metrics").body.contains(stalled) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn as_many_are_answered_at_once_as_there_are_places_and_no_more() {
    let served = Served::with(LONG, Some(&format!("boss metadata,control {TOKEN}\n")));
    let order = format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    );
    let mut held: Vec<TcpStream> = (0..HTTP_CLIENTS_MAX)
        .map(|_| TcpStream::connect(served.http).unwrap())
        .collect();
    for stream in &mut held {
        stream.write_all(order.as_bytes()).unwrap();
        let mut line = String::new();
        // The rest of the order is waited for, so it is being answered.
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.contains("100"), "{line}");
    }
    assert_eq!(served.get("/healthz").status, 503);
    // The control socket does not notice.
    assert!(served.client().health().unwrap().healthy);
    drop(held);
    while served.get("/healthz").status != 200 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let refused = "vxscope_api_refused_clients_total{listener=\"http\"} 0";
    let ask = format!(
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    assert!(!served.exchange(&ask).body.contains(refused));
}

#[test]
fn a_thousand_that_never_finish_what_they_ask_keep_nobody_out() {
    let served = Served::new(LONG);
    let begin = || {
        let mut stream = TcpStream::connect(served.http).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nx: ").unwrap();
        stream
    };
    let crowd: Vec<TcpStream> = (0..1_000).map(|_| begin()).collect();
    // Nobody of them is given up for being slow: the patience is a minute.
    for _ in 0..20 {
        assert_eq!(served.get("/healthz").status, 200);
    }
    let [evicted, refused] = ["evicted", "refused"].map(|it| served.counted_clients(it));
    assert!(evicted >= 1_000 - HTTP_CLIENTS_MAX as u64, "{evicted}");
    assert_eq!(refused, 0);
    drop(crowd);
}

#[test]
fn whoever_was_answered_outlasts_whoever_only_begins() {
    let served = Served::new(LONG);
    let mut client = TcpStream::connect(served.http).unwrap();
    let mut ask = || {
        let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.write_all(request).unwrap();
        let mut reader = BufReader::new(&client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\nok\n") {
            let read = reader.read_line(&mut head).unwrap();
            assert!(read > 0, "{head}");
        }
    };
    ask();
    let crowd: Vec<TcpStream> = (0..HTTP_CLIENTS_MAX + 20)
        .map(|_| TcpStream::connect(served.http).unwrap())
        .collect();
    ask();
    assert!(served.counted_clients("evicted") >= 20);
    drop(crowd);
}

#[test]
fn the_busiest_sources_have_metrics_and_the_rest_are_counted() {
    let served = Served::new(LONG);
    let sources = [(1, 5), (2, 70), (3, 6)].map(|(number, packets)| {
        Arc::new(SourceStatus {
            report: SourceReport {
                outer_ip: [10, 0, 0, number].into(),
                vni: 7,
                eni: (number == 2).then(|| "eni-0123456789abcdef0".to_owned()),
                signals: Signals {
                    packets,
                    ..Signals::default()
                },
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
    });
    served.hub.publish(Snapshot {
        sources: sources.to_vec(),
        ..Snapshot::default()
    });
    let metrics = served.get("/metrics").body;
    let packets = metrics.lines();
    let packets: Vec<&str> = packets
        .filter(|line| line.starts_with("vxscope_source_packets_total"))
        .collect();
    assert_eq!(
        packets,
        [
            "vxscope_source_packets_total{source=\"10.0.0.2\",vni=\"7\",\
             eni=\"eni-0123456789abcdef0\"} 70",
            "vxscope_source_packets_total{source=\"10.0.0.3\",vni=\"7\"} 6",
        ]
    );
    assert!(metrics.contains("vxscope_sources 3\n"));
    assert!(metrics.contains("vxscope_sources_omitted 1\n"));
    let listed: Value = serde_json::from_str(&served.get("/api/v1/sources").body).unwrap();
    assert_eq!(listed["total"], 3);
    assert_eq!(listed["sources"].as_array().unwrap().len(), 3);
    let one = served.get("/api/v1/sources?search=eni-0123&limit=1");
    let one: Value = serde_json::from_str(&one.body).unwrap();
    assert_eq!(
        (&one["total"], &one["sources"][0]["vni"]),
        (&1.into(), &7.into())
    );
}

#[test]
fn the_busiest_pairs_of_duplicates_have_metrics_and_the_rest_are_counted() {
    let served = Served::new(LONG);
    let name = |vni| SourceName {
        outer_ip: [10, 0, 0, 1].into(),
        vni,
    };
    let pair = |vni, frames| DuplicatePairStatus {
        sources: [name(vni), name(9)],
        frames,
    };
    served.hub.publish(Snapshot {
        status: Status {
            duplicates: Some(DuplicateStatus {
                frames: 109,
                suppressed: 50,
                forgotten: 2,
                pairs: 4,
                pairs_omitted_frames: 9,
            }),
            ..Status::default()
        },
        duplicate_pairs: vec![pair(1, 70), pair(2, 20), pair(3, 6), pair(4, 4)],
        ..Snapshot::default()
    });
    let metrics = served.get("/metrics").body;
    let told = metrics.lines().filter(|it| it.starts_with("vxscope_dup"));
    let told: Vec<&str> = told.collect();
    let of_pair = |vni: u32, frames: u64| {
        format!(
            "vxscope_duplicate_pair_packets_total{{source=\"10.0.0.1\",vni=\"{vni}\",\
             other_source=\"10.0.0.1\",other_vni=\"9\"}} {frames}"
        )
    };
    assert_eq!(
        told,
        [
            "vxscope_duplicate_packets_total 109",
            "vxscope_duplicate_suppressed_packets_total 50",
            "vxscope_duplicate_forgotten_packets_total 2",
            &of_pair(1, 70),
            &of_pair(2, 20),
            "vxscope_duplicate_pairs_omitted_packets 19",
        ]
    );
    let second = served.get("/api/v1/duplicates?limit=1&offset=1").body;
    let second: Value = serde_json::from_str(&second).unwrap();
    assert_eq!(second["totals"]["frames"], 109);
    assert_eq!(second["pairs"].as_array().unwrap().len(), 1);
    assert_eq!(second["pairs"][0]["frames"], 20);
    assert_eq!(second["pairs"][0]["sources"][1]["vni"], 9);
}

#[test]
fn open_metrics_are_there_for_who_asks() {
    let served = Served::new(LONG);
    let answer = served.exchange(
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\
         accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n",
    );
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(answer.body.ends_with("# EOF\n"));
    assert!(
        answer
            .body
            .contains("# TYPE vxscope_received_packets counter\n")
    );
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let value = lines.find_map(|line| line.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_default()
    }
}

impl Served {
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    /// How many clients of HTTP were so.
    fn counted_clients(&self, how: &str) -> u64 {
        let name = format!("vxscope_api_{how}_clients_total{{listener=\"http\"}} ");
        let metrics = self.get("/metrics").body;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(&name)?.parse().ok());
        value.expect("such a metric")
    }

    /// One request on a connection of its own.
    pub(crate) fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.http).expect("somebody who listens");
        let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        // The server may refuse before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.replace('\r', ""),
            body: body.to_owned(),
        }
    }
}
