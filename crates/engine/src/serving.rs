//! The thread that answers those who ask, from before the first packet to after the last.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use vxscope_api::{
    self as api, Answer, Asker, Bind, Configured, CoverageSearch, Done, FlowSearch, Hub,
    LookBackRequest, MirrorMode, MirrorOrder, Refusal, Sensor, Server, Settings, Severity,
    Snapshot,
};
use vxscope_config::{Called, binding};
use vxscope_policy::rules::Mode;
use vxscope_report::{FlowPage, MirrorStatus};
use vxscope_steward::Command;
use vxscope_units::{BindTable, Binding, ConflictKind, MirrorSource, Vni};

use crate::accounting::Pulse;
use crate::alert::Alert;
use crate::clock::LiveClock;
use crate::command::Commands;
use crate::coverage;
use crate::error::EngineError;
use crate::flow_book::FlowBook;
use crate::follower::Desk;
use crate::live::Live;
use crate::look_back::LookBack;
use crate::overseer::Overseer;
use crate::reread::Reread;
use crate::start;
use crate::stewarding::{Order, Orders, Reply};

/// The sensor, as clients may ask and command it.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) pulse: Arc<Pulse>,
    /// Whose roles there are.
    pub(crate) desk: Arc<Desk>,
    /// Flows that ended.
    pub(crate) flows: Arc<FlowBook>,
    /// There once the workers are.
    pub(crate) commands: OnceLock<Commands>,
    /// To whoever looks after the mirrors.
    pub(crate) orders: Option<Orders>,
    /// Where somebody else tells how they stand; there while the run receives.
    pub(crate) overseer: Mutex<Option<Overseer>>,
    /// There once the workers are.
    pub(crate) look_back: OnceLock<Arc<LookBack>>,
    /// Reads the configuration again.
    pub(crate) reread: Option<Reread>,
    /// The folder of the journal, if one is written.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) clock: LiveClock,
}

impl Sensor for Front {
    fn heartbeat_age(&self) -> Duration {
        self.pulse.age()
    }

    fn handle(&self, command: api::Command) -> Result<Done, String> {
        match command {
            api::Command::BindTable(binds) => {
                let commands = self.commands()?;
                let table = bind_table(&binds, &self.desk)?;
                let replaced = commands.replace_bind_table(table);
                replaced.map_err(|error| error.to_string())?;
                Ok(Done::default())
            }
            api::Command::Mirrors(order) => self.order(&order),
            api::Command::Oversight(oversight) => {
                if self.orders.is_some() {
                    let why = "this sensor looks after its mirrors itself; see policy.mode";
                    return Err(why.to_owned());
                }
                let overseer = self.overseer.lock();
                let overseer = overseer.unwrap_or_else(PoisonError::into_inner).clone();
                let overseer = overseer.ok_or("the sensor does not receive")?;
                overseer.hear(*oversight).map(|()| Done::default())
            }
            api::Command::Alert(alert) => {
                let heard = self.commands()?.alert(Alert {
                    source: mirror(alert.address, alert.vni)?,
                    peer: alert.peer,
                    severe: alert.severity == Severity::Severe,
                    reason: alert.reason,
                });
                heard.map_err(|error| error.to_string())?;
                Ok(Done::default())
            }
            api::Command::Reload => {
                let reread = self.reread.as_ref();
                let reread = reread.ok_or("this sensor was started without a configuration")?;
                let says = reread.run(self.commands()?)?;
                Ok(Done { says: Some(says) })
            }
        }
    }

    fn coverage(&self, search: &CoverageSearch) -> Result<serde_json::Value, Refusal> {
        let Some(folder) = &self.journal else {
            return Err(Refusal::not_found(
                "nobody writes it down; see report.coverage",
            ));
        };
        let now = self.clock.at(self.clock.elapsed()).as_nanos() / 1_000;
        coverage::answer(folder, search, now)
    }

    fn look_back(&self, request: LookBackRequest, asker: Asker) -> Result<Answer, Refusal> {
        match self.look_back.get() {
            Some(look_back) => look_back.answer(request, &asker),
            None => Err(Refusal::failed("the sensor has not started yet")),
        }
    }

    fn mirrors(&self) -> Result<MirrorStatus, String> {
        match self.orders()?.ask(Order::Status)? {
            Reply::Status(status) => Ok(*status),
            Reply::Done | Reply::Says(_) => Err("no status came".to_owned()),
        }
    }

    fn flows(&self, search: &FlowSearch) -> FlowPage {
        self.flows.find(search)
    }
}

fn mirror(address: IpAddr, vni: u32) -> Result<MirrorSource, String> {
    let vni = Vni::try_new(vni).ok_or_else(|| format!("vni {vni}: has 24 bits at most"))?;
    Ok(MirrorSource { address, vni })
}

impl Front {
    /// Nobody listens any more to what is told of the mirrors, or somebody does from now on.
    pub(crate) fn oversee_by(&self, overseer: Option<Overseer>) {
        let mut place = self.overseer.lock().unwrap_or_else(PoisonError::into_inner);
        *place = overseer;
    }

    fn commands(&self) -> Result<&Commands, String> {
        let commands = self.commands.get();
        commands.ok_or_else(|| "the sensor has not started yet".to_owned())
    }

    fn orders(&self) -> Result<&Orders, String> {
        let orders = self.orders.as_ref();
        orders.ok_or_else(|| "nobody looks after the mirrors; see policy.mode".to_owned())
    }

    /// Has an order obeyed by whoever looks after the mirrors.
    fn order(&self, order: &MirrorOrder) -> Result<Done, String> {
        let orders = self.orders()?;
        let command = match *order {
            MirrorOrder::Mode(mode) => {
                let mode = match mode {
                    MirrorMode::Manual => Some(Mode::Manual),
                    MirrorMode::Shadow => Some(Mode::Shadow),
                    MirrorMode::Dynamic => Some(Mode::Dynamic),
                    MirrorMode::Configured => None,
                };
                return orders.ask(Order::Mode(mode)).map(done);
            }
            MirrorOrder::Pin {
                address,
                vni,
                seconds,
            } => Command::Pin(mirror(address, vni)?, seconds.map(Duration::from_secs)),
            MirrorOrder::Unpin { address, vni } => Command::Unpin(mirror(address, vni)?),
            MirrorOrder::Hold => Command::Hold,
            MirrorOrder::Release => Command::Release,
            MirrorOrder::ResumeAll => Command::ResumeAll,
        };
        orders.ask(Order::Command(command)).map(done)
    }
}

fn done(reply: Reply) -> Done {
    match reply {
        Reply::Says(says) => Done { says: Some(says) },
        Reply::Done | Reply::Status(_) => Done::default(),
    }
}

fn bind_table(binds: &[Bind], desk: &Desk) -> Result<BindTable, String> {
    let bindings = binds.iter().enumerate().map(|(place, bind)| {
        let Bind {
            address,
            vni,
            name,
            eni,
            instance,
            vpc,
            account,
            role,
            expected,
        } = bind;
        let unknown = role.as_ref().filter(|it| desk.roles.find(it).is_none());
        let called = Called {
            name: name.as_deref(),
            eni: eni.as_deref(),
            instance: instance.as_deref(),
            vpc: vpc.as_deref(),
            account: account.as_deref(),
            role: role.as_deref(),
        };
        let binding = match unknown {
            Some(role) => Err(format!("role {role:?}: there is no such role")),
            None => binding(address, *vni, called, *expected),
        };
        binding.map_err(|message| format!("sources[{place}]: {message}"))
    });
    let bindings: Vec<Binding> = bindings.collect::<Result<_, _>>()?;
    BindTable::try_new(bindings).map_err(|conflicts| match conflicts.first() {
        Some(conflict) => format!(
            "sources[{}] and sources[{}]: {}; nothing is changed",
            conflict.first,
            conflict.second,
            match conflict.kind {
                ConflictKind::Same => "the same addresses with the same VNI",
                ConflictKind::Crossing =>
                    "each is more precise than the other, and no third says what holds for both",
                ConflictKind::TooMany => "there are more than a sensor takes",
            }
        ),
        None => "not a bind table".to_owned(),
    })
}

/// Ends with the run, however that ends.
#[derive(Debug)]
pub(crate) struct Serving {
    hub: Hub,
    control: PathBuf,
    http: Option<SocketAddr>,
    is_encrypted: bool,
    health: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Opens the sockets and starts the thread, which answers from `first` on.
    pub(crate) fn start(
        live: &Live,
        sensor: Arc<dyn Sensor>,
        first: Snapshot,
    ) -> Result<Self, EngineError> {
        let api = &live.config.api;
        let control = match api.control_socket.as_str() {
            "" => live.out.join("control.sock"),
            path => Path::new(path).to_owned(),
        };
        let settings = Settings {
            control: control.clone(),
            http: api.listen,
            exposed: api.exposed,
            tokens: (!api.tokens.is_empty()).then(|| PathBuf::from(&api.tokens)),
            certificates: live.certificates.clone(),
            health: api.health_listen,
            shown: Configured {
                config: live.config.to_toml(),
                rules: live
                    .steward
                    .as_ref()
                    .map_or(String::new(), |it| it.text.clone()),
            },
            metrics_sources_max: api.metrics_sources_max as usize,
            client_timeout: Duration::from_secs(api.client_timeout_seconds.into()),
        };
        let (server, hub) = Server::open(settings, sensor)?;
        hub.publish(first);
        let (http, health) = (server.http_address(), server.health_address());
        let thread = start::detach("api", move || {
            start::give_up();
            server.run();
        })?;
        Ok(Self {
            hub,
            control,
            http,
            is_encrypted: live.certificates.is_some(),
            health,
            thread: Some(thread),
        })
    }

    /// Where to publish.
    pub(crate) fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// Where it answers, for people.
    pub(crate) fn answering(&self) -> Vec<String> {
        let control = format!("control socket {}", self.control.display());
        let scheme = if self.is_encrypted { "https" } else { "http" };
        let http = self.http.iter().map(|http| format!("{scheme}://{http}"));
        let health = self.health.iter();
        let health = health.map(|health| format!("health for load balancers on {health}"));
        std::iter::once(control).chain(health).chain(http).collect()
    }

    /// Publishes the last snapshot, and ends.
    pub(crate) fn conclude(self, last: Snapshot) {
        self.hub.publish(last);
    }
}

impl Drop for Serving {
    /// Clients that are slow delay the end by [`vxscope_api::CLOSING_MAX`] at most.
    fn drop(&mut self) {
        self.hub.close();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}
