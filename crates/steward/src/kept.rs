//! `learned.ndjson`: what was learned of sources, in lines that outlive a process.
//!
//! ```text
//!  {"learned":1,"seed":…}                 the seed of all hashes, if there are any
//!  {"outer_ip":…,"vni":…,"at":…,…}        each source
//!  {"lines":2,"checksum":…}               the end: a file without it is cut
//! ```

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vxscope_control::journal::crc32;
use vxscope_units::{MirrorSource, Timestamp, Vni};

use crate::past::Learned;

/// The file's name.
pub const LEARNED_FILE: &str = "learned.ndjson";
/// What one that cannot be read is called from then on; an older one is replaced.
pub const LEARNED_ASIDE: &str = "learned.unreadable";
/// Sources in a file. Reached: further ones are new after a restart; a longer file is damaged.
pub const LEARNED_MAX: usize = 16_384;

const VERSION: u32 = 1;
/// What is older is forgotten: as long as "first seen" reaches.
const KEPT_SECONDS: u64 = 14 * 86_400;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    learned: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lines: u64,
    checksum: u32,
}

/// What was learned of one source: by a sensor from its traffic (`S`), and by the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept<S> {
    /// Whose: outer source address.
    pub outer_ip: IpAddr,
    /// And network identifier.
    pub vni: u32,
    /// When the policy had learned this, seconds since 1970.
    pub at: u64,
    /// By the sensor.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub seen: Option<S>,
    /// By the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Learned>,
}

impl<S> Kept<S> {
    /// Nothing yet.
    #[must_use]
    pub fn new(source: MirrorSource, at: u64) -> Self {
        Self {
            outer_ip: source.address,
            vni: source.vni.get(),
            at,
            seen: None,
            policy: None,
        }
    }

    /// Whose it is; `None` if its VNI is none.
    #[must_use]
    pub fn source(&self) -> Option<MirrorSource> {
        Some(MirrorSource {
            address: self.outer_ip,
            vni: Vni::try_new(self.vni)?,
        })
    }

    /// Whether what the policy learned still counts.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.at.abs_diff(now.seconds()) < KEPT_SECONDS
    }
}

/// What the lines so far add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    lines: u64,
    checksum: u32,
}

impl Sum {
    /// Each line counts with all before it.
    fn add(&mut self, line: &[u8]) {
        let chain = [&self.checksum.to_be_bytes(), line].concat();
        self.checksum = crc32(&chain);
    }
}

/// Makes the lines of a file, each without its newline.
#[derive(Debug)]
pub struct LearnedWriter(Sum);

impl LearnedWriter {
    /// With the first line.
    #[must_use]
    pub fn begin(seed: Option<u64>) -> (Self, String) {
        let mut sum = Sum::default();
        let learned = VERSION;
        let line = line_of(&Head { learned, seed });
        sum.add(line.as_bytes());
        (Self(sum), line)
    }

    /// The line of a source.
    #[must_use]
    pub fn line<S: Serialize>(&mut self, kept: &Kept<S>) -> String {
        let line = line_of(kept);
        self.0.add(line.as_bytes());
        self.0.lines += 1;
        line
    }

    /// The last line.
    #[must_use]
    pub fn end(self) -> String {
        let Sum { lines, checksum } = self.0;
        line_of(&End { lines, checksum })
    }
}

/// A line. Nothing here has a key that is no text, which is all that can fail.
fn line_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum LearnedLine<S> {
    /// The seed of all hashes, if there is one.
    Head(Option<u64>),
    /// A source.
    Source(Box<Kept<S>>),
    /// The file is complete.
    End,
}

/// Reads the lines of a file, each without its newline.
#[derive(Debug, Default)]
pub struct LearnedReader {
    sum: Sum,
    began: bool,
}

impl LearnedReader {
    /// The next line.
    ///
    /// # Errors
    /// What is wrong with it, for people; nothing in the file counts then.
    pub fn read<S: DeserializeOwned>(&mut self, line: &[u8]) -> Result<LearnedLine<S>, String> {
        if !self.began {
            self.began = true;
            return self.head(line).map(LearnedLine::Head);
        }
        if let Ok(end) = serde_json::from_slice::<End>(line) {
            let Sum { lines, checksum } = self.sum;
            let is_whole = (end.lines, end.checksum) == (lines, checksum);
            let wrong = || "its checksum is wrong".to_owned();
            return is_whole.then_some(LearnedLine::End).ok_or_else(wrong);
        }
        self.sum.lines += 1;
        let number = self.sum.lines + 1;
        if self.sum.lines > 2 * LEARNED_MAX as u64 {
            return Err("it has more sources than there can be".to_owned());
        }
        self.sum.add(line);
        let kept: Kept<S> =
            serde_json::from_slice(line).map_err(|error| format!("line {number}: {error}"))?;
        kept.source().ok_or_else(|| format!("line {number}: vni"))?;
        Ok(LearnedLine::Source(Box::new(kept)))
    }

    fn head(&mut self, line: &[u8]) -> Result<Option<u64>, String> {
        let head: Head =
            serde_json::from_slice(line).map_err(|error| format!("line 1: {error}"))?;
        if head.learned != VERSION {
            return Err(format!(
                "version {}, this program reads {VERSION}",
                head.learned
            ));
        }
        self.sum.add(line);
        Ok(head.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_damage_is_noticed() {
        let (mut writer, head) = LearnedWriter::begin(Some(7));
        let mut lines = vec![head];
        for vni in [1, 2] {
            let kept = Kept {
                seen: Some(vni),
                policy: (vni == 2).then(Learned::default),
                ..Kept::new(source(vni), 1_000)
            };
            lines.push(writer.line(&kept));
        }
        lines.push(writer.end());
        let text = lines.join("\n");
        let all = vec![(1, Some(1), false), (2, Some(2), true)];
        assert_eq!(read(text.as_bytes()), Ok((Some(7), all)));
        for cut in 0..text.len() {
            assert!(read(&text.as_bytes()[..cut]).is_err(), "{cut}");
        }
        for place in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[place] ^= 1;
            assert!(read(&damaged).is_err(), "{place}");
        }
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let kept: Kept<()> = Kept::new(source(1), 1_000);
        assert!(kept.is_fresh(Timestamp::new(2_000, 0)));
        assert!(!kept.is_fresh(Timestamp::new(1_000 + KEPT_SECONDS, 0)));
    }

    /// A file's seed, and of each source the VNI, what was seen, and whether the policy learned.
    type All = (Option<u64>, Vec<(u32, Option<u32>, bool)>);

    fn read(text: &[u8]) -> Result<All, String> {
        let mut reader = LearnedReader::default();
        let (mut seed, mut all) = (None, Vec::new());
        for line in text.split(|byte| *byte == b'\n') {
            match reader.read(line)? {
                LearnedLine::Head(head) => seed = head,
                LearnedLine::Source(kept) => {
                    all.push((kept.vni, kept.seen, kept.policy.is_some()));
                }
                LearnedLine::End => return Ok((seed, all)),
            }
        }
        Err("it is cut off".to_owned())
    }

    fn source(vni: u32) -> MirrorSource {
        MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(vni).expect("small"),
        }
    }
}
