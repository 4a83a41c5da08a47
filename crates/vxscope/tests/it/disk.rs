//! Disks that are slow, full, or somebody else's: capture goes on, and what they cost is counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::frozen::Frozen;
use crate::sensor::{Sensor, number, received_and_dropped, records, sent, until};
use crate::{folder, skip, vxscope};

const SMALL: &[&str] = &["--set", "rings.memory=8MiB", "--workers", "2"];
/// 12 MB of frames: more than fits the chunks on their way, and the small disk.
const LOAD: &[&str] = &["--packets", "40000", "--rate", "60000"];

#[test]
fn a_slow_disk_sheds_and_capture_goes_on() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), SMALL);
    let Some(frozen) = Frozen::try_new(sensor.pid(), "writer") else {
        return;
    };
    let truth = sensor.load(LOAD);
    frozen.thaw();
    let more = sensor.load(&["--packets", "2000", "--rate", "20000"]);
    let stopped = sensor.stop();
    let summary = stopped.summary();
    check_capture(&summary, sent(&truth) + sent(&more));
    let decap = &summary["sinks"]["decap"];
    let shed = &decap["shed"];
    assert!(
        number(&shed["pool_empty"]) + number(&shed["queue_full"]) > 0,
        "{decap}"
    );
    assert_eq!(
        records(&dir.path().join("out/decap.pcap")),
        (number(&decap["written"]), 0)
    );
    assert!(number(&decap["written"]) > 0);
}

#[test]
fn a_full_disk_costs_its_files_and_nothing_else() {
    let dir = folder();
    let Some(disk) = Disk::mount(dir.path(), "600k") else {
        return;
    };
    let sensor = Sensor::start_with(disk.command(), dir.path(), SMALL);
    let truth = sensor.load(LOAD);
    sensor.signal("TERM");
    let run = sensor.end().run;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("decap.pcap: No space left"), "{run:?}");
    assert!(run.stdout.ends_with("ledger: balanced\n"), "{run:?}");
    let out = disk.out();
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
    check_capture(&summary, sent(&truth));
    let decap = &summary["sinks"]["decap"];
    assert_eq!(number(&decap["written"]), 0);
    assert!(number(&decap["shed"]["write_error"]) > 0, "{decap}");
    // The other files have room again once the large one is gone.
    let eve = &summary["sinks"]["eve"];
    assert_eq!(eve["written"], eve["offered"]);
    let lines = fs::read_to_string(out.join("eve.json")).unwrap();
    assert_eq!(lines.lines().count() as u64, number(&eve["written"]));
    assert!(!out.join("decap.pcap").exists());
}

#[test]
fn a_folder_that_another_run_writes_to_is_left_alone() {
    let dir = folder();
    let sensor = Sensor::start(dir.path(), SMALL);
    let truth = sensor.load(&["--packets", "2000", "--rate", "20000"]);
    let second = ["run", "--listen", "127.0.0.1:0", "--out", "out"];
    let complaint = vxscope(dir.path(), &second).fails(1);
    assert!(
        complaint.contains("another vxscope writes there"),
        "{complaint}"
    );
    let summary = sensor.stop().summary();
    check_capture(&summary, sent(&truth));
    assert_eq!(
        records(&dir.path().join("out/decap.pcap")),
        (number(&summary["packets"]["decapsulated"]), 0)
    );
}

/// Everything was received or dropped by the kernel, and everything received was opened.
fn check_capture(summary: &Value, sent: u64) {
    let (received, dropped) = received_and_dropped(summary);
    assert_eq!(received + dropped, sent, "{summary}");
    assert_eq!(number(&summary["packets"]["decapsulated"]), received);
    for (name, sink) in summary["sinks"].as_object().expect("sinks") {
        let shed = sink["shed"].as_object().expect("reasons").values();
        let shed: u64 = shed.map(number).sum();
        let offered = number(&sink["offered"]);
        assert_eq!(offered, number(&sink["written"]) + shed, "{name}: {sink}");
    }
}

/// A small disk in a mount namespace that a process of ours keeps.
pub(crate) struct Disk {
    keeper: Child,
    path: PathBuf,
}

impl Disk {
    /// Mounted on `out` in `dir`. `None`, with a note, where nothing can be mounted.
    pub(crate) fn mount(dir: &Path, size: &str) -> Option<Self> {
        let path = dir.join("out");
        fs::create_dir(&path).expect("a folder of ours");
        let script = "mount -t tmpfs -o size=\"$2\" tmpfs \"$1\" && touch \"$1/.there\" && \
                      exec sleep 600";
        let keeper = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .args([&path, Path::new(size)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let keeper = match keeper {
            Ok(keeper) => keeper,
            Err(error) => {
                skip(&format!("unshare: {error}"));
                return None;
            }
        };
        let mut disk = Self { keeper, path };
        let there = until("a disk, or no right to mount one", || {
            let ended = disk.keeper.try_wait().expect("a child of ours").is_some();
            let there = disk.out().join(".there").exists();
            (ended || there).then_some(there)
        });
        if !there {
            skip("no small disk can be mounted");
            return None;
        }
        Some(disk)
    }

    /// The disk as it is seen from here.
    pub(crate) fn out(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.path.strip_prefix("/").expect("a full path"))
    }

    /// The sensor, where the disk is mounted.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        let keeper = self.keeper.id().to_string();
        command.args([
            "--target",
            &keeper,
            "--user",
            "--preserve-credentials",
            "--mount",
        ]);
        let here = self.path.parent().expect("a folder");
        command.arg(format!("--wdns={}", here.display()));
        command.arg(env!("CARGO_BIN_EXE_vxscope"));
        command
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may have ended where nothing can be mounted.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
