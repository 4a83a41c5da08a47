//! How a command can end badly, and the exit code for it.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work: exit code 1.
    Failed(String),
    /// The configuration is wrong: exit code 2, and every problem of it.
    Configuration(Vec<String>),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Configuration(_) => ExitCode::from(2),
        }
    }
}

/// Whole lines, each ended by a newline.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => writeln!(f, "vxscope-controller: {message}"),
            Self::Configuration(problems) => {
                for problem in problems {
                    writeln!(f, "vxscope-controller: {problem}")?;
                }
                Ok(())
            }
        }
    }
}
