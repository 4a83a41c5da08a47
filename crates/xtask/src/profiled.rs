//! `cargo xtask profiled`: the sensor, laid out by the compiler for traffic that it has handled.
//!
//! A sensor that counts its branches replays generated and bundled captures with each output, and
//! receives on loopback through both backends, since what never ran is laid out as rare. The counts
//! go into the build whose path is printed at the end; `cargo xtask deb PATH` packages it.

use crate::workspace::{Workspace, run, text_of};
use crate::{Result, deb};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Inner frames of the generated captures and of the load on loopback.
const SIZES: [&str; 3] = ["64", "imix", "1400"];
const PACKETS: &str = "300000";
const FLOWS: &str = "50000";
/// Outputs of a replay, and its workers.
const REPLAYS: [(&str, &str); 4] = [
    ("[]", "1"),
    ("[\"eve\"]", "1"),
    ("[\"eve\", \"conn-log\", \"decap\"]", "1"),
    ("[\"decap\"]", "2"),
];
/// `auto` takes packet rings where it may.
const BACKENDS: [&str; 2] = ["udp", "auto"];

/// Builds it and returns where it is.
pub(crate) fn make(workspace: &Workspace) -> Result<PathBuf> {
    let compiler = Compiler::find()?;
    let folder = deb::target(workspace).join("profiled");
    let counts = folder.join("counts");
    let _ = fs::remove_dir_all(&counts);
    fs::create_dir_all(&counts)?;
    let flag = format!("-Cprofile-generate={}", counts.display());
    let counting = compiler.build(workspace, &folder.join("counting"), &flag)?;
    exercise(workspace, &counting, &counts)?;
    let profile = folder.join("vxscope.profdata");
    let mut merge = Command::new(&compiler.profdata);
    run(merge.arg("merge").arg("-o").args([&profile, &counts]))?;
    let flag = format!("-Cprofile-use={}", profile.display());
    compiler.build(workspace, &folder.join("built"), &flag)
}

/// What of a toolchain is needed.
struct Compiler {
    /// The target, as `x86_64-unknown-linux-gnu`.
    host: String,
    /// `llvm-profdata` of the very LLVM that the compiler contains: others do not read its counts.
    profdata: PathBuf,
}

impl Compiler {
    fn find() -> Result<Self> {
        let about = text_of(Command::new("rustc").arg("-vV"))?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("rustc -vV names no host")?.to_owned();
        let root = text_of(Command::new("rustc").args(["--print", "sysroot"]))?;
        let tools = Path::new(root.trim()).join("lib/rustlib").join(&host);
        let profdata = tools.join("bin/llvm-profdata");
        if !profdata.is_file() {
            let path = profdata.display();
            return Err(format!("{path} is missing: `rustup component add llvm-tools`").into());
        }
        Ok(Self { host, profdata })
    }

    /// A release build of the sensor with TLS, as the package has it, and one more flag. With a
    /// target named, what runs during the build is built without the flag.
    fn build(&self, workspace: &Workspace, target: &Path, flag: &str) -> Result<PathBuf> {
        let sensor = ["--release", "--package", "vxscope", "--features", "tls"];
        let mut build = workspace.cargo(&["build", "--target", &self.host]);
        build
            .args(sensor)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_ENCODED_RUSTFLAGS", flag);
        run(&mut build)?;
        Ok(target.join(&self.host).join("release/vxscope"))
    }
}

/// Lets the sensor that counts do what sensors do.
fn exercise(workspace: &Workspace, sensor: &Path, counts: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let vxscope = |arguments: &[&str]| {
        let mut command = Command::new(sensor);
        command
            .args(arguments)
            .env("LLVM_PROFILE_FILE", counts.join("%p-%m.profraw"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    };
    let mut captures = vec![workspace.path("pcaps/two-tenants.pcap")];
    for size in SIZES {
        let capture = folder.path().join(size).with_extension("pcap");
        let mut generate = vxscope(&["gen", "--sources", "16", "--flows", FLOWS]);
        generate
            .args(["--packets", PACKETS, "--rate", "1000000", "--size", size])
            .arg("--pcap")
            .arg(&capture);
        // Making traffic is no work of a sensor: it is not counted.
        run(generate.env("LLVM_PROFILE_FILE", "/dev/null"))?;
        captures.push(capture);
    }
    for (kinds, workers) in REPLAYS {
        for capture in &captures {
            let kinds = format!("export.kinds={kinds}");
            let mut replay = vxscope(&["replay", "--workers", workers, "--set", &kinds]);
            run(replay.arg(capture).arg("--out").arg(&out))?;
        }
    }
    for backend in BACKENDS {
        let backend = format!("capture.backend={backend}");
        let mut bench = vxscope(&["bench", "--seconds", "1", "--set", &backend]);
        run(bench.args(SIZES.iter().flat_map(|size| ["--size", size])))?;
    }
    Ok(())
}
