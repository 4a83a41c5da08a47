//! Instances, as enrolment sees them.

use aws_sdk_ec2::types;
use vxscope_enrolment::inventory::{Instance, InstanceState, Platform};

use crate::session::tags;

/// The instances of a reservation.
pub(crate) fn instances(reservation: types::Reservation) -> impl Iterator<Item = Instance> {
    let account = reservation.owner_id.unwrap_or_default();
    let there = reservation.instances.unwrap_or_default().into_iter();
    there.filter_map(move |one| instance(one, &account))
}

fn instance(there: types::Instance, account: &str) -> Option<Instance> {
    let state = there.state.and_then(|state| state.name);
    let state = state.and_then(|state| InstanceState::from_name(state.as_str()));
    let windows = there.platform == Some(types::PlatformValues::Windows);
    Some(Instance {
        id: there.instance_id?,
        kind: there
            .instance_type
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        // A state that has no name yet is none in which anything is taken away.
        state: state.unwrap_or_default(),
        zone: there
            .placement
            .and_then(|place| place.availability_zone)
            .unwrap_or_default(),
        vpc: there.vpc_id.unwrap_or_default(),
        account: account.to_owned(),
        platform: if windows {
            Platform::Windows
        } else {
            Platform::Linux
        },
        tags: tags(there.tags),
    })
}
