//! The handle on the thread that talks to AWS.

use std::collections::{BTreeMap, VecDeque};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use thiserror::Error;
use tokio::sync::mpsc;
use vxscope_control::mirror::{ApiError, Call, CallId, ErrorKind, MirrorApi, Reply};
use vxscope_enrolment::assurance::Sent;
use vxscope_enrolment::inventory::{Around, Inventory, Surroundings};
use vxscope_units::Timestamp;

use crate::chore::{Chore, ChoreId, Done};
use crate::client::Settings;
use crate::metrics::MetricsAsk;
use crate::object::{ObjectAnswer, ObjectAsk, ObjectId};
use crate::survey::Scope;
use crate::worker::{Answer, Job, run};

/// Jobs without an answer yet. Beyond, a job is answered at once as not made, and counted:
/// whoever asks has far less under way.
const JOBS_MAX: usize = 4_096;

/// It cannot be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Neither thread nor event loop.
    #[error("the thread for AWS cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// EC2 in one Region, as one account sees it. Dropping it waits for calls under way.
#[derive(Debug)]
pub struct Ec2 {
    jobs: Option<mpsc::Sender<Job>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    open: usize,
    refused: u64,
    replies: VecDeque<(CallId, Result<Reply, ApiError>)>,
    surveys: VecDeque<Result<Inventory, ApiError>>,
    chores: VecDeque<(ChoreId, Result<Done, ApiError>)>,
    objects: VecDeque<(ObjectId, Result<ObjectAnswer, ApiError>)>,
    surroundings: VecDeque<Surroundings>,
    metrics: VecDeque<Result<BTreeMap<String, Sent>, ApiError>>,
    hints: VecDeque<Result<usize, ApiError>>,
}

impl Ec2 {
    /// Starts the thread. Whether AWS can be reached shows with the first answer.
    ///
    /// # Errors
    /// Without a thread or an event loop.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let (jobs, todo) = mpsc::channel(JOBS_MAX);
        let (done, answers) = bounded(JOBS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("ec2".to_owned())
            .spawn(move || run(&runtime, &settings, todo, &done))?;
        Ok(Self {
            jobs: Some(jobs),
            answers,
            thread: Some(thread),
            open: 0,
            refused: 0,
            replies: VecDeque::new(),
            surveys: VecDeque::new(),
            chores: VecDeque::new(),
            objects: VecDeque::new(),
            surroundings: VecDeque::new(),
            metrics: VecDeque::new(),
            hints: VecDeque::new(),
        })
    }

    /// Reads the account; the answer is [`Ec2::poll_survey`]'s.
    pub fn submit_survey(&mut self, scope: Scope) {
        if !self.send(Job::Survey(scope)) {
            self.surveys.push_back(Err(not_sent()));
        }
    }

    /// Does a chore; the answer is [`Ec2::poll_chore`]'s.
    pub fn submit_chore(&mut self, id: ChoreId, chore: Chore) {
        if !self.send(Job::Chore(id, chore)) {
            self.chores.push_back((id, Err(not_sent())));
        }
    }

    /// Asks a bucket; the answer is [`Ec2::poll_object`]'s.
    pub fn submit_object(&mut self, id: ObjectId, ask: ObjectAsk) {
        if !self.send(Job::Object(id, ask)) {
            self.objects.push_back((id, Err(not_sent())));
        }
    }

    /// An answer of a bucket that has come.
    #[must_use]
    pub fn poll_object(&mut self) -> Option<(ObjectId, Result<ObjectAnswer, ApiError>)> {
        self.take_answers();
        self.objects.pop_front()
    }

    /// Reads what is around mirrors; the answer is [`Ec2::poll_surroundings`]'s.
    pub fn submit_around(&mut self, around: Around) {
        if !self.send(Job::Around(around)) {
            let unread = [("all".to_owned(), not_sent().to_string())].into();
            self.surroundings.push_back(Surroundings {
                unread,
                ..Surroundings::default()
            });
        }
    }

    /// What is around mirrors.
    #[must_use]
    pub fn poll_surroundings(&mut self) -> Option<Surroundings> {
        self.take_answers();
        self.surroundings.pop_front()
    }

    /// Asks what instances copied; the answer is [`Ec2::poll_metrics`]'s.
    pub fn submit_metrics(&mut self, ask: MetricsAsk) {
        if !self.send(Job::Metrics(ask)) {
            self.metrics.push_back(Err(not_sent()));
        }
    }

    /// What instances copied, by instance.
    #[must_use]
    pub fn poll_metrics(&mut self) -> Option<Result<BTreeMap<String, Sent>, ApiError>> {
        self.take_answers();
        self.metrics.pop_front()
    }

    /// Waits for a few seconds for messages in a queue, by its URL, and takes them; the answer is
    /// [`Ec2::poll_hint`]'s.
    pub fn submit_hint(&mut self, queue: &str) {
        if !self.send(Job::Hint(queue.to_owned())) {
            self.hints.push_back(Err(not_sent()));
        }
    }

    /// How many messages came.
    #[must_use]
    pub fn poll_hint(&mut self) -> Option<Result<usize, ApiError>> {
        self.take_answers();
        self.hints.pop_front()
    }

    /// A reading that has come.
    #[must_use]
    pub fn poll_survey(&mut self) -> Option<Result<Inventory, ApiError>> {
        self.take_answers();
        self.surveys.pop_front()
    }

    /// A chore that is done or failed.
    #[must_use]
    pub fn poll_chore(&mut self) -> Option<(ChoreId, Result<Done, ApiError>)> {
        self.take_answers();
        self.chores.pop_front()
    }

    /// Waits for any answer, but not longer; it is polled then.
    pub fn wait(&mut self, longest: Duration) {
        if let Ok(answer) = self.answers.recv_timeout(longest) {
            self.handle(answer);
        }
    }

    /// Whether every job was answered, and every answer polled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let polled = self.replies.is_empty() && self.surveys.is_empty() && self.chores.is_empty();
        self.open == 0 && polled
    }

    /// Jobs that were not made because too many were under way.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn send(&mut self, job: Job) -> bool {
        let has_room = self.open < JOBS_MAX;
        let sent = has_room
            && self
                .jobs
                .as_ref()
                .is_some_and(|jobs| jobs.try_send(job).is_ok());
        if sent {
            self.open += 1;
        } else {
            self.refused += 1;
        }
        sent
    }

    fn take_answers(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.handle(answer);
        }
    }

    fn handle(&mut self, answer: Answer) {
        self.open = self.open.saturating_sub(1);
        match answer {
            Answer::Call(id, reply) => self.replies.push_back((id, reply)),
            Answer::Chore(id, done) => self.chores.push_back((id, done)),
            Answer::Object(id, answer) => self.objects.push_back((id, answer)),
            Answer::Survey(inventory) => self.surveys.push_back(*inventory),
            Answer::Around(found) => self.surroundings.push_back(*found),
            Answer::Metrics(found) => self.metrics.push_back(found),
            Answer::Hint(messages) => self.hints.push_back(messages),
        }
    }
}

impl MirrorApi for Ec2 {
    fn submit(&mut self, id: CallId, call: Call, _: Timestamp) {
        if !self.send(Job::Call(id, call)) {
            self.replies.push_back((id, Err(not_sent())));
        }
    }

    fn poll(&mut self, _: Timestamp) -> Option<(CallId, Result<Reply, ApiError>)> {
        self.take_answers();
        self.replies.pop_front()
    }
}

impl Drop for Ec2 {
    fn drop(&mut self) {
        // The thread ends when there are no more jobs; each call has its own timeout.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn not_sent() -> ApiError {
    ApiError {
        kind: ErrorKind::Unavailable,
        code: "NotSent".to_owned(),
        message: "too many calls are under way".to_owned(),
    }
}
