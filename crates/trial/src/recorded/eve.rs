//! Flow records of EVE, as this sensor and Suricata write them.

use std::io::BufRead;
use std::net::IpAddr;

use serde::Deserialize;
use vxscope_units::time::read_iso;

use super::conversation::{Crossed, Record};
use super::{Lines, RecordedError, Recording, is_private};

/// Longest line that is read: ten times what a record with every field takes.
const LINE_BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Line<'a> {
    event_type: &'a str,
    src_ip: Option<IpAddr>,
    #[serde(default)]
    src_port: u16,
    dest_ip: Option<IpAddr>,
    #[serde(default)]
    dest_port: u16,
    #[serde(borrow)]
    proto: Option<&'a str>,
    #[serde(borrow)]
    flow: Option<Flow<'a>>,
    #[serde(borrow)]
    tcp: Option<Tcp<'a>>,
    outer_ip: Option<IpAddr>,
    vni: Option<u32>,
    tunnel: Option<Tunnel>,
    #[serde(borrow)]
    timestamp: Option<&'a str>,
    #[serde(borrow)]
    anomaly: Option<Anomaly<'a>>,
}

#[derive(Deserialize)]
struct Anomaly<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a str>,
}

#[derive(Deserialize)]
struct Flow<'a> {
    #[serde(default)]
    pkts_toserver: u64,
    #[serde(default)]
    pkts_toclient: u64,
    #[serde(default)]
    bytes_toserver: u64,
    #[serde(default)]
    bytes_toclient: u64,
    start: Option<&'a str>,
    end: Option<&'a str>,
}

#[derive(Deserialize)]
struct Tcp<'a> {
    tcp_flags_ts: Option<&'a str>,
    tcp_flags_tc: Option<&'a str>,
}

#[derive(Deserialize)]
struct Tunnel {
    src_ip: Option<IpAddr>,
}

/// Reads flow records, one a line. The source of each is its `outer_ip` and `vni`; where there is
/// none, the outer source of Suricata's `tunnel`; and else each end with a private address, as two
/// mirrors would show it. Records of other types are left out.
///
/// # Errors
/// A line that is no such record, or more than a trial takes; everything before it was read.
pub fn read_eve(
    input: &mut dyn BufRead,
    recording: &mut Recording,
    progress: &mut dyn FnMut(u64),
) -> Result<Lines, RecordedError> {
    let mut lines = Lines::default();
    each_line(input, progress, &mut |number, text| {
        let line: Line<'_> = serde_json::from_str(text)
            .map_err(|error| RecordedError::new(number, format!("not an EVE record: {error}")))?;
        let is_never = line.is_never_hit();
        if line.event_type != "flow" && !is_never {
            lines.other += 1;
            return Ok(());
        }
        let record = if is_never {
            line.never_hit()
        } else {
            line.record()
        };
        let record = record.map_err(|message| RecordedError::new(number, message))?;
        let taken = line
            .take(&record, recording)
            .map_err(|message| RecordedError::new(number, message))?;
        lines.conversations += u64::from(taken);
        lines.without_source += u64::from(!taken);
        Ok(())
    })?;
    Ok(lines)
}

/// Hands on every line that is not blank, with its number.
pub(super) fn each_line(
    input: &mut dyn BufRead,
    progress: &mut dyn FnMut(u64),
    take: &mut dyn FnMut(u64, &str) -> Result<(), RecordedError>,
) -> Result<(), RecordedError> {
    use std::io::Read;
    let (mut line, mut number, mut bytes) = (Vec::new(), 0, 0);
    loop {
        number += 1;
        line.clear();
        let read = (&mut *input)
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)
            .map_err(|error| RecordedError::new(number, error.to_string()))?;
        if read == 0 {
            return Ok(());
        }
        if read == LINE_BYTES_MAX {
            let message = format!("longer than {LINE_BYTES_MAX} bytes");
            return Err(RecordedError::new(number, message));
        }
        bytes += read as u64;
        let text = std::str::from_utf8(&line)
            .map_err(|error| RecordedError::new(number, format!("not text: {error}")))?;
        if !text.trim().is_empty() {
            take(number, text.trim())?;
        }
        progress(bytes);
    }
}

impl Line<'_> {
    /// The sensor's own anomalies are uses of ports that a role never serves.
    fn is_never_hit(&self) -> bool {
        let kind = self.anomaly.as_ref().and_then(|anomaly| anomaly.kind);
        self.event_type == "anomaly" && kind == Some("vxscope")
    }

    fn never_hit(&self) -> Result<Record, String> {
        let time = self.timestamp.and_then(milliseconds);
        let time = time.ok_or("an anomaly without a time")?;
        Ok(Record {
            start: time,
            end: time,
            ends: self.ends()?,
            protocol: protocol(self.proto.ok_or("an anomaly without proto")?)?,
            packets: [0; 2],
            bytes: [0; 2],
            flags: [0; 2],
            refused: false,
            never: true,
        })
    }

    fn ends(&self) -> Result<[(IpAddr, u16); 2], String> {
        let missing = |name: &str| format!("a record without {name}");
        Ok([
            (self.src_ip.ok_or_else(|| missing("src_ip"))?, self.src_port),
            (
                self.dest_ip.ok_or_else(|| missing("dest_ip"))?,
                self.dest_port,
            ),
        ])
    }

    fn record(&self) -> Result<Record, String> {
        let missing = |name: &str| format!("a flow record without {name}");
        let flow = self.flow.as_ref().ok_or_else(|| missing("flow"))?;
        let time = |text: Option<&str>, name: &str| {
            let text = text.ok_or_else(|| missing(name))?;
            milliseconds(text).ok_or_else(|| format!("{name}: {text:?} is no time"))
        };
        let start = time(flow.start, "flow.start")?;
        let end = flow
            .end
            .map_or(Ok(start), |end| time(Some(end), "flow.end"))?;
        let flags = |text: fn(&Tcp<'_>) -> Option<u8>| self.tcp.as_ref().and_then(text);
        let to_server = flags(|tcp| u8::from_str_radix(tcp.tcp_flags_ts?, 16).ok());
        let to_client = flags(|tcp| u8::from_str_radix(tcp.tcp_flags_tc?, 16).ok());
        Ok(Record {
            start,
            end,
            ends: self.ends()?,
            protocol: protocol(self.proto.ok_or_else(|| missing("proto"))?)?,
            packets: [flow.pkts_toserver, flow.pkts_toclient],
            bytes: [flow.bytes_toserver, flow.bytes_toclient],
            flags: [to_server, to_client].map(Option::unwrap_or_default),
            refused: false,
            never: false,
        })
    }

    /// Whether a source could be told.
    fn take(&self, record: &Record, recording: &mut Recording) -> Result<bool, String> {
        let outer = self.outer_ip.or_else(|| self.tunnel.as_ref()?.src_ip);
        let [opener, other] = record.ends;
        if let Some(outer) = outer {
            let name = format!("{outer} vni {}", self.vni.unwrap_or(0));
            let source = recording.source(&name, Some(outer))?;
            let crossed = if outer == other.0 && outer != opener.0 {
                Crossed::In
            } else {
                Crossed::Out
            };
            recording.push(record.of(source, crossed))?;
            return Ok(true);
        }
        let mut taken = false;
        for ((address, _), crossed) in [(opener, Crossed::Out), (other, Crossed::In)] {
            if is_private(address) {
                let source = recording.source(&address.to_string(), Some(address))?;
                recording.push(record.of(source, crossed))?;
                taken = true;
            }
        }
        Ok(taken)
    }
}

fn protocol(name: &str) -> Result<u8, String> {
    Ok(match name {
        "TCP" => 6,
        "UDP" => 17,
        "ICMP" => 1,
        "IPv6-ICMP" => 58,
        "SCTP" => 132,
        "GRE" => 47,
        "ESP" => 50,
        "AH" => 51,
        "IGMP" => 2,
        _ => name
            .parse()
            .map_err(|_| format!("proto: {name:?} is no protocol"))?,
    })
}

/// `2026-11-21T10:00:00.123456+0000`, in ms since 1970.
fn milliseconds(text: &str) -> Option<u64> {
    Some(read_iso(text)?.as_nanos() / 1_000_000)
}
