//! Other projects' captures: what tshark says of each packet, and every path over every record.
//!
//! Skipped, with a note, where the folder of captures is not there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of a test: a panic is its failure, a print its note"
)]

mod against;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use vxscope_pcap::{Reader, Step};
use vxscope_units::LinkType;
use vxscope_wire::{
    Addresses, Fragment, FrameView, Options, Reject, decapsulate_record, ethernet, parse_frame,
};

/// Link-layer names in tshark's list of protocols, before the first IP header.
const LINK_NAMES: [&str; 8] = [
    "eth",
    "ethertype",
    "vlan",
    "ieee8021ad",
    "sll",
    "raw",
    "null",
    "chdlc",
];

#[test]
fn tunnels_are_opened_as_tshark_opens_them() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for folder in ["vxlan", "geneve", "malformed-tunnel"] {
        for (capture, rows) in tables(&corpus, folder) {
            let mut records = 0;
            each_record(&capture, |link, record, _| {
                let row = &rows[records];
                records += 1;
                compared += u32::from(row.compare_tunnel(link, record));
            });
            assert_eq!(records, rows.len(), "{}", capture.display());
        }
    }
    println!("{compared} mirrored packets compared");
    assert!(compared >= 160, "{compared}");
}

#[test]
fn frames_are_read_as_tshark_reads_them() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for folder in folders(&corpus.join("expected/tshark-4.0.17")) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        for (capture, rows) in tables(&corpus, &name) {
            let mut scratch = Vec::new();
            let mut records = 0;
            each_record(&capture, |link, record, original_len| {
                let row = &rows[records];
                records += 1;
                if let Ok(frame) = ethernet(link, record, &mut scratch) {
                    compared += u32::from(row.compare_frame(&parse_frame(frame, original_len)));
                }
            });
        }
    }
    println!("{compared} frames compared");
    assert!(compared >= 3_500, "{compared}");
}

#[test]
fn every_record_is_read_by_every_path_alike() {
    let Some(corpus) = corpus() else { return };
    let (mut captures, mut frames) = (0, 0);
    let mut scratch = Vec::new();
    for folder in folders(&corpus) {
        if folder.ends_with("expected") || folder.ends_with("licences") {
            continue;
        }
        for capture in files(&folder) {
            captures += 1;
            each_record(&capture, |link, record, original_len| {
                let options = Options {
                    depth: 4,
                    ..Options::default()
                };
                if let Ok(opened) = decapsulate_record(link, record, &options) {
                    against::every_path(opened.frame, opened.original_len);
                }
                if let Ok(frame) = ethernet(link, record, &mut scratch) {
                    against::every_path(frame, original_len);
                    frames += 1;
                }
            });
        }
    }
    println!("{frames} frames of {captures} captures");
    assert!(captures >= 1_000 && frames >= 70_000, "{captures} {frames}");
}

/// One packet as tshark prints it: lists hold one entry a layer, outermost first.
#[derive(Default)]
struct Row {
    names: Vec<String>,
    columns: Vec<(String, Vec<String>)>,
}

/// Which entries of the lists the headers behind some place in the packet have.
#[derive(Clone, Copy, Default)]
struct Place {
    name: usize,
    ipv4: usize,
    ipv6: usize,
    udp: usize,
}

impl Row {
    fn list(&self, column: &str) -> &[String] {
        let found = self.columns.iter().find(|(name, _)| name == column);
        &found.unwrap_or_else(|| panic!("no column {column}")).1
    }

    fn number(&self, column: &str, index: usize) -> Option<u32> {
        let text = self.list(column).get(index)?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        Some(number.unwrap_or_else(|_| panic!("{column}: {text}")))
    }

    /// Behind the first protocol of one of these names.
    fn behind(&self, names: &[&str]) -> Option<Place> {
        let name = self
            .names
            .iter()
            .position(|name| names.contains(&name.as_str()))?
            + 1;
        let count = |wanted: &str| {
            self.names[..name]
                .iter()
                .filter(|name| *name == wanted)
                .count()
        };
        Some(Place {
            name,
            ipv4: count("ip"),
            ipv6: count("ipv6"),
            udp: count("udp"),
        })
    }

    /// Whether there was something to compare.
    fn compare_tunnel(&self, link: LinkType, record: &[u8]) -> bool {
        let opened = decapsulate_record(link, record, &Options::default());
        let Some(place) = self.behind(&["vxlan", "geneve"]) else {
            let port = self.number("udp.dstport", 0);
            if !matches!(port, None | Some(4_789 | 6_081)) {
                let reject = opened.expect_err("nothing is mirrored");
                assert!(
                    matches!(reject, Reject::NotMirror | Reject::OuterFragment),
                    "{reject:?}"
                );
            }
            return false;
        };
        if self.names.get(place.name).map(String::as_str) != Some("eth") {
            assert_eq!(opened, Err(Reject::GeneveProtocol));
            return true;
        }
        let opened = opened.expect("a mirrored frame");
        let vni = self
            .number("vxlan.vni", 0)
            .or_else(|| self.number("geneve.vni", 0));
        assert_eq!(Some(opened.source.vni.get()), vni);
        let carrier = match place.ipv4 {
            0 => &self.list("ipv6.src")[place.ipv6 - 1],
            _ => &self.list("ip.src")[place.ipv4 - 1],
        };
        assert_eq!(opened.source.address.to_string(), *carrier);
        if let Some(flags) = self.number("vxlan.flags", 0) {
            assert_eq!(opened.reserved_bits, flags != 0x0800);
        }
        let view = parse_frame(opened.frame, opened.original_len);
        self.compare(place, &view);
        true
    }

    fn compare_frame(&self, view: &FrameView) -> bool {
        let ip = self
            .names
            .iter()
            .position(|name| name == "ip" || name == "ipv6");
        let Some(ip) = ip else { return false };
        if !self.names[..ip]
            .iter()
            .all(|name| LINK_NAMES.contains(&name.as_str()))
        {
            return false;
        }
        self.compare_tags(&self.names[..ip], view);
        self.compare(Place::default(), view);
        true
    }

    /// The list of VLAN ids leaves out those of 802.1ad.
    fn compare_tags(&self, names: &[String], view: &FrameView) {
        let tags: Vec<_> = names
            .iter()
            .filter(|name| *name == "vlan" || *name == "ieee8021ad")
            .collect();
        assert_eq!(usize::from(view.vlan_count), tags.len());
        let mut listed = 0;
        for (tag, id) in tags.iter().zip(view.vlan) {
            if *tag == "vlan" {
                assert_eq!(self.number("vlan.id", listed), Some(id.into()));
                listed += 1;
            }
        }
    }

    /// Compares the first IP header behind a place, and the transport header behind it.
    fn compare(&self, place: Place, view: &FrameView) {
        let names = &self.names[place.name..];
        let Some(ip) = names.iter().position(|name| name == "ip" || name == "ipv6") else {
            assert_eq!(view.ip_len, 0, "{names:?}");
            return;
        };
        let (source, destination) = match view.tuple.addresses {
            Addresses::V4 {
                source,
                destination,
            } => (
                Ipv4Addr::from(source).to_string(),
                Ipv4Addr::from(destination).to_string(),
            ),
            Addresses::V6 {
                source,
                destination,
            } => (
                Ipv6Addr::from(source).to_string(),
                Ipv6Addr::from(destination).to_string(),
            ),
        };
        let (family, index) = if names[ip] == "ip" {
            ("ip", place.ipv4)
        } else {
            ("ipv6", place.ipv6)
        };
        assert_eq!(
            source,
            self.list(&format!("{family}.src"))[index],
            "{names:?} {view:?}"
        );
        assert_eq!(destination, self.list(&format!("{family}.dst"))[index]);
        if family == "ip" {
            assert_eq!(
                self.number("ip.proto", index),
                Some(view.tuple.protocol.into())
            );
            self.compare_fragment(index, view);
        }
        let transport = names[ip + 1..]
            .iter()
            .find(|name| !name.starts_with("ipv6.") && *name != "ah");
        self.compare_ports(transport.map_or("", String::as_str), place, view);
    }

    fn compare_fragment(&self, index: usize, view: &FrameView) {
        let (more, offset) = (
            self.number("ip.flags.mf", index),
            self.number("ip.frag_offset", index),
        );
        let id = self.number("ip.id", index).unwrap();
        let expected = match (more, offset) {
            (Some(0), Some(0)) => Fragment::No,
            (Some(1), Some(0)) => Fragment::First { id },
            _ => Fragment::Later { id },
        };
        assert_eq!(view.fragment, expected);
    }

    fn compare_ports(&self, transport: &str, place: Place, view: &FrameView) {
        let (columns, protocol, index) = match transport {
            "tcp" => (["tcp.srcport", "tcp.dstport"], 6, 0),
            "udp" => (["udp.srcport", "udp.dstport"], 17, place.udp),
            "sctp" => (["sctp.srcport", "sctp.dstport"], 132, 0),
            "icmp" => (["icmp.type", "icmp.type"], 1, 0),
            "icmpv6" => (["icmpv6.type", "icmpv6.type"], 58, 0),
            _ => return,
        };
        assert_eq!(view.tuple.protocol, protocol, "{transport} {view:?}");
        let [source, destination] = columns.map(|column| self.number(column, index));
        if source.is_none() {
            // A length of 0 (segmentation offload) is where tshark stops.
            return;
        }
        if transport.starts_with("icmp") {
            assert_eq!(source, Some(view.icmp_type.into()));
        } else {
            assert_eq!(source, Some(view.tuple.source_port.into()), "{view:?}");
            assert_eq!(destination, Some(view.tuple.destination_port.into()));
        }
    }
}

/// The captures of a folder that tshark printed, with a row for each record.
fn tables(corpus: &Path, folder: &str) -> Vec<(PathBuf, Vec<Row>)> {
    let printed = files(&corpus.join("expected/tshark-4.0.17").join(folder));
    let pair = |table: PathBuf| {
        (
            corpus.join(folder).join(table.file_stem().unwrap()),
            rows(&table),
        )
    };
    let pairs = printed.into_iter().map(pair);
    pairs.filter(|(capture, _)| capture.is_file()).collect()
}

fn rows(table: &Path) -> Vec<Row> {
    let text = fs::read_to_string(table).unwrap();
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let mut row = Row::default();
        for (title, field) in titles.iter().zip(line.split('\t')) {
            if *title == "frame.protocols" {
                row.names = field.split(':').map(str::to_owned).collect();
            }
            let entries = field.split(',').filter(|entry| !entry.is_empty());
            row.columns
                .push(((*title).to_owned(), entries.map(str::to_owned).collect()));
        }
        row
    };
    lines.map(row).collect()
}

/// Walks a capture up to its end or its first error.
fn each_record(capture: &Path, mut observe: impl FnMut(LinkType, &[u8], u32)) {
    let bytes = fs::read(capture).unwrap();
    let mut reader = Reader::new();
    let mut rest = bytes.as_slice();
    loop {
        match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                observe(record.link, record.data, record.original_len);
                rest = &rest[consumed..];
            }
            Ok(Step::Skip { consumed }) => rest = &rest[consumed..],
            Ok(Step::NeedMore { .. }) | Err(_) => return,
        }
    }
}

fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}
