//! What else is to be done in an account: filters, targets, tags, and asking whether we may.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Tag;
use vxscope_control::mirror::{ApiError, Call};
use vxscope_enrolment::inventory::{Rule, TargetPlace};

use crate::error::api_error;
use crate::session::tag_list;
use crate::{filter, session, target};

type Tags = BTreeMap<String, String>;

/// Names one chore of one run, to tell its answer.
pub type ChoreId = u64;

/// One thing to be done. All are safe to repeat with the same token.
#[derive(Clone, Debug)]
pub enum Chore {
    /// `CreateTrafficMirrorTarget`.
    CreateTarget {
        /// What it is to be.
        place: TargetPlace,
        /// `Description`.
        description: String,
        /// Tags, set at creation.
        tags: Tags,
        /// `ClientToken`.
        token: String,
    },
    /// `CreateTrafficMirrorFilter`, without rules.
    CreateFilter {
        /// `Description`.
        description: String,
        /// Tags, set at creation.
        tags: Tags,
        /// `ClientToken`.
        token: String,
    },
    /// `CreateTrafficMirrorFilterRule`.
    CreateRule {
        /// Of which filter.
        filter: String,
        /// What it is to be.
        rule: Rule,
        /// `ClientToken`.
        token: String,
    },
    /// `ModifyTrafficMirrorFilterNetworkServices`: adds `amazon-dns`.
    AddDns {
        /// To which filter.
        filter: String,
    },
    /// `CreateTags`.
    Tag {
        /// Of what, by id.
        resource: String,
        /// The tags; those of the same key are replaced.
        tags: Tags,
    },
    /// `DeleteTags`.
    Untag {
        /// Of what, by id.
        resource: String,
        /// Of which keys.
        keys: Vec<String>,
    },
    /// The call with `DryRun`: whether it would be let in.
    Probe(Box<Call>),
}

/// What came of a chore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Something with this id is there now.
    Made(String),
    /// It is as it should be.
    Changed,
    /// The call would be let in.
    Allowed,
}

impl Chore {
    pub(crate) async fn run(self, client: &Client) -> Result<Done, ApiError> {
        match self {
            Self::CreateTarget {
                place,
                description,
                tags,
                token,
            } => {
                let id = target::create(client, place, description, tags, token).await?;
                Ok(Done::Made(id))
            }
            Self::CreateFilter {
                description,
                tags,
                token,
            } => {
                let id = filter::create(client, description, tags, token).await?;
                Ok(Done::Made(id))
            }
            Self::CreateRule {
                filter,
                rule,
                token,
            } => {
                filter::create_rule(client, filter, rule, token).await?;
                Ok(Done::Changed)
            }
            Self::AddDns { filter } => {
                filter::add_dns(client, filter).await?;
                Ok(Done::Changed)
            }
            Self::Tag { resource, tags } => {
                let call = client.create_tags().resources(resource);
                let call = call.set_tags(Some(tag_list(tags)));
                call.send().await.map_err(|error| api_error(&error))?;
                Ok(Done::Changed)
            }
            Self::Untag { resource, keys } => {
                let keys = keys.into_iter().map(|key| Tag::builder().key(key).build());
                let call = client.delete_tags().resources(resource);
                let call = call.set_tags(Some(keys.collect()));
                call.send().await.map_err(|error| api_error(&error))?;
                Ok(Done::Changed)
            }
            Self::Probe(call) => match session::make(client, *call, true).await {
                Ok(_) => Ok(Done::Allowed),
                Err(error) if error.code == "DryRunOperation" => Ok(Done::Allowed),
                Err(error) => Err(error),
            },
        }
    }
}
