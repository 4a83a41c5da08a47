//! The whole sensor over any capture: its books balance, its outputs are well formed, and the
//! number of workers shows in none of them.

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use vxscope_capture::Input;
use vxscope_config::{Config, FlowScope, VlanMode};
use vxscope_engine::{Extract, Outcome, Replay, replay as run};
use vxscope_units::ByteSize;

use super::capture_file::walk;
use super::random::Random;

/// A file system in memory, where there is one: an input makes a dozen small files.
const MEMORY_FOLDER: &str = "/dev/shm";
/// Workers of the second run.
const WORKERS: NonZeroU16 = NonZeroU16::new(3).expect("not zero");
/// Outputs that the number of workers must not change.
const OUTPUTS: [&str; 4] = ["eve.json", "conn.log", "decap.pcap", "sources.json"];

/// The bytes are a capture file; some options of the configuration follow from them as well.
///
/// # Panics
/// If a run fails, breaks a law of the ledger, miscounts records or outputs, writes a line or a
/// capture that cannot be read, does not find a flow it has told about, or if a second run with
/// three workers writes other outputs than the first with one.
pub fn replay(data: &[u8]) {
    let folder = folder();
    let input = folder.path().join("capture");
    fs::write(&input, data).expect("a file in a folder for temporary files");
    let plan = plan(data, folder.path());

    let alone = folder.path().join("alone");
    let outcome = run(&plan_of(&plan, &alone, NonZeroU16::MIN), &|_| ());
    let outcome = outcome.expect("any file can be replayed");
    balances(&outcome, data);
    let flow = well_formed(&alone, &outcome).first().copied();

    let shared = folder.path().join("shared");
    let mut second = plan_of(&plan, &shared, WORKERS);
    second.extract = flow.map(Extract::Flow).into_iter().collect();
    let again = run(&second, &|_| ()).expect("any file can be replayed");
    balances(&again, data);
    assert_eq!(
        flow.is_some(),
        again.extracted.is_some_and(|(found, _)| found == 1)
    );
    let looked_back = |run: &Outcome| run.summary.look_back.get("extractions").copied();
    assert_eq!(looked_back(&outcome), None);
    assert_eq!(looked_back(&again), flow.map(|_| 1));
    assert_eq!(told(&outcome), told(&again));
    for name in OUTPUTS {
        assert!(read(&alone, name) == read(&shared, name), "{name} differs");
    }
}

fn folder() -> TempDir {
    let memory = Path::new(MEMORY_FOLDER);
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a folder for temporary files")
}

/// Small tables and rings, larger than any input that fits the law; modes as the bytes decide.
fn plan(data: &[u8], folder: &Path) -> Replay {
    let mut random = Random::of(data);
    let mut config = Config::default();
    config.rings.memory = ByteSize::mib(64);
    config.flow.flows_max = 1 << 12;
    config.flow.sources_max = 1 << 10;
    config.flow.fragments_max = 1 << 10;
    config.flow.scope = random.choose([FlowScope::Source, FlowScope::Vni]);
    config.flow.active_timeout_seconds = random.choose([0, 0, 20]);
    config.decapsulation.depth = random.choose([0, 0, 1, 4]);
    config.export.eve.strict = random.choose([false, true]);
    config.export.decap.vlan = random.choose([VlanMode::None, VlanMode::Map, VlanMode::Qinq]);
    assert_eq!(config.check(), Ok(()));
    Replay {
        config,
        inputs: vec![folder.join("capture")],
        out: folder.to_owned(),
        bare: random.choose([false, true]),
        extract: Vec::new(),
    }
}

fn plan_of(plan: &Replay, out: &Path, workers: NonZeroU16) -> Replay {
    let mut plan = plan.clone();
    plan.config.workers = workers;
    out.clone_into(&mut plan.out);
    plan
}

/// The ledger against itself and against a walk through the file.
fn balances(outcome: &Outcome, data: &[u8]) {
    assert_eq!(outcome.unbalanced, Vec::<String>::new());
    assert_eq!(outcome.sink_errors, Vec::<String>::new());
    let walked = walk(Input::from_bytes("capture", data.to_vec()), data);
    let input = &outcome.summary.input;
    assert_eq!(input.packets, walked.records.len() as u64);
    assert_eq!(
        input.error.as_ref().map(|error| error.offset),
        walked.error.map(|(offset, _)| offset)
    );
    assert_eq!(outcome.is_success(), input.error.is_none());
}

/// Reads the outputs back; returns the flows' ids.
fn well_formed(out: &Path, outcome: &Outcome) -> Vec<u64> {
    let summary: Value = json(&read(out, "summary.json"));
    let written = |sink: &str| summary["sinks"][sink]["written"].as_u64();

    let decap = read(out, "decap.pcap");
    let walked = walk(Input::from_bytes("decap.pcap", decap.clone()), &decap);
    assert_eq!(walked.error, None);
    assert_eq!(written("decap"), Some(walked.records.len() as u64));

    let ids = flow_ids(&read(out, "eve.json"));
    assert_eq!(written("eve"), Some(ids.len() as u64));
    assert_eq!(summary["flows"]["opened"].as_u64(), Some(ids.len() as u64));

    let connections = connections(&read(out, "conn.log"));
    assert_eq!(written("conn-log"), Some(connections as u64));

    let sources = json(&read(out, "sources.json"));
    let packets = |source: &Value| source["packets"].as_u64().expect("a count");
    let packets: u64 = sources
        .as_array()
        .expect("a list")
        .iter()
        .map(packets)
        .sum();
    assert_eq!(packets, outcome.summary.packets.decapsulated);
    ids
}

/// Of each line of `eve.json`; the ids are those of different flows.
fn flow_ids(eve: &[u8]) -> Vec<u64> {
    let lines = eve
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let ids: Vec<u64> = lines
        .map(|line| {
            let record = json(line);
            assert_eq!(record["event_type"], "flow");
            let packets = |way: &str| record["flow"][way].as_u64().expect("a count");
            assert!(packets("pkts_toserver") + packets("pkts_toclient") > 0);
            record["flow_id"].as_u64().expect("a number")
        })
        .collect();
    assert!(ids.iter().all(|id| *id < 1 << 53));
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), ids.len(), "two flows have one id");
    ids
}

/// How many lines `conn.log` has besides comments; each has the fields that it announces.
fn connections(log: &[u8]) -> usize {
    let log = std::str::from_utf8(log).expect("conn.log is UTF-8");
    let fields = log.lines().find_map(|line| line.strip_prefix("#fields\t"));
    let fields = fields
        .expect("conn.log names its fields")
        .split('\t')
        .count();
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.iter().all(|line| line.split('\t').count() == fields));
    lines.len()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("an output is JSON")
}

fn read(out: &Path, name: &str) -> Vec<u8> {
    fs::read(out.join(name)).expect("a run leaves complete outputs")
}

/// The summary as it is told, without what may differ: how long it took, and what was asked for.
fn told(outcome: &Outcome) -> String {
    let mut summary = outcome.summary.clone();
    summary.elapsed_seconds = 0.0;
    summary.look_back.clear();
    format!("{summary:?}")
}
