//! How a command can end badly, and the exit code for it.

use std::fmt;
use std::process::ExitCode;

use vxscope_config::Problem;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work: exit code 1. One sentence that names the file or offset.
    Failed(String),
    /// The same, and it is in the log already.
    Logged,
    /// What was asked makes no sense: exit code 2.
    Usage(String),
    /// The configuration is wrong: exit code 2, and every problem of it.
    Configuration {
        /// The file, if there is one.
        file: Option<String>,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Logged => ExitCode::from(1),
            Self::Usage(_) | Self::Configuration { .. } => ExitCode::from(2),
        }
    }
}

/// Whole lines, each ended by a newline.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) => writeln!(f, "vxscope: {message}"),
            Self::Logged => Ok(()),
            Self::Usage(message) => writeln!(f, "vxscope: {message}\nTry `vxscope --help`."),
            Self::Configuration { file, problems } => {
                for problem in problems {
                    match (file, problem.line()) {
                        (Some(file), Some(_)) => writeln!(f, "{file}: {problem}")?,
                        _ => writeln!(f, "vxscope: {problem}")?,
                    }
                }
                let count = problems.len();
                let noun = if count == 1 { "problem" } else { "problems" };
                writeln!(
                    f,
                    "{count} {noun} in the configuration; \
                     `vxscope check-config --print-default` explains every key."
                )
            }
        }
    }
}
