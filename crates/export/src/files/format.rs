//! The bytes of a capture file: pcap, or pcapng with one interface for each source.

use std::collections::BTreeMap;

use vxscope_pcap::CAPTURED_BYTES_MAX;
use vxscope_pcap::pcapng::{InterfaceDescription, InterfaceStatistics, Packet, Writer};
use vxscope_units::{Binding, LinkType, MirrorSource, Timestamp};

use super::Gap;
use crate::chunk::HEADER_BYTES;
use crate::decap::file_header;
use crate::names::Names;
use crate::tagged::{Tagged, push_record};

/// Most bytes that a pcapng packet takes beside its frame: block, padding, a comment.
const PACKET_BYTES: u64 = 32 + 3 + 8 + 128;
/// Most bytes that an interface takes: its description, its statistics.
const INTERFACE_BYTES: u64 = 1_024;

/// A format of capture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Classic, for every program there is.
    Pcap,
    /// With an interface for each source, comments and counters of what was lost.
    Pcapng,
}

impl FileFormat {
    /// The sink's name in `--export`, and the extension of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }
}

/// What writes the records of one file.
#[derive(Debug)]
pub(super) enum Encoder {
    Pcap,
    Pcapng(Box<Sections>),
}

/// The interfaces of a pcapng file.
#[derive(Debug)]
pub(super) struct Sections {
    writer: Writer,
    interfaces: BTreeMap<MirrorSource, Interface>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Interface {
    number: u32,
    received: u64,
    dropped: u64,
}

impl Encoder {
    /// Writes the beginning of a file.
    pub(super) fn start(format: FileFormat, out: &mut Vec<u8>) -> Self {
        match format {
            FileFormat::Pcap => {
                out.extend_from_slice(&file_header());
                Self::Pcap
            }
            FileFormat::Pcapng => {
                let application = concat!("vxscope ", env!("CARGO_PKG_VERSION"));
                // libpcap refuses a file whose interfaces differ in snap length.
                let writer = Writer::new(out, application, LinkType::Ethernet, CAPTURED_BYTES_MAX);
                Self::Pcapng(Box::new(Sections {
                    writer,
                    interfaces: BTreeMap::new(),
                    scratch: Vec::new(),
                }))
            }
        }
    }

    /// Writes a frame, and what is missing before it.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, tagged: &Tagged<'_>, gap: Gap, names: &Names) {
        match self {
            Self::Pcap => push_record(out, tagged),
            Self::Pcapng(sections) => sections.push(out, tagged, gap, names),
        }
    }

    /// The most bytes that [`Self::push`] and [`Self::end`] write for a frame.
    pub(super) fn bytes_max(&self, tagged: &Tagged<'_>) -> u64 {
        let frame = u64::from(tagged.captured_len());
        match self {
            Self::Pcap => HEADER_BYTES as u64 + frame,
            Self::Pcapng(sections) if sections.interfaces.contains_key(&tagged.frame.source) => {
                PACKET_BYTES + frame
            }
            Self::Pcapng(_) => PACKET_BYTES + INTERFACE_BYTES + frame,
        }
    }

    /// Writes the end of a file: what each interface received, and what was lost of it.
    pub(super) fn end(&self, out: &mut Vec<u8>, last: Timestamp) {
        let Self::Pcapng(sections) = self else { return };
        for interface in sections.interfaces.values() {
            let statistics = InterfaceStatistics {
                interface: interface.number,
                timestamp: last,
                received: interface.received,
                dropped: interface.dropped,
            };
            sections.writer.statistics(out, &statistics);
        }
    }
}

impl Sections {
    fn push(&mut self, out: &mut Vec<u8>, tagged: &Tagged<'_>, gap: Gap, names: &Names) {
        let number = self.interface(out, tagged.frame.source, gap, names);
        self.scratch.clear();
        for part in tagged.parts() {
            self.scratch.extend_from_slice(part);
        }
        let comment = (gap.missed > 0).then(|| {
            let missed = gap.missed;
            format!("vxscope: {missed} frames before this one are missing: queue or disk was full")
        });
        let packet = Packet {
            interface: number,
            timestamp: tagged.frame.timestamp,
            data: &self.scratch,
            original_len: tagged.original_len(),
            comment: comment.as_deref(),
        };
        self.writer.packet(out, &packet);
    }

    /// The number of a source's interface, which is described before its first packet.
    fn interface(
        &mut self,
        out: &mut Vec<u8>,
        source: MirrorSource,
        gap: Gap,
        names: &Names,
    ) -> u32 {
        let received = 1 + gap.of_source;
        if let Some(interface) = self.interfaces.get_mut(&source) {
            interface.received += received;
            interface.dropped += gap.of_source;
            return interface.number;
        }
        let table = names.latest();
        let binding = table.find(source);
        let name = binding
            .and_then(|it| it.name.as_deref())
            .unwrap_or_default();
        let identity = binding.and_then(Binding::identity).unwrap_or_default();
        let told = |what: &str, value: &str| match value {
            "" => String::new(),
            value => format!(", {what} {value}"),
        };
        let ids = [
            ("eni", &identity.interface),
            ("instance", &identity.instance),
            ("vpc", &identity.vpc),
            ("account", &identity.account),
        ];
        let ids = ids.map(|(what, id)| told(what, id.as_deref().unwrap_or_default()));
        let (address, vni) = (source.address, source.vni.get());
        let description = InterfaceDescription {
            name: &format!("vni-{vni}"),
            description: &format!("mirror source {address}{}", told("named", name)),
            comment: &format!("vxscope: outer_ip {address}, vni {vni}{}", ids.concat()),
        };
        let number = self.writer.interface(out, &description);
        let interface = Interface {
            number,
            received,
            dropped: gap.of_source,
        };
        self.interfaces.insert(source, interface);
        number
    }
}
