//! Mirror sessions: what EC2 lets one make, and how they end.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, OWNER};
use crate::answer::{Answer, Refusal};
use crate::listing::{Described, Listing};
use crate::request::Request;
use crate::tagging::write_tags;
use crate::xml::Xml;

/// A mirror session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// `tms-…`.
    pub id: String,
    /// Whose packets are copied.
    pub interface: String,
    /// Where to.
    pub target: String,
    /// Which of them.
    pub filter: String,
    /// Of an interface's sessions the lowest that fits takes a packet.
    pub number: u16,
    /// Bytes of each packet, if not all.
    pub packet_length: Option<u16>,
    /// In the VXLAN header.
    pub vni: u32,
    /// What somebody wrote.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made, in ms since the start.
    pub created: u64,
}

impl Described for Session {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        let one = |text: &str| Some(vec![text.to_owned()]);
        match name {
            "traffic-mirror-session-id" => one(id),
            "network-interface-id" => one(&self.interface),
            "traffic-mirror-target-id" => one(&self.target),
            "traffic-mirror-filter-id" => one(&self.filter),
            "session-number" => one(&self.number.to_string()),
            "virtual-network-id" => one(&self.vni.to_string()),
            "packet-length" => {
                let length = self.packet_length.map(|length| length.to_string());
                Some(length.into_iter().collect())
            }
            "description" => one(&self.description),
            "owner-id" => one(OWNER),
            _ => None,
        }
    }
}

/// What a request wants of a session.
struct Wanted {
    target: Option<String>,
    filter: Option<String>,
    number: Option<u16>,
    packet_length: Option<u16>,
    vni: Option<u32>,
    description: Option<String>,
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Refusal> {
        let text = |name: &str| request.text(name).map(str::to_owned);
        let small = |number: Option<i64>| number.and_then(|number| u16::try_from(number).ok());
        let description = text("Description");
        if let Some(long) = description.as_ref().filter(|text| text.len() > 255) {
            return Err(Refusal::value("Description", long));
        }
        let vni = request.number("VirtualNetworkId", 0, (1 << 24) - 1)?;
        Ok(Self {
            target: text("TrafficMirrorTargetId"),
            filter: text("TrafficMirrorFilterId"),
            number: small(request.number("SessionNumber", 1, 32_766)?),
            packet_length: small(request.number("PacketLength", 1, 8_500)?),
            vni: vni.and_then(|vni| u32::try_from(vni).ok()),
            description,
        })
    }
}

impl Account {
    pub(crate) fn create_session(&mut self, request: &Request) -> Answer {
        let interface = request.required("NetworkInterfaceId")?.to_owned();
        request.required("TrafficMirrorTargetId")?;
        request.required("TrafficMirrorFilterId")?;
        request.required("SessionNumber")?;
        let wanted = Wanted::of(request)?;
        let tags = request.tags("traffic-mirror-session")?;
        let mut session = Session {
            interface,
            tags,
            created: self.now,
            ..Session::default()
        };
        self.check_source(&session.interface)?;
        self.apply(&mut session, wanted)?;
        if self.sessions_of(&session.interface).len() >= self.quotas.sessions_per_interface {
            return Err(Refusal::new(
                "TrafficMirrorSessionsPerInterfaceLimitExceeded",
                "Sessions per interface limit reached.",
            ));
        }
        if self.sessions.len() >= self.quotas.sessions {
            return Err(Refusal::new(
                "TrafficMirrorSessionLimitExceeded",
                "Sessions limit reached.",
            ));
        }
        Self::stop_if_dry(request)?;
        if request.text("VirtualNetworkId").is_none() {
            session.vni = self.random_vni();
        }
        session.id = self.new_id("tms");
        let mut xml = Xml::default();
        xml.nest("trafficMirrorSession", |xml| write_session(xml, &session));
        xml.maybe("clientToken", request.text("ClientToken"));
        self.put_session(session);
        Ok(xml)
    }

    pub(crate) fn modify_session(&mut self, request: &Request) -> Answer {
        let mut session = self.own_session(request)?;
        let wanted = Wanted::of(request)?;
        let removed = request.list("RemoveField");
        for field in removed {
            match field {
                "packet-length" => session.packet_length = None,
                "description" => session.description.clear(),
                "virtual-network-id" => session.vni = self.random_vni(),
                other => return Err(Refusal::value("RemoveFields", other)),
            }
        }
        self.apply(&mut session, wanted)?;
        Self::stop_if_dry(request)?;
        let mut xml = Xml::default();
        xml.nest("trafficMirrorSession", |xml| write_session(xml, &session));
        self.put_session(session);
        Ok(xml)
    }

    pub(crate) fn delete_session(&mut self, request: &Request) -> Answer {
        let session = self.own_session(request)?;
        Self::stop_if_dry(request)?;
        self.remove_session(&session.id);
        let mut xml = Xml::default();
        xml.leaf("trafficMirrorSessionId", session.id);
        Ok(xml)
    }

    /// The session that is named, if it is there and known everywhere.
    fn own_session(&self, request: &Request) -> Result<Session, Refusal> {
        let id = request.required("TrafficMirrorSessionId")?;
        let known = self.sessions.at(id, self.visible_at()).is_some();
        let session = self.sessions.get(id).filter(|_| known);
        session
            .cloned()
            .ok_or_else(|| Refusal::unknown("InvalidTrafficMirrorSessionId.NotFound", id))
    }

    fn check_source(&self, id: &str) -> Result<(), Refusal> {
        let Some(interface) = self.interfaces.get(id) else {
            return Err(Refusal::unknown("InvalidNetworkInterfaceID.NotFound", id));
        };
        let instance = interface.instance.as_ref();
        let instance = instance.and_then(|id| self.instances.get(id));
        let can = instance.is_some_and(|one| one.can_be_mirrored()) || interface.requester_managed;
        if interface.kind != "interface" || !can {
            return Err(Refusal::new(
                "NetworkInterfaceNotSupported",
                format!("{id} must be attached to a supported instance"),
            ));
        }
        let mut targets = self.targets.iter();
        if let Some((target, _)) = targets.find(|(_, one)| one.interface.as_deref() == Some(id)) {
            return Err(Refusal::new(
                "InvalidParameter",
                format!("{id} is in use by target {target}"),
            ));
        }
        Ok(())
    }

    /// Sets what is wanted, and checks what the session would be then.
    fn apply(&self, session: &mut Session, wanted: Wanted) -> Result<(), Refusal> {
        session.filter = wanted.filter.unwrap_or_else(|| session.filter.clone());
        session.number = wanted.number.unwrap_or(session.number);
        session.packet_length = wanted.packet_length.or(session.packet_length);
        session.vni = wanted.vni.unwrap_or(session.vni);
        session.description = wanted
            .description
            .unwrap_or_else(|| session.description.clone());
        if self.filters.get(&session.filter).is_none() {
            let code = "InvalidTrafficMirrorFilterId.NotFound";
            return Err(Refusal::unknown(code, &session.filter));
        }
        let others = self.sessions_of(&session.interface);
        let mut others = others.iter().filter(|other| other.id != session.id);
        if others.any(|other| other.number == session.number) {
            // The real code is not documented.
            return Err(Refusal::new(
                "InvalidParameter",
                format!(
                    "Session number {} is already being used by {}",
                    session.number, session.interface
                ),
            ));
        }
        let target = wanted.target.unwrap_or_else(|| session.target.clone());
        let Some(there) = self.targets.get(&target) else {
            let code = "InvalidTrafficMirrorTargetId.NotFound";
            return Err(Refusal::unknown(code, &target));
        };
        if there.nlb.is_some() && session.packet_length.is_none() {
            session.packet_length = Some(8_500);
        }
        if let Some(interface) = &there.interface {
            self.check_room(&target, interface, &session.interface)?;
        }
        session.target = target;
        Ok(())
    }

    fn check_room(&self, target: &str, interface: &str, source: &str) -> Result<(), Refusal> {
        let mut sources: BTreeSet<&str> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.target == target)
            .map(|(_, one)| one.interface.as_str())
            .collect();
        sources.insert(source);
        let instance = self.interfaces.get(interface);
        let instance = instance.and_then(|one| self.instances.get(one.instance.as_ref()?));
        let tens = if instance.is_some_and(|one| one.is_largest()) {
            10
        } else {
            1
        };
        if sources.len() > self.quotas.sources_per_target * tens {
            return Err(Refusal::new(
                "TrafficMirrorSourcesPerTargetLimitExceeded",
                format!(
                    "Sources per interface-target limit reached ({})",
                    sources.len()
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn describe_sessions(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "TrafficMirrorSessionId",
            unknown: "InvalidTrafficMirrorSessionId.NotFound",
            filters: &[
                "description",
                "network-interface-id",
                "owner-id",
                "packet-length",
                "session-number",
                "traffic-mirror-filter-id",
                "traffic-mirror-session-id",
                "traffic-mirror-target-id",
                "virtual-network-id",
            ],
        };
        Self::stop_if_dry(request)?;
        let things = self.sessions.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("trafficMirrorSessionSet", found, |xml, (_, session)| {
            write_session(xml, &session);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }
}

fn write_session(xml: &mut Xml, session: &Session) {
    xml.leaf("trafficMirrorSessionId", &session.id)
        .leaf("trafficMirrorTargetId", &session.target)
        .leaf("trafficMirrorFilterId", &session.filter)
        .leaf("networkInterfaceId", &session.interface)
        .leaf("ownerId", OWNER)
        .maybe("packetLength", session.packet_length)
        .leaf("sessionNumber", session.number)
        .leaf("virtualNetworkId", session.vni)
        .leaf("description", &session.description);
    write_tags(xml, &session.tags);
}
