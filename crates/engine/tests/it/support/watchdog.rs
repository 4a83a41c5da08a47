//! Ends the test when one capture takes too long: a hang must not look like a slow machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// Looks after which a job has hung: a minute. On a machine that is not busy the slowest takes a
/// tenth of a second.
const LOOKS_MAX: u32 = 600;

/// Watches any number of threads, each with one job at a time.
#[derive(Debug)]
pub(crate) struct Watchdog {
    jobs: Arc<Vec<Mutex<Option<Job>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    name: String,
    looks: u32,
}

impl Watchdog {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of the test, not of the program"
    )]
    pub(crate) fn start(threads: usize) -> Self {
        let jobs: Arc<Vec<Mutex<Option<Job>>>> =
            Arc::new((0..threads).map(|_| Mutex::new(None)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let (watched, stopped) = (jobs.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
                watched.iter().for_each(look);
            }
        });
        Self {
            jobs,
            stop,
            thread: Some(thread),
        }
    }

    /// Thread `number` begins a job.
    pub(crate) fn begin(&self, number: usize, name: String) {
        *self.jobs[number].lock().unwrap() = Some(Job { name, looks: 0 });
    }

    /// Thread `number` has done it.
    pub(crate) fn end(&self, number: usize) {
        *self.jobs[number].lock().unwrap() = None;
    }
}

/// A hung thread cannot be stopped, so the whole process ends.
fn look(job: &Mutex<Option<Job>>) {
    if let Some(job) = job.lock().unwrap().as_mut() {
        job.looks += 1;
        if job.looks >= LOOKS_MAX {
            println!("hung: {} has not ended after a minute", job.name);
            std::process::abort();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
