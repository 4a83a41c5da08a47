//! Extraction: one flow's packets as a capture of their own, and `extract.json` that says which.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use vxscope_flow::CommunityId;
use vxscope_pcap::pcapng::{self, InterfaceDescription, Packet};
use vxscope_pcap::{CAPTURED_BYTES_MAX, Precision, classic};
use vxscope_units::{LinkType, MirrorSource, Timestamp};

use crate::chunk::FRAME_BYTES_MAX;
use crate::decap::file_header;
use crate::error::ExportError;
use crate::file::OutputDir;
use crate::protocol;
use crate::summary::{as_text, write_json};

/// The flow whose packets are wanted.
#[derive(Clone, Copy, Debug)]
pub struct ExtractedFlow {
    /// The flow's id, the name of its file.
    pub flow_id: u64,
    /// Its Community ID.
    pub community_id: CommunityId,
    /// Whose mirror it was seen on.
    pub source: MirrorSource,
    /// IP protocol number.
    pub protocol: u8,
    /// The originator's address and port (ICMP: type).
    pub originator: (IpAddr, u16),
    /// The responder's address and port (ICMP: answering type or code).
    pub responder: (IpAddr, u16),
}

/// One object of `extract.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// The flow's id as in `eve.json`.
    pub flow_id: u64,
    /// The flow's Community ID.
    pub community_id: String,
    /// The mirror source's VNI.
    pub vni: u32,
    /// The mirror source's address.
    pub outer_ip: IpAddr,
    /// Addresses and ports.
    pub tuple: ExtractedTuple,
    /// Whether the flow goes on; absent where all flows have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Packets the flow had.
    pub packets_seen: u64,
    /// Packets that were still stored and are in the file.
    pub packets_found: u64,
    /// Their captured bytes.
    pub bytes_found: u64,
    /// Whether the file holds every packet of the flow.
    pub complete: bool,
    /// Time of the first packet in the file; null if it has none.
    #[serde(serialize_with = "as_text_or_null")]
    pub first: Option<Timestamp>,
    /// Time of the last packet in the file; null if it has none.
    #[serde(serialize_with = "as_text_or_null")]
    pub last: Option<Timestamp>,
    /// The capture's name, in the folder of `extract.json`.
    pub file: String,
}

/// Addresses and ports, named as in `eve.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtractedTuple {
    /// The originator's address.
    pub src_ip: IpAddr,
    /// The originator's port; absent for protocols without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The responder's address.
    pub dest_ip: IpAddr,
    /// The responder's port; absent for protocols without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// The protocol as in `eve.json`.
    pub proto: String,
}

/// Frames of one flow, oldest first, in one run of bytes.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    bytes: Vec<u8>,
    /// Time, length on the wire, end in `bytes` of each frame.
    ends: Vec<(Timestamp, u32, usize)>,
}

impl Packets {
    /// Room for so many bytes and frames without further memory.
    #[must_use]
    pub fn with_capacity(bytes: usize, frames: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(frames),
        }
    }

    /// Whether a frame of so many bytes fits without further memory.
    #[must_use]
    pub fn fits(&self, bytes: usize) -> bool {
        let free = self.bytes.capacity().saturating_sub(self.bytes.len());
        self.ends.len() < self.ends.capacity() && bytes <= free
    }

    /// Appends a frame. What no capture record can hold is cut off, and it still counts.
    pub fn push(&mut self, timestamp: Timestamp, frame: &[u8], original_len: u32) {
        let kept = frame.get(..FRAME_BYTES_MAX).unwrap_or(frame);
        let original = original_len.max(u32::try_from(frame.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(kept);
        self.ends.push((timestamp, original, self.bytes.len()));
    }

    /// Appends frames that come later.
    pub fn append(&mut self, later: &Self) {
        for (timestamp, original_len, frame) in later.iter() {
            self.push(timestamp, frame, original_len);
        }
    }

    /// Time, length on the wire and bytes of each frame.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, u32, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, _, end)| *end));
        starts
            .zip(&self.ends)
            .filter_map(|(start, (timestamp, original_len, end))| {
                Some((*timestamp, *original_len, self.bytes.get(start..*end)?))
            })
    }

    /// How many frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Captured bytes of all frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the frames and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// What a capture is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureFormat {
    /// Classic pcap, microseconds: what every program reads.
    #[default]
    Pcap,
    /// pcapng, nanoseconds: an interface for each flow says whose it is and how much of it.
    Pcapng,
}

impl CaptureFormat {
    /// `pcap` or `pcapng`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "pcap" => Some(Self::Pcap),
            "pcapng" => Some(Self::Pcapng),
            _ => None,
        }
    }

    /// The name, which is also the ending of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }

    /// A capture of these flows; frames of several are in the order of their times.
    #[must_use]
    pub fn capture(self, flows: &[(&Extracted, &Packets)]) -> Vec<u8> {
        let bytes: usize = flows.iter().map(|(_, packets)| packets.bytes()).sum();
        let frames: usize = flows.iter().map(|(_, packets)| packets.len()).sum();
        let mut out = Vec::with_capacity(bytes + 64 * frames + 1024);
        let mut order: Vec<_> = flows
            .iter()
            .enumerate()
            .flat_map(|(flow, (_, packets))| packets.iter().map(move |frame| (flow, frame)))
            .collect();
        if flows.len() > 1 {
            order.sort_by_key(|(_, (timestamp, _, _))| *timestamp);
        }
        match self {
            Self::Pcap => {
                out.extend_from_slice(&file_header());
                for (_, (timestamp, original_len, frame)) in order {
                    push_record(&mut out, timestamp, original_len, frame);
                }
            }
            Self::Pcapng => {
                let mut writer = pcapng::Writer::new(
                    &mut out,
                    "vxscope",
                    LinkType::Ethernet,
                    CAPTURED_BYTES_MAX,
                );
                let interfaces: Vec<u32> = flows
                    .iter()
                    .map(|(flow, _)| {
                        writer.interface(
                            &mut out,
                            &InterfaceDescription {
                                name: &format!("vni-{}", flow.vni),
                                description: &flow.to_string(),
                                comment: "",
                            },
                        )
                    })
                    .collect();
                for (flow, (timestamp, original_len, data)) in order {
                    let packet = Packet {
                        interface: interfaces.get(flow).copied().unwrap_or(0),
                        timestamp,
                        data,
                        original_len,
                        comment: None,
                    };
                    writer.packet(&mut out, &packet);
                }
            }
        }
        out
    }
}

/// A record of a classic capture.
fn push_record(out: &mut Vec<u8>, timestamp: Timestamp, original_len: u32, frame: &[u8]) {
    let captured = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let header = classic::record_header(timestamp, captured, original_len, Precision::Micros);
    out.extend_from_slice(&header);
    out.extend_from_slice(frame);
}

/// The beginning of a classic capture that grows: see [`append_records`].
#[must_use]
pub fn capture_header() -> [u8; 24] {
    file_header()
}

/// Appends frames as records of a classic capture.
pub fn append_records(out: &mut Vec<u8>, packets: &Packets) {
    for (timestamp, original_len, frame) in packets.iter() {
        push_record(out, timestamp, original_len, frame);
    }
}

/// For people: whose flow, and how much of it there is.
impl fmt::Display for Extracted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.complete {
            "complete"
        } else {
            "incomplete"
        };
        write!(
            f,
            "mirror source {} vni {}; flow {}: {} of {} packets, {whole}",
            self.outer_ip, self.vni, self.flow_id, self.packets_found, self.packets_seen
        )
    }
}

impl Extracted {
    /// What was found of a flow that had `packets_seen` packets.
    #[must_use]
    pub fn new(flow: &ExtractedFlow, packets_seen: u64, packets: &Packets) -> Self {
        let port = |port| protocol::has_ports(flow.protocol).then_some(port);
        let proto = protocol::suricata_name(flow.protocol);
        let packets_found = packets.len() as u64;
        Self {
            flow_id: flow.flow_id,
            community_id: flow.community_id.as_str().to_owned(),
            vni: flow.source.vni.get(),
            outer_ip: flow.source.address,
            tuple: ExtractedTuple {
                src_ip: flow.originator.0,
                src_port: port(flow.originator.1),
                dest_ip: flow.responder.0,
                dest_port: port(flow.responder.1),
                proto: proto.map_or_else(|| format!("{:03}", flow.protocol), str::to_owned),
            },
            open: None,
            packets_seen,
            packets_found,
            bytes_found: packets.bytes() as u64,
            complete: packets_found == packets_seen,
            first: packets.ends.first().map(|(timestamp, _, _)| *timestamp),
            last: packets.ends.last().map(|(timestamp, _, _)| *timestamp),
            file: format!("extract-{}.pcap", flow.flow_id),
        }
    }

    /// Writes its capture to the file that it names.
    ///
    /// # Errors
    /// The file cannot be written. Then nothing is left of it.
    pub fn write(&self, dir: &OutputDir, packets: &Packets) -> Result<(), ExportError> {
        let mut file = dir.create_file(&self.file)?;
        file.write(&CaptureFormat::Pcap.capture(&[(self, packets)]))?;
        file.finish()
    }
}

/// Writes `extract.json`, by flow id whatever the order given. An empty list says that nothing
/// was found.
///
/// # Errors
/// The file cannot be written.
pub fn write_extracted(dir: &OutputDir, flows: &[Extracted]) -> Result<(), ExportError> {
    let mut flows: Vec<_> = flows.iter().collect();
    flows.sort_by_key(|flow| flow.flow_id);
    write_json(dir, "extract.json", &flows)
}

fn as_text_or_null<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_text(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
