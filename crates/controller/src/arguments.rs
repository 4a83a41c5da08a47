//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::export::Format;

/// Keeps VPC Traffic Mirror sessions in step with tags and policy.
///
/// Credentials come by AWS's standard chain; `AWS_ENDPOINT_URL` is honoured. `VXSCOPE_LOG=info`
/// tells more.
#[derive(Debug, Parser)]
#[command(name = "vxscope-controller", version)]
pub(crate) struct Arguments {
    /// The configuration.
    #[arg(
        long,
        short,
        global = true,
        default_value = "/etc/vxscope/controller.toml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keeps sessions as they should be; without --apply it only says what it would do.
    Run {
        /// Ends when everything is as it should be.
        #[arg(long)]
        once: bool,
        /// Really makes, changes and deletes sessions.
        #[arg(long)]
        apply: bool,
        /// With --once: gives up after so many seconds.
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        within: u64,
    },
    /// Shows what `run --apply` would do now, and what it costs a month.
    Plan {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Brings everything back now; the running controller lowers nothing until `release`.
    ResumeAll,
    /// Deletes every session of ours, and lets none be made until `release`.
    StopAll {
        /// Why, for those who will wonder.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Ends what `stop-all` and `resume-all` began.
    Release,
    /// Brings back whoever is overdue, from what is left in the account; independent of the
    /// controller.
    Reap {
        /// Again and again, every so many seconds; once if absent.
        #[arg(long, value_name = "SECONDS")]
        every: Option<u64>,
    },
    /// Prints the policy that the controller's role needs.
    IamPolicy {
        /// With what is needed until filters and targets are there.
        #[arg(long)]
        setup: bool,
        /// Asks EC2, which changes nothing, whether the role has what it needs.
        #[arg(long, conflicts_with = "setup")]
        check: bool,
    },
    /// Prints the sessions that should be there for another tool, or what belongs beside the
    /// controller.
    Export {
        /// Which.
        format: Format,
        /// The name of the controller's role, for rules about calls of others.
        #[arg(long, default_value = "vxscope-controller", value_name = "NAME")]
        role: String,
    },
    /// Shows how the running controller stands.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}
