//! `reap` and `resume-all`: bringing back what is overdue, with nothing but the account.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vxscope_control::journal::{Hidden, Saved};
use vxscope_control::mirror::{Call, ErrorKind, Session, Settings};
use vxscope_ec2::{Scope, wall};
use vxscope_enrolment::inventory::Inventory;
use vxscope_enrolment::lead::{Breadcrumb, Breadcrumbs, CRUMBS_SCHEMA, reap};
use vxscope_units::{Grade, Timestamp};

use crate::config::Config;
use crate::confine::confine;
use crate::desk::Desk;
use crate::driver::{CONTROLLER, HEARTBEAT, crumb_of, hold_of, is_crumb};
use crate::failure::Failure;
use crate::orders::{self, Order};
use crate::print;
use crate::run::stop;
use crate::seal::Seal;

/// Between two looks at whether it is to end.
const NAP: Duration = Duration::from_millis(200);

/// Looks once, or again and again.
pub(crate) fn run(file: &Path, every: Option<u64>) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    let stop = stop()?;
    if every.is_some() {
        confine(&config);
    }
    let mut desk = Desk::open(config)?;
    loop {
        let round = round(&mut desk, false, wall());
        let Some(every) = every else {
            return print(&round?);
        };
        match round {
            Ok(said) => tracing::info!("{}", said.trim_end()),
            // The next round may be able to.
            Err(failure) => tracing::error!("{}", failure.to_string().trim_end()),
        }
        let begun = wall();
        while wall().nanos_since(begun) < every.saturating_mul(1_000_000_000) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(NAP);
        }
    }
}

/// Brings back everything now; a running controller lowers nothing until `release`.
pub(crate) fn resume_all(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    let ordered = orders::give(&config.folder, Order::ResumeAll);
    if let Err(error) = ordered {
        tracing::warn!(%error, "no running controller can be told");
    }
    let mut desk = Desk::open(config)?;
    let said = round(&mut desk, true, wall())?;
    print(&said)
}

/// Brings back who is overdue, or everybody; what was done, for people.
pub(crate) fn round(desk: &mut Desk, everything: bool, now: Timestamp) -> Result<String, Failure> {
    let seal = Seal::read(&desk.config.key_file).map_err(Failure::Failed)?;
    let inventory = desk.survey(Scope::All)?;
    let now = now.as_nanos() / 1_000;
    let beat = (now / 1_000_000).to_string();
    let targets = desk.tag_targets(&inventory, HEARTBEAT, &beat)?;
    let ours = desk.our_targets(&inventory);
    let held = hold_of(&inventory, |target| {
        ours.iter().any(|one| one.id == target.id)
    });
    if let Some(reason) = held {
        return Ok(format!("stopped ({reason}): nothing is brought back\n"));
    }
    let mut said = String::new();
    if targets == 0 {
        let _ = writeln!(
            said,
            "no target of ours: the controller sees no sign of this reaper"
        );
    }
    let (mut crumbs, strange) = crumbs(desk, &inventory, &seal);
    if strange > 0 {
        let _ = writeln!(
            said,
            "{strange} breadcrumbs that our key does not open: left alone"
        );
    }
    if everything {
        // As if no controller had been there for long.
        crumbs.beat = 0;
    }
    let sessions: Vec<Session> = inventory.sessions.values().cloned().collect();
    let owner = desk.config.enrolment.owner.clone();
    let work = reap(&crumbs, &sessions, &owner, now);
    let (mut back, mut failed) = (0, 0);
    for call in &work.calls {
        match desk.call(call) {
            Ok(_) => back += 1,
            Err(error) if error.kind == ErrorKind::InUse && matches!(call, Call::Create(_)) => {
                // Somebody else was faster.
                back += 1;
            }
            Err(error) => {
                failed += 1;
                let _ = writeln!(said, "{}: {error}", interface(call));
            }
        }
    }
    let waiting = work.waiting;
    let _ = writeln!(
        said,
        "{back} brought back, {waiting} not due, {failed} failed"
    );
    if failed > 0 {
        return Err(Failure::Failed(said));
    }
    Ok(said)
}

/// What the account says of who is lowered, and when a controller was last there.
fn crumbs(desk: &Desk, inventory: &Inventory, seal: &Seal) -> (Breadcrumbs, usize) {
    let owner = &desk.config.enrolment.owner;
    let with = inventory.interfaces.values().filter(|one| is_crumb(one));
    let (mut sources, mut strange) = (Vec::new(), 0);
    for interface in with {
        let Some(crumb) = crumb_of(interface, seal) else {
            strange += 1;
            continue;
        };
        let tags = [
            (owner.tag.clone(), owner.value.clone()),
            ("Name".to_owned(), format!("vxscope {}", interface.id)),
        ];
        sources.push(Breadcrumb {
            due: crumb.due.saturating_mul(1_000_000),
            pending: None,
            grade: Grade::Off.name().to_owned(),
            hidden: Hidden::default(),
            saved: Saved {
                interface: interface.id.clone(),
                settings: Settings {
                    target: crumb.target,
                    filter: crumb.filter,
                    number: crumb.number,
                    packet_length: crumb.packet_length,
                    vni: crumb.vni,
                    description: format!("{}{}", owner.marker, interface.id),
                },
                tags: tags.into(),
            },
        });
    }
    let beats = desk.our_targets(inventory).into_iter();
    let beats = beats.filter_map(|target| target.tags.get(CONTROLLER)?.parse::<u64>().ok());
    let crumbs = Breadcrumbs {
        schema: CRUMBS_SCHEMA,
        fence: 0,
        beat: beats.max().unwrap_or(0).saturating_mul(1_000_000),
        generation: 0,
        sources,
    };
    (crumbs, strange)
}

fn interface(call: &Call) -> &str {
    match call {
        Call::Create(create) => &create.interface,
        Call::Modify { id, .. } | Call::Delete { id } => id,
        Call::Describe { .. } => "",
    }
}
