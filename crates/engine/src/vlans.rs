//! The VLAN ids of a run: taken over from the run before, given in the order of the input, written
//! down as they are given.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use vxscope_config::{Config, ExportKind, VlanMode};
use vxscope_export::{ExportError, FrameChunk, OutputDir, VlanBook};
use vxscope_units::MirrorSource;

use crate::error::EngineError;
use crate::plan;

/// The file's name in the folder of the outputs, if nothing else is configured.
const FILE: &str = "vlans.json";

/// See the module.
#[derive(Debug)]
pub(crate) struct Vlans {
    pub(crate) book: VlanBook,
    /// Where it is kept, if some output gives ids.
    file: Option<PathBuf>,
    error: Option<ExportError>,
    /// Whether sources get ids before any sink asks.
    introduces: bool,
    known: BTreeSet<MirrorSource>,
    last: Option<MirrorSource>,
}

/// Whether some output tags frames with ids of the book.
fn is_tagged(config: &Config) -> bool {
    config.export.kinds.iter().any(|way| match way.kind {
        ExportKind::Decap => config.export.decap.vlan == VlanMode::Map,
        // What is sent on as VXLAN has its VNI.
        ExportKind::Vxlan => false,
        kind => kind.takes_frames() && config.handoff.vlan == VlanMode::Map,
    })
}

/// The export crate's name for the configured mode.
pub(crate) fn mode(mode: VlanMode) -> vxscope_export::VlanMode {
    match mode {
        VlanMode::None => vxscope_export::VlanMode::None,
        VlanMode::Map => vxscope_export::VlanMode::Map,
        VlanMode::Qinq => vxscope_export::VlanMode::QinQ,
    }
}

impl Vlans {
    /// A live run goes on with the ids of the one before. A replay does not: its outputs depend on
    /// nothing but its input and configuration.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub(crate) fn open(
        config: &Config,
        dir: &OutputDir,
        is_live: bool,
    ) -> Result<Self, EngineError> {
        let book = VlanBook::new(plan::listed(config)?);
        let modes = [config.export.decap.vlan, config.handoff.vlan];
        let file =
            modes
                .contains(&VlanMode::Map)
                .then(|| match config.handoff.vlan_file.as_str() {
                    "" => dir.path().join(FILE),
                    path => PathBuf::from(path),
                });
        if let Some(file) = file.as_ref().filter(|_| is_live) {
            book.restore(file)?;
        }
        Ok(Self {
            book,
            file,
            error: None,
            introduces: is_tagged(config),
            known: BTreeSet::new(),
            last: None,
        })
    }

    /// Gives the sources of these frames their ids before the sinks ask: each has a thread and sheds
    /// what it cannot use, so which of them asks first is chance.
    pub(crate) fn introduce(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        if !self.introduces {
            return;
        }
        for source in chunk.frames(positions).map(|frame| frame.source) {
            if self.last.replace(source) != Some(source) && self.known.insert(source) {
                // Once there is none left, nobody has to be remembered.
                self.introduces = self.book.id(source).is_some();
            }
        }
    }

    /// Writes down what was given since the last time.
    pub(crate) fn save(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = self.book.save(file)
        {
            self.error = Some(error);
        }
    }

    /// The last time; all ids, and what went wrong.
    pub(crate) fn finish(mut self) -> (Vec<(u16, MirrorSource)>, Option<ExportError>) {
        self.save();
        (self.book.mapping(), self.error)
    }
}

#[cfg(test)]
mod tests {
    use vxscope_config::{Config, ExportKind, VlanMode, Way};
    use vxscope_export::{FrameChunk, OutputDir};
    use vxscope_units::{MirrorSource, Timestamp, Vni};

    use super::Vlans;

    #[test]
    fn ids_are_given_in_the_order_of_the_input_whoever_asks_first() {
        assert_eq!(given(VlanMode::Map), [Some(1), Some(2), Some(3)]);
        assert_eq!(
            given(VlanMode::Qinq),
            [Some(3), Some(2), Some(1)],
            "as asked"
        );
    }

    /// Three sources come in order, and a sink asks for the ids of the last first.
    fn given(mode: VlanMode) -> [Option<u16>; 3] {
        let guard = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.export.kinds = vec![Way::of(ExportKind::Decap)];
        config.export.decap.vlan = mode;
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut vlans = Vlans::open(&config, &dir, false).unwrap();
        let sources = [70, 20, 90].map(|vni| MirrorSource {
            address: [192, 0, 2, 1].into(),
            vni: Vni::try_new(vni).unwrap(),
        });
        let mut chunk = FrameChunk::with_capacity(0);
        for (index, source) in (0..).zip(sources) {
            assert!(chunk.push(index, Timestamp::ZERO, source, &[0; 60], 60));
        }
        vlans.introduce(&chunk, 0..chunk.len());
        let mut ids = sources.map(|_| None);
        for (id, source) in ids.iter_mut().zip(sources).rev() {
            *id = vlans.book.id(source);
        }
        ids
    }
}
