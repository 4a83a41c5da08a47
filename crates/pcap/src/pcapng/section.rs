//! Reads the blocks of a section, and the header that starts the next one.

use vxscope_units::Timestamp;

use super::interface::Interface;
use super::{BYTE_ORDER_MAGIC, block};
use crate::bytes::{ByteOrder, Fields, index};
use crate::error::PcapError;
use crate::limit::{BLOCK_BYTES_MAX, INTERFACES_MAX, block_bytes_max};
use crate::reader::{Many, Record, Step};

/// Type and length in front of a block and the length behind it.
const BLOCK_FRAME_BYTES: u32 = 12;

/// The section that is being read.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    had_interface: bool,
    block_bytes_max: u32,
}

/// A whole block without its frame.
#[derive(Clone, Copy)]
struct Block<'a> {
    kind: u32,
    total: u32,
    body: &'a [u8],
}

impl Block<'_> {
    const fn shorter_than(&self, expected: u32) -> PcapError {
        too_short(self.kind, expected, self.total)
    }
}

/// The fixed fields of a packet block.
struct PacketHeader {
    interface: u32,
    ticks: u64,
    captured: u32,
    original: u32,
}

impl Section {
    /// The first bytes of every pcapng file.
    pub(crate) const MAGIC: [u8; 4] = block::SECTION.to_be_bytes();

    /// Before the first section header; the byte order is not yet known.
    pub(crate) const fn new() -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            had_interface: false,
            block_bytes_max: BLOCK_BYTES_MAX,
        }
    }

    /// Whether any section so far described an interface.
    pub(crate) const fn had_interface(&self) -> bool {
        self.had_interface
    }

    /// The block at the front of `input`.
    pub(crate) fn block<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, PcapError> {
        let Some(head) = input.first_chunk::<{ BLOCK_FRAME_BYTES as usize }>() else {
            return Ok(Step::NeedMore {
                needed: index(BLOCK_FRAME_BYTES),
            });
        };
        let [k0, k1, k2, k3, t0, t1, t2, t3, magic @ ..] = *head;
        let is_section = [k0, k1, k2, k3] == Self::MAGIC;
        let order = if is_section {
            byte_order(magic)?
        } else {
            self.order
        };
        let kind = order.u32([k0, k1, k2, k3]);
        let total = order.u32([t0, t1, t2, t3]);
        self.check_length(kind, total)?;
        let consumed = index(total);
        let Some(whole) = input.get(..consumed) else {
            return Ok(Step::NeedMore { needed: consumed });
        };
        let Some((front, trailer)) = whole.split_last_chunk::<4>() else {
            return Err(too_short(kind, BLOCK_FRAME_BYTES, total));
        };
        let trailer = order.u32(*trailer);
        if trailer != total {
            return Err(PcapError::BlockTrailer {
                expected: total,
                actual: trailer,
            });
        }
        let body = front.get(8..).unwrap_or_default();
        self.whole_block(order, Block { kind, total, body })
            .map(|record| match record {
                Some(record) => Step::Record { consumed, record },
                None => Step::Skip { consumed },
            })
    }

    /// The packets at the front of `input`, as far as there are whole blocks and places.
    pub(crate) fn records<'a>(&mut self, input: &'a [u8], places: &mut [Record<'a>]) -> Many {
        let (mut rest, mut records) = (input, 0);
        while let Some(place) = places.get_mut(records) {
            let consumed = match self.block(rest) {
                Ok(Step::Record { consumed, record }) => {
                    *place = record;
                    records += 1;
                    consumed
                }
                Ok(Step::Skip { consumed }) => consumed,
                Ok(Step::NeedMore { .. }) | Err(_) => break,
            };
            rest = rest.get(consumed..).unwrap_or_default();
        }
        Many {
            records,
            consumed: input.len() - rest.len(),
        }
    }

    fn check_length(&self, kind: u32, total: u32) -> Result<(), PcapError> {
        if total < BLOCK_FRAME_BYTES {
            return Err(too_short(kind, BLOCK_FRAME_BYTES, total));
        }
        if total > self.block_bytes_max {
            let expected = self.block_bytes_max;
            return Err(PcapError::BlockTooLong {
                block: kind,
                expected,
                actual: total,
            });
        }
        if !total.is_multiple_of(4) {
            return Err(PcapError::BlockUnaligned {
                block: kind,
                actual: total,
            });
        }
        Ok(())
    }

    fn whole_block<'a>(
        &mut self,
        order: ByteOrder,
        whole: Block<'a>,
    ) -> Result<Option<Record<'a>>, PcapError> {
        let mut fields = Fields {
            order,
            rest: whole.body,
        };
        match whole.kind {
            block::ENHANCED => {
                let header = enhanced_header(&mut fields);
                let header = header.ok_or_else(|| whole.shorter_than(32))?;
                self.packet(&header, fields.rest).map(Some)
            }
            block::SIMPLE => {
                let original = fields.u32().ok_or_else(|| whole.shorter_than(16))?;
                self.simple_packet(original, fields.rest).map(Some)
            }
            block::PACKET => {
                let header = obsolete_header(&mut fields);
                let header = header.ok_or_else(|| whole.shorter_than(32))?;
                self.packet(&header, fields.rest).map(Some)
            }
            block::INTERFACE => self.add_interface(fields, whole).map(|()| None),
            block::SECTION => self.start_section(fields, whole).map(|()| None),
            // Names, statistics, secrets, custom blocks: nothing that changes a packet.
            _ => Ok(None),
        }
    }

    fn start_section(&mut self, mut fields: Fields<'_>, whole: Block<'_>) -> Result<(), PcapError> {
        let _magic = fields.u32();
        let (Some(major), Some(minor), Some(_section_length)) =
            (fields.u16(), fields.u16(), fields.array::<8>())
        else {
            return Err(whole.shorter_than(28));
        };
        // 1.2 differs from 1.0 in nothing but the blocks that its writers like to add.
        if !matches!((major, minor), (1, 0 | 2)) {
            let expected = "1.0 and 1.2";
            return Err(PcapError::Version {
                format: "pcapng",
                expected,
                major,
                minor,
            });
        }
        self.order = fields.order;
        self.interfaces.clear();
        Ok(())
    }

    fn add_interface(&mut self, fields: Fields<'_>, whole: Block<'_>) -> Result<(), PcapError> {
        if self.interfaces.len() >= INTERFACES_MAX {
            return Err(PcapError::InterfaceCount {
                expected: INTERFACES_MAX,
            });
        }
        let interface = Interface::parse(fields)?.ok_or_else(|| whole.shorter_than(20))?;
        self.block_bytes_max = self.block_bytes_max.max(block_bytes_max(interface.link));
        self.had_interface = true;
        self.interfaces.push(interface);
        Ok(())
    }

    fn interface(&self, number: u32) -> Result<&Interface, PcapError> {
        self.interfaces
            .get(index(number))
            .ok_or(PcapError::UnknownInterface {
                expected: self.interfaces.len(),
                actual: number,
            })
    }

    fn packet<'a>(&self, header: &PacketHeader, room: &'a [u8]) -> Result<Record<'a>, PcapError> {
        let interface = self.interface(header.interface)?;
        Ok(Record {
            timestamp: interface.clock.timestamp(header.ticks),
            link: interface.link,
            data: captured(interface, header.captured, room)?,
            original_len: header.original,
            interface: header.interface,
        })
    }

    /// A simple packet belongs to the first interface and was cut by its snap length only.
    fn simple_packet<'a>(&self, original: u32, room: &'a [u8]) -> Result<Record<'a>, PcapError> {
        let interface = self.interface(0)?;
        let length = interface
            .snap_len
            .map_or(original, |snap_len| original.min(snap_len.get()));
        Ok(Record {
            timestamp: Timestamp::ZERO,
            link: interface.link,
            data: captured(interface, length, room)?,
            original_len: original,
            interface: 0,
        })
    }
}

fn captured<'a>(interface: &Interface, length: u32, room: &'a [u8]) -> Result<&'a [u8], PcapError> {
    if length > interface.captured_max {
        return Err(PcapError::RecordLength {
            expected: interface.captured_max,
            actual: length,
        });
    }
    let missing = PcapError::BlockData {
        expected: length,
        actual: room.len(),
    };
    room.get(..index(length)).ok_or(missing)
}

fn enhanced_header(fields: &mut Fields<'_>) -> Option<PacketHeader> {
    let interface = fields.u32()?;
    rest_of_header(interface, fields)
}

fn obsolete_header(fields: &mut Fields<'_>) -> Option<PacketHeader> {
    let interface = u32::from(fields.u16()?);
    let _drops = fields.u16()?;
    rest_of_header(interface, fields)
}

fn rest_of_header(interface: u32, fields: &mut Fields<'_>) -> Option<PacketHeader> {
    let (high, low) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
    let ticks = high << 32 | low;
    Some(PacketHeader {
        interface,
        ticks,
        captured: fields.u32()?,
        original: fields.u32()?,
    })
}

fn byte_order(magic: [u8; 4]) -> Result<ByteOrder, PcapError> {
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .find(|order| order.u32(magic) == BYTE_ORDER_MAGIC)
        .ok_or_else(|| PcapError::ByteOrderMagic {
            expected: BYTE_ORDER_MAGIC,
            actual: u32::from_be_bytes(magic),
        })
}

const fn too_short(kind: u32, expected: u32, actual: u32) -> PcapError {
    PcapError::BlockTooShort {
        block: kind,
        expected,
        actual,
    }
}
