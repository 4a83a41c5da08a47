//! A small account, and what is done to it.

use std::collections::BTreeMap;

use vxscope_control::mirror::{Session, Settings as SessionSettings};
use vxscope_control::reconcile::Owner;
use vxscope_enrolment::inventory::{
    Attachment, Filter, Instance, InstanceState, Interface, Inventory, MirrorFilter, Subnet,
    Target, TargetPlace,
};
use vxscope_enrolment::{
    BUILDING, Enroller, FilterNeed, FindingKind, Memory, Missing, Plan, Seen, Sensor, SensorPlace,
    Settings,
};
use vxscope_policy::money::PriceTable;
use vxscope_units::Timestamp;

pub(crate) const KEY: &str = "sta.bucket.coralogix.com:mirror-filter-id";
pub(crate) const INDICATOR: &str = "sta.coralogix.com:mirror-filter-indicator-tagname";

/// An account, a sensor and an enroller.
pub(crate) struct Account {
    pub(crate) inventory: Inventory,
    pub(crate) seen: Seen,
    pub(crate) enroller: Enroller,
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    made: u32,
}

pub(crate) fn owner() -> Owner {
    Owner {
        tag: "managed-by".to_owned(),
        value: "vxscope".to_owned(),
        marker: "vxscope: ".to_owned(),
    }
}

impl Account {
    /// One sensor in zone a, whose instance has the indicator tag, and its target.
    pub(crate) fn new() -> Self {
        let prices = PriceTable::published().expect("the table that ships");
        let settings = Settings::new(owner(), prices);
        let mut account = Self {
            inventory: Inventory {
                account: "111".to_owned(),
                region: "us-east-1".to_owned(),
                ..Inventory::default()
            },
            seen: Seen::default(),
            enroller: Enroller::new(settings.clone(), Memory::default()),
            settings,
            now: 1_700_000_000,
            made: 0,
        };
        for zone in ["a", "b"] {
            let subnet = Subnet {
                id: format!("subnet-{zone}"),
                vpc: "vpc-1".to_owned(),
                zone: zone.to_owned(),
                ..Subnet::default()
            };
            account.inventory.subnets.insert(subnet.id.clone(), subnet);
        }
        account.sensor("s1", "a", "m5.24xlarge");
        account
    }

    pub(crate) fn sensor(&mut self, name: &str, zone: &str, kind: &str) {
        let instance = format!("i-{name}");
        self.instance(&instance, zone, &[(INDICATOR, KEY)]);
        self.inventory
            .instances
            .get_mut(&instance)
            .expect("just made")
            .kind = kind.to_owned();
        let interface = self.interface(&format!("eni-{name}"), &instance, 0);
        self.target(
            &format!("tmt-{name}"),
            TargetPlace::Interface(interface.clone()),
        );
        self.seen.sensors.push(Sensor {
            name: name.to_owned(),
            instance: Some(instance),
            place: SensorPlace::Place(TargetPlace::Interface(interface)),
            weight: 1,
            alive: true,
        });
    }

    pub(crate) fn target(&mut self, id: &str, place: TargetPlace) {
        let target = Target {
            id: id.to_owned(),
            place,
            account: "111".to_owned(),
            description: String::new(),
            tags: BTreeMap::new(),
        };
        self.inventory.targets.insert(target.id.clone(), target);
    }

    pub(crate) fn instance(&mut self, id: &str, zone: &str, tags: &[(&str, &str)]) {
        let instance = Instance {
            id: id.to_owned(),
            kind: "m5.large".to_owned(),
            zone: zone.to_owned(),
            vpc: "vpc-1".to_owned(),
            account: "111".to_owned(),
            tags: tags_of(tags),
            ..Instance::default()
        };
        self.inventory.instances.insert(id.to_owned(), instance);
    }

    pub(crate) fn interface(&mut self, id: &str, instance: &str, device: u32) -> String {
        self.made += 1;
        let [_, _, high, low] = self.made.to_be_bytes();
        let there = self.inventory.instances.get(instance);
        let zone = there.map_or_else(|| "a".to_owned(), |one| one.zone.clone());
        let address = [10, 0, high, low].into();
        let interface = Interface {
            id: id.to_owned(),
            attachment: there.map(|one| Attachment {
                instance: one.id.clone(),
                device,
            }),
            subnet: format!("subnet-{zone}"),
            zone,
            vpc: "vpc-1".to_owned(),
            account: "111".to_owned(),
            primary: Some(address),
            addresses: vec![address],
            ..Interface::default()
        };
        self.inventory.interfaces.insert(id.to_owned(), interface);
        id.to_owned()
    }

    /// An instance `i-NAME` with one interface `eni-NAME`, tagged with this filter.
    pub(crate) fn source(&mut self, name: &str, filter: &str) {
        let instance = format!("i-{name}");
        self.instance(&instance, "a", &[(KEY, filter)]);
        self.interface(&format!("eni-{name}"), &instance, 0);
    }

    pub(crate) fn tag(&mut self, name: &str, key: &str, value: Option<&str>) {
        let instance = self.inventory.instances.get_mut(&format!("i-{name}"));
        let tags = &mut instance.expect("an instance of that name").tags;
        match value {
            Some(value) => tags.insert(key.to_owned(), value.to_owned()),
            None => tags.remove(key),
        };
    }

    pub(crate) fn state(&mut self, name: &str, state: InstanceState) {
        let instance = self.inventory.instances.get_mut(&format!("i-{name}"));
        instance.expect("an instance of that name").state = state;
    }

    pub(crate) fn filter(&mut self, id: &str, name: &str, rules: &str) {
        let rules: Vec<_> = rules.lines().map(rule).collect();
        let filter = Filter {
            name: name.to_owned(),
            amazon_dns: true,
            rules,
        };
        let filter = MirrorFilter {
            id: id.to_owned(),
            filter,
            ..MirrorFilter::default()
        };
        self.inventory.filters.insert(id.to_owned(), filter);
    }

    pub(crate) fn foreign(&mut self, id: &str, interface: &str, number: u16, vni: u32) {
        let session = Session {
            id: id.to_owned(),
            interface: interface.to_owned(),
            settings: SessionSettings {
                target: "tmt-theirs".to_owned(),
                filter: "tmf-theirs".to_owned(),
                number,
                vni: Some(vni),
                ..SessionSettings::default()
            },
            ..Session::default()
        };
        self.inventory.sessions.insert(id.to_owned(), session);
    }

    /// One look, and nothing done.
    pub(crate) fn look(&mut self) -> Plan {
        let now = Timestamp::new(self.now, 0);
        self.enroller.handle_settings(self.settings.clone());
        self.enroller.plan(&self.inventory, &self.seen, now)
    }

    /// Looks, and does what the plan says until it says nothing new: filters in their steps, then
    /// sessions as they should be at full.
    pub(crate) fn settle(&mut self) -> Plan {
        let mut plan = self.look();
        for _ in 0..6 {
            plan.filters.iter().for_each(|need| self.make(need));
            self.sessions(&plan);
            if plan.filters.is_empty() {
                break;
            }
            plan = self.look();
        }
        assert!(plan.filters.is_empty(), "filters do not get done");
        plan
    }

    pub(crate) fn make(&mut self, need: &FilterNeed) {
        match &need.missing {
            Missing::All => {
                let id = format!("tmf-{}", self.inventory.filters.len());
                let filter = MirrorFilter {
                    id: id.clone(),
                    filter: Filter {
                        name: need.filter.name.clone(),
                        ..Filter::default()
                    },
                    tags: tags_of(&[(BUILDING, "1")]),
                    ..MirrorFilter::default()
                };
                self.inventory.filters.insert(id, filter);
            }
            Missing::Rest {
                id,
                rules,
                amazon_dns,
            } => {
                let filter = self.inventory.filters.get_mut(id).expect("it is there");
                filter.filter.amazon_dns |= amazon_dns;
                if rules.is_empty() && !amazon_dns {
                    filter.tags.remove(BUILDING);
                }
                filter.filter.rules.extend(rules);
            }
        }
    }

    fn sessions(&mut self, plan: &Plan) {
        let sessions = &mut self.inventory.sessions;
        let ends = plan.leaving.iter().chain(&plan.gone);
        let ended: Vec<_> = ends.map(|id| format!("tms-{id}")).collect();
        sessions.retain(|id, _| !ended.contains(id));
        for source in &plan.sources {
            let saved = &source.subject.saved;
            let session = Session {
                id: format!("tms-{}", saved.interface),
                interface: saved.interface.clone(),
                settings: saved.settings.clone(),
                tags: saved.tags.clone(),
                ..Session::default()
            };
            sessions.insert(session.id.clone(), session);
        }
    }

    pub(crate) fn minutes(&mut self, minutes: u64) {
        self.now += minutes * 60;
    }
}

/// `eni-1 eni-2`: who is mirrored.
pub(crate) fn mirrored(plan: &Plan) -> String {
    let ids: Vec<&str> = plan
        .sources
        .iter()
        .map(|one| one.interface.as_str())
        .collect();
    ids.join(" ")
}

pub(crate) fn has(plan: &Plan, kind: FindingKind, about: &str) -> bool {
    plan.of(kind).any(|finding| finding.about == about)
}

pub(crate) fn tags_of(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    tags.iter().map(owned).collect()
}

/// `10 accept ingress`, optionally `tcp/443` and a source block.
fn rule(line: &str) -> vxscope_enrolment::inventory::Rule {
    use vxscope_enrolment::inventory::{Action, Clause, Direction, Net, Ports, Rule};
    use vxscope_policy::strategy::filter::{Family, TCP};
    let words: Vec<&str> = line.split_whitespace().collect();
    let direction = if words[2] == "ingress" {
        Direction::Ingress
    } else {
        Direction::Egress
    };
    let mut clause = Clause::all(direction, Family::V4);
    for word in &words[3..] {
        clause = match word.strip_prefix("tcp/") {
            Some(port) => clause
                .of(TCP)
                .to_ports(Ports::one(port.parse().expect("a port"))),
            None => {
                let net = word.parse::<Net>().expect("a block");
                clause.from_net(net).expect("of IPv4")
            }
        };
    }
    Rule {
        number: words[0].parse().expect("a number"),
        action: if words[1] == "accept" {
            Action::Accept
        } else {
            Action::Reject
        },
        clause,
    }
}
