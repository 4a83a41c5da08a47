//! The thread that keeps pins: each has a file that grows until its time or its room is used up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select};
use serde_json::{Value, json};
use vxscope_export::{OutputFile, Packets, Shelf, append_records, capture_header};
use vxscope_units::Timestamp;

use super::counts::{Counts, Happened};
use super::retrieve::Query;
use super::watch::{Haul, Watch};
use crate::clock::{self, LiveClock};
use crate::command::Commands;
use crate::error::EngineError;
use crate::start;

/// Pins at once. A further one is refused, and whoever asks is told so.
pub(crate) const PINS_MAX: usize = 64;
/// Ended pins that are still told of.
const ENDED_MAX: usize = 64;
/// Orders that wait.
const ORDERS: usize = 16;
/// Boxes that wait, of all workers.
const HAULS: usize = 64;
/// How often times and files are looked after.
const TICK: Duration = Duration::from_millis(100);
/// How often the shelf is swept.
const SWEEP: Duration = Duration::from_secs(10);
/// How long packets may still be on their way when a pin ends.
const GRACE: Duration = Duration::from_millis(500);

/// The shelf, which is there once somebody needs it.
pub(super) type ShelfSlot = Arc<OnceLock<Arc<Shelf>>>;

/// A pin to be.
#[derive(Clone, Debug)]
pub(crate) struct NewPin {
    pub(crate) query: Query,
    /// What was asked for, in the words of who asked.
    pub(crate) asked: Value,
    pub(crate) reason: String,
    pub(crate) lasts: Duration,
    pub(crate) shelf: Arc<Shelf>,
}

/// What a keeper is told.
pub(crate) enum Order {
    Pin(Box<NewPin>, Sender<Result<Watch, String>>),
    Unpin(u32, Sender<bool>),
    List(Sender<Vec<Value>>),
    End,
}

/// The line to a keeper.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    orders: Sender<Order>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Starts its thread.
    pub(crate) fn start(
        commands: Commands,
        clock: LiveClock,
        counts: Arc<Counts>,
        shelf: ShelfSlot,
        bytes_max: u64,
    ) -> Result<Self, EngineError> {
        let (orders, taken) = bounded(ORDERS);
        let (sender, ended) = bounded(1);
        let (hauls, hauled) = bounded(HAULS);
        let keeping = Keeping {
            commands,
            clock,
            counts,
            shelf,
            bytes_max,
            hauls,
            pins: Vec::new(),
            told: VecDeque::new(),
            next: 1,
            swept: Duration::ZERO,
        };
        start::detach("look-back", move || {
            keeping.run(&taken, &hauled);
            let _ = sender.try_send(());
        })?;
        Ok(Self { orders, ended })
    }

    /// Begins a pin; what workers are to watch for.
    pub(crate) fn pin(&self, pin: NewPin) -> Result<Watch, String> {
        let (answer, answered) = bounded(1);
        self.tell(Order::Pin(Box::new(pin), answer))?;
        let answered = answered.recv();
        answered.map_err(|_| "the sensor is stopping".to_owned())?
    }

    /// Ends a pin; whether there was one.
    pub(crate) fn unpin(&self, pin: u32) -> Result<bool, String> {
        let (answer, answered) = bounded(1);
        self.tell(Order::Unpin(pin, answer))?;
        answered
            .recv()
            .map_err(|_| "the sensor is stopping".to_owned())
    }

    /// All pins, and those that ended last.
    pub(crate) fn list(&self) -> Result<Vec<Value>, String> {
        let (answer, answered) = bounded(1);
        self.tell(Order::List(answer))?;
        answered
            .recv()
            .map_err(|_| "the sensor is stopping".to_owned())
    }

    fn tell(&self, order: Order) -> Result<(), String> {
        let told = self.orders.try_send(order);
        told.map_err(|_| {
            "too many orders about pins wait already, or the sensor is stopping".to_owned()
        })
    }

    /// The workers have ended: finishes all files, and waits for that as long as `is_over` says.
    pub(crate) fn end(&self, is_over: impl Fn() -> bool) {
        // It takes orders all the time; a disk that hangs is not waited for.
        let _ = self.orders.send_timeout(Order::End, TICK);
        while let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(TICK) {
            if is_over() {
                return;
            }
        }
    }
}

struct Pin {
    id: u32,
    pin: NewPin,
    since: Timestamp,
    until: Duration,
    file: Option<OutputFile>,
    name: String,
    bytes: u64,
    packets: u64,
    shed: Arc<AtomicU64>,
    /// What `shed` was when it was counted.
    shed_counted: u64,
    state: &'static str,
    /// When its file is finished.
    finish: Option<Duration>,
}

struct Keeping {
    commands: Commands,
    clock: LiveClock,
    counts: Arc<Counts>,
    shelf: ShelfSlot,
    bytes_max: u64,
    hauls: Sender<Haul>,
    pins: Vec<Pin>,
    /// Pins that ended, newest last.
    told: VecDeque<Value>,
    next: u32,
    swept: Duration,
}

impl Keeping {
    fn run(mut self, orders: &Receiver<Order>, hauls: &Receiver<Haul>) {
        let mut orders = orders;
        let nobody = never();
        loop {
            select! {
                recv(orders) -> order => match order {
                    Ok(Order::Pin(pin, answer)) => _ = answer.try_send(self.begin(*pin)),
                    Ok(Order::Unpin(id, answer)) => _ = answer.try_send(self.end(id, "removed")),
                    Ok(Order::List(answer)) => _ = answer.try_send(self.list()),
                    Ok(Order::End) => break,
                    Err(_) => orders = &nobody,
                },
                recv(hauls) -> haul => if let Ok(haul) = haul { self.take(haul) },
                default(TICK) => {}
            }
            self.tick();
        }
        hauls.try_iter().for_each(|haul| self.take(haul));
        for pin in std::mem::take(&mut self.pins) {
            self.finish(pin, "stopped");
        }
    }

    fn begin(&mut self, new: NewPin) -> Result<Watch, String> {
        if self.pins.len() >= PINS_MAX {
            self.counts.add(Happened::PinsRefused, 1);
            return Err(format!(
                "there are {PINS_MAX} pins already; remove one, or wait until one has ended"
            ));
        }
        let (id, elapsed) = (self.next, self.clock.elapsed());
        let since = self.clock.at(elapsed);
        let name = format!("pin-{}-{id}.pcap", compact(since));
        let file = new.shelf.create_file(&name).and_then(|mut file| {
            file.write(&capture_header())?;
            Ok(file)
        });
        let file = file.map_err(|error| {
            self.counts.add(Happened::WriteErrors, 1);
            error.to_string()
        })?;
        self.next = self.next.wrapping_add(1).max(1);
        self.counts.add(Happened::Pinned, 1);
        let shed = Arc::<AtomicU64>::default();
        let watch = Watch {
            pin: id,
            which: new.query.which.clone(),
            vni: new.query.vni,
            address: new.query.address,
            hauls: self.hauls.clone(),
            shed: shed.clone(),
        };
        self.pins.push(Pin {
            id,
            since,
            until: elapsed + new.lasts,
            pin: new,
            file: Some(file),
            name,
            bytes: 0,
            packets: 0,
            shed,
            shed_counted: 0,
            state: "active",
            finish: None,
        });
        Ok(watch)
    }

    /// Ends a pin: nothing more is watched for, and its file is finished when everything has come.
    fn end(&mut self, id: u32, state: &'static str) -> bool {
        let finish = self.clock.elapsed() + GRACE;
        let found = self
            .pins
            .iter_mut()
            .find(|pin| pin.id == id && pin.finish.is_none());
        let Some(pin) = found else { return false };
        pin.state = state;
        pin.finish = Some(finish);
        // Workers that have ended watch for nothing.
        let _ = self.commands.unwatch(id);
        true
    }

    fn take(&mut self, haul: Haul) {
        let mut full = Vec::new();
        for pin in &mut self.pins {
            let mut own = Packets::default();
            let frames = haul.pins.iter().zip(haul.packets.iter());
            for (_, (timestamp, original_len, frame)) in frames.filter(|(id, _)| **id == pin.id) {
                let more = frame.len() as u64 + 16;
                if pin.bytes + more > self.bytes_max {
                    full.push(pin.id);
                    break;
                }
                pin.bytes += more;
                own.push(timestamp, frame, original_len);
            }
            if own.is_empty() {
                continue;
            }
            pin.packets += own.len() as u64;
            self.counts.add(Happened::PinPackets, own.len() as u64);
            let written = pin
                .file
                .as_mut()
                .map(|file| file.append(|out| append_records(out, &own)));
            if let Some(Err(_)) = written {
                self.counts.add(Happened::WriteErrors, 1);
                pin.file = None;
                full.push(pin.id);
                pin.state = "failed";
            }
        }
        haul.go_home();
        for id in full {
            let failed = self
                .pins
                .iter()
                .any(|pin| pin.id == id && pin.state == "failed");
            if self.end(id, if failed { "failed" } else { "full" }) && !failed {
                self.counts.add(Happened::PinsFull, 1);
            }
        }
    }

    fn tick(&mut self) {
        let elapsed = self.clock.elapsed();
        let over = |pin: &Pin| pin.finish.is_none() && elapsed >= pin.until;
        let over: Vec<u32> = self
            .pins
            .iter()
            .filter(|pin| over(pin))
            .map(|pin| pin.id)
            .collect();
        for id in over {
            self.end(id, "expired");
        }
        let (mut at, mut failed) = (0, Vec::new());
        while let Some(pin) = self.pins.get_mut(at) {
            let shed = pin.shed.load(Ordering::Relaxed);
            self.counts.add(Happened::PinShed, shed - pin.shed_counted);
            pin.shed_counted = shed;
            if pin.finish.is_some_and(|finish| elapsed >= finish) {
                let pin = self.pins.remove(at);
                let state = pin.state;
                self.finish(pin, state);
            } else {
                if let Some(Err(_)) = pin.file.as_mut().map(OutputFile::flush) {
                    self.counts.add(Happened::WriteErrors, 1);
                    pin.file = None;
                    failed.push(pin.id);
                }
                at += 1;
            }
        }
        for id in failed {
            self.end(id, "failed");
        }
        if elapsed >= self.swept + SWEEP {
            self.swept = elapsed;
            if let Some(shelf) = self.shelf.get() {
                sweep(shelf, 0, &self.counts);
            }
        }
    }

    fn finish(&mut self, mut pin: Pin, state: &'static str) {
        let finished = pin.file.take().map(OutputFile::finish);
        pin.state = match finished {
            Some(Ok(())) => state,
            Some(Err(_)) => {
                self.counts.add(Happened::WriteErrors, 1);
                "failed"
            }
            None => "failed",
        };
        if self.told.len() >= ENDED_MAX {
            self.told.pop_front();
        }
        self.told.push_back(pin.json(Duration::ZERO));
    }

    fn list(&self) -> Vec<Value> {
        let elapsed = self.clock.elapsed();
        let ended = self.told.iter().cloned();
        ended
            .chain(self.pins.iter().map(|pin| pin.json(elapsed)))
            .collect()
    }
}

impl Pin {
    fn json(&self, elapsed: Duration) -> Value {
        let left = match self.state {
            "active" => self.until.saturating_sub(elapsed).as_secs(),
            _ => 0,
        };
        json!({
            "id": self.id,
            "state": self.state,
            "asked": self.pin.asked,
            "reason": self.pin.reason,
            "since": self.since.to_string(),
            "seconds_left": left,
            "packets": self.packets,
            "bytes": self.bytes,
            "shed": self.shed.load(Ordering::Relaxed),
            "file": self.pin.shelf.path().join(&self.name),
        })
    }
}

/// Removes what is too old or has to make room, and counts it.
pub(super) fn sweep(shelf: &Shelf, coming: u64, counts: &Counts) {
    // By the wall clock, as the files' own times.
    match shelf.sweep(clock::wall(), coming) {
        Ok(swept) => {
            counts.add(Happened::RemovedOld, swept.old);
            counts.add(Happened::RemovedRoom, swept.room);
        }
        Err(_) => counts.add(Happened::WriteErrors, 1),
    }
}

/// `20261121T020000`, for names of files.
pub(crate) fn compact(time: Timestamp) -> String {
    let text = time.to_string();
    let digits = text.chars().take(19).filter(|it| *it != '-' && *it != ':');
    digits.collect()
}
