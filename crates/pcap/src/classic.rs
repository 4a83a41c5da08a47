//! The pcap file format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>.
//!
//! ```text
//! file    magic 4 | major 2 | minor 2 | zero 8 | snap length 4 | FCS bits, link type 4
//! record  seconds 4 | fraction 4 | captured 4 | original 4 | [Kuznetzov: 8 more] | data
//! ```

use vxscope_units::{LinkType, Timestamp};

use crate::bytes::{ByteOrder, index};
use crate::error::PcapError;
use crate::limit::captured_bytes_max;
use crate::reader::{Many, Record, Step};

/// The unit of the sub-second field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds, magic `a1b2c3d4`; every program reads it.
    Micros,
    /// Nanoseconds, magic `a1b23c4d`.
    Nanos,
}

impl Precision {
    const fn nanos_per_tick(self) -> u32 {
        match self {
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    const fn magic(self) -> u32 {
        match self {
            Self::Micros => 0xa1b2_c3d4,
            Self::Nanos => 0xa1b2_3c4d,
        }
    }
}

/// The header of a little-endian pcap file, version 2.4.
#[must_use]
pub fn file_header(precision: Precision, link: LinkType, snap_len: u32) -> [u8; 24] {
    let [m0, m1, m2, m3] = precision.magic().to_le_bytes();
    let [s0, s1, s2, s3] = snap_len.to_le_bytes();
    let [l0, l1, l2, l3] = link.number().to_le_bytes();
    [
        m0, m1, m2, m3, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, s0, s1, s2, s3, l0, l1, l2, l3,
    ]
}

/// The header of one record in such a file; seconds saturate in the year 2106.
#[must_use]
#[inline]
pub fn record_header(
    timestamp: Timestamp,
    captured: u32,
    original: u32,
    precision: Precision,
) -> [u8; 16] {
    let seconds = u32::try_from(timestamp.seconds()).unwrap_or(u32::MAX);
    let fraction = match precision {
        Precision::Micros => timestamp.subsec_micros(),
        Precision::Nanos => timestamp.subsec_nanos(),
    };
    // Two words of two fields each: the first in memory is the lower half.
    let time = u64::from(seconds) | u64::from(fraction) << 32;
    let lengths = u64::from(captured) | u64::from(original) << 32;
    (u128::from(time) | u128::from(lengths) << 64).to_le_bytes()
}

/// A file whose header has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classic {
    variant: Variant,
    lengths: Lengths,
    link: LinkType,
    captured_max: u32,
}

/// What the magic number says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    order: ByteOrder,
    nanos_per_tick: u32,
    record_header_bytes: usize,
}

/// Which of the two length fields comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured, original: since version 2.4.
    Normal,
    /// Original, captured: before version 2.3, and DG/UX tcpdump (543.0).
    Swapped,
    /// Version 2.3 was written both ways; the larger one is the original length.
    Unsure,
}

impl Classic {
    pub(crate) const FILE_HEADER_BYTES: usize = 24;
    const RECORD_HEADER_BYTES: usize = 16;
    /// Interface index, protocol, packet type and padding (a libpcap patched by A. Kuznetzov).
    const PATCHED_HEADER_BYTES: usize = 24;
    const PATCHED_MAGIC: u32 = 0xa1b2_cd34;

    pub(crate) fn variant(magic: [u8; 4]) -> Option<Variant> {
        [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .find_map(|order| {
                let (precision, record_header_bytes) = match order.u32(magic) {
                    magic if magic == Precision::Micros.magic() => {
                        (Precision::Micros, Self::RECORD_HEADER_BYTES)
                    }
                    magic if magic == Precision::Nanos.magic() => {
                        (Precision::Nanos, Self::RECORD_HEADER_BYTES)
                    }
                    Self::PATCHED_MAGIC => (Precision::Micros, Self::PATCHED_HEADER_BYTES),
                    _ => return None,
                };
                let nanos_per_tick = precision.nanos_per_tick();
                Some(Variant {
                    order,
                    nanos_per_tick,
                    record_header_bytes,
                })
            })
    }

    pub(crate) fn parse(variant: Variant, header: &[u8; 24]) -> Result<Self, PcapError> {
        let order = variant.order;
        let [_, _, _, _, j0, j1, n0, n1, .., l0, l1, l2, l3] = *header;
        let lengths = Lengths::of_version(order.u16([j0, j1]), order.u16([n0, n1]))?;
        let link = link_type(order.u32([l0, l1, l2, l3]))?;
        Ok(Self {
            variant,
            lengths,
            link,
            captured_max: captured_bytes_max(link),
        })
    }

    /// The record at the front of `input`.
    #[inline]
    pub(crate) fn record<'a>(&self, input: &'a [u8]) -> Result<Step<'a>, PcapError> {
        let Variant {
            order,
            nanos_per_tick,
            record_header_bytes,
        } = self.variant;
        let Some(header) = input.first_chunk::<{ Self::RECORD_HEADER_BYTES }>() else {
            return Ok(Step::NeedMore {
                needed: record_header_bytes,
            });
        };
        let [seconds, fraction, first, second] = fields(header);
        let lengths = (order.u32(first), order.u32(second));
        let (captured, original_len) = self.lengths.order(lengths);
        if captured > self.captured_max {
            return Err(PcapError::RecordLength {
                expected: self.captured_max,
                actual: captured,
            });
        }
        let consumed = record_header_bytes.saturating_add(index(captured));
        let Some(data) = input.get(record_header_bytes..consumed) else {
            return Ok(Step::NeedMore { needed: consumed });
        };
        let seconds = u64::from(order.u32(seconds));
        let nanos = u64::from(order.u32(fraction)) * u64::from(nanos_per_tick);
        let timestamp = Timestamp::new(seconds, nanos);
        let record = Record {
            timestamp,
            link: self.link,
            data,
            original_len,
            interface: 0,
        };
        Ok(Step::Record { consumed, record })
    }
}

impl Classic {
    /// The records at the front of `input`, as far as there are whole ones and places.
    #[inline]
    pub(crate) fn records<'a>(&self, input: &'a [u8], places: &mut [Record<'a>]) -> Many {
        let mut rest = input;
        let records = if self.is_usual() {
            self.usual_records(&mut rest, places)
        } else {
            self.any_records(&mut rest, places)
        };
        Many {
            records,
            consumed: input.len() - rest.len(),
        }
    }

    /// Written on a little-endian machine in this century.
    fn is_usual(&self) -> bool {
        self.variant.order == ByteOrder::Little
            && self.variant.record_header_bytes == Self::RECORD_HEADER_BYTES
            && self.lengths == Lengths::Normal
    }

    /// As [`Self::any_records`], of usual files: nothing is asked again for each record.
    #[inline]
    fn usual_records<'a>(&self, rest: &mut &'a [u8], places: &mut [Record<'a>]) -> usize {
        let (link, captured_max) = (self.link, self.captured_max);
        let nanos_per_tick = u64::from(self.variant.nanos_per_tick);
        let mut records = 0;
        for place in places {
            let Some((header, after)) = rest.split_first_chunk::<{ Self::RECORD_HEADER_BYTES }>()
            else {
                break;
            };
            let [seconds, fraction, captured, original] = fields(header).map(u32::from_le_bytes);
            let Some((data, next)) = after.split_at_checked(index(captured)) else {
                break;
            };
            if captured > captured_max {
                break;
            }
            let nanos = u64::from(fraction) * nanos_per_tick;
            *place = Record {
                timestamp: Timestamp::new(seconds.into(), nanos),
                link,
                data,
                original_len: original,
                interface: 0,
            };
            *rest = next;
            records += 1;
        }
        records
    }

    #[inline(never)]
    fn any_records<'a>(&self, rest: &mut &'a [u8], places: &mut [Record<'a>]) -> usize {
        let mut records = 0;
        for place in places {
            let Ok(Step::Record { consumed, record }) = self.record(rest) else {
                break;
            };
            *place = record;
            records += 1;
            *rest = rest.get(consumed..).unwrap_or_default();
        }
        records
    }
}

/// The four fields of a record's header: seconds, their fraction, and both lengths.
#[inline]
fn fields(header: &[u8; Classic::RECORD_HEADER_BYTES]) -> [[u8; 4]; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]]
}

impl Lengths {
    fn of_version(major: u16, minor: u16) -> Result<Self, PcapError> {
        match (major, minor) {
            (2, 0..=2) | (543, 0) => Ok(Self::Swapped),
            (2, 3) => Ok(Self::Unsure),
            (2, 4) => Ok(Self::Normal),
            _ => {
                let expected = "2.0 to 2.4 and 543.0";
                Err(PcapError::Version {
                    format: "pcap",
                    expected,
                    major,
                    minor,
                })
            }
        }
    }

    #[inline]
    fn order(self, (first, second): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Normal => (first, second),
            Self::Swapped => (second, first),
            Self::Unsure => (first.min(second), first.max(second)),
        }
    }
}

/// The link type without the upper bits, which say whether frames end with a checksum (FCS).
fn link_type(field: u32) -> Result<LinkType, PcapError> {
    const RESERVED: u32 = 0x03ff_0000;
    const NUMBER: u32 = 0x0000_ffff;
    if field & RESERVED != 0 {
        return Err(PcapError::LinkTypeReserved { actual: field });
    }
    Ok(LinkType::from_number(field & NUMBER))
}
