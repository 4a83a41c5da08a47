//! Whose flow an alert is about: what the VLAN tags say that we gave its frame.

use vxscope_config::{Config, VlanMode};
use vxscope_export::VlanBook;
use vxscope_units::{MirrorSource, Vni};

/// How tags are read.
#[derive(Clone, Debug)]
pub(crate) struct Tenants {
    mode: VlanMode,
    book: VlanBook,
}

/// What tags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nothing.
    Anybodys,
    /// Sources of this VNI.
    Vni(Vni),
    /// One of these; none if the tag was given to nobody.
    Sources(Vec<MirrorSource>),
}

impl Tenants {
    /// As frames are tagged for other programs: by `handoff.vlan`, else by `export.decap.vlan`.
    pub(crate) fn new(config: &Config, book: VlanBook) -> Self {
        let mode = match config.handoff.vlan {
            VlanMode::None => config.export.decap.vlan,
            mode => mode,
        };
        Self { mode, book }
    }

    /// Whose frame bears these ids, outermost first.
    pub(super) fn whose(&self, vlan: &[u16]) -> Whose {
        match (self.mode, vlan) {
            (VlanMode::Map, [id, ..]) => Whose::Sources(self.book.sources(*id)),
            (VlanMode::Qinq, [outer, inner, ..]) => {
                let vni = u32::from(*outer) << 12 | u32::from(*inner & 0xfff);
                Vni::try_new(vni).map_or(Whose::Anybodys, Whose::Vni)
            }
            _ => Whose::Anybodys,
        }
    }
}

impl Whose {
    pub(super) fn has(&self, source: MirrorSource) -> bool {
        match self {
            Self::Anybodys => true,
            Self::Vni(vni) => *vni == source.vni,
            Self::Sources(sources) => sources.contains(&source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_whose() {
        let book = VlanBook::default();
        let source = MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(0xabc_def).unwrap(),
        };
        let id = book.id(source).unwrap();
        let mode = |mode| Tenants {
            mode,
            book: book.clone(),
        };
        let (map, qinq) = (mode(VlanMode::Map), mode(VlanMode::Qinq));
        assert_eq!(map.whose(&[id, 7]), Whose::Sources(vec![source]));
        assert_eq!(map.whose(&[id + 1]), Whose::Sources(vec![]));
        assert_eq!(qinq.whose(&[0xabc, 0xdef]), Whose::Vni(source.vni));
        assert_eq!(qinq.whose(&[7]), Whose::Anybodys);
        assert_eq!(map.whose(&[]), Whose::Anybodys);
        assert_eq!(mode(VlanMode::None).whose(&[id]), Whose::Anybodys);
    }
}
