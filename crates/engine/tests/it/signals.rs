//! Signals from packets to files: categories, events, never hits, and the same for any number of
//! workers.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use vxscope_config::Config;
use vxscope_testkit::{Frame, Vxlan, tcp};
use vxscope_units::Timestamp;

use crate::support::capture::{self, Packet};
use crate::support::output::{self, FILES, number, sum};
use crate::support::run::{self, Ran, Reading};
use crate::support::{corpus, program};

/// The mirrored machine, a Linux server.
const OWN: &str = "10.0.0.5";

#[test]
fn what_a_source_shows_is_in_its_row() {
    let ran = same_for_any_number_of_workers(&day());
    let rows = output::json(ran.path(), "sources.json");
    let row = &rows[0];
    assert_eq!(sum(row, "/categories"), number(row, "/bytes"));
    let events = json!({
        "cleartext_login": 1,
        // The resolver, the client of SSH, the FTP server, the web server.
        "first_edge": 4,
        "first_domain": 2,
        "management_login": 1,
        "many_failures": 1,
        "never_hit": 2,
        "new_service": 1,
    });
    assert_eq!(row["events"], events);
    assert_eq!(
        (number(row, "/failed"), number(row, "/dns_queries")),
        (14, 3)
    );
    assert_eq!(row["role"], "linux");
    let categories: Vec<_> = row["categories"].as_object().unwrap().keys().collect();
    let expected = [
        "dns",
        "file",
        "management",
        "never",
        "opaque_bulk",
        "other",
        "scan",
        "web",
    ];
    assert_eq!(categories, expected);
    // Twelve refused connections of two frames each, and none of the never hits.
    assert_eq!(number(row, "/categories/scan"), 12 * 2 * 54);
    assert_eq!(number(row, "/categories/never"), 2 * 54);
    assert_eq!(number(row, "/categories/other"), 42, "the ARP frame");
    let summary = output::json(ran.path(), "summary.json");
    assert_eq!(summary["signals"]["events"], events);
}

#[test]
fn a_never_hit_is_an_anomaly_among_the_flows() {
    let ran = same_for_any_number_of_workers(&day());
    let (anomalies, flows): (Vec<_>, Vec<_>) = output::eve(ran.path())
        .into_iter()
        .partition(|record| record["event_type"] == "anomaly");
    assert_eq!(anomalies.len(), 2);
    for anomaly in &anomalies {
        let of_flow = |flow: &&Value| flow["flow_id"] == anomaly["flow_id"];
        let flow = flows.iter().find(of_flow).unwrap();
        assert_eq!(anomaly["community_id"], flow["community_id"]);
        assert_eq!(anomaly["dest_ip"], OWN);
        assert_eq!(anomaly["anomaly"]["event"], "never_hit");
        assert_eq!(anomaly["role"], "linux");
    }
    let summary = output::json(ran.path(), "summary.json");
    let closed = sum(&summary, "/flows/closed");
    assert_eq!(number(&summary, "/sinks/eve/written"), closed + 2);
    assert_eq!(number(&summary, "/sinks/conn-log/written"), closed);
}

#[test]
fn a_role_that_is_configured_says_what_is_never() {
    for (never, hits) in [
        ("'tcp/22'", 1),
        ("", 0),
        ("'tcp/3389', 'udp/137', 'tcp/22'", 3),
    ] {
        let text = format!("[[role]]\nname = 'linux'\nnever = [{never}]");
        let ran = replay(&day(), 1, &text);
        let rows = output::json(ran.path(), "sources.json");
        let found = rows[0]["events"]["never_hit"].as_u64().unwrap_or(0);
        assert_eq!(found, hits, "{never}");
    }
}

#[test]
fn sources_without_memory_are_shown_as_saturated() {
    let mut packets = day();
    for packet in day() {
        let mut bytes = packet.bytes;
        // The other end of the outer header: another source.
        bytes[29] = 6;
        packets.push(Packet { bytes, ..packet });
    }
    let ran = replay(&packets, 2, "[signals]\nmemory = '16KiB'");
    let rows = output::json(ran.path(), "sources.json");
    assert_eq!(rows[0].get("saturated"), None);
    assert_eq!(rows[1]["saturated"], true);
    let summary = output::json(ran.path(), "summary.json");
    assert!(number(&summary, "/signals/facts_unheld") > 10);
}

/// Queries as tshark counts them, and bytes of frames on the ports of name resolution.
#[test]
fn dns_is_what_tshark_takes_for_it() {
    let Some(root) = corpus::root() else { return };
    let (mut captures, mut queries, mut bytes) = (0, 0, 0);
    for name in [
        "udp/arkime__dns-udp.pcap",
        "udp/suricata-verify__dns-eve-type-filtering__test.pcap",
        "udp/arkime__dnssec_synthetic.pcap",
        "tcp4/zeek__dns-edns-cookie.pcap",
        "udp/zeek__dns-spf.pcap",
        "udp/suricata-verify__bug-5197.pcap",
        "tcp4/suricata-verify__dns_dns-frames.pcap",
        "udp/suricata-verify__lua-output-dns__test.pcap",
    ] {
        let path = root.join(name);
        let arguments = [
            "-r",
            path.to_str().unwrap(),
            "-T",
            "fields",
            "-e",
            "frame.cap_len",
        ];
        let fields = [
            "-e",
            "dns.flags.response",
            "-e",
            "dns.flags.opcode",
            "-e",
            "udp.port",
        ];
        let all = [
            &arguments[..],
            &fields,
            &["-Y", "udp.port == 53 || tcp.port == 53"],
        ]
        .concat();
        let Some(text) = program::output("tshark", &all) else {
            return;
        };
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        let theirs = rows
            .iter()
            .map(|row| row[0].parse::<u64>().unwrap())
            .sum::<u64>();
        let asks = |row: &&Vec<&str>| matches!(row[1], "0" | "False") && row[2] == "0";
        let asked = rows.iter().filter(asks).count() as u64;
        let ran = run::run(&path, Reading::Bare);
        let row = &output::json(ran.path(), "sources.json")[0];
        assert_eq!(number(row, "/dns_queries"), asked, "{name}: queries");
        assert_eq!(number(row, "/categories/dns"), theirs, "{name}: bytes");
        captures += 1;
        queries += asked;
        bytes += theirs;
    }
    println!("tshark, DNS: {captures} captures, {queries} queries and {bytes} bytes agree");
    assert!(queries >= 20, "{queries}");
}

/// One source, in ten minutes: everything that is told, and one ARP frame.
fn day() -> Vec<Packet> {
    let mut day = Day::default();
    for name in ["www.example.com", "mail.EXAMPLE.com", "example.org"] {
        day.udp("10.0.0.5:5353", "10.0.0.2:53", &dns(0x01, name));
        day.udp("10.0.0.2:53", "10.0.0.5:5353", &dns(0x81, name));
    }
    day.connection("10.0.0.9:40000", "10.0.0.5:22");
    day.connection("10.0.0.5:40001", "10.0.0.21:21");
    day.tcp("10.0.0.66:40000", "10.0.0.5:3389", tcp::SYN);
    day.udp("10.0.0.66:40000", "10.0.0.5:137", &[0; 12]);
    for last in 100..112 {
        let peer = format!("10.0.0.{last}:8080");
        day.tcp("10.0.0.5:40002", &peer, tcp::SYN);
        day.tcp(&peer, "10.0.0.5:40002", tcp::RST | tcp::ACK);
    }
    day.connection("10.0.0.5:40003", "10.0.0.80:443");
    for _ in 0..6_500 {
        let segment = Frame::tcp("10.0.0.80:443", "10.0.0.5:40003").payload(&[0; 1_350]);
        day.push(&segment.bytes());
    }
    let mut arp = vec![0xff; 12];
    arp.extend([0x08, 0x06]);
    arp.extend([0; 28]);
    day.push(&arp);
    day.0
}

/// Frames on one mirror, a tenth of a second apart.
#[derive(Default)]
struct Day(Vec<Packet>);

impl Day {
    fn push(&mut self, frame: &[u8]) {
        let time = Timestamp::new(1_000, 0).plus_nanos(self.0.len() as u64 * 100_000_000);
        let bytes = Vxlan::new(OWN, 1_169).wrap(frame);
        self.0.push(Packet::whole(time, bytes));
    }

    fn udp(&mut self, from: &str, to: &str, payload: &[u8]) {
        self.push(&Frame::udp(from, to).payload(payload).bytes());
    }

    fn tcp(&mut self, from: &str, to: &str, flags: u8) {
        self.push(&Frame::tcp(from, to).flags(flags).bytes());
    }

    fn connection(&mut self, from: &str, to: &str) {
        self.tcp(from, to, tcp::SYN);
        self.tcp(to, from, tcp::SYN | tcp::ACK);
        self.tcp(from, to, tcp::ACK);
    }
}

fn dns(flags: u8, name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 7, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn same_for_any_number_of_workers(packets: &[Packet]) -> Ran {
    let first = replay(packets, 1, "");
    let files = |ran: &Ran| -> BTreeMap<&str, Vec<u8>> {
        let read = |name| (name, fs::read(ran.path().join(name)).expect("an output"));
        let mut files: BTreeMap<_, _> = FILES.map(read).into();
        let summary = files["summary.json"].clone();
        files.insert("summary.json", output::timeless(&summary).into_bytes());
        files
    };
    for workers in [2, 4] {
        let other = replay(packets, workers, "");
        assert!(files(&first) == files(&other), "{workers} workers");
    }
    first
}

fn replay(packets: &[Packet], workers: u16, text: &str) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = capture::write(&folder.path().join("day.pcap"), packets);
    let listed = "[[source]]\naddress = '10.0.0.0/24'\nrole = 'linux'\n";
    let read = Config::parse(&format!("{listed}{text}")).expect("a configuration");
    let mut config = run::config(fs::metadata(&capture).expect("a file").len(), workers);
    (config.sources, config.signals) = (read.sources, read.signals);
    run::run_with(config, &capture, Reading::Mirror)
}
