//! The steps of `cargo xtask ci`, in order.

use crate::sensor::ColdBuild;
use crate::step::{Outcome, Step, run_all};
use crate::workspace::{Workspace, run};
use crate::{Result, edges, pcaps, sensor, tidy, tools};

/// What the steps share.
struct Context<'a> {
    workspace: &'a Workspace,
    cold: Option<ColdBuild>,
}

impl Context<'_> {
    fn cargo(&self, arguments: &[&str]) -> Result<Outcome> {
        run(&mut self.workspace.cargo(arguments))?;
        Ok(Outcome::passed())
    }

    fn cold_build(&self) -> Result<&ColdBuild> {
        self.cold
            .as_ref()
            .ok_or_else(|| "the cold build is missing".into())
    }
}

/// Runs everything; the error names the step that failed.
pub(crate) fn run_everything(workspace: &Workspace) -> Result<()> {
    let steps = [
        Step {
            name: "tools",
            action: |_: &mut Context<'_>| tools::provide_for_tests(),
        },
        Step {
            name: "fmt",
            action: |context| context.cargo(&["fmt", "--all", "--check"]),
        },
        Step {
            name: "clippy",
            action: clippy,
        },
        Step {
            name: "edges",
            action: |context| plain(edges::check(context.workspace)),
        },
        Step {
            name: "tidy",
            action: |context| plain(tidy::check(context.workspace)),
        },
        Step {
            name: "pcaps",
            action: |context| plain(pcaps::list(context.workspace)),
        },
        Step {
            name: "test",
            action: test,
        },
        Step {
            name: "doc test",
            action: doc_test,
        },
        Step {
            name: "benches",
            action: |context| context.cargo(&["check", "--workspace", "--benches"]),
        },
        Step {
            name: "fuzz",
            action: fuzz,
        },
        Step {
            name: "cold build",
            action: cold_build,
        },
        Step {
            name: "first command",
            action: first_command,
        },
        Step {
            name: "generated pcaps",
            action: generated_pcaps,
        },
    ];
    run_all(
        &steps,
        &mut Context {
            workspace,
            cold: None,
        },
    )
}

/// Runs the tests and what they need.
pub(crate) fn run_tests(workspace: &Workspace) -> Result<()> {
    let steps = [
        Step {
            name: "tools",
            action: |_: &mut Context<'_>| tools::provide_for_tests(),
        },
        Step {
            name: "test",
            action: test,
        },
        Step {
            name: "doc test",
            action: doc_test,
        },
    ];
    run_all(
        &steps,
        &mut Context {
            workspace,
            cold: None,
        },
    )
}

fn plain(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::passed())
}

fn clippy(context: &mut Context<'_>) -> Result<Outcome> {
    context.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])
}

fn test(context: &mut Context<'_>) -> Result<Outcome> {
    if tools::program("cargo-nextest").is_ok() {
        context.cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        context.cargo(&["test", "--workspace", "--tests", "--no-fail-fast"])
    }
}

fn doc_test(context: &mut Context<'_>) -> Result<Outcome> {
    context.cargo(&["test", "--workspace", "--doc", "--no-fail-fast"])
}

/// The fuzz targets need unstable flags, hence a target folder of their own: sharing one would
/// build everything anew on each change of sides.
fn fuzz(context: &mut Context<'_>) -> Result<Outcome> {
    let manifest = context.workspace.path("fuzz/Cargo.toml");
    if !manifest.is_file() {
        return Ok(Outcome::Skipped("fuzz/ has no manifest".to_owned()));
    }
    let mut command = context
        .workspace
        .cargo(&["check", "--manifest-path", "fuzz/Cargo.toml"]);
    command.env("RUSTC_BOOTSTRAP", "1");
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        command.env(
            "CARGO_TARGET_DIR",
            std::path::Path::new(&target).join("fuzz"),
        );
    }
    run(&mut command)?;
    Ok(Outcome::passed())
}

fn cold_build(context: &mut Context<'_>) -> Result<Outcome> {
    let (build, remark) = ColdBuild::new(context.workspace)?;
    context.cold = Some(build);
    Ok(Outcome::Passed(remark))
}

fn first_command(context: &mut Context<'_>) -> Result<Outcome> {
    let binary = context.cold_build()?.binary();
    sensor::run_first_command(context.workspace, &binary).map(Outcome::Passed)
}

fn generated_pcaps(context: &mut Context<'_>) -> Result<Outcome> {
    let binary = context.cold_build()?.binary();
    plain(pcaps::check(context.workspace, &binary))
}
