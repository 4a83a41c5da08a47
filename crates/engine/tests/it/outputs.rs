//! Outputs are complete or not there: full disks, inputs that cannot be read, sudden death.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use vxscope_engine::{EngineError, replay};
use vxscope_testkit::{Frame, Vxlan};
use vxscope_units::Timestamp;

use crate::support::capture::{self, Packet};
use crate::support::output::{self, FILES, number};
use crate::support::run::{self, Reading};

/// Frames of the capture that these tests use.
const PACKETS: u64 = 4_000;

/// Where the child process finds its work.
const CHILD: &str = "VXSCOPE_TEST_CHILD";

#[test]
fn an_input_that_cannot_be_opened_is_an_error_and_leaves_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    let out = dir.path().join("out");
    let config = || run::config(1 << 20, 1);
    replay(
        &run::job(config(), &capture, Reading::Mirror, &out),
        &|_| (),
    )
    .unwrap();
    assert_eq!(names(&out), sorted(&FILES));

    let missing = dir.path().join("missing.pcap");
    let error = replay(
        &run::job(config(), &missing, Reading::Mirror, &out),
        &|_| (),
    )
    .unwrap_err();
    assert!(matches!(error, EngineError::Input(_)), "{error:?}");
    assert!(error.to_string().contains("missing.pcap"), "{error}");
    assert_eq!(
        names(&out),
        Vec::<String>::new(),
        "outputs of the run before"
    );

    let mut job = run::job(config(), &capture, Reading::Mirror, &out);
    job.inputs.push(missing);
    replay(&job, &|_| ()).unwrap_err();
    assert_eq!(
        names(&out),
        Vec::<String>::new(),
        "one of two inputs is missing"
    );
}

#[test]
fn an_output_folder_may_be_the_place_of_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    replay(
        &run::job(
            run::config(1 << 20, 1),
            &capture,
            Reading::Mirror,
            dir.path(),
        ),
        &|_| (),
    )
    .unwrap();
    let first = capture::decap(dir.path());
    let again = dir.path().join("decap.pcap");
    let job = run::job(run::config(1 << 20, 1), &again, Reading::Bare, dir.path());
    let outcome = replay(&job, &|_| ()).unwrap();
    assert_eq!(outcome.summary.packets.decapsulated, PACKETS);
    assert_eq!(capture::decap(dir.path()), first);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    let out = capture.join("out");
    let job = run::job(run::config(1 << 20, 1), &capture, Reading::Mirror, &out);
    let error = replay(&job, &|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Output(_)), "{error:?}");
    assert!(error.to_string().contains("mirrors.pcap"), "{error}");
}

/// What follows a malformed record is not read; what came before it is in complete outputs.
#[test]
fn a_capture_that_ends_inside_a_record_leaves_complete_outputs_and_its_offset() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    let whole = fs::read(&capture).unwrap();
    let record = (whole.len() - 24) / usize::try_from(PACKETS).unwrap();
    let cut = 24 + 10 * record + 20;
    fs::write(&capture, &whole[..cut]).unwrap();
    for workers in [1, 2, 4] {
        let ran = run::run_with(run::config(1 << 20, workers), &capture, Reading::Mirror);
        assert!(!ran.outcome.is_success());
        let summary = output::json(ran.path(), "summary.json");
        let error = summary.pointer("/input/error").unwrap();
        assert_eq!(error["file"], capture.to_str().unwrap());
        assert_eq!(
            number(error, "/offset"),
            (24 + 10 * record) as u64,
            "{error}"
        );
        assert_eq!(number(&summary, "/packets/received"), 10);
        assert_eq!(capture::decap(ran.path()).len(), 10);
        assert_eq!(names(ran.path()), sorted(&FILES));
    }
}

#[test]
fn a_full_disk_costs_the_file_that_does_not_fit_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // In a mount namespace of its own, so that no privilege is needed and nothing stays mounted.
    let script = "mount -t tmpfs -o size=256k tmpfs \"$1\" && shift && exec \"$@\"";
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        command.arg(&disk);
        command
    };
    let possible = unshare().arg("true").stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "in CI a small disk can be mounted");
        println!("skipped: no small disk can be mounted here");
        return;
    }
    let mut command = unshare();
    let status = child(&mut command, "full-disk", &capture, &disk.join("out"))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

/// Beside a decap.pcap of 4,000 frames the small disk has room for the other files.
fn run_on_a_full_disk(capture: &Path, out: &Path) {
    let job = run::job(run::config(1 << 20, 2), capture, Reading::Mirror, out);
    let outcome = replay(&job, &|_| ()).unwrap();
    assert!(!outcome.is_success());
    assert_eq!(outcome.unbalanced, Vec::<String>::new());
    let [error] = outcome.sink_errors.as_slice() else {
        panic!("{:?}", outcome.sink_errors)
    };
    assert!(error.contains("decap.pcap"), "{error}");
    assert_eq!(
        names(out),
        sorted(&["conn.log", "eve.json", "sources.json", "summary.json"])
    );
    let summary = output::json(out, "summary.json");
    let decap = &summary["sinks"]["decap"];
    assert_eq!(number(decap, "/offered"), PACKETS);
    assert_eq!(number(decap, "/written"), 0);
    assert_eq!(number(decap, "/shed/write_error"), PACKETS);
    let eve = output::eve(out);
    assert_eq!(eve.iter().map(output::packets_of).sum::<u64>(), PACKETS);
}

#[test]
fn sudden_death_leaves_no_file_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture(dir.path());
    let (pipe, out) = (dir.path().join("pipe"), dir.path().join("out"));
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut running = child(&mut command, "kill", &pipe, &out).spawn().unwrap();
    // The pipe stays open, so the child waits for more with its outputs half written.
    let mut feed = File::options().write(true).open(&pipe).unwrap();
    let bytes = fs::read(&capture).unwrap();
    feed.write_all(&bytes[..bytes.len() / 2]).unwrap();
    wait_for_hidden_files(&mut running, &out);
    running.kill().unwrap();
    running.wait().unwrap();
    drop(feed);
    let left = names(&out);
    assert!(
        !left.is_empty() && left.iter().all(|name| name.starts_with('.')),
        "{left:?}"
    );

    let job = run::job(run::config(1 << 20, 1), &capture, Reading::Mirror, &out);
    assert!(replay(&job, &|_| ()).unwrap().is_success());
    assert_eq!(names(&out), sorted(&FILES), "the next run clears up");
}

fn wait_for_hidden_files(running: &mut Child, out: &Path) {
    for _ in 0..6_000 {
        if out.is_dir() && names(out).len() >= 3 {
            return;
        }
        assert!(
            running.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let _ = running.kill();
    panic!("the child has opened no output after a minute");
}

/// Not a test: what the others start in a process of its own.
#[test]
#[ignore = "the child process of other tests"]
fn child_process() {
    let Ok(work) = std::env::var(CHILD) else {
        return;
    };
    let mut parts = work.split('\n');
    let mut part = || parts.next().unwrap();
    let (kind, capture, out) = (part(), PathBuf::from(part()), PathBuf::from(part()));
    match kind {
        "full-disk" => run_on_a_full_disk(&capture, &out),
        "kill" => {
            let job = run::job(run::config(1 << 20, 1), &capture, Reading::Mirror, &out);
            replay(&job, &|_| ()).unwrap();
        }
        other => panic!("{other}?"),
    }
}

/// This very test program, with the child's part of the work.
fn child<'c>(command: &'c mut Command, kind: &str, capture: &Path, out: &Path) -> &'c mut Command {
    let program = std::env::current_exe().unwrap();
    if command.get_program() != program.as_os_str() {
        command.arg(program);
    }
    command
        .args([
            "--exact",
            "outputs::child_process",
            "--ignored",
            "--nocapture",
        ])
        .env(
            CHILD,
            format!("{kind}\n{}\n{}", capture.display(), out.display()),
        )
        .stdout(Stdio::null())
}

/// Datagrams of 100 conversations in VXLAN.
fn capture(dir: &Path) -> PathBuf {
    let packet = |number: u64| {
        let client = format!("10.0.0.5:{}", 40_000 + number % 100);
        let frame = Frame::udp(&client, "10.0.0.9:53")
            .payload(&[7; 200])
            .bytes();
        let time = Timestamp::new(1_700_000_000 + number / 1_000, number % 1_000 * 1_000_000);
        Packet::whole(time, Vxlan::new("192.0.2.1", 7).wrap(&frame))
    };
    let packets: Vec<Packet> = (0..PACKETS).map(packet).collect();
    capture::write(&dir.join("mirrors.pcap"), &packets)
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let names: Vec<String> = entries.map(|entry| name(entry).unwrap()).collect();
    sorted(&names)
}

fn sorted(names: &[impl AsRef<str>]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
    names.sort();
    names
}
