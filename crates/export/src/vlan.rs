//! Which VLAN tag tells the readers of frames whose they are.
//!
//! Suricata, Zeek (with `vlan_fivetuple`) and Arkime have no VNI in their flow keys but do have
//! the VLAN ids, so a tag is the one encoding that keeps overlapping tenants apart in all three.

use std::collections::HashMap;

use vxscope_units::{MirrorSource, Vni};

use crate::vlan_book::VlanBook;

const TPID_CUSTOMER: [u8; 2] = [0x81, 0x00];
const TPID_SERVICE: [u8; 2] = [0x88, 0xa8];

/// `export.decap.vlan`, `handoff.vlan`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VlanMode {
    /// Frames as they were mirrored. Sources with overlapping addresses become one.
    #[default]
    None,
    /// One 802.1Q tag, an id per mirror source: as listed, else in order of first appearance.
    /// Sources beyond the 4,094 ids there are lose their frames to this sink (`vlan_exhausted`).
    Map,
    /// The whole VNI in two tags: 802.1ad with its upper 12 bits, then 802.1Q with the lower 12.
    /// Sources that share a VNI share the tags.
    QinQ,
}

/// The tag bytes to insert after the MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    None,
    Single([u8; 4]),
    Double([u8; 8]),
}

impl Tag {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Single(bytes) => bytes,
            Self::Double(bytes) => bytes,
        }
    }
}

/// How an output tells sources apart: the mode, and the book that all outputs of a run share, so
/// that one source has one id everywhere.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// How.
    pub mode: VlanMode,
    /// Who has which id ([`VlanMode::Map`]).
    pub book: VlanBook,
}

/// With a book of its own.
impl From<VlanMode> for Tags {
    fn from(mode: VlanMode) -> Self {
        Self {
            mode,
            book: VlanBook::default(),
        }
    }
}

/// Finds each source's tag.
#[derive(Debug, Default)]
pub(crate) struct Tagger {
    tags: Tags,
    /// What the book said, so that it is asked once for each source.
    ids: HashMap<MirrorSource, u16>,
    last: Option<(MirrorSource, u16)>,
}

impl Tagger {
    pub(crate) fn new(tags: Tags) -> Self {
        Self {
            tags,
            ids: HashMap::new(),
            last: None,
        }
    }

    pub(crate) fn mode(&self) -> VlanMode {
        self.tags.mode
    }

    /// `None` when a new source finds no free id.
    pub(crate) fn tag(&mut self, source: MirrorSource) -> Option<Tag> {
        match self.tags.mode {
            VlanMode::None => Some(Tag::None),
            VlanMode::Map => Some(Tag::Single(customer(self.id(source)?))),
            VlanMode::QinQ => Some(Tag::Double(double(source.vni))),
        }
    }

    fn id(&mut self, source: MirrorSource) -> Option<u16> {
        // Frames come in bursts of one source.
        if let Some((last, id)) = self.last
            && last == source
        {
            return Some(id);
        }
        let id = match self.ids.get(&source) {
            Some(id) => *id,
            None => {
                let id = self.tags.book.id(source)?;
                self.ids.insert(source, id);
                id
            }
        };
        self.last = Some((source, id));
        Some(id)
    }
}

fn customer(id: u16) -> [u8; 4] {
    let ([t0, t1], [i0, i1]) = (TPID_CUSTOMER, id.to_be_bytes());
    [t0, t1, i0, i1]
}

fn double(vni: Vni) -> [u8; 8] {
    let ([s0, s1], [c0, c1]) = (TPID_SERVICE, TPID_CUSTOMER);
    let [_, high, middle, low] = vni.get().to_be_bytes();
    [
        s0,
        s1,
        high >> 4,
        (high << 4) | (middle >> 4),
        c0,
        c1,
        middle & 0x0f,
        low,
    ]
}

#[cfg(test)]
mod tests {
    use vxscope_units::Vni;

    use super::{Tag, Tagger, Tags, VlanMode, double};
    use crate::testing::source;

    #[test]
    fn two_tags_hold_the_whole_vni() {
        for vni in [0, 1, 4_095, 4_096, 5_569_041, 0xabc_def, (1 << 24) - 1] {
            let [0x88, 0xa8, a, b, 0x81, 0x00, c, d] = double(Vni::try_new(vni).unwrap()) else {
                panic!("tag types of {vni}");
            };
            let outer = u32::from(u16::from_be_bytes([a, b]));
            let inner = u32::from(u16::from_be_bytes([c, d]));
            assert!(outer < 4_096 && inner < 4_096);
            assert_eq!(outer << 12 | inner, vni);
        }
    }

    #[test]
    fn taggers_with_one_book_agree() {
        let tags = Tags::from(VlanMode::Map);
        let (mut one, mut other) = (Tagger::new(tags.clone()), Tagger::new(tags.clone()));
        assert_eq!(one.tag(source(70)), Some(Tag::Single([0x81, 0, 0, 1])));
        assert_eq!(other.tag(source(20)), Some(Tag::Single([0x81, 0, 0, 2])));
        assert_eq!(other.tag(source(70)), Some(Tag::Single([0x81, 0, 0, 1])));
        assert_eq!(one.tag(source(20)), Some(Tag::Single([0x81, 0, 0, 2])));
        assert_eq!(tags.book.mapping(), [(1, source(70)), (2, source(20))]);
    }
}
