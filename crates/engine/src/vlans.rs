//! The VLAN ids of a run: taken over from the run before, written down as they are given.

use std::path::PathBuf;

use vxscope_config::{Config, VlanMode};
use vxscope_export::{ExportError, OutputDir, VlanBook};
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
        })
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
