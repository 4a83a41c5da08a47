//! Server-sent events: who follows is told, and costs nobody anything.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use vxscope_api::{EVENT_CLIENTS_MAX, Told};

use crate::Served;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn ticks_and_decisions_are_told_as_they_come() {
    let served = Served::new(LONG);
    let mut lines = follow(&served);
    let first = lines.find(|line| line.starts_with("data: ")).unwrap();
    assert!(
        first.starts_with("data: {\"status\":{\"schema\":"),
        "{first}"
    );
    served.report(8, 3);
    let tick = lines.find(|line| line.contains("\"seq\":8")).unwrap();
    assert!(tick.contains("\"mirrors\":{"), "{tick}");
    tell(&served);
    assert!(lines.any(|line| line == "event: decision"));
    let decision = lines.next().unwrap();
    assert_eq!(decision, "data: {\"reason\":\"quiet\",\"seq\":0}");
}

#[test]
fn so_many_may_follow_and_one_that_goes_makes_room() {
    let served = Served::new(LONG);
    let mut followers: Vec<_> = (0..EVENT_CLIENTS_MAX).map(|_| follow(&served)).collect();
    for lines in &mut followers {
        assert!(lines.any(|line| line == "retry: 1000"));
    }
    assert_eq!(served.get("/api/v1/events").status, 503);
    // Everybody else is answered.
    assert_eq!(served.get("/api/v1/status").status, 200);
    drop(followers);
    let again = || {
        // It is noticed when it is written to.
        served.report(9, 3);
        let mut lines = follow(&served);
        lines.next().is_some_and(|line| line.contains("200"))
    };
    while !again() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn one_that_reads_nothing_delays_nobody() {
    let mut served = Served::new(Duration::from_secs(1));
    let silent = TcpStream::connect(served.http).unwrap();
    (&silent).write_all(REQUEST).unwrap();
    for seq in 0..300 {
        served.report(seq, 100_000);
    }
    assert_eq!(served.get("/healthz").status, 200);
    // The end waits for it no longer than it says.
    served.end();
    drop(silent);
}

const REQUEST: &[u8] = b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn follow(served: &Served) -> impl Iterator<Item = String> + use<> {
    let mut stream = TcpStream::connect(served.http).expect("somebody who listens");
    stream.write_all(REQUEST).expect("somebody who reads");
    BufReader::new(stream).lines().map_while(Result::ok)
}

fn tell(served: &Served) {
    served.hub.tell(Told {
        source: ([10, 0, 0, 1].into(), 7),
        interface: "eni-1".to_owned(),
        outcome: "granted",
        shown: json!({"reason": "quiet"}),
        whole: json!({"reason": "quiet", "until": 9}),
    });
}
