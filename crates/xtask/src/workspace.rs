//! Where the repository is, how cargo is called in it, and which files belong to it.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the checkout this command was started in.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Walks up from the current directory to the folder that holds `crates/xtask`.
    pub(crate) fn find() -> Result<Self> {
        let start = std::env::current_dir()?;
        start
            .ancestors()
            .find(|folder| folder.join("crates/xtask/Cargo.toml").is_file())
            .map(|root| Self {
                root: root.to_path_buf(),
            })
            .ok_or_else(|| {
                format!("{} is not inside the vxscope repository", start.display()).into()
            })
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A cargo command in the root, the same cargo that started us.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null());
        command
    }

    /// Files that are tracked, or new and not ignored, relative to the root and in order.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        // CI may run as another user than the one who cloned.
        git.args(["-c", "safe.directory=*", "ls-files", "-z"])
            .args(["--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root);
        let listing = text_of(&mut git)?;
        let mut files: Vec<PathBuf> = listing
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .filter(|name| self.root.join(name).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Runs a command with our own standard output; a non-zero exit is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = describe(command);
    println!("$ {shown}");
    let status = command
        .status()
        .map_err(|error| format!("{shown}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` ended with {status}").into())
    }
}

/// Runs a command quietly and returns its standard output; on failure the error holds its stderr.
pub(crate) fn text_of(command: &mut Command) -> Result<String> {
    let shown = describe(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "`{shown}` ended with {}: {}",
            output.status,
            complaint.trim()
        )
        .into())
    }
}

/// The command as one would type it, with the program's folder left out.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_else(|| command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
