//! The control socket: what is asked is answered, and nobody costs another anything.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use vxscope_api::{BACKLOG, CLIENTS_MAX, Client, ClientError, REQUEST_BYTES_MAX};

use crate::Served;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn every_request_of_a_connection_is_answered_in_order() {
    let served = Served::new(LONG);
    served.report(3, 1);
    let asked = "{\"get\":\"status\"}\nwhat?\n{\"get\":\"sources\"}\n";
    let answers = exchange(&served, asked.as_bytes());
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["ok"]["seq"], 3);
    assert!(answers[1]["error"]["message"].as_str().is_some());
    assert_eq!(answers[2], json!({"ok": []}));
}

#[test]
fn what_the_sensor_says_of_a_command_is_told() {
    let served = Served::new(LONG);
    let asked = "{\"alert\":{\"address\":\"10.0.0.7\",\"vni\":3,\"reason\":\"ET SCAN\"}}\n\
        {\"get\":\"mirrors\"}\n";
    let answers = exchange(&served, asked.as_bytes());
    assert_eq!(answers[0], json!({"ok": {"says": "ET SCAN"}}));
    let refused = json!({"error": {"message": "nobody looks after them"}});
    assert_eq!(answers[1], refused);
}

#[test]
fn a_sensor_is_healthy_while_its_workers_were_seen_lately() {
    let served = Served::new(LONG);
    for (milliseconds, healthy) in [(0, true), (4_999, true), (5_000, false)] {
        served.rest(milliseconds);
        let health = served.client().health().unwrap();
        assert_eq!(health.healthy, healthy, "{milliseconds} ms");
    }
}

#[test]
fn a_follower_gets_every_report_from_the_next_on() {
    let mut served = Served::new(LONG);
    served.report(0, 1);
    let mut reports = served.client().follow().unwrap();
    for seq in 1..=20 {
        served.report(seq, 1);
        let followed = reports.next().unwrap().unwrap();
        assert_eq!((followed.report.seq, followed.skipped), (seq, 0));
    }
    // What was published before the end is delivered before the end.
    (21..=23).for_each(|seq| served.report(seq, 1));
    served.end();
    let rest: Vec<u64> = reports.map(|it| it.unwrap().report.seq).collect();
    assert_eq!(rest, [21, 22, 23]);
}

#[test]
fn a_slow_follower_is_told_how_many_it_missed() {
    let served = Served::new(LONG);
    let mut reports = served.client().follow().unwrap();
    // More than fits the buffers of the socket, so that the server waits for this client.
    let (length, count) = (1 << 20, 4 * BACKLOG as u64);
    for seq in 0..count {
        served.report(seq, length);
    }
    let mut seen = 0;
    let last = loop {
        let followed = reports.next().unwrap().unwrap();
        seen += 1;
        assert_eq!(followed.skipped + seen, followed.report.seq + 1);
        if followed.report.seq == count - 1 {
            break followed;
        }
    };
    assert!(last.skipped > 0);
    // Nobody else noticed.
    assert_eq!(served.client().status().unwrap().seq, count - 1);
}

#[test]
fn a_follower_that_never_reads_is_disconnected() {
    let served = Served::new(Duration::from_secs(1));
    let mut stream = UnixStream::connect(&served.path).unwrap();
    stream.write_all(b"{\"follow\":\"reports\"}\n").unwrap();
    let mut first = String::new();
    BufReader::new(&stream).read_line(&mut first).unwrap();
    served.report(0, 4 << 20);
    let stalled = "vxscope_api_stalled_clients_total{listener=\"control\"} 1\n";
    while !served.get("/metrics").body.contains(stalled) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 4 << 20, "{}", rest.len());
}

#[test]
fn an_oversized_request_is_refused() {
    let served = Served::new(LONG);
    let mut stream = UnixStream::connect(&served.path).unwrap();
    // The server may hang up before it has read everything.
    let _ = stream.write_all(&vec![b'x'; REQUEST_BYTES_MAX + 1]);
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("longer than"), "{message}");
}

#[test]
fn a_request_that_trickles_is_cut_off() {
    let served = Served::new(Duration::from_secs(1));
    let mut stream = UnixStream::connect(&served.path).unwrap();
    // It has no end: the server has to hang up.
    while stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => assert_eq!(answer, ""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn as_many_clients_as_there_may_be_are_served_and_the_next_is_told() {
    let served = Served::new(LONG);
    served.report(0, 1);
    let mut clients: Vec<Client> = (0..CLIENTS_MAX).map(|_| served.client()).collect();
    for client in &mut clients {
        assert_eq!(client.status().unwrap().seq, 0);
    }
    match served.client().status() {
        Err(ClientError::Refused { message, .. }) => {
            assert!(message.contains("try later"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // One goes, another comes; the server notices in its own time.
    clients.pop();
    while served.client().status().is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_socket_is_gone_with_the_server() {
    let mut served = Served::new(LONG);
    let mut idle = served.client();
    assert!(served.path.exists());
    served.end();
    assert!(!served.path.exists());
    assert!(idle.status().is_err());
}

/// Sends the bytes, and returns the answers until the server has nothing more to say.
fn exchange(served: &Served, bytes: &[u8]) -> Vec<Value> {
    let mut stream = UnixStream::connect(&served.path).expect("somebody who listens");
    stream.write_all(bytes).expect("somebody who reads");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("an open connection");
    let lines = BufReader::new(stream).lines();
    lines
        .map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
        .collect()
}
