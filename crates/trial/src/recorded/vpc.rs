//! AWS VPC Flow Logs as text: the default format, or any other whose first line names the fields.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::IpAddr;

use super::conversation::{Crossed, Record};
use super::eve::each_line;
use super::{CONVERSATIONS_MAX, Lines, RecordedError, Recording, is_private};

/// The fields of version 2, which is the default.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol \
                       packets bytes start end action log-status";
/// Records of one conversation are no further apart: an aggregation interval.
const GAP: u64 = 600_000;
const FLAG_SYN: u8 = 0x02;
const FLAG_ACK: u8 = 0x10;

/// Where each field stands.
#[derive(Default)]
struct Fields(BTreeMap<String, usize>);

/// One direction for an aggregation interval.
#[derive(Clone, Copy)]
struct Half {
    interface: u32,
    ends: [(IpAddr, u16); 2],
    protocol: u8,
    packets: u64,
    bytes: u64,
    start: u64,
    end: u64,
    flags: u8,
    refused: bool,
    /// Whether the first end is the source's own, if the line says so.
    leaves: Option<bool>,
}

/// What interface a record is of.
struct Interface {
    name: Option<String>,
    /// Candidates for its own address, and how many records have each.
    candidates: [(IpAddr, u64); 2],
}

/// Reads flow logs. The source of a record is its `interface-id`; where that is `-`, the end that
/// `flow-direction` makes the own one; and else each end with a private address. Both directions
/// of a conversation are put together; who opened it is told by `tcp-flags`, and else by ports.
///
/// # Errors
/// A line that is no such record, or more than a trial takes.
pub fn read_vpc_flow_logs(
    input: &mut dyn BufRead,
    recording: &mut Recording,
    progress: &mut dyn FnMut(u64),
) -> Result<Lines, RecordedError> {
    let mut fields = Fields::of(DEFAULT);
    let mut lines = Lines::default();
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut by_name: BTreeMap<String, u32> = BTreeMap::new();
    let mut halves: Vec<Half> = Vec::new();
    let mut last = 0;
    each_line(input, progress, &mut |number, text| {
        last = number;
        let wrong = |message: String| RecordedError::new(number, message);
        if text.split(' ').any(|word| word == "srcaddr") {
            fields = Fields::of(text);
            fields.check().map_err(wrong)?;
            lines.other += 1;
            return Ok(());
        }
        let Some(mut half) = fields.read(text).map_err(wrong)? else {
            lines.other += 1;
            return Ok(());
        };
        if halves.len() >= 2 * CONVERSATIONS_MAX {
            return Err(wrong(format!(
                "more than {} records",
                2 * CONVERSATIONS_MAX
            )));
        }
        let name = fields.text(text, "interface-id").unwrap_or("-");
        let next = u32::try_from(interfaces.len()).unwrap_or(u32::MAX);
        half.interface = *by_name.entry(name.to_owned()).or_insert(next);
        if half.interface == next {
            interfaces.push(Interface {
                name: (name != "-").then(|| name.to_owned()),
                candidates: half.ends.map(|(address, _)| (address, 0)),
            });
        }
        for (candidate, count) in &mut interfaces[half.interface as usize].candidates {
            *count += u64::from(half.ends.iter().any(|(address, _)| address == candidate));
        }
        halves.push(half);
        Ok(())
    })?;
    let full = |message| RecordedError::new(last, message);
    for (record, interface, leaves) in conversations(halves) {
        let taken = take(&record, &interfaces[interface as usize], leaves, recording);
        let taken = taken.map_err(full)?;
        lines.conversations += u64::from(taken);
        lines.without_source += u64::from(!taken);
    }
    Ok(lines)
}

impl Fields {
    fn of(header: &str) -> Self {
        let names = header
            .split(' ')
            .map(|name| name.trim_matches(['$', '{', '}']).to_owned());
        Self(names.zip(0..).collect())
    }

    fn check(&self) -> Result<(), String> {
        let needed = [
            "srcaddr", "dstaddr", "protocol", "packets", "bytes", "start",
        ];
        let missing = needed
            .iter()
            .copied()
            .filter(|name| !self.0.contains_key(*name));
        let missing: Vec<&str> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("the header has no {}", missing.join(", ")))
    }

    fn text<'t>(&self, line: &'t str, name: &str) -> Option<&'t str> {
        line.split(' ').nth(*self.0.get(name)?)
    }

    /// A record; nothing where there was no traffic.
    fn read(&self, line: &str) -> Result<Option<Half>, String> {
        let words: Vec<&str> = line.split(' ').collect();
        if words.len() != self.0.len() {
            let (found, expected) = (words.len(), self.0.len());
            return Err(format!("{found} fields, {expected} are expected"));
        }
        let field = |name: &str| {
            let word = self.0.get(name).and_then(|place| words.get(*place));
            word.copied().filter(|word| *word != "-")
        };
        if field("log-status").is_some_and(|status| status != "OK") {
            return Ok(None);
        }
        let address = |name: &str, packet: &str| {
            // Behind a NAT gateway or a pod's node the packet's own address is another one.
            let text = field(name).or_else(|| field(packet));
            let text = text.ok_or_else(|| format!("no {name}"))?;
            text.parse::<IpAddr>()
                .map_err(|_| format!("{name}: {text:?} is no address"))
        };
        let number = |name: &str| -> Result<u64, String> {
            let text = field(name).ok_or_else(|| format!("no {name}"))?;
            text.parse()
                .map_err(|_| format!("{name}: {text:?} is no number"))
        };
        let or_zero = |name: &str| field(name).map_or(Ok(0), |_| number(name));
        let port = |name: &str| {
            u16::try_from(or_zero(name)?).map_err(|_| format!("{name}: has 16 bits at most"))
        };
        let byte = |name: &str, value: u64| {
            u8::try_from(value).map_err(|_| format!("{name}: has 8 bits at most"))
        };
        let start = number("start")?.saturating_mul(1_000);
        let end = field("end").map_or(Ok(start), |_| {
            Ok::<_, String>(number("end")?.saturating_mul(1_000))
        })?;
        Ok(Some(Half {
            interface: 0,
            ends: [
                (address("srcaddr", "pkt-srcaddr")?, port("srcport")?),
                (address("dstaddr", "pkt-dstaddr")?, port("dstport")?),
            ],
            protocol: byte("protocol", number("protocol")?)?,
            packets: number("packets")?,
            bytes: number("bytes")?,
            start,
            end: end.max(start),
            flags: byte("tcp-flags", or_zero("tcp-flags")?)?,
            refused: field("action") == Some("REJECT"),
            leaves: match field("flow-direction") {
                Some("egress") => Some(true),
                Some("ingress") => Some(false),
                _ => None,
            },
        }))
    }
}

impl Half {
    fn key(&self) -> (u32, u8, [(IpAddr, u16); 2]) {
        let mut ends = self.ends;
        ends.sort_unstable();
        (self.interface, self.protocol, ends)
    }
}

/// Puts directions and intervals together. The flag says whether the opener is the own end.
fn conversations(mut halves: Vec<Half>) -> Vec<(Record, u32, Option<bool>)> {
    halves.sort_by_key(|half| (half.key(), half.start, half.ends));
    let together = |one: &Half, next: &Half| {
        one.key() == next.key() && next.start <= one.end.saturating_add(GAP)
    };
    halves.chunk_by(together).map(join).collect()
}

fn join(parts: &[Half]) -> (Record, u32, Option<bool>) {
    let first = parts[0];
    let opener = opener(parts);
    let mut record = Record {
        start: parts.iter().map(|one| one.start).min().unwrap_or(0),
        end: parts.iter().map(|one| one.end).max().unwrap_or(0),
        ends: opener,
        protocol: first.protocol,
        packets: [0; 2],
        bytes: [0; 2],
        flags: [0; 2],
        refused: parts.iter().any(|one| one.refused),
        never: false,
    };
    let mut leaves = None;
    for part in parts {
        let side = usize::from(part.ends != opener);
        record.packets[side] += part.packets;
        record.bytes[side] = record.bytes[side].saturating_add(part.bytes);
        // Flow logs show ACK only with SYN; what was sent beside a SYN was acknowledged.
        record.flags[side] |= part.flags;
        leaves = leaves.or_else(|| part.leaves.map(|leaves| leaves == (side == 0)));
    }
    if record.packets.iter().all(|count| *count > 0) {
        record.flags[0] |= FLAG_ACK;
    }
    (record, first.interface, leaves)
}

/// The ends, whoever opened it first.
fn opener(parts: &[Half]) -> [(IpAddr, u16); 2] {
    let asks = |one: &&Half| one.flags & (FLAG_SYN | FLAG_ACK) == FLAG_SYN;
    let answers = |one: &&Half| one.flags & (FLAG_SYN | FLAG_ACK) == FLAG_SYN | FLAG_ACK;
    if let Some(one) = parts.iter().find(asks) {
        return one.ends;
    }
    let [a, b] = parts[0].ends;
    if let Some(one) = parts.iter().find(answers) {
        return [one.ends[1], one.ends[0]];
    }
    // Who has the smaller port serves.
    if a.1 < b.1 { [b, a] } else { [a, b] }
}

/// Whether a source could be told.
fn take(
    record: &Record,
    interface: &Interface,
    leaves: Option<bool>,
    recording: &mut Recording,
) -> Result<bool, String> {
    let [opener, other] = record.ends.map(|(address, _)| address);
    let crossed = |leaves: bool| if leaves { Crossed::Out } else { Crossed::In };
    if let Some(name) = &interface.name {
        let [(one, often), (two, seldom)] = interface.candidates;
        let own = if often >= seldom { one } else { two };
        let source = recording.source(name, Some(own))?;
        let leaves = leaves.unwrap_or(own == opener || own != other);
        recording.push(record.of(source, crossed(leaves)))?;
        return Ok(true);
    }
    if let Some(leaves) = leaves {
        let own = if leaves { opener } else { other };
        let source = recording.source(&own.to_string(), Some(own))?;
        recording.push(record.of(source, crossed(leaves)))?;
        return Ok(true);
    }
    let mut taken = false;
    for (own, leaves) in [(opener, true), (other, false)] {
        if is_private(own) {
            let source = recording.source(&own.to_string(), Some(own))?;
            recording.push(record.of(source, crossed(leaves)))?;
            taken = true;
        }
    }
    Ok(taken)
}
