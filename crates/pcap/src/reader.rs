//! One reader for both formats: it learns which from the first bytes.

use vxscope_units::{LinkType, Timestamp};

use crate::classic::Classic;
use crate::error::{Compression, PcapError};
use crate::pcapng::Section;

/// One captured packet; the bytes stay where the caller has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was captured; [`Timestamp::ZERO`] in a pcapng simple packet block.
    pub timestamp: Timestamp,
    /// What `data` starts with.
    pub link: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes on the wire; as written in the file, which may be less than `data.len()`.
    pub original_len: u32,
    /// Interface within its pcapng section, counted from 0; 0 in pcap.
    pub interface: u32,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A packet; the input continues `consumed` bytes later.
    Record {
        /// Length of the record with its header.
        consumed: usize,
        /// The packet.
        record: Record<'a>,
    },
    /// A file header or a block without a packet.
    Skip {
        /// Its length.
        consumed: usize,
    },
    /// The input must be longer; nothing was consumed.
    NeedMore {
        /// Bytes from the front of `input` that are required to go on; always more than there
        /// were, at most the longest block (16 MiB for network links).
        needed: usize,
    },
}

/// What [`Reader::read_many`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Many {
    /// How many places, from the first on, hold records.
    pub records: usize,
    /// Length of these records with their headers, and of the blocks between them.
    pub consumed: usize,
}

/// Reads pcap (µs, ns, both byte orders, the 24-byte record headers of Kuznetzov's libpcap, the
/// swapped lengths of version 2.2 and older) and pcapng (all packet blocks, several sections).
///
/// After an error it stays where it is: reading the same bytes again gives the same error.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    offset: u64,
    format: Format,
}

#[derive(Clone, Debug, Default)]
enum Format {
    #[default]
    Unknown,
    Classic(Classic),
    Ng(Section),
}

impl Reader {
    /// A reader at the start of an input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes consumed so far: where the `input` of the next `read` starts.
    #[must_use]
    #[inline]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What `input` starts with; `input` continues where the last step ended.
    ///
    /// # Errors
    /// The bytes at [`offset`](Self::offset) are malformed or of another format.
    #[inline]
    pub fn read<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, PcapError> {
        let step = match &mut self.format {
            Format::Classic(classic) => classic.record(input)?,
            Format::Ng(section) => section.block(input)?,
            Format::Unknown => self.start(input)?,
        };
        match step {
            Step::Record { consumed, .. } | Step::Skip { consumed } => {
                self.offset = self.offset.saturating_add(consumed as u64);
            }
            Step::NeedMore { .. } => {}
        }
        Ok(step)
    }

    /// Reads records into `places` until they are full or `input` does not go on with a whole
    /// record; then `read` says what it goes on with. Faster than one by one.
    #[inline]
    pub fn read_many<'a>(&mut self, input: &'a [u8], places: &mut [Record<'a>]) -> Many {
        let many = match &mut self.format {
            Format::Classic(classic) => classic.records(input, places),
            Format::Ng(section) => section.records(input, places),
            Format::Unknown => Many {
                records: 0,
                consumed: 0,
            },
        };
        self.offset = self.offset.saturating_add(many.consumed as u64);
        many
    }

    /// At the end of the input: checks that it ends where a record does. `rest` is what is left
    /// after `read` has asked for more.
    ///
    /// # Errors
    /// [`PcapError::Truncated`] if bytes are left, [`PcapError::Empty`] if there never were any,
    /// [`PcapError::NoInterface`] for a pcapng file that describes no interface.
    pub fn finish(&self, rest: &[u8]) -> Result<(), PcapError> {
        if !rest.is_empty() {
            return match self.clone().read(rest)? {
                Step::NeedMore { needed } => Err(PcapError::Truncated {
                    expected: needed,
                    actual: rest.len(),
                }),
                Step::Record { .. } | Step::Skip { .. } => Ok(()),
            };
        }
        match &self.format {
            Format::Unknown => Err(PcapError::Empty),
            Format::Ng(section) if !section.had_interface() => Err(PcapError::NoInterface),
            Format::Classic(_) | Format::Ng(_) => Ok(()),
        }
    }

    #[cold]
    fn start<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, PcapError> {
        let Some(magic) = input.first_chunk::<4>() else {
            return Ok(Step::NeedMore { needed: 4 });
        };
        if *magic == Section::MAGIC {
            let mut section = Section::new();
            let step = section.block(input)?;
            if matches!(step, Step::Skip { .. }) {
                self.format = Format::Ng(section);
            }
            return Ok(step);
        }
        if let Some(format) = Compression::detect(*magic) {
            return Err(PcapError::Compressed { format });
        }
        let Some(variant) = Classic::variant(*magic) else {
            return Err(PcapError::Magic { actual: *magic });
        };
        let Some(header) = input.first_chunk::<{ Classic::FILE_HEADER_BYTES }>() else {
            return Ok(Step::NeedMore {
                needed: Classic::FILE_HEADER_BYTES,
            });
        };
        self.format = Format::Classic(Classic::parse(variant, header)?);
        Ok(Step::Skip {
            consumed: header.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Step};
    use crate::error::{Compression, PcapError};

    #[test]
    fn an_empty_input_is_not_a_capture() {
        assert_eq!(Reader::new().read(&[]), Ok(Step::NeedMore { needed: 4 }));
        assert_eq!(Reader::new().finish(&[]), Err(PcapError::Empty));
    }

    #[test]
    fn a_fragment_of_a_file_header_is_truncated() {
        let fragment = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0];
        assert_eq!(
            Reader::new().read(&fragment),
            Ok(Step::NeedMore { needed: 24 })
        );
        let truncated = PcapError::Truncated {
            expected: 24,
            actual: 6,
        };
        assert_eq!(Reader::new().finish(&fragment), Err(truncated));
    }

    #[test]
    fn compressed_and_foreign_files_are_named() {
        check(&[0x1f, 0x8b, 8, 8], Compression::Gzip, "gzip");
        check(&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd, "zstd");
        check(&[0xfd, 0x37, 0x7a, 0x58, 0x5a], Compression::Xz, "xz");
        check(b"BZh91AY", Compression::Bzip2, "bzip2");
        check(&[0x04, 0x22, 0x4d, 0x18], Compression::Lz4, "lz4");
        let foreign = Reader::new().read(b"<!DOCTYPE html>").unwrap_err();
        assert_eq!(foreign, PcapError::Magic { actual: *b"<!DO" });
        assert!(foreign.to_string().contains("0x3c21444f"), "{foreign}");
    }

    fn check(input: &[u8], format: Compression, name: &str) {
        let error = Reader::new().read(input).unwrap_err();
        assert_eq!(error, PcapError::Compressed { format });
        assert!(
            error
                .to_string()
                .contains(&format!("decompress it first ({name} -dc")),
            "{error}"
        );
    }
}
