//! The thread that talks to AWS: jobs in, answers out, a bounded number at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;
use vxscope_control::mirror::{ApiError, Call, CallId, Reply};
use vxscope_control::{Bucket, Random};
use vxscope_enrolment::assurance::Sent;
use vxscope_enrolment::inventory::{Around, Inventory, Surroundings};

use crate::chore::{Chore, ChoreId, Done};
use crate::client::{Clients, Settings};
use crate::clock::wall;
use crate::hint;
use crate::metrics::MetricsAsk;
use crate::object::{ObjectAnswer, ObjectAsk, ObjectId};
use crate::session;
use crate::survey::{Scope, Surveyor};

/// Calls under way at once: at 100 ms each enough for many times the account's rate.
const AT_ONCE: usize = 16;

/// Something to be asked.
#[derive(Debug)]
pub(crate) enum Job {
    Call(CallId, Call),
    Chore(ChoreId, Chore),
    Object(ObjectId, ObjectAsk),
    Survey(Scope),
    Around(Around),
    Metrics(MetricsAsk),
    Hint(String),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    Call(CallId, Result<Reply, ApiError>),
    Chore(ChoreId, Result<Done, ApiError>),
    Object(ObjectId, Result<ObjectAnswer, ApiError>),
    Survey(Box<Result<Inventory, ApiError>>),
    Around(Box<Surroundings>),
    Metrics(Result<BTreeMap<String, Sent>, ApiError>),
    Hint(Result<usize, ApiError>),
}

/// Runs until nobody can send jobs any more, and all are answered.
pub(crate) fn run(
    runtime: &tokio::runtime::Runtime,
    settings: &Settings,
    jobs: mpsc::Receiver<Job>,
    answers: &Sender<Answer>,
) {
    let work = LocalSet::new();
    work.block_on(runtime, serve(settings, jobs, answers.clone()));
    runtime.block_on(work);
}

async fn serve(settings: &Settings, mut jobs: mpsc::Receiver<Job>, answers: Sender<Answer>) {
    let clients = Rc::new(Clients::connect(settings).await);
    let (burst, rate_milli) = settings.readings;
    let waits = settings.waits;
    let bucket = Rc::new(RefCell::new(Bucket::new(burst, rate_milli, wall())));
    let random = Rc::new(RefCell::new(Random::new(wall().as_nanos())));
    let slots = Rc::new(Semaphore::new(AT_ONCE));
    while let Some(job) = jobs.recv().await {
        let (clients, answers, slots) = (clients.clone(), answers.clone(), slots.clone());
        let (bucket, random) = (bucket.clone(), random.clone());
        tokio::task::spawn_local(async move {
            let surveyor = Surveyor {
                clients: &clients,
                bucket: &bucket,
                random: &random,
                waits,
            };
            let answer = match job {
                Job::Call(id, call) => {
                    let slot = slots.acquire().await;
                    let reply = session::make(&clients.ec2, call, false).await;
                    drop(slot);
                    Answer::Call(id, reply)
                }
                Job::Chore(id, chore) => {
                    let slot = slots.acquire().await;
                    let done = chore.run(&clients.ec2).await;
                    drop(slot);
                    Answer::Chore(id, done)
                }
                // Not EC2's: a lease must not wait for calls to it.
                Job::Object(id, ask) => Answer::Object(id, ask.run(&clients.s3).await),
                Job::Metrics(ask) => Answer::Metrics(ask.run(&clients.cloudwatch).await),
                Job::Hint(queue) => Answer::Hint(hint::receive(&clients.sqs, &queue).await),
                Job::Around(around) => Answer::Around(Box::new(surveyor.look_around(around).await)),
                // Reads for long and waits for its own bucket: without a slot, so that it never
                // stands in the way of a resume.
                Job::Survey(scope) => Answer::Survey(Box::new(surveyor.read(scope).await)),
            };
            // There is a place for every job that was let in; gone is only whoever ends.
            drop(answers.try_send(answer));
        });
    }
}
