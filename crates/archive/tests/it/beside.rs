//! Beside a sensor that rotates its flow records: both are killed, again and again, and every flow
//! of a finished file is in Parquet, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use vxscope_archive::{Job, Step, Store, Target, run};

use crate::{archive, python, said, write_flows};

/// Flows that each run of the sensor is sent, by different sources of one VNI.
const FLOWS: usize = 400;
/// How long an archive that is to be killed may work, in microseconds: the least is less than any
/// machine needs to start it, the most is enough for its work on a quiet one.
const LIVES: [u64; 6] = [300, 1_000, 3_000, 7_000, 20_000, 60_000];

/// Every flow with how often it is there, and lines that are none.
const QUERY: &str = r#"
import duckdb, sys
table = f"read_parquet('{sys.argv[1]}/eve/*/*.parquet', hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
for row in duckdb.sql(f"select flow_id, count(*) from {table} where flow_id is not null group by 1").fetchall():
    print(*row)
print("malformed", duckdb.sql(f"select count(*) from {table} where event_day = 'unknown'").fetchone()[0])
"#;

#[test]
fn every_flow_of_a_rotating_sensor_is_archived_once_though_both_are_killed() {
    let (Some(python), Some(sensor)) = (python(), sensor()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (out, to) = (dir.path().join("out"), dir.path().join("parquet"));
    let arguments = ["--to", &to.display().to_string(), "--remove"].map(str::to_owned);
    // What was in a finished file, before anybody took it away.
    let (mut seen, mut kills) = (BTreeSet::new(), 0);
    for run in 0..3 {
        let mut running = Running::start(&sensor, dir.path());
        let mut load = running.load(run);
        let mut passes = 0;
        while !load.ended() || passes < 12 {
            seen.extend(finished(&out));
            let life = LIVES[passes % LIVES.len()];
            kills += u64::from(archive_for(&out, &arguments, Duration::from_micros(life)));
            // One that lives, now and then.
            if passes % 5 == 4 {
                said(&archive(&out, &arguments));
            }
            passes += 1;
        }
        match run {
            2 => running.stop(),
            _ => running.kill(),
        }
    }
    seen.extend(finished(&out));
    let last = said(&archive(&out, &arguments));
    assert_eq!(finished(&out), BTreeSet::new(), "{last}");
    assert!(kills > 5, "{kills}");
    let read = Command::new(python)
        .args(["-c", QUERY])
        .arg(&to)
        .output()
        .unwrap();
    let (mut archived, mut malformed) = (BTreeMap::new(), 0);
    for line in said(&read).lines() {
        let (flow, count) = line.split_once(' ').unwrap();
        let count: u64 = count.parse().unwrap();
        match flow {
            "malformed" => malformed = count,
            flow => {
                archived.insert(flow.parse::<u64>().unwrap(), count);
            }
        }
    }
    assert!(archived.values().all(|count| *count == 1), "{archived:?}");
    let archived: BTreeSet<u64> = archived.into_keys().collect();
    let missing: Vec<_> = seen.difference(&archived).collect();
    assert_eq!(missing, Vec::<&u64>::new());
    assert!(seen.len() > FLOWS, "{}", seen.len());
    // A kill may cut the line that is being written, in each of two runs.
    assert!(malformed <= 2, "{malformed}");
    // The last run ended in order: all its flows are there.
    let summary = fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let written = summary["sinks"]["eve"]["written"].as_u64().unwrap();
    let opened = summary["flows"]["opened"].as_u64().unwrap();
    assert_eq!(written, opened, "{summary}");
}

/// A sensor that starts gives `eve.json` another name, and its own appears when it ends.
#[test]
fn what_took_the_place_of_a_file_is_not_removed_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&from).unwrap();
    write_flows(&from, 3);
    let job = Job {
        state: from.join(".archive"),
        from: from.clone(),
        remove: true,
    };
    let store = Store::open(&Target::Folder(to)).unwrap();
    let mut replaced = false;
    let mut replace = |step: Step| {
        if step == Step::Recorded && !replaced {
            replaced = true;
            fs::rename(from.join("eve.json"), from.join("eve-1.json")).unwrap();
            write_flows(&from, 5);
        }
    };
    let first = run(&job, &store, &mut replace).unwrap();
    assert_eq!((first.files, first.rows, first.removed), (1, 4, 0));
    let second = run(&job, &store, &mut |_| {}).unwrap();
    assert_eq!((second.files, second.known, second.rows), (1, 1, 6));
    assert_eq!((second.removed, finished(&from).len()), (2, 0));
}

/// The sensor, as `cargo build -p vxscope` leaves it beside the archive; `None`, with a note, where
/// it is not.
#[expect(clippy::print_stdout, reason = "for whoever reads what the tests say")]
fn sensor() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_vxscope-archive")).with_file_name("vxscope");
    if beside.exists() {
        return Some(beside);
    }
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "in CI the sensor is built before");
    println!("skipped: cargo build -p vxscope makes the sensor for a test here");
    None
}

/// Ids of the flows in all finished files.
fn finished(out: &Path) -> BTreeSet<u64> {
    let mut flows = BTreeSet::new();
    for entry in fs::read_dir(out).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("eve") {
            continue;
        }
        // Between the two the sensor may have given it another name.
        let text = fs::read(entry.path()).unwrap_or_default();
        for line in text.split(|byte| *byte == b'\n') {
            let record = serde_json::from_slice::<serde_json::Value>(line);
            flows.extend(record.ok().and_then(|record| record["flow_id"].as_u64()));
        }
    }
    flows
}

/// Archives for a while and is killed; false if it ended before.
fn archive_for(out: &Path, arguments: &[String], life: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vxscope-archive"))
        .arg(out)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary that cargo built");
    thread::sleep(life);
    // It may have ended.
    let _ = child.kill();
    !child.wait().expect("a child of ours").success()
}

/// A sensor that does not outlive the test.
struct Running {
    child: Child,
    port: u16,
}

/// Who sends to it.
struct Load(thread::JoinHandle<()>);

impl Load {
    fn ended(&mut self) -> bool {
        self.0.is_finished()
    }
}

impl Running {
    /// Returns once it receives.
    fn start(sensor: &Path, dir: &Path) -> Self {
        let free = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.local_addr().expect("an address").port()
        };
        let (port, other) = (free(), free());
        let mut child = Command::new(sensor)
            .args(["run", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--out", "out", "--export", "eve"])
            .args(["--set", &format!("decapsulation.geneve_ports=[{other}]")])
            .args(["--set", "rings.memory=8MiB"])
            .args(["--set", "export.files.rotate_seconds=1"])
            .args(["--set", "flow.timeouts.udp={new=1,established=1}"])
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary that cargo built");
        let said = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut lines = said.lines().map_while(Result::ok);
        let ready = lines.any(|line| line.starts_with("interrupt"));
        assert!(ready, "the sensor did not start");
        thread::Builder::new()
            .spawn(move || lines.for_each(drop))
            .expect("a thread");
        Self { child, port }
    }

    /// A packet of each flow, over four seconds.
    fn load(&mut self, run: u8) -> Load {
        let port = self.port;
        let send = move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            for flow in 0..FLOWS {
                // A sensor that was killed refuses it.
                let _ = socket.send_to(&datagram(run, flow), ("127.0.0.1", port));
                thread::sleep(Duration::from_millis(10));
            }
        };
        Load(thread::Builder::new().spawn(send).expect("a thread"))
    }

    fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    fn stop(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(sent.expect("a program that is everywhere").success());
        let status = self.child.wait().expect("a child of ours");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Usually it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// UDP of ports that nobody had before, in VXLAN.
fn datagram(run: u8, flow: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(1_024 + flow)
        .expect("few flows")
        .to_be_bytes();
    let mut bytes = vec![8, 0, 0, 0, 0, 0, 7, 0];
    bytes.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    bytes.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0]);
    bytes.extend([
        10, 0, run, 1, 10, 0, 0, 2, high, low, 0x1f, 0x90, 0, 12, 0, 0,
    ]);
    bytes.extend([run; 4]);
    bytes
}
