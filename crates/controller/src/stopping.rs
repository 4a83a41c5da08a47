//! `stop-all` and `release`: every session of ours goes, and none comes, until somebody says so.
//!
//! Neither a sensor nor a journal nor a running controller is needed: what is ours says so itself.

use std::path::Path;
use std::time::Duration;

use vxscope_control::mirror::{Call, ErrorKind};
use vxscope_ec2::{Chore, Scope};
use vxscope_enrolment::lead::owned;

use crate::config::Config;
use crate::desk::Desk;
use crate::driver::HOLD;
use crate::failure::Failure;
use crate::orders::Order;
use crate::{hold, orders, print};

/// EC2's limit of a tag's value.
const REASON_MAX: usize = 255;
/// Between two looks: EC2 shows for a while what is gone, and hides what has just come.
const AGAIN: Duration = Duration::from_secs(3);
/// Looks in a row that must show none of ours.
const CLEAN_ROUNDS: u32 = 2;
/// Then somebody else keeps making them.
const ROUNDS_MAX: u32 = 200;

pub(crate) fn stop_all(file: &Path, reason: &str) -> Result<(), Failure> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        let problem = format!("--reason: 1 to {REASON_MAX} letters");
        return Err(Failure::Configuration(vec![problem]));
    }
    let config = Config::read(file).map_err(Failure::Configuration)?;
    // On another machine than the controller's the folder may not be writable: then the tag does.
    if let Err(error) = hold::write(&config.folder, reason) {
        tracing::warn!(%error, "a controller on this machine is told by the account only");
    }
    let mut desk = Desk::open(config)?;
    let inventory = desk.survey(Scope::Mirrors)?;
    let targets = desk.tag_targets(&inventory, HOLD, reason)?;
    let (mut deleted, mut clean) = (0, 0);
    for _ in 0..ROUNDS_MAX {
        let inventory = desk.survey(Scope::Mirrors)?;
        let owner = desk.config.enrolment.owner.clone();
        let ids: Vec<String> = owned(&inventory, &owner)
            .map(|one| one.id.clone())
            .collect();
        clean = if ids.is_empty() { clean + 1 } else { 0 };
        if clean >= CLEAN_ROUNDS {
            return print(&format!(
                "{deleted} sessions deleted, none left; {targets} targets say so; `release` lets \
                 mirroring go on\n"
            ));
        }
        for id in ids {
            match desk.call(&Call::Delete { id: id.clone() }) {
                Ok(_) => deleted += 1,
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => tracing::error!(session = id, %error, "not deleted"),
            }
        }
        std::thread::sleep(AGAIN);
    }
    Err(Failure::Failed(format!(
        "{deleted} sessions deleted, but there are still some of ours: somebody makes them, or may \
         not delete them"
    )))
}

pub(crate) fn release(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    hold::remove(&config.folder)
        .and_then(|()| orders::give(&config.folder, Order::Release))
        .map_err(|error| Failure::Failed(format!("{}: {error}", config.folder.display())))?;
    let mut desk = Desk::open(config)?;
    let inventory = desk.survey(Scope::Mirrors)?;
    for target in desk.our_targets(&inventory) {
        if !target.tags.contains_key(HOLD) {
            continue;
        }
        let untag = Chore::Untag {
            resource: target.id.clone(),
            keys: vec![HOLD.to_owned()],
        };
        desk.chore(&untag)
            .map_err(|error| Failure::Failed(format!("{}: {error}", target.id)))?;
    }
    print("released: the controller makes sessions again\n")
}
