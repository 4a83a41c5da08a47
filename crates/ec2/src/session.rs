//! Sessions: the four calls of the `control` crate.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    ResourceType, Tag, TagSpecification, TrafficMirrorSession, TrafficMirrorSessionField,
};
use vxscope_control::mirror::{ApiError, Call, Create, Reply, Session, Settings};

use crate::error::{api_error, incomplete};

/// Sessions of a page: as many as EC2 gives.
pub(crate) const PAGE: i32 = 1_000;
/// EC2 calls whole frames so where the target is a load balancer: more is an error.
const WHOLE: u16 = 8_500;

/// Makes a call and waits for its answer. A call that is `dry` is only asked about.
pub(crate) async fn make(client: &Client, call: Call, dry: bool) -> Result<Reply, ApiError> {
    match call {
        Call::Describe { next } => describe(client, next, dry).await,
        Call::Create(wanted) => create(client, wanted, dry).await,
        Call::Modify { id, settings } => modify(client, id, settings, dry).await,
        Call::Delete { id } => {
            let call = client.delete_traffic_mirror_session();
            let call = call.traffic_mirror_session_id(id).set_dry_run(flag(dry));
            let deleted = call.send().await.map_err(|error| api_error(&error))?;
            deleted
                .traffic_mirror_session_id()
                .map(|_| Reply::Deleted)
                .ok_or_else(|| incomplete("session"))
        }
    }
}

async fn describe(client: &Client, next: Option<String>, dry: bool) -> Result<Reply, ApiError> {
    let call = client.describe_traffic_mirror_sessions().max_results(PAGE);
    let call = call.set_next_token(next).set_dry_run(flag(dry));
    let page = call.send().await.map_err(|error| api_error(&error))?;
    // An answer that is not EC2's has not even an empty list: it must not look like an account
    // without sessions.
    let sessions = page
        .traffic_mirror_sessions
        .ok_or_else(|| incomplete("sessions"))?;
    Ok(Reply::Page {
        sessions: sessions.into_iter().filter_map(session).collect(),
        next: page.next_token.filter(|token| !token.is_empty()),
    })
}

async fn create(client: &Client, wanted: Create, dry: bool) -> Result<Reply, ApiError> {
    let Create {
        interface,
        settings,
        tags,
        client_token,
    } = wanted;
    let call = client
        .create_traffic_mirror_session()
        .network_interface_id(interface)
        .traffic_mirror_target_id(settings.target)
        .traffic_mirror_filter_id(settings.filter)
        .session_number(i32::from(settings.number))
        .set_packet_length(settings.packet_length.map(i32::from))
        .set_virtual_network_id(settings.vni.and_then(|vni| i32::try_from(vni).ok()))
        .description(settings.description)
        .set_tag_specifications(tagged(ResourceType::TrafficMirrorSession, tags))
        .client_token(client_token)
        .set_dry_run(flag(dry));
    let created = call.send().await.map_err(|error| api_error(&error))?;
    let created = created.traffic_mirror_session.and_then(session);
    created
        .map(Reply::Created)
        .ok_or_else(|| incomplete("session"))
}

async fn modify(
    client: &Client,
    id: String,
    settings: Settings,
    dry: bool,
) -> Result<Reply, ApiError> {
    // What is not set stays as it was, so a length that is not wanted must be taken away.
    let removed = settings.packet_length.is_none();
    let removed = removed.then(|| vec![TrafficMirrorSessionField::PacketLength]);
    let call = client
        .modify_traffic_mirror_session()
        .traffic_mirror_session_id(id)
        .traffic_mirror_target_id(settings.target)
        .traffic_mirror_filter_id(settings.filter)
        .session_number(i32::from(settings.number))
        .set_packet_length(settings.packet_length.map(i32::from))
        .set_virtual_network_id(settings.vni.and_then(|vni| i32::try_from(vni).ok()))
        .description(settings.description)
        .set_remove_fields(removed)
        .set_dry_run(flag(dry));
    let modified = call.send().await.map_err(|error| api_error(&error))?;
    modified
        .traffic_mirror_session
        .map(|_| Reply::Modified)
        .ok_or_else(|| incomplete("session"))
}

/// A session of the SDK; `None` without what makes it one.
pub(crate) fn session(there: TrafficMirrorSession) -> Option<Session> {
    let length = there.packet_length.and_then(|one| u16::try_from(one).ok());
    Some(Session {
        id: there.traffic_mirror_session_id?,
        interface: there.network_interface_id?,
        account: there.owner_id.unwrap_or_default(),
        settings: Settings {
            target: there.traffic_mirror_target_id.unwrap_or_default(),
            filter: there.traffic_mirror_filter_id.unwrap_or_default(),
            number: there
                .session_number
                .and_then(|number| u16::try_from(number).ok())
                .unwrap_or_default(),
            packet_length: length.filter(|length| *length < WHOLE),
            vni: there
                .virtual_network_id
                .and_then(|vni| u32::try_from(vni).ok()),
            description: there.description.unwrap_or_default(),
        },
        tags: tags(there.tags),
    })
}

/// Tags by key.
pub(crate) fn tags(there: Option<Vec<Tag>>) -> BTreeMap<String, String> {
    let there = there.unwrap_or_default().into_iter();
    there
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect()
}

/// Tags for a creation.
pub(crate) fn tagged(
    kind: ResourceType,
    tags: BTreeMap<String, String>,
) -> Option<Vec<TagSpecification>> {
    let tags = tag_list(tags);
    let specification = TagSpecification::builder().resource_type(kind);
    (!tags.is_empty()).then(|| vec![specification.set_tags(Some(tags)).build()])
}

pub(crate) fn tag_list(tags: BTreeMap<String, String>) -> Vec<Tag> {
    tags.into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// `DryRun`, only where it is wanted.
pub(crate) fn flag(dry: bool) -> Option<bool> {
    dry.then_some(true)
}
