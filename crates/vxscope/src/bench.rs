//! `vxscope bench`: what this machine can carry.
//!
//! Sensor and traffic run on loopback, beside each other. For each length of frames the rate is
//! halved in on between one that loses nothing and one that does; each try is a whole run of the
//! sensor, whose ledger says what was lost.

mod search;
mod traffic;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::HumanCount;
use serde_json::{Value, json};
use vxscope_config::{Backend, Choice, Config};
use vxscope_engine::{Live, Observer, Outcome, Started, Status, Stop};
use vxscope_sim::traffic::Size;

use crate::arguments::BenchArguments;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::replay::failure;
use crate::report::align;
use crate::{configuration, print, signal};
use search::{Search, Try};
use traffic::Traffic;

/// Where a packet ring looks: traffic to this machine itself passes there.
const LOOPBACK: &str = "lo";

/// Looks for the highest rates and prints them.
pub(crate) fn run(arguments: &BenchArguments) -> Result<(), Failure> {
    let mut config = configuration::with_options(&arguments.options, None)?;
    if arguments.options.export.is_empty() {
        config.export.kinds.clear();
    }
    let bench = Bench {
        interface: (config.capture.backend != Backend::Udp).then(|| LOOPBACK.to_owned()),
        config,
        time: Duration::from_secs(arguments.seconds),
        out: std::env::temp_dir().join(format!("vxscope-bench-{}", std::process::id())),
        interrupted: signal::stop()?,
    };
    let sizes = if arguments.size.is_empty() {
        vec![Size::Bytes(64), Size::Imix, Size::Bytes(1_400)]
    } else {
        arguments.size.clone()
    };
    let steps = sizes.len() as u64 * u64::from(Search::STEPS);
    let progress = Progress::new("{bar:40} step {pos} of {len} at most: {msg}", Some(steps));
    let mut results = Vec::new();
    for (number, size) in (0_u64..).zip(sizes) {
        let done = number * u64::from(Search::STEPS);
        let found = bench.search(size, |search| {
            progress.set(done + u64::from(search.steps_done()));
            let rate = HumanCount(search.next_rate());
            progress.say(format!("{} frames, {rate} packets/s", name(size)));
        });
        results.push((size, found?));
    }
    drop(progress);
    let text = if arguments.json {
        format!("{}\n", bench.json(&results))
    } else {
        bench.table(&results)
    };
    print(&text)
}

/// What every try has in common.
struct Bench {
    config: Config,
    interface: Option<String>,
    time: Duration,
    out: PathBuf,
    interrupted: Arc<Stop>,
}

impl Bench {
    fn search(&self, size: Size, mut tell: impl FnMut(&Search)) -> Result<Search, Failure> {
        let traffic = Traffic::new(size)?;
        let mut search = Search::new();
        while !search.is_done() {
            tell(&search);
            // A folder for each: the threads that wrote the last one may still hold it.
            let out = self.out.join(search.tries().len().to_string());
            let tried = self.try_rate(&traffic, search.next_rate(), &out);
            // What a run of the sensor wrote is of no use.
            let _ = std::fs::remove_dir_all(&self.out);
            let tried = tried?;
            if self.interrupted.is_requested() {
                return Err(Failure::Failed("interrupted".to_owned()));
            }
            search.learn(tried);
        }
        Ok(search)
    }

    /// One run of the sensor, and traffic at a rate.
    fn try_rate(&self, traffic: &Traffic, rate: u64, out: &Path) -> Result<Try, Failure> {
        let live = Live {
            config: self.config.clone(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            vxlan_port: Some(0),
            interface: self.interface.clone(),
            out: out.to_owned(),
            steward: None,
            reread: None,
            certificates: None,
        };
        let stop = Arc::new(Stop::new());
        let (opened, port) = sync_channel(1);
        let mut ready = Ready(opened);
        let (outcome, sent) = thread::scope(|scope| {
            let (stop, interrupted) = (&stop, &self.interrupted);
            let sender = scope.spawn(move || {
                // A sensor that did not start hangs up.
                let sent = port.recv().map_or(Ok(None), |port| {
                    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    let ended = || interrupted.is_requested();
                    traffic.send(target, rate, self.time, ended).map(Some)
                });
                stop.begin();
                sent
            });
            let outcome = vxscope_engine::run(&live, stop, &mut ready);
            drop(ready);
            (outcome, sender.join())
        });
        let outcome = outcome.map_err(|error| failure(&error))?;
        let sent = sent.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let sent = sent.unwrap_or_default();
        check(&outcome)?;
        Ok(Try {
            asked: rate,
            sent: sent.packets,
            bytes: sent.frame_bytes,
            time: sent.time,
            lost: sent
                .packets
                .saturating_sub(outcome.summary.packets.received),
        })
    }

    fn processors() -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    fn json(&self, results: &[(Size, Search)]) -> Value {
        let results: Vec<_> = results
            .iter()
            .map(|(size, found)| {
                json!({
                    "size": name(*size),
                    "packets_per_second": found.rate(),
                    "frame_bits_per_second": found.bits().round(),
                    "limited_by": if found.is_senders() { "sender" } else { "loss" },
                    "tries": found.tries().iter().map(Try::json).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "schema": 1,
            "backend": self.config.capture.backend.name(),
            "workers": self.config.workers,
            "processors": Self::processors(),
            "seconds": self.time.as_secs(),
            "results": results,
        })
    }

    fn table(&self, results: &[(Size, Search)]) -> String {
        let heading = ["frames", "packets/s", "Gbit/s", "what is lost a step above"];
        let mut table = vec![heading.map(str::to_owned)];
        for (size, found) in results {
            let least = if found.is_senders() { "≥ " } else { "" };
            table.push([
                name(*size),
                format!("{least}{}", HumanCount(found.rate())),
                format!("{:.2}", found.bits() / 1e9),
                found
                    .above()
                    .unwrap_or_else(|| "nothing was; the sender is at its limit".to_owned()),
            ]);
        }
        format!(
            "Highest rate without loss on loopback, {} s a try: backend {}, workers {}, \
             processors {}\n{}\
             Sensor and sender share the processors, and loopback has no network card: a machine \
             that\nonly receives carries more on each worker. 1,000 flows of 4 sources.\n",
            self.time.as_secs(),
            self.config.capture.backend,
            self.config.workers,
            Self::processors(),
            align(&table)
        )
    }
}

/// A run that is not sound says nothing about the machine.
fn check(outcome: &Outcome) -> Result<(), Failure> {
    if outcome.unbalanced.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(outcome.unbalanced.join("; ")))
}

/// As it is typed.
fn name(size: Size) -> String {
    match size {
        Size::Imix => "imix".to_owned(),
        Size::Bytes(bytes) => bytes.to_string(),
    }
}

/// Tells the sender where to.
struct Ready(SyncSender<u16>);

impl Observer for Ready {
    fn handle_start(&mut self, started: &Started) {
        let _ = self.0.try_send(started.vxlan_port.unwrap_or(0));
    }

    fn handle_status(&mut self, _status: &Status) {}
}
