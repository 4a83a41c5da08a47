//! What a running controller is told, through a file in its folder.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vxscope_steward::Command;

use crate::store::{read_json, replace};

const FILE: &str = "order.json";

/// What somebody wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Bring everything back, and lower nothing until released.
    ResumeAll,
    /// Lower again.
    Release,
}

impl Order {
    pub(crate) const fn command(self) -> Command {
        match self {
            Self::ResumeAll => Command::ResumeAll,
            Self::Release => Command::Release,
        }
    }
}

/// The last one that is given holds.
pub(crate) fn give(folder: &Path, order: Order) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let text = serde_json::to_vec(&order).map_err(io::Error::other)?;
    replace(&folder.join(FILE), &text)
}

/// Takes the order, if there is one. One that nobody can read is none.
pub(crate) fn take(folder: &Path) -> Option<Order> {
    let path = folder.join(FILE);
    if !path.exists() {
        return None;
    }
    let order = read_json(&path);
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::error!(%error, "the order cannot be taken");
        return None;
    }
    order.unwrap_or_else(|problem| {
        tracing::error!("{problem}");
        None
    })
}
