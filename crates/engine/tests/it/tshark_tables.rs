//! Conversations beside tshark's tables: one row a packet, all its layers.

use std::collections::BTreeMap;
use std::path::Path;

use vxscope_wire::ethernet;

use crate::support::capture::{self, Packet};
use crate::support::flow::{self, Tuple, Volumes};
use crate::support::run::{self, Reading};
use crate::support::{corpus, output};

/// Layers that may stand before the first IP header of a record.
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
fn mirrored_conversations_are_those_of_tshark() {
    let Some(root) = corpus::root() else { return };
    let (mut captures, mut conversations, mut packets, mut bytes) = (0, 0, 0, 0);
    for (capture, table) in corpus::answers(&root, "tshark-4.0.17", &[]) {
        let rows = rows(&table);
        let path = root.join(&capture);
        let theirs = mirrored(&rows, &capture::packets(&path));
        if theirs.is_empty() {
            continue;
        }
        let ran = run::run(&path, Reading::Mirror);
        let mut ours = flow::volumes(&output::eve(ran.path()));
        // tshark does not print how long the options of GENEVE are.
        if rows
            .iter()
            .any(|row| row.names.iter().any(|name| name == "geneve"))
        {
            ours.values_mut().for_each(|volume| volume.bytes = 0);
        }
        let differences = flow::differences(&ours, &theirs);
        assert!(
            differences.is_empty(),
            "{capture}:\n{}",
            differences.join("\n")
        );
        captures += 1;
        conversations += theirs.len();
        packets += theirs.values().map(|volume| volume.packets).sum::<u64>();
        bytes += theirs.values().map(|volume| volume.bytes).sum::<u64>();
    }
    println!(
        "tshark, mirrored: {captures} captures, {conversations} conversations, {packets} packets, \
         {bytes} bytes agree"
    );
    assert!(
        captures >= 15 && packets >= 100,
        "{captures} captures, {packets} packets"
    );
}

#[test]
fn bare_conversations_are_those_of_tshark() {
    let Some(root) = corpus::root() else { return };
    let (mut captures, mut conversations, mut packets) = (0, 0, 0);
    for (capture, table) in corpus::answers(&root, "tshark-4.0.17", &[]) {
        let rows = rows(&table);
        let path = root.join(&capture);
        let (theirs, detail) = plain(&rows, &capture::packets(&path));
        let ran = run::run(&path, Reading::Bare);
        let ours = reduced(flow::volumes(&output::eve(ran.path())), detail);
        let differences = flow::differences(&ours, &theirs);
        assert!(
            differences.is_empty(),
            "{capture}:\n{}",
            differences.join("\n")
        );
        captures += 1;
        conversations += theirs.len();
        packets += theirs.values().map(|volume| volume.packets).sum::<u64>();
    }
    println!(
        "tshark, bare: {captures} captures, {conversations} conversations, {packets} packets agree"
    );
    assert!(
        captures >= 85 && packets >= 3_500,
        "{captures} captures, {packets} packets"
    );
}

/// One packet as tshark prints it: lists hold one entry a layer, outermost first.
#[derive(Default)]
struct Row {
    names: Vec<String>,
    columns: BTreeMap<String, Vec<String>>,
}

/// What stands behind some place in the packet.
struct Inner {
    vni: u32,
    /// Which entry of the lists the next IPv4, IPv6 and UDP headers have.
    ipv4: usize,
    ipv6: usize,
    udp: usize,
    /// The layers.
    names: Vec<String>,
}

/// How much of a conversation the table tells, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Of IPv6 it has the first of the next headers, which may be an extension.
    Addresses,
    /// Later fragments have no ports there: nothing is reassembled.
    Protocol,
    Ports,
}

/// A conversation's packet.
struct Seen {
    tuple: Tuple,
    detail: Detail,
}

impl Row {
    fn text(&self, column: &str, index: usize) -> Option<&str> {
        self.columns.get(column)?.get(index).map(String::as_str)
    }

    fn number(&self, column: &str, index: usize) -> Option<u32> {
        let text = self.text(column, index)?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        Some(number.unwrap_or_else(|_| panic!("{column}: {text}")))
    }

    /// The frame inside the tunnel, if there is one that carries frames, and the length of the
    /// headers around it, if the row tells.
    fn mirrored(&self) -> Option<(Inner, Option<usize>)> {
        let tunnel = self
            .names
            .iter()
            .position(|name| name == "vxlan" || name == "geneve")?;
        if self.names.get(tunnel + 1).map(String::as_str) != Some("eth") {
            return None;
        }
        let before = &self.names[..tunnel];
        let count = |wanted: &str| before.iter().filter(|name| *name == wanted).count();
        let vni = self
            .number("vxlan.vni", 0)
            .or_else(|| self.number("geneve.vni", 0))?;
        let headers = (self.names[tunnel] == "vxlan").then(|| {
            14 + 4 * count("vlan") + 20 * count("ip") + 40 * count("ipv6") + 8 * count("udp") + 8
        });
        let inner = Inner {
            vni,
            ipv4: count("ip"),
            ipv6: count("ipv6"),
            udp: count("udp"),
            names: self.names[tunnel + 1..].to_vec(),
        };
        Some((inner, headers))
    }

    /// The record as a frame.
    fn plain(&self) -> Inner {
        Inner {
            vni: 0,
            ipv4: 0,
            ipv6: 0,
            udp: 0,
            names: self.names.clone(),
        }
    }

    fn seen(&self, inner: &Inner) -> Option<Seen> {
        let ip = inner
            .names
            .iter()
            .position(|name| name == "ip" || name == "ipv6")?;
        if !inner.names[..ip]
            .iter()
            .all(|name| LINK_NAMES.contains(&name.as_str()))
        {
            return None;
        }
        let (family, index) = if inner.names[ip] == "ip" {
            ("ip", inner.ipv4)
        } else {
            ("ipv6", inner.ipv6)
        };
        let address = |end: &str| self.text(&format!("{family}.{end}"), index)?.parse().ok();
        let (source, target) = (address("src")?, address("dst")?);
        let mut layers = inner.names[ip + 1..].iter().map(String::as_str);
        let transport = layers.find(|name| !name.starts_with("ipv6.") && *name != "ah");
        let (protocol, columns, place) = match transport.unwrap_or("") {
            "tcp" => (6, Some("tcp"), 0),
            "udp" => (17, Some("udp"), inner.udp),
            "sctp" => (132, Some("sctp"), 0),
            "icmp" => (1, None, 0),
            "icmpv6" => (58, None, 0),
            _ if family == "ip" => (self.number("ip.proto", index)?, None, 0),
            _ => (self.number("ipv6.nxt", index)?, None, 0),
        };
        let port = |end: &str| {
            let port = self.number(&format!("{}.{end}", columns?), place)?;
            Some(u16::try_from(port).unwrap())
        };
        let (from, to) = (port("srcport"), port("dstport"));
        let fragment = self.number("ip.flags.mf", index) == Some(1)
            || self
                .number("ip.frag_offset", index)
                .is_some_and(|offset| offset > 0);
        let detail = match protocol {
            6 | 17 | 132 if fragment || from.is_none() => Detail::Protocol,
            1 | 6 | 17 | 58 | 132 => Detail::Ports,
            _ if family == "ipv6" => Detail::Addresses,
            _ => Detail::Ports,
        };
        let ends = [(source, from.unwrap_or(0)), (target, to.unwrap_or(0))];
        let tuple = Tuple::new(inner.vni, u8::try_from(protocol).unwrap(), ends);
        Some(Seen { tuple, detail })
    }
}

/// Conversations inside our tunnels.
fn mirrored(rows: &[Row], packets: &[Packet]) -> Volumes {
    let mut volumes = Volumes::new();
    for (row, packet) in rows.iter().zip(packets) {
        let Some((inner, headers)) = row.mirrored() else {
            continue;
        };
        if let Some(seen) = row.seen(&inner) {
            let bytes = headers.map_or(0, |headers| packet.bytes.len() - headers);
            volumes.entry(seen.tuple).or_default().add(1, bytes as u64);
        }
    }
    volumes
}

/// Conversations of the records themselves, and how much the table tells of all of them.
fn plain(rows: &[Row], packets: &[Packet]) -> (Volumes, Detail) {
    let mut scratch = Vec::new();
    let (mut volumes, mut detail) = (Volumes::new(), Detail::Ports);
    for (row, packet) in rows.iter().zip(packets) {
        let Some(seen) = row.seen(&row.plain()) else {
            continue;
        };
        let Ok(frame) = ethernet(packet.link, &packet.bytes, &mut scratch) else {
            continue;
        };
        detail = detail.min(seen.detail);
        volumes
            .entry(seen.tuple)
            .or_default()
            .add(1, frame.len() as u64);
    }
    (reduced(volumes, detail), detail)
}

fn reduced(volumes: Volumes, detail: Detail) -> Volumes {
    let mut reduced = Volumes::new();
    for (tuple, volume) in volumes {
        let tuple = match detail {
            Detail::Ports => tuple,
            Detail::Protocol => tuple.portless(),
            Detail::Addresses => Tuple {
                protocol: 0,
                ..tuple.portless()
            },
        };
        reduced
            .entry(tuple)
            .or_default()
            .add(volume.packets, volume.bytes);
    }
    reduced
}

fn rows(table: &Path) -> Vec<Row> {
    let row = |mut columns: BTreeMap<String, String>| Row {
        names: columns
            .remove("frame.protocols")
            .unwrap()
            .split(':')
            .map(str::to_owned)
            .collect(),
        columns: columns
            .into_iter()
            .map(|(title, field)| {
                let entries = field.split(',').filter(|entry| !entry.is_empty());
                (title, entries.map(str::to_owned).collect())
            })
            .collect(),
    };
    corpus::table(table).into_iter().map(row).collect()
}
