//! Interfaces, as enrolment sees them.

use std::net::IpAddr;

use aws_sdk_ec2::types;
use vxscope_enrolment::inventory::{Attachment, Interface, InterfaceKind};

use crate::session::tags;

/// An interface; `None` without an id.
pub(crate) fn interface(there: types::NetworkInterface) -> Option<Interface> {
    let parse = |text: Option<String>| text.and_then(|text| text.parse::<IpAddr>().ok());
    let v4 = there.private_ip_addresses.unwrap_or_default().into_iter();
    let v4 = v4.filter_map(|one| parse(one.private_ip_address));
    let v6 = there.ipv6_addresses.unwrap_or_default().into_iter();
    let v6: Vec<IpAddr> = v6.filter_map(|one| parse(one.ipv6_address)).collect();
    let primary = parse(there.private_ip_address).or_else(|| v6.first().copied());
    let mut addresses: Vec<IpAddr> = v4.chain(v6).collect();
    if let Some(primary) = primary.filter(|primary| !addresses.contains(primary)) {
        addresses.insert(0, primary);
    }
    let groups = there.groups.unwrap_or_default().into_iter();
    Some(Interface {
        id: there.network_interface_id?,
        kind: there
            .interface_type
            .map(|kind| InterfaceKind::from_name(kind.as_str()))
            .unwrap_or_default(),
        requester_managed: there.requester_managed.unwrap_or_default(),
        requester: there.requester_id,
        attachment: there.attachment.and_then(attachment),
        zone: there.availability_zone.unwrap_or_default(),
        subnet: there.subnet_id.unwrap_or_default(),
        vpc: there.vpc_id.unwrap_or_default(),
        account: there.owner_id.unwrap_or_default(),
        primary,
        addresses,
        mac: there.mac_address.unwrap_or_default(),
        description: there.description.unwrap_or_default(),
        security_groups: groups.filter_map(|group| group.group_id).collect(),
        tags: tags(there.tag_set),
    })
}

fn attachment(there: types::NetworkInterfaceAttachment) -> Option<Attachment> {
    let leaving = [
        types::AttachmentStatus::Detaching,
        types::AttachmentStatus::Detached,
    ];
    if there.status.is_some_and(|status| leaving.contains(&status)) {
        return None;
    }
    Some(Attachment {
        instance: there.instance_id?,
        device: there
            .device_index
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or_default(),
    })
}
