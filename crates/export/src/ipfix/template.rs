//! The templates: which information elements a record has, for which families of addresses.
//!
//! Numbers are IANA's. Reverse counters are RFC 5103 (enterprise 29305). The VNI is in two
//! elements, because collectors keep one or the other: `layer2SegmentId`, whose first byte says
//! VXLAN, and `ingressVRFID`. The mirror source's address is `originalExporterIPv4Address` or its
//! IPv6 sibling. Octets are IP bytes, as the elements are defined.

/// Enterprise number of reverse elements.
const REVERSE: u32 = 29_305;
/// The bit that says that an enterprise number follows.
const ENTERPRISE: u16 = 0x8000;

/// An element: number, bytes, and whether it is of the reverse direction.
#[derive(Clone, Copy, Debug)]
struct Element(u16, u16, bool);

/// Elements between the addresses and the end, in the order of the record.
const COMMON: [Element; 17] = [
    Element(7, 2, false),   // sourceTransportPort
    Element(11, 2, false),  // destinationTransportPort
    Element(4, 1, false),   // protocolIdentifier
    Element(6, 2, false),   // tcpControlBits
    Element(2, 8, false),   // packetDeltaCount
    Element(1, 8, false),   // octetDeltaCount
    Element(2, 8, true),    // reversePacketDeltaCount
    Element(1, 8, true),    // reverseOctetDeltaCount
    Element(6, 2, true),    // reverseTcpControlBits
    Element(152, 8, false), // flowStartMilliseconds
    Element(153, 8, false), // flowEndMilliseconds
    Element(136, 1, false), // flowEndReason
    Element(239, 1, false), // biflowDirection
    Element(148, 8, false), // flowId
    Element(351, 8, false), // layer2SegmentId
    Element(234, 4, false), // ingressVRFID
    Element(58, 2, false),  // vlanId
];

/// Which addresses a record has: IPv6 inside, and outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Families {
    pub(super) inner_v6: bool,
    pub(super) outer_v6: bool,
}

impl Families {
    pub(super) const ALL: [Self; 4] = [
        Self::new(false, false),
        Self::new(true, false),
        Self::new(false, true),
        Self::new(true, true),
    ];

    const fn new(inner_v6: bool, outer_v6: bool) -> Self {
        Self { inner_v6, outer_v6 }
    }

    /// The template's number.
    pub(super) const fn id(self) -> u16 {
        256 + self.inner_v6 as u16 + 2 * self.outer_v6 as u16
    }

    fn elements(self) -> impl Iterator<Item = Element> {
        let addresses = if self.inner_v6 {
            [Element(27, 16, false), Element(28, 16, false)]
        } else {
            [Element(8, 4, false), Element(12, 4, false)]
        };
        // icmpTypeCodeIPv4, or IPv6.
        let icmp = Element(if self.inner_v6 { 139 } else { 32 }, 2, false);
        let exporter = if self.outer_v6 {
            Element(404, 16, false)
        } else {
            Element(403, 4, false)
        };
        addresses.into_iter().chain(COMMON).chain([icmp, exporter])
    }

    /// Bytes of a record.
    pub(super) fn record_len(self) -> usize {
        self.elements()
            .map(|Element(_, bytes, _)| usize::from(bytes))
            .sum()
    }

    /// Appends the template record (RFC 7011 §3.4.1).
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let count = u16::try_from(self.elements().count()).unwrap_or(u16::MAX);
        out.extend(self.id().to_be_bytes());
        out.extend(count.to_be_bytes());
        for Element(number, bytes, reverse) in self.elements() {
            let number = if reverse { number | ENTERPRISE } else { number };
            out.extend(number.to_be_bytes());
            out.extend(bytes.to_be_bytes());
            if reverse {
                out.extend(REVERSE.to_be_bytes());
            }
        }
    }
}
