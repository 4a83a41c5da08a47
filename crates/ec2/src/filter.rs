//! Filters and their rules, as enrolment sees them, and how they are made.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    ResourceType, TrafficDirection, TrafficMirrorFilter, TrafficMirrorFilterRule,
    TrafficMirrorNetworkService, TrafficMirrorPortRangeRequest, TrafficMirrorRuleAction,
};
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::inventory::{
    Action, Clause, Direction, Filter, MirrorFilter, Net, Ports, Rule,
};

use crate::error::{api_error, incomplete};
use crate::session::{tagged, tags};

/// The tag that is a filter's name.
const NAME: &str = "Name";

/// A filter; `None` without an id. Rules that no filter can have are left out.
pub(crate) fn filter(there: TrafficMirrorFilter) -> Option<MirrorFilter> {
    let services = there.network_services.unwrap_or_default();
    let ingress = there.ingress_filter_rules.unwrap_or_default();
    let egress = there.egress_filter_rules.unwrap_or_default();
    let rules = ingress.iter().map(|one| (Direction::Ingress, one));
    let rules = rules.chain(egress.iter().map(|one| (Direction::Egress, one)));
    let mut rules: Vec<Rule> = rules.filter_map(|(way, one)| rule(way, one)).collect();
    rules.sort_by_key(|rule| (rule.clause.direction(), rule.number));
    let tags = tags(there.tags);
    Some(MirrorFilter {
        id: there.traffic_mirror_filter_id?,
        filter: Filter {
            name: tags.get(NAME).cloned().unwrap_or_default(),
            amazon_dns: services.contains(&TrafficMirrorNetworkService::AmazonDns),
            rules,
        },
        description: there.description.unwrap_or_default(),
        tags,
    })
}

fn rule(direction: Direction, there: &TrafficMirrorFilterRule) -> Option<Rule> {
    let (source, destination) = (
        net(there.source_cidr_block()?)?,
        net(there.destination_cidr_block()?)?,
    );
    let clause = Clause::all(direction, source.family());
    let protocol = there
        .protocol
        .and_then(|protocol| u8::try_from(protocol).ok());
    let clause = protocol.map_or(clause, |protocol| clause.of(protocol));
    let clause = clause.from_net(source)?.to_net(destination)?;
    let range = |range: Option<(Option<i32>, Option<i32>)>| {
        let Some((from, to)) = range else {
            return Some(Ports::ALL);
        };
        let port = |port: Option<i32>| u16::try_from(port?).ok();
        Ports::try_new(port(from)?, port(to)?)
    };
    let from = there.source_port_range();
    let to = there.destination_port_range();
    let from = range(from.map(|range| (range.from_port, range.to_port)))?;
    let to = range(to.map(|range| (range.from_port, range.to_port)))?;
    let action = match there.rule_action()? {
        TrafficMirrorRuleAction::Accept => Action::Accept,
        TrafficMirrorRuleAction::Reject => Action::Reject,
        _ => return None,
    };
    Some(Rule {
        number: u16::try_from(there.rule_number?).ok()?,
        action,
        clause: clause.from_ports(from).to_ports(to),
    })
}

pub(crate) fn net(text: &str) -> Option<Net> {
    let (address, length) = text.split_once('/')?;
    Net::try_new(address.parse::<IpAddr>().ok()?, length.parse().ok()?)
}

/// Makes a filter without rules, which mirrors nothing; its id.
pub(crate) async fn create(
    client: &Client,
    description: String,
    owned: BTreeMap<String, String>,
    token: String,
) -> Result<String, ApiError> {
    let call = client
        .create_traffic_mirror_filter()
        .description(description)
        .set_tag_specifications(tagged(ResourceType::TrafficMirrorFilter, owned))
        .client_token(token);
    let made = call.send().await.map_err(|error| api_error(&error))?;
    let made = made.traffic_mirror_filter.and_then(filter);
    made.map(|filter| filter.id)
        .ok_or_else(|| incomplete("filter"))
}

/// Adds a rule. One of that number that is there already is as good.
pub(crate) async fn create_rule(
    client: &Client,
    filter: String,
    rule: Rule,
    token: String,
) -> Result<(), ApiError> {
    let clause = rule.clause;
    let ((source, from), (destination, to)) = (clause.source(), clause.destination());
    let range = |ports: Ports| {
        let range = TrafficMirrorPortRangeRequest::builder()
            .from_port(i32::from(ports.first()))
            .to_port(i32::from(ports.last()));
        (ports != Ports::ALL).then(|| range.build())
    };
    let call = client
        .create_traffic_mirror_filter_rule()
        .traffic_mirror_filter_id(filter)
        .traffic_direction(match clause.direction() {
            Direction::Ingress => TrafficDirection::Ingress,
            Direction::Egress => TrafficDirection::Egress,
        })
        .rule_number(i32::from(rule.number))
        .rule_action(match rule.action {
            Action::Accept => TrafficMirrorRuleAction::Accept,
            Action::Reject => TrafficMirrorRuleAction::Reject,
        })
        .set_protocol(clause.protocol().map(i32::from))
        .source_cidr_block(source.to_string())
        .destination_cidr_block(destination.to_string())
        .set_source_port_range(range(from))
        .set_destination_port_range(range(to))
        .client_token(token);
    match call.send().await.map_err(|error| api_error(&error)) {
        Ok(_) => Ok(()),
        Err(error) if error.code == "TrafficMirrorFilterRuleAlreadyExists" => Ok(()),
        Err(error) => Err(error),
    }
}

/// Adds the network service `amazon-dns`, which is safe to repeat.
pub(crate) async fn add_dns(client: &Client, filter: String) -> Result<(), ApiError> {
    let call = client
        .modify_traffic_mirror_filter_network_services()
        .traffic_mirror_filter_id(filter)
        .add_network_services(TrafficMirrorNetworkService::AmazonDns);
    call.send().await.map_err(|error| api_error(&error))?;
    Ok(())
}
