//! The server: a thread for each connection, faults on the way.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::account::Account;
use crate::answer::{Refusal, document};
use crate::fault::{FaultKind, Faults};
use crate::forward::{self, Foreign};
use crate::http::{HttpRequest, amz_date, http_date, read_request, write_response};
use crate::imds::Imds;
use crate::log::{Entry, Log};
use crate::request::Request;

/// Its clock runs by itself.
const RUNS: u64 = u64::MAX;
/// SigV4 lets clocks differ by so much.
const SKEW_MAX_SECONDS: u64 = 300;

/// A running stand-in; it ends when this is dropped.
#[derive(Debug)]
pub struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    account: Mutex<Account>,
    faults: Mutex<Faults>,
    log: Mutex<Log>,
    imds: Mutex<Imds>,
    ice: Mutex<Ice>,
    changed: Condvar,
    started: Instant,
    /// How far its clock is before ours, in seconds.
    clock_offset: AtomicI64,
    /// Milliseconds since the start as somebody set them; [`RUNS`] while its own clock runs.
    set: AtomicU64,
    /// Who plays the other services.
    others: Mutex<Option<String>>,
    stop: AtomicBool,
}

/// Calls that are held.
#[derive(Debug, Default)]
struct Ice {
    frozen: u64,
    thawed: u64,
}

impl Standin {
    /// Listens on a port of loopback that the kernel chooses. The same seed gives the same ids.
    ///
    /// # Errors
    /// Those of listening.
    pub fn start(seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a server at the edge has a clock"
        )]
        let started = Instant::now();
        let shared = Arc::new(Shared {
            account: Mutex::new(Account::new(seed)),
            faults: Mutex::new(Faults::new(seed)),
            log: Mutex::default(),
            imds: Mutex::default(),
            ice: Mutex::default(),
            changed: Condvar::new(),
            started,
            clock_offset: AtomicI64::new(0),
            set: AtomicU64::new(RUNS),
            others: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("standin".to_owned())
            .spawn(move || accept(&listener, &server))?;
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// What `AWS_ENDPOINT_URL` must be; for `AWS_EC2_METADATA_SERVICE_ENDPOINT` as well.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the account, or changes it behind the client's back.
    pub fn account<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = lock(&self.shared.account);
        account.now = self.shared.millis();
        act(&mut account)
    }

    /// What goes wrong from now on.
    pub fn faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        act(&mut lock(&self.shared.faults))
    }

    /// The calls so far.
    #[must_use]
    pub fn log(&self) -> Log {
        lock(&self.shared.log).clone()
    }

    /// Forgets the calls so far.
    pub fn clear_log(&self) {
        lock(&self.shared.log).clear();
    }

    /// Calls need keys that its metadata service gave out, each good for so long.
    pub fn require_role(&self, life: Duration) {
        let mut imds = lock(&self.shared.imds);
        (imds.required, imds.life_seconds) = (true, life.as_secs());
    }

    /// Calls to other services than EC2 go to this address, such as [`crate::Moto::address`].
    pub fn forward(&self, address: &str) {
        *lock(&self.shared.others) = Some(address.to_owned());
    }

    /// Its clock is before everybody else's by so many seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.shared.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// Lag, token buckets and the log go by this time since the start from now on, for whoever
    /// lives in virtual time. Signatures and metadata still go by the wall clock.
    pub fn set_time(&self, since_start: Duration) {
        let millis = u64::try_from(since_start.as_millis()).unwrap_or(RUNS - 1);
        self.shared.set.store(millis, Ordering::Relaxed);
    }

    /// Waits until a call is held by [`FaultKind::Freeze`]; false if none was for so long.
    #[must_use]
    pub fn wait_frozen(&self, longest: Duration) -> bool {
        let ice = lock(&self.shared.ice);
        let waits = |ice: &mut Ice| ice.frozen == ice.thawed;
        let waited = self.shared.changed.wait_timeout_while(ice, longest, waits);
        let (ice, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ice.frozen > ice.thawed
    }

    /// Lets go what is held.
    pub fn thaw(&self) {
        let mut ice = lock(&self.shared.ice);
        ice.thawed = ice.frozen;
        self.shared.changed.notify_all();
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thaw();
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

impl Shared {
    fn millis(&self) -> u64 {
        let set = self.set.load(Ordering::Relaxed);
        if set != RUNS {
            return set;
        }
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Seconds since 1970 by its own clock.
    fn wall(&self) -> u64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "a server at the edge has a clock"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        now.saturating_add_signed(self.clock_offset.load(Ordering::Relaxed))
    }

    fn freeze(&self) {
        let mut ice = lock(&self.ice);
        ice.frozen += 1;
        let mine = ice.frozen;
        self.changed.notify_all();
        let held = |ice: &mut Ice| ice.thawed < mine;
        drop(self.changed.wait_while(ice, held));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(stream), shared) = (stream, Arc::clone(shared)) else {
            continue;
        };
        let serve = move || drop(serve(stream, &shared));
        let name = "standin-client".to_owned();
        drop(thread::Builder::new().name(name).spawn(serve));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let date = http_date(shared.wall());
        if let Some(foreign) = Foreign::of(&request) {
            if hand_on(&mut writer, &foreign, &request, &date, shared)? {
                continue;
            }
            break;
        }
        let Some((status, kind, body)) = answer(&request, shared) else {
            break;
        };
        write_response(&mut writer, status, kind, &date, &body)?;
    }
    Ok(())
}

/// A call to another service. False if the connection is to end.
fn hand_on(
    writer: &mut TcpStream,
    foreign: &Foreign,
    request: &HttpRequest,
    date: &str,
    shared: &Shared,
) -> io::Result<bool> {
    let named = |name: &str, value: String| (name.to_owned(), value);
    let call = Request {
        fields: [
            named("Action", foreign.name()),
            named("path", request.path.clone()),
        ]
        .into(),
    };
    let caller = access_key(request).unwrap_or_default();
    let fault = lock(&shared.faults).draw(&call, caller);
    lock(&shared.log).push(Entry {
        at: shared.millis(),
        service: foreign.service,
        action: foreign.action.clone(),
        caller: caller.to_owned(),
        fields: call.fields,
        done: fault.as_ref().is_none_or(FaultKind::is_done),
        code: String::new(),
        fault: fault.as_ref().map(FaultKind::name),
    });
    if foreign.name() == "cloudwatch:GetMetricData" && fault.is_none() {
        let there = lock(&shared.account).metric_data(&request.body);
        let (status, body) = there.map_or_else(|| (400, Vec::new()), |body| (200, body));
        write_response(writer, status, "application/cbor", date, body)?;
        return Ok(true);
    }
    if foreign.name() == "wafv2:ListResourcesForWebACL" && fault.is_none() {
        // moto does not know it.
        let there = lock(&shared.account).resources_of(&request.body);
        let (status, kind, text) = there.map_or_else(
            || foreign.refuse(&Refusal::new("WAFNonexistentItemException", "No such ACL.")),
            |text| (200, "application/x-amz-json-1.1", text),
        );
        write_response(writer, status, kind, date, &text)?;
        return Ok(true);
    }
    let address = lock(&shared.others).clone();
    let ask = || match &address {
        Some(address) => forward::ask(address, request),
        None => Err(io::Error::other("nobody plays this service")),
    };
    forward::answer(writer, foreign, fault.as_ref(), date, ask)
}

/// Status, type and text; `None` to end the connection.
fn answer(http: &HttpRequest, shared: &Shared) -> Option<(u16, &'static str, String)> {
    if http.path.starts_with("/latest/") {
        let (status, text) = lock(&shared.imds).handle(http, shared.wall());
        return Some((status, "text/plain", text));
    }
    let request = Request::parse(&String::from_utf8_lossy(&http.body));
    let caller = access_key(http).unwrap_or_default();
    let fault = lock(&shared.faults).draw(&request, caller);
    if let Some(FaultKind::Delay(time)) = &fault {
        thread::sleep(*time);
    }
    let done = fault.as_ref().is_none_or(FaultKind::is_done);
    let result = match admission(http, shared) {
        Err(refusal) => Err(refusal),
        Ok(()) if done => {
            let now = shared.millis();
            lock(&shared.account).handle(&request, now)
        }
        Ok(()) => Err(Refusal::new("NotDone", "")),
    };
    lock(&shared.log).push(Entry {
        at: shared.millis(),
        service: match request.action() {
            "GetCallerIdentity" => "sts",
            _ => "ec2",
        },
        action: request.action().to_owned(),
        caller: caller.to_owned(),
        fields: request.fields.clone(),
        done: result.is_ok(),
        code: match &result {
            Ok(_) => String::new(),
            Err(refusal) => refusal.code.clone(),
        },
        fault: fault.as_ref().map(FaultKind::name),
    });
    let id = format!("standin-{}", shared.millis());
    if let Some(refusal) = fault.as_ref().and_then(FaultKind::refusal) {
        return Some((refusal.status, "text/xml", refusal.document(&id)));
    }
    let (status, text) = match result {
        Ok(xml) => (200, document(request.action(), &id, xml)),
        Err(refusal) => (refusal.status, refusal.document(&id)),
    };
    match fault {
        None | Some(FaultKind::Delay(_)) => Some((status, "text/xml", text)),
        Some(FaultKind::Html) => {
            let page = "<html><body><h1>It works!</h1></body></html>";
            Some((200, "text/html", page.to_owned()))
        }
        Some(FaultKind::Torn) => {
            let half = text.chars().take(text.chars().count() / 2).collect();
            Some((200, "text/xml", half))
        }
        Some(FaultKind::Hang(time)) => {
            thread::sleep(time);
            None
        }
        Some(FaultKind::Freeze { .. }) => {
            shared.freeze();
            None
        }
        Some(_) => None,
    }
}

/// Whether the signature's time and key are good.
fn admission(http: &HttpRequest, shared: &Shared) -> Result<(), Refusal> {
    let now = shared.wall();
    let signed = http
        .headers
        .get("x-amz-date")
        .and_then(|date| amz_date(date));
    let Some(signed) = signed else {
        return Err(Refusal::new(
            "MissingAuthenticationToken",
            "The request is not signed.",
        ));
    };
    if signed.abs_diff(now) > SKEW_MAX_SECONDS {
        return Err(Refusal::new("RequestExpired", "Request has expired."));
    }
    let checked = lock(&shared.imds).check(access_key(http), now);
    checked.map_err(|code| Refusal::new(code, "The credentials are not valid."))
}

/// Who asks.
fn access_key(http: &HttpRequest) -> Option<&str> {
    let authorization = http.headers.get("authorization")?;
    let credential = authorization.split("Credential=").nth(1)?;
    credential.split('/').next()
}
