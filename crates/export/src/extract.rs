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
mod tests {
    use vxscope_units::Timestamp;

    use super::{CaptureFormat, Extracted, ExtractedFlow, Packets, write_extracted};
    use crate::chunk::FRAME_BYTES_MAX;
    use crate::file::OutputDir;
    use crate::testing::{read_pcap_file, source, tcp_record};

    #[test]
    fn a_flows_packets_are_a_capture_and_an_entry() {
        let (_guard, dir) = folder();
        let mut packets = Packets::default();
        packets.push(Timestamp::new(5, 1_999), b"first", 60);
        packets.push(Timestamp::new(6, 0), b"second", 6);
        let entry = write(&dir, 17, 6, 3, &packets);
        assert_eq!(
            (entry.packets_found, entry.bytes_found, entry.complete),
            (2, 11, false)
        );
        write_extracted(&dir, &[entry]).unwrap();
        let records = read_pcap_file(&dir.path().join("extract-17.pcap"));
        assert_eq!(
            records[0],
            (Timestamp::new(5, 1_000), b"first".to_vec(), 60)
        );
        assert_eq!(records[1], (Timestamp::new(6, 0), b"second".to_vec(), 6));
        let text = std::fs::read_to_string(dir.path().join("extract.json")).unwrap();
        let expected = r#"[
  {
    "flow_id": 17,
    "community_id": "1:wCb3OG7yAFWelaUydu0D+125CLM=",
    "vni": 7,
    "outer_ip": "192.0.2.1",
    "tuple": {
      "src_ip": "10.0.0.1",
      "src_port": 1122,
      "dest_ip": "10.0.0.2",
      "dest_port": 80,
      "proto": "TCP"
    },
    "packets_seen": 3,
    "packets_found": 2,
    "bytes_found": 11,
    "complete": false,
    "first": "1970-01-01T00:00:05.000001+0000",
    "last": "1970-01-01T00:00:06.000000+0000",
    "file": "extract-17.pcap"
  }
]
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_flow_of_which_nothing_is_left_has_an_empty_capture() {
        let (_guard, dir) = folder();
        let entry = write(&dir, 1, 50, 4, &Packets::default());
        assert!(!entry.complete && entry.first.is_none());
        assert_eq!(
            (entry.tuple.src_port, entry.tuple.proto.as_str()),
            (None, "ESP")
        );
        assert!(read_pcap_file(&dir.path().join("extract-1.pcap")).is_empty());
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(json["first"], serde_json::Value::Null);
    }

    #[test]
    fn entries_are_sorted_and_an_empty_list_is_a_list() {
        let (_guard, dir) = folder();
        write_extracted(&dir, &[]).unwrap();
        let path = dir.path().join("extract.json");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]\n");
        let entries = [9, 2].map(|id| write(&dir, id, 6, 0, &Packets::default()));
        assert!(entries[0].complete);
        write_extracted(&dir, &entries).unwrap();
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            (&json[0]["flow_id"], &json[1]["flow_id"]),
            (&2.into(), &9.into())
        );
    }

    #[test]
    fn a_frame_beyond_the_formats_limit_is_cut() {
        let (_guard, dir) = folder();
        let mut packets = Packets::default();
        packets.push(Timestamp::ZERO, &vec![1; FRAME_BYTES_MAX + 10], 0);
        assert!(write(&dir, 3, 17, 1, &packets).complete);
        let records = read_pcap_file(&dir.path().join("extract-3.pcap"));
        assert_eq!(records[0].1.len(), FRAME_BYTES_MAX);
        assert_eq!(records[0].2 as usize, FRAME_BYTES_MAX + 10);
    }

    #[test]
    fn a_capture_of_several_flows_is_in_the_order_of_time() {
        let (mut early, mut late) = (Packets::default(), Packets::default());
        early.push(Timestamp::new(5, 0), b"a", 1);
        early.push(Timestamp::new(7, 0), b"c", 1);
        late.push(Timestamp::new(6, 0), b"b", 1);
        let entries = [(17, &early), (18, &late)]
            .map(|(id, packets)| Extracted::new(&flow(id, 6), 2, packets));
        let flows = [(&entries[0], &early), (&entries[1], &late)];
        let (guard, _) = folder();
        for format in [CaptureFormat::Pcap, CaptureFormat::Pcapng] {
            let path = guard.path().join(format.name());
            std::fs::write(&path, format.capture(&flows)).unwrap();
            let records = read_pcap_file(&path);
            let bytes: Vec<_> = records.iter().map(|(_, bytes, _)| &bytes[..]).collect();
            assert_eq!(bytes, [b"a", b"b", b"c"]);
        }
        assert!(
            entries[0]
                .to_string()
                .ends_with("flow 17: 2 of 2 packets, complete")
        );
        assert!(
            entries[1]
                .to_string()
                .ends_with("1 of 2 packets, incomplete")
        );
    }

    fn write(
        dir: &OutputDir,
        flow_id: u64,
        protocol: u8,
        packets_seen: u64,
        packets: &Packets,
    ) -> Extracted {
        let entry = Extracted::new(&flow(flow_id, protocol), packets_seen, packets);
        entry.write(dir, packets).unwrap();
        entry
    }

    fn flow(flow_id: u64, protocol: u8) -> ExtractedFlow {
        let record = tcp_record();
        ExtractedFlow {
            flow_id,
            community_id: record.community_id,
            source: source(7),
            protocol,
            originator: (record.originator, record.originator_port),
            responder: (record.responder, record.responder_port),
        }
    }

    fn folder() -> (tempfile::TempDir, OutputDir) {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        (guard, dir)
    }
}
