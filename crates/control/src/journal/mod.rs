//! What must be known after a crash: who was lowered, since when, and how to bring it back.
//!
//! A deleted session leaves no trace with EC2, so its intent is written, and on the disk, before
//! the call. The journal is a text of lines, `checksum record`, that only grows; whoever owns the
//! file writes and syncs, here are only bytes.
//!
//! ```
//! use vxscope_control::journal::{Damage, Record, encode, replay};
//!
//! let mut bytes = Vec::new();
//! encode(&Record::Begin { schema: 1, epoch: 7 }, &mut bytes);
//! encode(&Record::Gone { interface: "eni-1".into() }, &mut bytes);
//! let whole = bytes.len();
//! assert_eq!(replay(&bytes).damage, Damage::None);
//!
//! // A crash tore the last line: it never counted.
//! bytes.truncate(whole - 3);
//! assert!(matches!(replay(&bytes).damage, Damage::TornTail { .. }));
//! ```

mod checksum;
mod memory;
mod record;

pub use memory::{Entry, Memory};
pub use record::{Hidden, Pending, Record, SCHEMA, Saved};

pub use checksum::crc32;

/// Bytes after which [`Memory::records`] should replace the journal. A fleet of 10,000 takes about
/// 5 MiB.
pub const COMPACT_BYTES: usize = 16 << 20;

/// What replay made of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// What the readable records say.
    pub memory: Memory,
    /// Whether all of them are readable.
    pub damage: Damage,
}

/// What is wrong with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    None,
    /// The last line is not whole: cut the file here, and go on.
    TornTail {
        /// Bytes that are whole.
        keep: usize,
    },
    /// A line that is not the last cannot be read, so nobody knows what else is missing:
    /// everything is resumed, and nothing deleted.
    Unreadable {
        /// Bytes before it.
        offset: usize,
    },
}

/// Appends one record as a line.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    // Records have string keys only and no numbers that JSON lacks.
    let text = serde_json::to_vec(record).unwrap_or_default();
    out.extend_from_slice(format!("{:08x} ", crc32(&text)).as_bytes());
    out.extend_from_slice(&text);
    out.push(b'\n');
}

/// Reads a journal from its beginning.
#[must_use]
pub fn replay(bytes: &[u8]) -> Replay {
    let mut memory = Memory::default();
    let mut offset = 0;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = end.and_then(|end| rest.get(..end));
        let Some(record) = line.and_then(decode) else {
            let last = end.is_none_or(|end| end + 1 == rest.len());
            let damage = if last {
                Damage::TornTail { keep: offset }
            } else {
                Damage::Unreadable { offset }
            };
            return Replay { memory, damage };
        };
        memory.handle(&record);
        offset += end.map_or(rest.len(), |end| end + 1);
    }
    let damage = Damage::None;
    Replay { memory, damage }
}

fn decode(line: &[u8]) -> Option<Record> {
    let (checksum, text) = line.split_at_checked(9)?;
    let checksum = checksum.strip_suffix(b" ")?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    if checksum != crc32(text) {
        return None;
    }
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vxscope_units::{EvidenceClass, Grade};

    use crate::mirror::Settings;

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_whole_record() {
        let records = records();
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for record in &records {
            encode(record, &mut bytes);
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let mut memory = Memory::default();
            records
                .iter()
                .take(whole)
                .for_each(|one| memory.handle(one));
            let replay = replay(&bytes[..cut]);
            assert_eq!(replay.memory, memory, "cut at {cut}");
            let damage = if ends.contains(&cut) {
                Damage::None
            } else {
                Damage::TornTail { keep: ends[whole] }
            };
            assert_eq!(replay.damage, damage, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_is_never_believed() {
        let mut bytes = Vec::new();
        records()
            .iter()
            .for_each(|record| encode(record, &mut bytes));
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        for at in 0..first {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x04;
            assert_eq!(
                replay(&damaged).damage,
                Damage::Unreadable { offset: 0 },
                "{at}"
            );
        }
    }

    #[test]
    fn a_compacted_journal_says_the_same() {
        let mut memory = Memory::default();
        records().iter().for_each(|record| memory.handle(record));
        let mut bytes = Vec::new();
        memory
            .records()
            .iter()
            .for_each(|record| encode(record, &mut bytes));
        assert_eq!(replay(&bytes).memory, memory);
        assert_eq!(memory.entries.len(), 1);
        assert_eq!(memory.generation, 9);
    }

    fn records() -> Vec<Record> {
        let saved = |interface: &str| Saved {
            interface: interface.to_owned(),
            settings: Settings {
                target: "tmt-1".to_owned(),
                filter: "tmf-1".to_owned(),
                number: 1,
                vni: Some(77),
                ..Settings::default()
            },
            tags: [("owner".to_owned(), "me \"quoted\" \u{7f}".to_owned())].into(),
        };
        let hidden = |at| Hidden([Some(at); EvidenceClass::COUNT]);
        vec![
            Record::Begin {
                schema: SCHEMA,
                epoch: 3,
            },
            Record::Lower {
                generation: 7,
                at: 1_000,
                saved: saved("eni-1"),
                grade: Grade::Off,
                hidden: hidden(1_000),
            },
            Record::Lower {
                generation: 8,
                at: 2_000,
                saved: saved("eni-2"),
                grade: Grade::Off,
                hidden: hidden(2_000),
            },
            Record::Raise {
                generation: 9,
                at: 3_000,
                saved: saved("eni-2"),
                grade: Grade::Full,
                create: Some(Pending {
                    token: "t-9".to_owned(),
                    settings: Settings::default(),
                }),
            },
            Record::Pin {
                interface: "eni-1".to_owned(),
                until: 9_000,
            },
            Record::Seen {
                interface: "eni-2".to_owned(),
                at: 4_000,
                grade: Grade::Full,
            },
            Record::Gone {
                interface: "eni-2".to_owned(),
            },
        ]
    }
}
