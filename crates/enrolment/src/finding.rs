//! What somebody should know about a resource: why it is not mirrored, or not as it should be.

use std::fmt;

/// One thing to know, with the resource that it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What is the matter.
    pub kind: FindingKind,
    /// The identifier of an interface, filter, target or sensor.
    pub about: String,
    /// The particulars: values, identifiers, times.
    pub detail: String,
}

impl Finding {
    /// One of a resource.
    #[must_use]
    pub fn new(kind: FindingKind, about: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            about: about.to_owned(),
            detail: detail.into(),
        }
    }

    /// Whether it is told without being asked for: what somebody should do something about, and
    /// what nobody can see.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.kind.weight() > Weight::Note || self.kind == FindingKind::NeverMirrored
    }
}

/// `eni-1: unsupported (m8g.large): …`, then what to do about it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.kind.name())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, ": {}", self.kind.fix())
    }
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// As somebody asked for.
    Note,
    /// Somebody should look into it.
    Warning,
    /// Something that should be seen is not.
    Blind,
}

macro_rules! findings {
    ($($(#[$doc:meta])* $variant:ident = $key:literal, $weight:ident, $fix:literal;)+) => {
        vxscope_units::reasons! {
            /// What is the matter.
            pub enum FindingKind {
                $($(#[$doc])* $variant = $key,)+
            }
        }

        impl FindingKind {
            /// How much it matters.
            #[must_use]
            pub const fn weight(self) -> Weight {
                match self {
                    $(Self::$variant => Weight::$weight,)+
                }
            }

            /// What to do about it.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self {
                    $(Self::$variant => $fix,)+
                }
            }
        }
    };
}

findings! {
    /// The value of its tag says so.
    SwitchedOff = "switched_off", Note,
        "the value of its tag means no; give it the name or id of a filter to mirror it";
    /// It has a tag that excludes it.
    Excluded = "excluded", Note,
        "remove the tag that excludes it, or the exclusion from the configuration";
    /// It lacks a tag that all sources must have.
    LacksTag = "lacks_tag", Note,
        "add the tag, or remove it from those that are required";
    /// It is in a subnet that is not mirrored.
    OtherSubnet = "other_subnet", Note,
        "add its subnet to the configuration";
    /// It is in a VPC that is not mirrored.
    OtherVpc = "other_vpc", Note,
        "add its VPC to the configuration";
    /// It belongs to the sensor, or is a mirror target: mirroring it would mirror the mirror.
    OwnInterface = "own_interface", Note,
        "nothing: a target cannot be a source, and copies are not copied again";
    /// Everything was stopped.
    Held = "held", Blind,
        "`release` ends it; until then nothing is mirrored";
    /// Its instance is stopped; what remains of a session is billed.
    Stopped = "stopped", Note,
        "its session is removed in time, or start the instance; `stopped = \"report\"` keeps sessions";
    /// Its instance is stopped, and its session stays as the operator wants it.
    StoppedBilled = "stopped_billed", Warning,
        "start the instance, or remove its tag: a stopped instance's session is billed like any other";
    /// AWS mirrors only interfaces of the type `interface`.
    InterfaceKind = "interface_kind", Blind,
        "mirror what is behind it, or run an agent there";
    /// The subnet has no IPv4: Traffic Mirroring does not work there.
    Ipv6Only = "ipv6_only", Blind,
        "give the subnet IPv4, or run an agent (see `agent`)";
    /// Another account owns it, and only that one can mirror it.
    OtherAccount = "other_account", Blind,
        "run a controller in the account that owns it, with our target shared by AWS RAM";
    /// EC2 refused: this instance type, or this interface, cannot be mirrored.
    Unsupported = "unsupported", Blind,
        "move to a supported instance type, or run an agent that leaves out port 4789 (see `agent`)";
    /// No sensor says which tag to look for.
    NoKey = "no_key", Blind,
        "set tag_key, or give the sensor's instance the indicator tag";
    /// The bucket or the file beside ours holds a `sta.conf` that nobody can read.
    BadStaConf = "bad_sta_conf", Warning,
        "correct the file: until then the names and the mode that held before hold on";
    /// The tag names a filter that does not exist.
    UnknownFilter = "unknown_filter", Blind,
        "correct the tag: the id or name of a filter of this account and Region";
    /// Several filters have the name that the tag gives.
    AmbiguousFilter = "ambiguous_filter", Warning,
        "name the filter by its id; until then the one with the lowest id is used";
    /// A filter that has to be made first.
    FilterPending = "filter_pending", Note,
        "nothing: it is created, and its sources follow";
    /// A filter without a rule that accepts anything.
    EmptyFilter = "empty_filter", Blind,
        "add rules to the filter: without one nothing is mirrored";
    /// The source has IPv6, and its filter accepts none of it.
    FilterLacksIpv6 = "filter_lacks_ipv6", Warning,
        "add rules for ::/0 to the filter, or use one that has them";
    /// Tags of several sensors name different filters.
    TagsDisagree = "tags_disagree", Warning,
        "make them agree; the first key in alphabetical order holds";
    /// No target is alive that could take it.
    NoTarget = "no_target", Blind,
        "start a sensor, or name its interface, balancer or endpoint as target";
    /// All targets are full.
    NoSlot = "no_slot", Blind,
        "add a sensor, put sensors behind a Network Load Balancer, or allow off so that sources take turns";
    /// The interface has three sessions of others.
    NoSession = "no_session", Blind,
        "remove one of the sessions that are not ours: an interface has three at most";
    /// The account has as many sessions as it may.
    AccountFull = "account_full", Blind,
        "mirror from several accounts: 10,000 sessions cannot be raised";
    /// The limit of sessions or of cost that the operator set.
    OverBudget = "over_budget", Blind,
        "raise max_sessions or max_usd_per_month, or make it critical";
    /// It takes turns with others for one slot.
    TakesTurns = "takes_turns", Note,
        "nothing while the bounds are kept; add a sensor to see all of it";
    /// Its copies cross zones, which is billed.
    CrossZone = "cross_zone", Note,
        "run a sensor in its zone: data within a zone costs nothing";
    /// Its target does not live, and nobody else can take it.
    DeadTarget = "dead_target", Blind,
        "start the sensor again: the session is billed, and its copies go nowhere";
    /// A session of somebody else has a lower number and takes packets first.
    Overtaken = "overtaken", Blind,
        "give that session a number above ours, or a filter of its own share";
    /// Something that it should lose, it keeps for a while.
    Waits = "waits", Note,
        "undo the change within the time named, or wait; `stop-all` does not wait";
    /// A junction that cannot be mirrored itself, or has nothing behind it that can.
    JunctionEmpty = "junction_empty", Warning,
        "name a target group, an Application Load Balancer or a web ACL with targets behind it";
    /// A sensor's security groups do not let copies in.
    ClosedToCopies = "closed_to_copies", Blind,
        "let UDP 4789 in from these addresses, in the sensor's traffic security group";
    /// A sensor's security groups do not let the balancer's health checks in.
    ClosedToHealth = "closed_to_health", Blind,
        "let TCP 80 in from the balancer's subnets, in the sensor's traffic security group";
    /// The traffic interface has the management group, or lacks its own.
    WrongGroup = "wrong_group", Warning,
        "Sensor-TrafficSecurityGroup belongs on the traffic interface, Sensor-ManagementSecurityGroup on the other";
    /// A balancer takes no UDP on port 4789: copies go nowhere, without any error.
    NoListener = "no_listener", Blind,
        "add a listener UDP 4789 that forwards to the sensors' target group";
    /// A target group is not as copies need it.
    WrongTargetGroup = "wrong_target_group", Blind,
        "make a target group of type ip, UDP 4789; type and protocol cannot be changed";
    /// A balancer asks the sensors in a way that they do not answer.
    WrongHealthCheck = "wrong_health_check", Blind,
        "set the health check to HTTP, port 80, path /api/2.0/status";
    /// A balancer may send the copies of one source to several sensors.
    NotSticky = "not_sticky", Warning,
        "turn stickiness on, type source_ip: flows are then whole on one sensor";
    /// No target of a balancer is healthy.
    NoneHealthy = "none_healthy", Blind,
        "start a sensor, and see that port 80 answers /api/2.0/status";
    /// A balancer sends only within the zone.
    NotAcrossZones = "not_across_zones", Warning,
        "turn on cross-zone load balancing, or run a sensor in every zone of the balancer";
    /// Copies are cut at the sensor's MTU.
    SmallMtu = "small_mtu", Warning,
        "set the MTU of the traffic interface to 9001, in the system and in its network";
    /// The kernel drops copies because their way back is another interface.
    StrictReversePath = "strict_reverse_path", Blind,
        "sysctl -w net.ipv4.conf.all.rp_filter=2 and the same for the interface, and keep it in /etc/sysctl.d";
    /// Answers to health checks leave by the wrong interface.
    NoWayBack = "no_way_back", Warning,
        "route by source: ip route add default via GATEWAY dev IF table 4789; ip rule add from ADDRESS table 4789";
    /// Nothing listens for copies on the sensor.
    NobodyListens = "nobody_listens", Blind,
        "start vxscope on the traffic interface";
    /// The sensor is smaller than an m5.xlarge.
    SmallInstance = "small_instance", Warning,
        "use m5.xlarge or larger: 4 cores, 16 GiB";
    /// More is sent to a sensor than its instance receives.
    OverCapacity = "over_capacity", Warning,
        "add a sensor, take a larger instance, or lower sources: what is over is dropped before anybody sees it";
    /// There are fewer slots than sources that are wanted.
    TooFewSlots = "too_few_slots", Warning,
        "add a sensor, take one of the largest instance types (100 sources), or a Network Load Balancer (any number)";
    /// Something that preflight looks at could not be read.
    NotRead = "not_read", Warning,
        "let the role make this call, as `iam-policy` prints it: until then nothing is concluded from it";
    /// What AWS mirrors nowhere.
    NeverMirrored = "never_mirrored", Note,
        "nothing: AWS copies none of it, whatever the filter";
    /// Mirroring doubles what it sends, and that is more than the instance has.
    OverBandwidth = "over_bandwidth", Warning,
        "lower it to truncated, or give it a larger instance: above its bandwidth copies are dropped first";
}

/// How to see what cannot be mirrored: an agent on the machine that leaves out the copies
/// themselves, else it would send what it sends.
///
/// `sensor` is where the sensor listens, `vni` any that is free.
#[must_use]
pub fn agent(interface: &str, sensor: &str, vni: u32) -> String {
    format!(
        "# {interface}: on the machine itself, as root\n\
         ip link add vxscope0 type vxlan id {vni} remote {sensor} dstport 4789 dev eth0\n\
         ip link set vxscope0 up mtu 8950\n\
         tc qdisc add dev eth0 clsact\n\
         for way in ingress egress; do\n\
         \x20 tc filter add dev eth0 $way prio 1 protocol ip u32 match ip protocol 17 0xff match ip dport 4789 0xffff action pass\n\
         \x20 tc filter add dev eth0 $way prio 2 protocol all matchall action mirred egress mirror dev vxscope0\n\
         done\n\
         # containers: a virtual tap with STA_SNIFFING_FILTER=\"not dst port 4789\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do() {
        let finding = Finding::new(FindingKind::Unsupported, "eni-1", "m8g.large");
        let text = finding.to_string();
        assert!(text.starts_with("eni-1: unsupported (m8g.large): move to a supported"));
        for kind in FindingKind::ALL {
            assert!(
                kind.fix().len() > 20 && !kind.fix().ends_with('.'),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn an_agent_never_copies_its_own_copies() {
        let text = agent("eni-1", "10.0.0.9", 7);
        let (pass, mirror) = (
            text.find("dport 4789").unwrap(),
            text.find("mirred").unwrap(),
        );
        assert!(pass < mirror, "{text}");
        assert!(text.contains("prio 1 protocol ip u32") && text.contains("remote 10.0.0.9"));
    }
}
