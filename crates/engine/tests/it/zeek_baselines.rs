//! Connections beside Zeek's own test baselines of the same captures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vxscope_config::Config;

use crate::support::corpus::{self, Entry};
use crate::support::output::{self, Line};
use crate::support::program;
use crate::support::run::{self, Reading};

/// What is compared, where the baseline has it.
const FIELDS: [&str; 9] = [
    "conn_state",
    "history",
    "orig_pkts",
    "resp_pkts",
    "orig_ip_bytes",
    "resp_ip_bytes",
    "orig_bytes",
    "resp_bytes",
    "missed_bytes",
];

/// Whose connection it is.
const TUPLE: [&str; 5] = ["proto", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"];

/// Capture and baseline, fields that differ in at least one connection, reason. Any other
/// difference fails, and so does an entry that is not needed.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    (
        "tunnels_gtp_gtp1_gn_normal_incl_fragmentation.pcap core.tunnels.gtp.outer_ip_frag/conn.log",
        &[
            "orig_pkts",
            "orig_ip_bytes",
            "resp_pkts",
            "resp_ip_bytes",
            "resp_bytes",
        ],
        FRAGMENTS,
    ),
    (
        "tunnels_gtp_gtp2_different_udp_port.pcap core.tunnels.gtp.different_dl_and_ul/conn.log",
        &["orig_pkts", "orig_ip_bytes"],
        FRAGMENTS,
    ),
    (
        "smtp.pcap scripts.base.frameworks.netcontrol.packetfilter/conn.log",
        &[
            "conn_state",
            "history",
            "orig_pkts",
            "resp_pkts",
            "orig_ip_bytes",
            "resp_ip_bytes",
            "orig_bytes",
            "resp_bytes",
        ],
        "the test tells Zeek to drop the rest of each connection",
    ),
    (
        "empty.pcap core.print-bpf-filters/conn.log",
        &["missing"],
        OTHER_CAPTURE,
    ),
    (
        "radiotap.pcap scripts.policy.protocols.conn.mac-logging/conn1.log",
        &["missing"],
        OTHER_CAPTURE,
    ),
    (
        "modbus_modbus-eit.pcap scripts.base.protocols.modbus.events/conn-first.log",
        &["missing"],
        OTHER_CAPTURE,
    ),
    (
        "radiotap.pcap scripts.policy.protocols.conn.mac-logging/conn2.log",
        &["missing"],
        WIRELESS,
    ),
    (
        "radiotap.pcap core.radiotap/conn.log",
        &["missing"],
        WIRELESS,
    ),
    ("wlanmon.pcap core.wlanmon/conn.log", &["missing"], WIRELESS),
    (
        "chksums_localhost-bad-chksum.pcap core.checksums_ignore_nets/conn-failed.log",
        &[
            "conn_state",
            "history",
            "orig_pkts",
            "resp_pkts",
            "orig_ip_bytes",
            "resp_ip_bytes",
            "missing",
        ],
        CHECKSUMS,
    ),
    (
        "tcp_syn-bad.pcap core.tcp.bad-checksum-syn/conn.log",
        &["conn_state", "history", "orig_pkts"],
        CHECKSUMS,
    ),
    (
        "dns_dns-corrupt.pcap core.udp-corrupt/conn.log",
        &["conn_state", "history", "orig_pkts", "resp_pkts"],
        CHECKSUMS,
    ),
    (
        "tunnels_vxlan-encapsulated-igmp-v2.pcap core.tunnels.vxlan-unknown-internal-packet/conn.log",
        &["conn_state", "history", "orig_pkts", "orig_ip_bytes"],
        CHECKSUMS,
    ),
    (
        "tunnels_geneve-inner-tcp-bad-checksum.pcap core.tunnels.geneve-inner-tcp-bad-checksum/conn.log",
        &["history", "missing"],
        INSIDE,
    ),
    (
        "tunnels_vxlan-inner-tcp-bad-checksum.pcap core.tunnels.vxlan-inner-tcp-bad-checksum/conn.log",
        &["history", "missing"],
        INSIDE,
    ),
    (
        "pppoe-over-qinq.pcap core.pppoe-over-qinq/conn.log",
        &["missing"],
        NOT_OPENED,
    ),
    (
        "mixed-vlan-mpls.pcap core.vlan-mpls/conn.log",
        &["missing"],
        NOT_OPENED,
    ),
    (
        "vntag_vlan_sandwich_clean.pcap core.vntag-in-vlan/conn.log",
        &["missing"],
        NOT_OPENED,
    ),
    (
        "gnutella_max-header.pcapng scripts.base.protocols.gnutella.max-header-length/conn.log",
        &["history"],
        ANALYZER,
    ),
    (
        "dns_conn-count-too-large.pcap scripts.base.protocols.dns.max-queries/conn.log",
        &["history"],
        ANALYZER,
    ),
    (
        "tunnels_tunnel-direct-bypass.pcap core.tunnels.count-default-tunnel-changes/conn.log",
        &["surplus"],
        "the connection goes through a tunnel and past it, and Zeek counts it with the tunnel's",
    ),
    (
        "smtp.pcap scripts.base.files.mime.mime-content-hash/conn.log",
        &["surplus"],
        FILTER,
    ),
    (
        "mixed-vlan-mpls.pcap core.print-bpf-filters/conn.log",
        &["surplus"],
        FILTER,
    ),
    (
        "tunnels_Teredo.pcap core.tunnels.teredo/conn.log",
        &[
            "conn_state",
            "history",
            "orig_pkts",
            "resp_pkts",
            "orig_ip_bytes",
            "resp_ip_bytes",
            "orig_bytes",
            "resp_bytes",
            "missing",
        ],
        "Zeek ends half-open connections 3 s after a FIN and DNS conversations after 10 s; those \
         timers have no counterpart here, so two of its connections are one of ours",
    ),
];

const FILTER: &str = "the test gives Zeek a capture filter";
const FRAGMENTS: &str = "Zeek reassembles fragments and counts whole datagrams, we count packets";
const OTHER_CAPTURE: &str = "the baseline is of another capture of the same test";
const WIRELESS: &str = "IEEE 802.11 captures are not read";
const CHECKSUMS: &str = "Zeek leaves out packets with a wrong checksum; a mirror truncates packets \
                         and so breaks checksums, which is why we count them";
const INSIDE: &str = "the inner packet with its wrong checksum is another line in Zeek; as bare \
                      frames we count the outer one";
const NOT_OPENED: &str = "PPPoE, MPLS and VN-Tag are not opened; such frames are untracked, non_ip";
const ANALYZER: &str = "X says that a protocol analyzer gave up; we have none";

#[test]
fn connections_are_those_of_zeek() {
    let Some(root) = corpus::root() else { return };
    let mut tally = Tally::default();
    for entry in corpus::entries(&root) {
        let mut logs = entry
            .expected
            .iter()
            .filter(|log| is_conn_log(log))
            .peekable();
        if logs.peek().is_none() {
            continue;
        }
        let Some(ours) = ours(&entry) else { continue };
        for log in logs {
            let name = log.trim_start_matches("expected/zeek/testing/btest/Baseline/");
            let capture = entry.path.file_name().unwrap().to_str().unwrap();
            let capture = capture.trim_start_matches("zeek__");
            tally.judge(
                &format!("{capture} {name}"),
                &ours,
                &theirs(&root.join(log)),
            );
        }
    }
    println!(
        "zeek: {} baselines, {} connections agree in every field and {} differ as listed",
        tally.baselines,
        tally.agreeing,
        tally.listed.values().sum::<usize>()
    );
    for (reason, connections) in &tally.listed {
        println!("  {connections} connections: {reason}");
    }
    for (name, _, _) in DIFFERENCES {
        if !tally.seen.contains(name) {
            tally
                .complaints
                .push(format!("{name} is listed as different and not there"));
        }
    }
    assert!(
        tally.complaints.is_empty(),
        "{}",
        tally.complaints.join("\n")
    );
    assert!(tally.baselines >= 60 && tally.agreeing >= 84, "{tally:?}");
}

/// What became of all baselines.
#[derive(Debug, Default)]
struct Tally {
    baselines: usize,
    agreeing: usize,
    /// Connections by the reason for which they differ.
    listed: BTreeMap<&'static str, usize>,
    /// Entries of the list that were looked at.
    seen: BTreeSet<&'static str>,
    complaints: Vec<String>,
}

impl Tally {
    fn judge(&mut self, name: &str, ours: &[Line], theirs: &[Line]) {
        let (differing, surplus) = compare(ours, theirs);
        let entry = DIFFERENCES.iter().find(|(listed, _, _)| *listed == name);
        let allowed = entry.map_or(&[][..], |(_, fields, _)| fields);
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let mut others = 0;
        for (fields, sentence) in differing.iter().filter(|(fields, _)| !fields.is_empty()) {
            others += 1;
            needed.extend(fields.iter().copied());
            if fields.iter().any(|field| !allowed.contains(field)) {
                self.complaints.push(format!("{name}: {sentence}"));
            }
        }
        self.baselines += 1;
        self.agreeing += differing.len() - others;
        if entry.is_none() || allowed.contains(&"surplus") {
            others += surplus.len();
            needed.extend(surplus.first().map(|_| "surplus"));
        }
        if entry.is_none() && !surplus.is_empty() {
            self.complaints
                .push(format!("{name}: only we have {}", surplus.join("; ")));
        }
        match entry {
            None => {}
            Some((entry, fields, reason)) => {
                self.seen.insert(entry);
                *self.listed.entry(reason).or_default() += others;
                for field in fields.iter().filter(|field| !needed.contains(**field)) {
                    self.complaints
                        .push(format!("{name}: {field} is listed and agrees"));
                }
            }
        }
    }
}

/// Fields in which one connection differs, and a sentence about each.
type Differing = Vec<(BTreeSet<&'static str>, String)>;

/// Theirs one by one, and what only we have.
fn compare(ours: &[Line], theirs: &[Line]) -> (Differing, Vec<String>) {
    let transport = |line: &&Line| matches!(line["proto"].as_str(), "tcp" | "udp");
    let mut free: Vec<&Line> = ours.iter().filter(transport).collect();
    let differing = theirs
        .iter()
        .map(|theirs| compare_one(&mut free, theirs))
        .collect();
    (differing, free.into_iter().map(title).collect())
}

/// Takes the connection that agrees best from `free`.
fn compare_one(free: &mut Vec<&Line>, theirs: &Line) -> (BTreeSet<&'static str>, String) {
    let fits = |ours: &Line| {
        TUPLE.iter().all(|field| {
            theirs
                .get(*field)
                .is_none_or(|value| *value == ours[*field])
        })
    };
    let best = free
        .iter()
        .enumerate()
        .filter(|(_, ours)| fits(ours))
        .max_by_key(|(at, ours)| (FIELDS.len() - fields(ours, theirs).len(), usize::MAX - at));
    let Some((at, _)) = best else {
        return (
            BTreeSet::from(["missing"]),
            format!("{}: missing", title(theirs)),
        );
    };
    let ours = free.remove(at);
    let fields = fields(ours, theirs);
    let sentences: Vec<_> = fields
        .iter()
        .map(|field| format!("{field} {}, Zeek {}", ours[*field], theirs[*field]))
        .collect();
    (
        fields,
        format!("{}: {}", title(theirs), sentences.join("; ")),
    )
}

/// Where they have a value and ours is another. Zeek leaves out byte counts that it does not know.
fn fields(ours: &Line, theirs: &Line) -> BTreeSet<&'static str> {
    let differs = |field: &&str| {
        let value = theirs.get(*field).map(String::as_str);
        value.is_some_and(|value| {
            let unknown = value == "-" && field.ends_with("_bytes");
            !unknown && value != ours[*field]
        })
    };
    FIELDS.into_iter().filter(differs).collect()
}

fn title(line: &Line) -> String {
    TUPLE
        .map(|field| line.get(field).map_or("?", String::as_str))
        .join(" ")
}

fn is_conn_log(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.contains("/zeek/") && name.starts_with("conn") && name.ends_with(".log")
}

/// TCP and UDP outside of tunnels: what is inside of them has lines of its own in Zeek.
fn theirs(log: &Path) -> Vec<Line> {
    let plain = |line: &Line| {
        let parents = line.get("tunnel_parents").map_or("-", String::as_str);
        let proto = line.get("proto").map_or("tcp", String::as_str);
        matches!(proto, "tcp" | "udp") && matches!(parents, "-" | "(empty)" | "")
    };
    output::zeek_log(log).into_iter().filter(plain).collect()
}

fn ours(entry: &Entry) -> Option<Vec<Line>> {
    let (_guard, capture) = unpacked(entry)?;
    let config = zeek_timeouts(run::config(1 << 20, 1));
    let ran = run::run_with(config, &capture, Reading::Bare);
    Some(output::conn_log(ran.path()))
}

/// The capture, decompressed if need be.
fn unpacked(entry: &Entry) -> Option<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir().unwrap();
    if !entry.name.ends_with(".gz") {
        return Some((dir, entry.path.clone()));
    }
    let packed = dir.path().join("capture.gz");
    std::fs::copy(&entry.path, &packed).unwrap();
    program::output("gzip", &["-d".as_ref(), packed.as_os_str()])?;
    Some((dir, packed.with_extension("")))
}

/// Zeek's defaults: `tcp_inactivity_timeout`, `tcp_attempt_delay`, `tcp_close_delay` and
/// `udp_inactivity_timeout`.
fn zeek_timeouts(mut config: Config) -> Config {
    let timeouts = &mut config.flow.timeouts;
    (
        timeouts.tcp.established,
        timeouts.tcp.new,
        timeouts.tcp.closed,
    ) = (300, 5, 5);
    (timeouts.udp.established, timeouts.udp.new) = (60, 60);
    config
}
