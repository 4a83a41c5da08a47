//! Flow records in every format, read back by programs that are not ours: what they count is what
//! the summary says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sensor::{free_port, until};
use crate::{folder, json, skip, vxscope};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");
const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read.py");
/// Formats that are files, as outputs and as file names.
const FILES: [(&str, &str); 6] = [
    ("eve", "eve.json"),
    ("conn-log", "conn.log"),
    ("conn-json", "conn.json"),
    ("netflow-eve", "netflow.json"),
    ("vpc-flow-logs", "vpc-flow-logs.log"),
    ("ocsf", "ocsf.json"),
];

#[test]
fn foreign_readers_count_what_the_summary_says() {
    let Some(python) = std::env::var_os("VXSCOPE_READERS") else {
        return skip("cargo xtask test provides the readers, and says where they are");
    };
    let dir = folder();
    let mut arguments = vec!["replay", CAPTURE, "--out", "out"];
    for (output, _) in FILES {
        arguments.extend(["--export", output]);
    }
    vxscope(dir.path(), &arguments).ok();
    let summary = json(&dir.path().join("out/summary.json"));
    let bytes = bytes_of_flows(&dir.path().join("out/eve.json"));
    for (output, file) in FILES {
        let found = read(Path::new(&python), &dir.path().join("out"), file);
        check(&summary, bytes, output, &found);
    }
}

/// What AWS calls a source is in the fields that each format has for it, and readers find it.
#[test]
fn foreign_readers_find_interface_instance_vpc_and_account() {
    let Some(python) = std::env::var_os("VXSCOPE_READERS") else {
        return skip("cargo xtask test provides the readers, and says where they are");
    };
    let dir = folder();
    vxscope(dir.path(), &["gen", "--pcap", "a.pcap", "--sources", "1"]).ok();
    let ids = [
        "eni-0123456789abcdef0",
        "i-0123456789abcdef0",
        "vpc-0123456789abcdef0",
        "123456789012",
    ];
    let [eni, instance, vpc, account] = ids;
    let config = format!(
        "[[source]]\naddress = \"0.0.0.0/0\"\neni = \"{eni}\"\ninstance = \"{instance}\"\n\
         vpc = \"{vpc}\"\naccount = \"{account}\"\n"
    );
    std::fs::write(dir.path().join("known.toml"), config).unwrap();
    let mut arguments = vec!["replay", "a.pcap", "--out", "out", "--config", "known.toml"];
    let files = ["eve", "vpc-flow-logs", "ocsf"].map(|output| {
        arguments.extend(["--export", output]);
        FILES.iter().find(|(name, _)| *name == output).unwrap().1
    });
    arguments.extend(["--export", "pcapng=packets"]);
    vxscope(dir.path(), &arguments).ok();
    for file in files {
        let found = read(Path::new(&python), &dir.path().join("out"), file);
        assert_eq!(found["identities"], serde_json::json!([ids]), "{file}");
    }
    let source = &json(&dir.path().join("out/sources.json"))[0];
    let keys = ["eni", "instance", "vpc", "account"];
    assert_eq!(keys.map(|key| source[key].as_str()), ids.map(Some));
    let packets = std::fs::read_dir(dir.path().join("packets")).unwrap();
    let packets: Vec<_> = packets
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let Ok(told) = Command::new("capinfos").arg(&packets[0]).output() else {
        return skip("capinfos comes with tshark");
    };
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let comment = format!("eni {eni}, instance {instance}, vpc {vpc}, account {account}");
    assert!(told.contains(&comment), "{told}");
}

/// A format may leave a count out, but not have it wrong.
fn check(summary: &Value, bytes: u64, output: &str, found: &Value) {
    let expected = [
        ("records", summary["sinks"][output]["written"].clone()),
        ("packets", packets_in_flows(summary).into()),
        ("bytes", bytes.into()),
        ("ip_bytes", summary["frames"]["ip_bytes"].clone()),
        ("vnis", summary["sources"].clone()),
    ];
    let mut compared = 0;
    for (name, expected) in expected {
        if let Some(found) = found.get(name) {
            assert_eq!(*found, expected, "{output}: {name}");
            compared += 1;
        }
    }
    assert!(compared >= 2, "{output}: {found}");
}

/// Packets that are in records of flows: all but the untracked, which are not IP here.
fn packets_in_flows(summary: &Value) -> u64 {
    let packets = &summary["packets"];
    let untracked = packets["untracked"].as_object().expect("reasons");
    assert!(untracked.keys().all(|reason| reason == "non_ip"));
    let untracked: u64 = untracked.values().filter_map(Value::as_u64).sum();
    packets["decapsulated"].as_u64().expect("a count") - untracked
}

/// Captured bytes of all flows, as `eve.json` has them.
fn bytes_of_flows(eve: &Path) -> u64 {
    let text = std::fs::read_to_string(eve).expect("a file that was written");
    let bytes = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        ["bytes_toserver", "bytes_toclient"]
            .iter()
            .filter_map(|name| record["flow"][name].as_u64())
            .sum::<u64>()
    };
    text.lines().map(bytes).sum()
}

fn read(python: &Path, folder: &Path, file: &str) -> Value {
    let output = Command::new(python)
        .arg(READER)
        .arg(folder)
        .arg(file)
        .output()
        .expect("a Python that starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn nfdump_counts_what_the_summary_says_without_sequence_errors() {
    let dir = folder();
    let port = free_port();
    let Some(collector) = Collector::start(dir.path(), port) else {
        return skip("nfcapd is not installed");
    };
    let target = format!("ipfix=127.0.0.1:{port}");
    vxscope(
        dir.path(),
        &["replay", CAPTURE, "--out", "out", "--export", &target],
    )
    .ok();
    let summary = json(&dir.path().join("out/summary.json"));
    let (file, log) = collector.stop();
    assert!(log.contains("Sequence Errors: 0,"), "{log}");
    let csv = Command::new("nfdump")
        .args(["-q", "-o", "fmt:%fl,%ipkt,%opkt,%ibyt,%obyt,%ivrf", "-r"])
        .arg(&file)
        .output()
        .expect("nfdump comes with nfcapd");
    let text = String::from_utf8_lossy(&csv.stdout).into_owned();
    let rows: Vec<Vec<u64>> = text
        .lines()
        .filter_map(|line| {
            let cells = line.split(',').map(|cell| cell.trim().parse().ok());
            cells.collect()
        })
        .collect();
    let sum = |columns: [usize; 2]| -> u64 {
        rows.iter()
            .map(|row| row[columns[0]] + row[columns[1]])
            .sum()
    };
    assert_eq!(summary["sinks"][&target]["written"], rows.len(), "{text}");
    assert_eq!(packets_in_flows(&summary), sum([1, 2]));
    assert_eq!(summary["frames"]["ip_bytes"], sum([3, 4]));
    let mut vnis: Vec<u64> = rows.iter().map(|row| row[5]).collect();
    vnis.sort_unstable();
    vnis.dedup();
    assert_eq!(summary["sources"], vnis.len(), "{vnis:?}");
}

/// `nfcapd` with its folder.
struct Collector {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Collector {
    fn start(dir: &Path, port: u16) -> Option<Self> {
        let folder = dir.join("flows");
        std::fs::create_dir(&folder).expect("a folder");
        let log = std::fs::File::create(dir.join("nfcapd.log")).expect("a log");
        let process = Command::new("nfcapd")
            .args(["-b", "127.0.0.1", "-t", "3600", "-B", "4000000", "-p"])
            .arg(port.to_string())
            .arg("-w")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .ok()?;
        until("who listens", || waiting(port));
        Some(Self {
            process,
            folder,
            port,
        })
    }

    /// Ends it in order: the file it wrote, and what it said.
    fn stop(mut self) -> (PathBuf, String) {
        // What was sent is in its socket until it has read it.
        until("nothing more to be read", || {
            (waiting(self.port)? == 0).then_some(())
        });
        let stopped = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        assert!(stopped.is_ok_and(|status| status.success()));
        self.process.wait().expect("a process of ours");
        let entries = std::fs::read_dir(&self.folder).expect("its folder");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let log = self
            .folder
            .parent()
            .expect("the test's folder")
            .join("nfcapd.log");
        let file = files.pop().expect("a file of flows");
        (file, std::fs::read_to_string(log).unwrap_or_default())
    }
}

/// Bytes that wait in the socket of whoever listens at a port of 127.0.0.1, if anybody does.
fn waiting(port: u16) -> Option<u64> {
    // sl local_address rem_address st tx_queue:rx_queue …
    let sockets = std::fs::read_to_string("/proc/net/udp").ok()?;
    let local = format!("0100007F:{port:04X}");
    sockets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, address, _, _, queues, ..] = fields.as_slice() else {
            return None;
        };
        let (_, received) = queues.split_once(':')?;
        let is_it = *address == local;
        u64::from_str_radix(received, 16).ok().filter(|_| is_it)
    })
}
