//! Mirror filters and their rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::account::{Account, OWNER};
use crate::answer::{Answer, Refusal};
use crate::listing::{Described, Listing, tag_attribute};
use crate::request::Request;
use crate::tagging::write_tags;
use crate::xml::Xml;

/// A filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `tmf-…`.
    pub id: String,
    /// What somebody wrote.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its rules, by direction and number.
    pub rules: Vec<FilterRule>,
    /// `amazon-dns` or nothing.
    pub services: BTreeSet<String>,
}

/// One rule of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterRule {
    /// `tmfr-…`.
    pub id: String,
    /// Of which filter.
    pub filter: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// Lower ones are first.
    pub number: u16,
    /// `accept` or `reject`.
    pub action: String,
    /// Of IP; all if absent.
    pub protocol: Option<u8>,
    /// First and last.
    pub source_ports: Option<(u16, u16)>,
    /// First and last.
    pub target_ports: Option<(u16, u16)>,
    /// Prefix.
    pub source: String,
    /// Prefix.
    pub target: String,
    /// What somebody wrote.
    pub description: String,
}

impl Described for Filter {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        match name {
            "traffic-mirror-filter-id" => Some(vec![id.to_owned()]),
            "description" => Some(vec![self.description.clone()]),
            _ => tag_attribute(&self.tags, name),
        }
    }
}

impl Described for FilterRule {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        match name {
            "traffic-mirror-filter-rule-id" => Some(vec![id.to_owned()]),
            "traffic-mirror-filter-id" => Some(vec![self.filter.clone()]),
            "traffic-direction" => Some(vec![self.direction.clone()]),
            "rule-action" => Some(vec![self.action.clone()]),
            "rule-number" => Some(vec![self.number.to_string()]),
            _ => None,
        }
    }
}

impl Account {
    pub(crate) fn create_filter(&mut self, request: &Request) -> Answer {
        let mut filter = Filter {
            description: request.text("Description").unwrap_or_default().to_owned(),
            tags: request.tags("traffic-mirror-filter")?,
            ..Filter::default()
        };
        Self::stop_if_dry(request)?;
        filter.id = self.new_id("tmf");
        let mut xml = Xml::default();
        xml.nest("trafficMirrorFilter", |xml| write_filter(xml, &filter));
        xml.maybe("clientToken", request.text("ClientToken"));
        self.put_filter(filter);
        Ok(xml)
    }

    pub(crate) fn delete_filter(&mut self, request: &Request) -> Answer {
        let filter = self.named_filter(request)?;
        if self.sessions.iter().any(|(_, one)| one.filter == filter.id) {
            return Err(Refusal::new(
                "TrafficMirrorFilterInUse",
                format!("{} is used by a traffic mirror session.", filter.id),
            ));
        }
        Self::stop_if_dry(request)?;
        self.filters.remove(&filter.id, self.now);
        let mut xml = Xml::default();
        xml.leaf("trafficMirrorFilterId", filter.id);
        Ok(xml)
    }

    pub(crate) fn create_rule(&mut self, request: &Request) -> Answer {
        let mut filter = self.named_filter(request)?;
        let mut rule = FilterRule {
            filter: filter.id.clone(),
            ..rule_of(request)?
        };
        let same =
            |there: &FilterRule| there.number == rule.number && there.direction == rule.direction;
        if filter.rules.iter().any(same) {
            return Err(Refusal::new(
                "TrafficMirrorFilterRuleAlreadyExists",
                format!("{} has a rule {} already.", filter.id, rule.number),
            ));
        }
        if filter.rules.len() >= self.quotas.rules_per_filter {
            return Err(Refusal::new(
                "TrafficMirrorFilterRuleLimitExceeded",
                "Rules per filter limit reached.",
            ));
        }
        Self::stop_if_dry(request)?;
        rule.id = self.new_id("tmfr");
        let mut xml = Xml::default();
        xml.nest("trafficMirrorFilterRule", |xml| write_rule(xml, &rule));
        xml.maybe("clientToken", request.text("ClientToken"));
        filter.rules.push(rule);
        filter
            .rules
            .sort_by_key(|rule| (rule.direction.clone(), rule.number));
        self.put_filter(filter);
        Ok(xml)
    }

    pub(crate) fn delete_rule(&mut self, request: &Request) -> Answer {
        let id = request.required("TrafficMirrorFilterRuleId")?;
        let has = |filter: &Filter| filter.rules.iter().any(|rule| rule.id == id);
        let filter = self.filters.iter().find(|(_, one)| has(one));
        let Some(mut filter) = filter.map(|(_, filter)| filter.clone()) else {
            let code = "InvalidTrafficMirrorFilterRuleId.NotFound";
            return Err(Refusal::unknown(code, id));
        };
        Self::stop_if_dry(request)?;
        filter.rules.retain(|rule| rule.id != id);
        self.put_filter(filter);
        let mut xml = Xml::default();
        xml.leaf("trafficMirrorFilterRuleId", id);
        Ok(xml)
    }

    pub(crate) fn modify_services(&mut self, request: &Request) -> Answer {
        let mut filter = self.named_filter(request)?;
        for service in request.list("AddNetworkService") {
            if service != "amazon-dns" {
                return Err(Refusal::value("AddNetworkServices", service));
            }
            filter.services.insert(service.to_owned());
        }
        for service in request.list("RemoveNetworkService") {
            filter.services.remove(service);
        }
        Self::stop_if_dry(request)?;
        let mut xml = Xml::default();
        xml.nest("trafficMirrorFilter", |xml| write_filter(xml, &filter));
        self.put_filter(filter);
        Ok(xml)
    }

    pub(crate) fn describe_filters(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "TrafficMirrorFilterId",
            unknown: "InvalidTrafficMirrorFilterId.NotFound",
            filters: &["description", "traffic-mirror-filter-id"],
        };
        Self::stop_if_dry(request)?;
        let things = self.filters.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("trafficMirrorFilterSet", found, |xml, (_, filter)| {
            write_filter(xml, &filter);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(crate) fn describe_rules(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "TrafficMirrorFilterRuleId",
            unknown: "InvalidTrafficMirrorFilterRuleId.NotFound",
            filters: &[
                "rule-action",
                "rule-number",
                "traffic-direction",
                "traffic-mirror-filter-id",
                "traffic-mirror-filter-rule-id",
            ],
        };
        Self::stop_if_dry(request)?;
        let of = request.text("TrafficMirrorFilterId");
        let filters = self.filters.iter_at(self.visible_at());
        let filters = filters.filter(|(id, _)| of.is_none_or(|of| of == *id));
        let rules = filters.flat_map(|(_, filter)| filter.rules.iter());
        let rules = rules.map(|rule| (rule.id.clone(), rule.clone())).collect();
        let (found, next) = listing.page(self, request, rules)?;
        let mut xml = Xml::default();
        xml.list("trafficMirrorFilterRuleSet", found, |xml, (_, rule)| {
            write_rule(xml, &rule);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    fn named_filter(&self, request: &Request) -> Result<Filter, Refusal> {
        let id = request.required("TrafficMirrorFilterId")?;
        let filter = self.filters.get(id).cloned();
        filter.ok_or_else(|| Refusal::unknown("InvalidTrafficMirrorFilterId.NotFound", id))
    }
}

fn rule_of(request: &Request) -> Result<FilterRule, Refusal> {
    let one_of = |name: &str, allowed: [&str; 2]| {
        let value = request.required(name)?;
        let known = allowed.contains(&value);
        known
            .then(|| value.to_owned())
            .ok_or_else(|| Refusal::value(name, value))
    };
    request.required("RuleNumber")?;
    let number = request.number("RuleNumber", 1, 32_766)?;
    let protocol = request.number("Protocol", 0, 255)?;
    let source = request.required("SourceCidrBlock")?.to_owned();
    let target = request.required("DestinationCidrBlock")?.to_owned();
    if family(&source)? != family(&target)? {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "Source and destination must be of the same address family.",
        ));
    }
    let rule = FilterRule {
        id: String::new(),
        filter: String::new(),
        direction: one_of("TrafficDirection", ["ingress", "egress"])?,
        number: number.and_then(|one| u16::try_from(one).ok()).unwrap_or(0),
        action: one_of("RuleAction", ["accept", "reject"])?,
        protocol: protocol.and_then(|one| u8::try_from(one).ok()),
        source_ports: ports(request, "SourcePortRange")?,
        target_ports: ports(request, "DestinationPortRange")?,
        source,
        target,
        description: request.text("Description").unwrap_or_default().to_owned(),
    };
    let has_ports = rule.source_ports.is_some() || rule.target_ports.is_some();
    if has_ports && !matches!(rule.protocol, Some(6 | 17)) {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "Port ranges are only for TCP and UDP.",
        ));
    }
    Ok(rule)
}

fn ports(request: &Request, name: &str) -> Result<Option<(u16, u16)>, Refusal> {
    let port = |end: &str| {
        let port = request.number(&format!("{name}.{end}"), 0, 65_535)?;
        Ok::<_, Refusal>(port.and_then(|port| u16::try_from(port).ok()))
    };
    match (port("FromPort")?, port("ToPort")?) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) if from <= to => Ok(Some((from, to))),
        _ => Err(Refusal::value(name, "")),
    }
}

/// Whether a prefix is of IPv6.
fn family(prefix: &str) -> Result<bool, Refusal> {
    let wrong = || Refusal::value("CidrBlock", prefix);
    let (address, length) = prefix.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let length: u8 = length.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv6() { 128 } else { 32 };
    if length > most {
        return Err(wrong());
    }
    Ok(address.is_ipv6())
}

fn write_filter(xml: &mut Xml, filter: &Filter) {
    let rules = |direction: &'static str| {
        let rules = filter.rules.iter();
        rules.filter(move |rule| rule.direction == direction)
    };
    xml.leaf("trafficMirrorFilterId", &filter.id)
        .leaf("description", &filter.description);
    xml.list("ingressFilterRuleSet", rules("ingress"), write_rule);
    xml.list("egressFilterRuleSet", rules("egress"), write_rule);
    xml.open("networkServiceSet");
    for service in &filter.services {
        xml.leaf("item", service);
    }
    xml.close("networkServiceSet");
    xml.leaf("ownerId", OWNER);
    write_tags(xml, &filter.tags);
}

fn write_rule(xml: &mut Xml, rule: &FilterRule) {
    xml.leaf("trafficMirrorFilterRuleId", &rule.id)
        .leaf("trafficMirrorFilterId", &rule.filter)
        .leaf("trafficDirection", &rule.direction)
        .leaf("ruleNumber", rule.number)
        .leaf("ruleAction", &rule.action)
        .maybe("protocol", rule.protocol)
        .leaf("sourceCidrBlock", &rule.source)
        .leaf("destinationCidrBlock", &rule.target)
        .leaf("description", &rule.description);
    for (name, ports) in [
        ("sourcePortRange", rule.source_ports),
        ("destinationPortRange", rule.target_ports),
    ] {
        if let Some((from, to)) = ports {
            xml.nest(name, |xml| {
                xml.leaf("fromPort", from).leaf("toPort", to);
            });
        }
    }
}
