//! Records real traffic: two tenants with equal addresses, each with real servers and clients,
//! whose interfaces the kernel mirrors over VXLAN to a target where tcpdump listens.
//!
//! ```text
//!  client a ──veth── server a ─┐ tc u32 + mirred, ingress and egress
//!                              └─ vxlan ──veth──┐
//!                                               ├─ bridge ─ tcpdump      (target)
//!                              ┌─ vxlan ──veth──┘
//!  client b ──veth── server b ─┘
//! ```
//!
//! The command starts itself again in namespaces of its own for mounts, processes and network.
//! Whatever it makes there (named network namespaces, servers, interfaces) ends with it, however
//! it ends: the kernel removes what the last process of a namespace leaves behind.

mod namespace;
mod recorder;
mod service;
mod tenant;
mod topology;
mod traffic;
mod truth;

use crate::workspace::run;
use crate::{Result, tools};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The recordings, each with the VNI of tenant a and of tenant b.
const RECORDINGS: &[(&str, [u32; 2])] = &[
    ("two-tenants", [4711, 4712]),
    ("two-tenants-one-vni", [4711, 4711]),
];

/// The whole lab ends by then, whatever hangs; a run takes well under a minute.
const LAB_SECONDS_MAX: &str = "300";

/// Checks what the lab needs and starts it in its own namespaces.
pub(crate) fn enter(out: &Path) -> Result<()> {
    if !tools::is_root() {
        return Err("the lab builds network namespaces and must run as root".into());
    }
    let missing = tools::provide(tools::FOR_LAB)?;
    if !missing.is_empty() {
        return Err(format!("the lab needs these packages: {}", missing.join(" ")).into());
    }
    std::fs::create_dir_all(out)?;
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "--kill-after=5", LAB_SECONDS_MAX, "unshare"])
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(std::env::current_exe()?)
        .args(["lab", "--inside", "--out"])
        .arg(out.canonicalize()?)
        .stdin(Stdio::null());
    run(&mut command)
}

/// Makes all recordings; only for the process that [`enter`] started.
pub(crate) fn record(out: &Path) -> Result<()> {
    if std::process::id() != 1 {
        return Err("--inside is for the lab itself; run `cargo xtask lab`".into());
    }
    // Names of network namespaces, and all files but the results, stay in our mount namespace.
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
    for (name, vnis) in RECORDINGS {
        record_one(out, name, *vnis).map_err(|error| format!("recording {name}: {error}"))?;
    }
    Ok(())
}

fn record_one(out: &Path, name: &str, vnis: [u32; 2]) -> Result<()> {
    println!("\n==> {name}");
    let folder = tempfile::Builder::new()
        .prefix("vxscope-lab-")
        .tempdir_in("/run")?;
    let tenants = tenant::pair(vnis);
    let network = topology::build(&tenants, &tag_of(folder.path()))?;
    let services = service::start_all(&tenants, &network, folder.path())?;
    let recorder = recorder::start(&network.target, &folder.path().join("recorded.pcap"))?;
    network.mirror_all()?;
    let phases = traffic::run_all(&tenants, &network)?;
    network.silence_clients()?;
    // What is still under way on the mirror links arrives within a fraction of this.
    pause(Duration::from_millis(500));
    let mirrored = network.mirrored()?;
    let recording = recorder.stop()?;
    let truth = truth::assemble(&tenants, &phases, &services, &mirrored, &recording)?;
    std::fs::copy(recording.path(), out.join(format!("{name}.pcap")))?;
    let text = serde_json::to_string_pretty(&truth)? + "\n";
    std::fs::write(out.join(format!("{name}.truth.json")), text)?;
    println!("{name}.pcap: {} packets", recording.packets());
    Ok(())
}

/// The random end of the folder's name, which marks everything this run makes.
fn tag_of(folder: &Path) -> String {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    name.rsplit('-').next().unwrap_or_default().to_owned()
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}
