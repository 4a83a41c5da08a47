//! The steps of `cargo xtask ci`, in order.

use crate::sensor::ColdBuild;
use crate::step::{Outcome, run_all, step};
use crate::workspace::{Workspace, run};
use crate::{Result, clean_root, deb, edges, heavy, pcaps, readers, sensor, tidy, tools};
use std::process::Command;

/// Where tests keep what they saw of the page and of `vxscope top`.
const PICTURES: &str = "VXSCOPE_PICTURES";

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

    /// A command over all crates but the heavy ones.
    fn light(&self, command: &[&str], rest: &[&str]) -> Result<Outcome> {
        let mut arguments = command.to_vec();
        arguments.push("--workspace");
        arguments.extend_from_slice(&heavy::excluded());
        arguments.extend(rest);
        self.cargo(&arguments)
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
        step("tools", |_: &mut Context<'_>| tools::provide_for_tests()),
        step("fmt", |context| context.cargo(&["fmt", "--all", "--check"])),
        step("clippy", clippy),
        step("edges", |context| plain(edges::check(context.workspace))),
        step("tidy", |context| plain(tidy::check(context.workspace))),
        step("pcaps", |context| plain(pcaps::list(context.workspace))),
        step("readers", |context| readers::provide(context.workspace)),
        step("test", test),
        step("doc test", doc_test),
        step("benches", |context| {
            context.light(&["check", "--benches"], &[])
        }),
        step("controller", controller),
        step("archive", archive),
        step("fuzz", fuzz),
        step("cold build", cold_build),
        step("first command", first_command),
        step("clean root", |context| {
            let binary = context.cold_build()?.binary();
            clean_root::check(context.workspace, &binary)
        }),
        step("instructions", instructions),
        step("generated pcaps", generated_pcaps),
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
        step("tools", |_: &mut Context<'_>| tools::provide_for_tests()),
        step("readers", |context| readers::provide(context.workspace)),
        step("test", test),
        step("doc test", doc_test),
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
    context.light(&["clippy", "--all-targets"], &["--", "--deny", "warnings"])?;
    clippy_of(context, &["--package", "vxscope-api", "--features", "tls"])
}

fn test(context: &mut Context<'_>) -> Result<Outcome> {
    // With TLS, as the Debian package has it; the cold build is without.
    let packages = [
        vec!["--workspace", "--features", "vxscope/tls"],
        heavy::excluded(),
    ];
    run(&mut tests_of(context, &packages.concat()))?;
    Ok(Outcome::passed())
}

/// The crates over the AWS SDK, all at once so that it is compiled once for all of them.
fn controller(context: &mut Context<'_>) -> Result<Outcome> {
    let packages = heavy::packages(&heavy::SDK);
    clippy_of(context, &packages)?;
    // Its tests run the sensor, too.
    context.cargo(&["build", "--package", "vxscope"])?;
    let mut tests = tests_of(context, &packages);
    // Most of their time they wait for what they started.
    run(tests.env("NEXTEST_TEST_THREADS", "4"))?;
    Ok(Outcome::passed())
}

/// Parquet and S3, read back by `DuckDB` and moto.
fn archive(context: &mut Context<'_>) -> Result<Outcome> {
    let packages = heavy::packages(&[heavy::ARCHIVE]);
    clippy_of(context, &packages)?;
    // One of its tests works beside a sensor.
    context.cargo(&["build", "--package", "vxscope"])?;
    run(&mut tests_of(context, &packages))?;
    Ok(Outcome::passed())
}

fn clippy_of(context: &mut Context<'_>, packages: &[&str]) -> Result<Outcome> {
    let mut arguments = vec!["clippy", "--all-targets"];
    arguments.extend(packages);
    arguments.extend(["--", "--deny", "warnings"]);
    context.cargo(&arguments)
}

fn tests_of(context: &Context<'_>, packages: &[&str]) -> Command {
    let mut arguments = if tools::program("cargo-nextest").is_ok() {
        vec!["nextest", "run", "--no-fail-fast"]
    } else {
        vec!["test", "--tests", "--no-fail-fast"]
    };
    arguments.extend(packages);
    let mut command = context.workspace.cargo(&arguments);
    if let Some(python) = readers::python(context.workspace) {
        command.env(readers::VARIABLE, python);
    }
    command.env(PICTURES, deb::target(context.workspace).join("pictures"));
    command
}

fn doc_test(context: &mut Context<'_>) -> Result<Outcome> {
    context.light(&["test", "--doc", "--no-fail-fast"], &[])
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
    sensor::says_what_it_lacks(&binary)?;
    sensor::run_first_command(context.workspace, &binary).map(Outcome::Passed)
}

fn instructions(context: &mut Context<'_>) -> Result<Outcome> {
    let binary = context.cold_build()?.binary();
    crate::instructions::check(context.workspace, &binary, false)
}

fn generated_pcaps(context: &mut Context<'_>) -> Result<Outcome> {
    let binary = context.cold_build()?.binary();
    plain(pcaps::check(context.workspace, &binary))
}
