//! Where a process may write: in folders of its own, and nowhere else, whoever takes it over.
//!
//! Landlock holds for the thread that asks and those that it starts afterwards. Reading is left
//! alone: it takes no write to give away what is read.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};

/// The kernel refuses a rule, or a folder has gone.
type Wrong = Box<dyn std::error::Error>;

/// Of Linux 6.2; an older one does what it can.
const KNOWN: ABI = ABI::V3;

/// From now on this thread writes, makes and removes files in these folders alone, which must be
/// there, and writes to these files. What could not be done, for people; `who` is the process.
#[must_use]
pub fn write_only_in(who: &str, folders: &[PathBuf], files: &[PathBuf]) -> Option<String> {
    match restrict(folders, files) {
        Ok(RulesetStatus::FullyEnforced) => None,
        Ok(RulesetStatus::PartiallyEnforced) => Some(format!(
            "this kernel keeps the {who} from some writes outside its folders, not from all"
        )),
        Ok(RulesetStatus::NotEnforced) => Some(format!(
            "this kernel has no Landlock: files outside the {who}'s folders are protected by \
             their modes alone"
        )),
        Err(error) => Some(format!("the {who} may write everywhere: {error}")),
    }
}

fn restrict(folders: &[PathBuf], files: &[PathBuf]) -> Result<RulesetStatus, Wrong> {
    let writing = AccessFs::from_write(KNOWN);
    let rules = folders.iter().map(|it| rule(it, writing));
    // A file that is not there, such as that of a module which is not loaded, cannot be written.
    let files = files.iter().filter(|it| it.exists());
    let files = files.map(|it| rule(it, AccessFs::WriteFile | AccessFs::Truncate));
    let restricted = Ruleset::default()
        .handle_access(writing)?
        .create()?
        .add_rules(rules.chain(files))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

fn rule(path: &Path, access: impl Into<BitFlags<AccessFs>>) -> Result<PathBeneath<PathFd>, Wrong> {
    Ok(PathBeneath::new(PathFd::new(path)?, access))
}
