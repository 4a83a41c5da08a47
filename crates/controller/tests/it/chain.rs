//! The whole chain as processes: a sensor that receives what obeying sources send, the controller
//! over the strict stand-in for EC2, and the reaper.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use vxscope_api::Client;
use vxscope_report::SourceStatus;
use vxscope_standin::{Seed, Standin};

use crate::kit::{ALL, KEY, Site, site, until};

/// The one VNI of generated sources.
const VNI: u32 = 1_169;
/// Interfaces of the two sources, whose addresses are 127.0.0.2 and 127.0.0.3.
const SOURCES: [&str; 2] = ["eni-0000000a", "eni-0000000b"];
/// How long anything may take on a machine that is busy.
const LONG: Duration = Duration::from_secs(150);

/// Production's rules with bounds short enough that a test sees pauses: eighteen seconds hidden,
/// half a minute new, six seconds watched between pauses and kept by an alert.
const RULES: &str = "mode = \"dynamic\"
[importance.low]
tolerance = 10.0
on_minutes = 0.1
blind_minutes = { payload = 0.3, flow = 0.3, management = 0.3, dns_never = 0.3 }
[[assign]]
importance = \"low\"
cidr = \"127.0.0.0/8\"
[limits]
new_pin_minutes = 0.5
baseline_pin_minutes = 0.5
alert_pin_minutes = 0.1
pins_max = 1.0
bulk_max = 1.0
refusal = 0.0
saving_min = 0.0
availability_min = 0.5
cycle_minutes = 0.1
day_parts = 1
";

#[test]
fn a_tag_brings_packets_and_pauses_end_whoever_is_left() {
    let chain = Chain::new();
    let reaper = chain.process(&["reap", "--every", "2"]);
    let controller = chain.process(&["run", "--apply"]);
    // Nobody asked for anything: nothing is sent.
    assert_eq!(chain.sources().len(), 0);
    chain.tag();
    until("packets of both", LONG, || chain.sources().len() == 2);
    let source = until_some("names", || {
        let all = chain.sources();
        all.into_iter().find(|it| it.instance.is_some())
    });
    let number = if source.report.eni.as_deref() == Some(SOURCES[0]) {
        0
    } else {
        1
    };
    assert_eq!(source.report.eni.as_deref(), Some(SOURCES[number]));
    assert_eq!(source.instance, Some(instance(number)));
    assert_eq!(source.vpc.as_deref(), Some("vpc-1"));
    assert!(source.account.is_some());

    // Both do nothing new, so one is paused, with reasons, and the sensor says why it is silent.
    let first = chain.until_paused(&SOURCES);
    let why = chain.decision(first, "granted");
    assert_eq!(
        (&why["to"], &why["reason"]),
        (&json!("off"), &json!("quiet"))
    );
    assert!(
        why["numbers"]["expected_upper"].as_f64().unwrap() <= 10.0,
        "{why}"
    );
    chain.until_told(first, ("not_mirrored", "quiet"));
    let (before, time) = (chain.packets(first), chain.time());
    until("two seconds of the sensor", LONG, || {
        chain.time() > time + 2_000_000
    });
    if chain.is_paused(first) {
        assert_eq!(
            chain.packets(first),
            before,
            "a paused source sends nothing"
        );
    }

    // An alert brings it back.
    chain.alert(first);
    until("back after an alert", LONG, || !chain.is_paused(first));
    until("packets again", LONG, || chain.packets(first) > before);
    let is_alerted = |line: &Value| line["reason"] == "alert" || line["reason"] == "pinned";
    until("the alert's reason", LONG, || {
        chain.lines(first).iter().any(is_alerted)
    });

    // The controller is killed; the reaper brings back whom it had paused.
    let second = chain.until_paused(&SOURCES);
    // Who is killed before it tells the sensor has told nothing.
    chain.until_told(second, ("not_mirrored", "quiet"));
    controller.signal("KILL");
    drop(controller);
    until("back by the reaper", LONG, || !chain.is_paused(second));
    chain.until_told(second, ("mirrored", "heard"));

    // An upgrade keeps the pause, an end for good does not.
    let controller = chain.process(&["run", "--apply"]);
    let third = chain.until_paused(&SOURCES);
    controller.end("HUP");
    assert!(chain.is_paused(third), "an upgrade keeps pauses");
    // Also if the end comes before the controller has read who is paused.
    let controller = chain.process(&["run", "--apply"]);
    chain.until_running();
    controller.end("TERM");
    for interface in SOURCES {
        assert!(!chain.is_paused(interface), "an end for good brings back");
    }
    drop(reaper);
}

/// Everything that runs.
struct Chain {
    site: Site,
    sensor: Sensor,
    _senders: (Process, Obeyed),
}

impl Chain {
    fn new() -> Self {
        let site = site();
        site.account(|account| {
            for (number, interface) in SOURCES.iter().enumerate() {
                let address = format!("127.0.0.{}", number + 2);
                account.add_instance(Seed::new(&instance(number), interface, &address));
            }
        });
        let folder = site.folder.path();
        let sensor = Sensor::start(&folder.join("sensor"));
        std::fs::write(folder.join("policy.toml"), RULES).unwrap();
        std::fs::write(folder.join("prices.toml"), "billing = [\"second\"]\n").unwrap();
        let text = format!(
            "[mirroring]\ntag_key = \"{KEY}\"\nvni = {VNI}\npolicy = \"policy.toml\"\n\
             prices = \"prices.toml\"\n[target]\nnetwork_interface = \"eni-sensor\"\n\
             control_socket = \"{}\"\n[limits]\ndescribe_seconds = 1\n[state]\nfolder = \"{}\"\n",
            sensor.socket().display(),
            folder.join("state").display()
        );
        std::fs::write(site.config(), text).unwrap();
        let sessions = folder.join("sessions.json");
        let obeyed = Obeyed::start(site.standin.clone(), sessions.clone());
        let generator = sensor.generator(&sessions);
        Self {
            site,
            sensor,
            _senders: (generator, obeyed),
        }
    }

    /// The controller's program, going on.
    fn process(&self, arguments: &[&str]) -> Process {
        let log = std::fs::File::options();
        let path = self.site.folder.path().join("log");
        let log = { log }.create(true).append(true).open(path).unwrap();
        let mut command = self.site.command(arguments);
        Process(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn tag(&self) {
        self.site.account(|account| {
            for number in 0..SOURCES.len() {
                account.change_instance(&instance(number), |it| {
                    it.tags.insert(KEY.to_owned(), ALL.to_owned());
                });
            }
        });
    }

    fn is_paused(&self, interface: &str) -> bool {
        self.site.sessions(interface).is_empty()
    }

    /// Waits until one of these is off, and says which.
    fn until_paused<'a>(&self, interfaces: &[&'a str]) -> &'a str {
        let mut found = None;
        until("a pause", LONG, || {
            found = interfaces.iter().find(|it| self.is_paused(it)).copied();
            found.is_some()
        });
        found.unwrap()
    }

    fn sources(&self) -> Vec<SourceStatus> {
        self.sensor.client().sources().unwrap()
    }

    fn packets(&self, interface: &str) -> u64 {
        let sources = self.sources().into_iter();
        let of = { sources }.find(|it| it.report.eni.as_deref() == Some(interface));
        of.map_or(0, |it| it.report.signals.packets)
    }

    /// The sensor's time, µs since 1970.
    fn time(&self) -> u64 {
        self.sensor.client().status().unwrap().time
    }

    fn alert(&self, interface: &str) {
        let alert =
            json!({"alert": {"address": address(interface), "vni": VNI, "reason": "ET SCAN"}});
        let _: Value = self.sensor.client().ask(&alert.to_string()).unwrap();
    }

    /// What was decided about an interface, oldest first.
    fn lines(&self, interface: &str) -> Vec<Value> {
        let path = self.site.folder.path().join("state/decisions.ndjson");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["interface"] == interface)
            .collect()
    }

    fn decision(&self, interface: &str, outcome: &str) -> Value {
        until_some(outcome, || {
            self.lines(interface)
                .into_iter()
                .find(|line| line["outcome"] == outcome)
        })
    }

    /// Waits until a controller has the state folder to itself, and so hears signals.
    fn until_running(&self) {
        let state = self.site.folder.path().join("state/status.json");
        drop(std::fs::remove_file(&state));
        until("a running controller", LONG, || state.exists());
    }

    /// Waits until the sensor's journal says this of a source, as the latest that is known.
    fn until_told(&self, interface: &str, (sight, cause): (&str, &str)) {
        let journal = self.sensor.out.join("coverage");
        until(&format!("{sight} by {cause}"), LONG, || {
            let mut command = Command::new(program());
            command.args([
                "coverage",
                interface,
                "--from",
                "-10m",
                "--json",
                "--journal",
            ]);
            let output = command.arg(&journal).output().unwrap();
            let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let spans = told["spans"].as_array().into_iter().flatten();
            // What comes after the last word is not seen, by definition.
            let last = { spans }.rfind(|it| it["sight"] != "not_seen");
            last.is_some_and(|it| it["sight"] == sight && it["cause"] == cause)
        });
    }
}

fn instance(number: usize) -> String {
    format!("i-0000000{number}")
}

fn address(interface: &str) -> &'static str {
    if interface == SOURCES[0] {
        "127.0.0.2"
    } else {
        "127.0.0.3"
    }
}

fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until(what, LONG, || {
        found = look();
        found.is_some()
    });
    found.unwrap()
}

/// The sensor's program, which is built beside the controller's.
fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_vxscope-controller")).with_file_name("vxscope");
    assert!(path.exists(), "{}: cargo build -p vxscope", path.display());
    path
}

/// A process that does not outlive its test.
struct Process(Child);

impl Process {
    /// A signal by its name without `SIG`.
    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks for the end, and waits for it.
    fn end(mut self, name: &str) {
        self.signal(name);
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running sensor on loopback.
struct Sensor {
    _process: Process,
    out: PathBuf,
    port: u16,
}

impl Sensor {
    fn start(out: &Path) -> Self {
        let ports = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            (socket.local_addr().unwrap().port(), socket)
        });
        let [port, other] = ports.map(|(port, _)| port);
        let mut command = Command::new(program());
        command
            .args(["run", "--listen", &format!("127.0.0.1:{port}"), "--out"])
            .arg(out)
            .args(["--set", &format!("decapsulation.geneve_ports=[{other}]")])
            .args(["--set", "rings.memory=32MiB"])
            .args(["--set", "report.interval_milliseconds=200"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let process = Process(child);
        let (mut all, mut line) = (String::new(), String::new());
        while !line.starts_with("interrupt") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "no sensor: {all}");
            all.push_str(&line);
        }
        // Nobody reads what it says later, and it must not wait for that.
        go_on(move || drop(std::io::copy(&mut said, &mut std::io::sink())));
        Self {
            _process: process,
            out: out.to_owned(),
            port,
        }
    }

    fn socket(&self) -> PathBuf {
        self.out.join("control.sock")
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket()).unwrap()
    }

    /// Two sources that send for longer than the test lasts, what their sessions let through.
    fn generator(&self, sessions: &Path) -> Process {
        let mut command = Command::new(program());
        command
            .args([
                "gen",
                "--sources",
                "2",
                "--flows",
                "4",
                "--one-vni",
                "--size",
                "64",
            ])
            .args(["--packets", "60000", "--rate", "100"])
            .args(["--to", &format!("127.0.0.1:{}", self.port), "--obey"])
            .arg(sessions)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process(command.spawn().unwrap())
    }
}

fn go_on(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().spawn(work).unwrap()
}

/// Tells the sources what the sessions in the account let through, several times a second.
struct Obeyed {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Obeyed {
    fn start(standin: Arc<Standin>, path: PathBuf) -> Self {
        tell(&standin, &path);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = go_on(move || {
            while !stopped.load(Ordering::Relaxed) {
                tell(&standin, &path);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Obeyed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn tell(standin: &Standin, path: &Path) {
    let sessions = SOURCES.map(|interface| {
        let is_there = standin.account(|account| {
            let sessions = account.sessions_of(interface);
            sessions.iter().any(|one| one.vni == VNI)
        });
        let grade = if is_there { "full" } else { "off" };
        json!({"outer_ip": address(interface), "vni": VNI, "grade": grade})
    });
    let hidden = path.with_extension("new");
    std::fs::write(&hidden, json!({"sessions": sessions}).to_string()).unwrap();
    std::fs::rename(&hidden, path).unwrap();
}
