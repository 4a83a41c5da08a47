//! Notices when `decap.pcap` mixes conversations of different mirror sources.
//!
//! A capture has no VNI. Two tenants that use the same addresses and ports, or one conversation
//! mirrored at both of its ends, look like one connection with strange retransmissions to any
//! program that reads the file. Nobody sees that from the file alone, so the summary says it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use vxscope_flow::FlowRecord;
use vxscope_units::{MirrorSource, Vni};

use crate::protocol;
use crate::vlan::VlanMode;

/// Most conversations that are watched.
///
/// Bounds the memory to about 6 MiB. Overlapping tenants show within the first thousands of
/// flows. Beyond it, new conversations are not watched and counted as unwatched, and the warning
/// says "at least".
pub const CONVERSATIONS_MAX: usize = 50_000;

/// A conversation as a reader of `decap.pcap` sees it: no source, no direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Conversation {
    /// The VNI where tags show it, so that only sources which share one can mix.
    vni: Option<Vni>,
    protocol: u8,
    low: (IpAddr, u16),
    high: (IpAddr, u16),
}

/// Watches flow records, in output order, for conversations that more than one source carries.
#[derive(Debug)]
pub struct Overlap {
    mode: VlanMode,
    seen: HashMap<Conversation, Carrier>,
    mixed: u64,
    unwatched: u64,
    example: Option<(Conversation, [MirrorSource; 2])>,
}

#[derive(Clone, Copy, Debug)]
struct Carrier {
    first: MirrorSource,
    mixed: bool,
}

impl Overlap {
    /// For a `decap.pcap` written with this mode. With [`VlanMode::Map`] nothing can mix and
    /// nothing is watched.
    #[must_use]
    pub fn new(mode: VlanMode) -> Self {
        Self {
            mode,
            seen: HashMap::new(),
            mixed: 0,
            unwatched: 0,
            example: None,
        }
    }

    /// Notes a flow.
    pub fn observe(&mut self, record: &FlowRecord) {
        let vni = match self.mode {
            VlanMode::Map => return,
            VlanMode::None => None,
            VlanMode::QinQ => Some(record.source.vni),
        };
        let key = Conversation::of(record, vni);
        let room = self.seen.len() < CONVERSATIONS_MAX;
        match self.seen.entry(key) {
            Entry::Occupied(mut entry) => {
                let carrier = entry.get_mut();
                if carrier.first != record.source && !carrier.mixed {
                    carrier.mixed = true;
                    self.mixed += 1;
                    self.example
                        .get_or_insert((key, [carrier.first, record.source]));
                }
            }
            Entry::Vacant(entry) if room => {
                entry.insert(Carrier {
                    first: record.source,
                    mixed: false,
                });
            }
            Entry::Vacant(_) => self.unwatched += 1,
        }
    }

    /// Conversations that more than one source carries.
    #[must_use]
    pub fn mixed(&self) -> u64 {
        self.mixed
    }

    /// Flows that came when [`CONVERSATIONS_MAX`] was reached and were not watched.
    #[must_use]
    pub fn unwatched(&self) -> u64 {
        self.unwatched
    }

    /// The sentence for the summary; `None` if nothing is mixed.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (conversation, [first, second]) = self.example?;
        let Conversation {
            protocol,
            low,
            high,
            ..
        } = conversation;
        let at_least = if self.unwatched > 0 { "at least " } else { "" };
        let (count, noun) = (self.mixed, if self.mixed == 1 { "" } else { "s" });
        Some(format!(
            "decap.pcap mixes {at_least}{count} conversation{noun} seen by more than one mirror \
             source, which its readers take for one (for example {} {} and {} by {first} and by \
             {second}); use export.decap.vlan = \"map\" to keep sources apart",
            Name(protocol),
            End(protocol, low),
            End(protocol, high),
        ))
    }
}

impl Conversation {
    fn of(record: &FlowRecord, vni: Option<Vni>) -> Self {
        let one = (record.originator, record.originator_port);
        let other = (record.responder, record.responder_port);
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self {
            vni,
            protocol: record.protocol,
            low,
            high,
        }
    }
}

struct Name(u8);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match protocol::suricata_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

struct End(u8, (IpAddr, u16));

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(protocol, (address, port)) = *self;
        match address {
            _ if !protocol::has_ports(protocol) => write!(f, "{address}"),
            IpAddr::V4(_) => write!(f, "{address}:{port}"),
            IpAddr::V6(_) => write!(f, "[{address}]:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use vxscope_flow::FlowRecord;

    use super::{CONVERSATIONS_MAX, Overlap};
    use crate::testing::{plain_record, source, tcp_record};
    use crate::vlan::VlanMode;

    #[test]
    fn one_conversation_under_two_sources_is_mixed_whichever_way_it_was_seen() {
        let reply = FlowRecord {
            source: source(8),
            originator: tcp_record().responder,
            responder: tcp_record().originator,
            originator_port: 80,
            responder_port: 1_122,
            ..tcp_record()
        };
        let third = FlowRecord {
            source: source(9),
            ..tcp_record()
        };
        let overlap = check(
            VlanMode::None,
            &[tcp_record(), reply, third, tcp_record()],
            1,
        );
        assert_eq!(
            overlap.warning().unwrap(),
            "decap.pcap mixes 1 conversation seen by more than one mirror source, which its \
             readers take for one (for example TCP 10.0.0.1:1122 and 10.0.0.2:80 by 192.0.2.1 \
             vni 7 and by 192.0.2.1 vni 8); use export.decap.vlan = \"map\" to keep sources apart"
        );
    }

    #[test]
    fn what_differs_in_a_port_or_comes_again_is_not_mixed() {
        let port = FlowRecord {
            source: source(8),
            originator_port: 1_123,
            ..tcp_record()
        };
        let protocol = FlowRecord {
            source: source(8),
            protocol: 17,
            ..tcp_record()
        };
        let overlap = check(
            VlanMode::None,
            &[tcp_record(), tcp_record(), port, protocol],
            0,
        );
        assert_eq!(overlap.warning(), None);
    }

    #[test]
    fn tags_keep_apart_what_they_show() {
        let other_vni = FlowRecord {
            source: source(8),
            ..tcp_record()
        };
        let mut other_address = tcp_record();
        other_address.source.address = "192.0.2.2".parse().unwrap();
        let records = [tcp_record(), other_vni, other_address];
        check(VlanMode::Map, &records, 0);
        check(VlanMode::QinQ, &records[..2], 0);
        check(VlanMode::QinQ, &records, 1);
    }

    #[test]
    fn protocols_without_ports_are_named_without_ports() {
        let other = FlowRecord {
            source: source(8),
            ..plain_record(50)
        };
        let warning = check(VlanMode::None, &[plain_record(50), other], 1)
            .warning()
            .unwrap();
        assert!(
            warning.contains("ESP 10.0.0.1 and 10.0.0.2 by"),
            "{warning}"
        );
    }

    #[test]
    fn beyond_the_limit_conversations_are_counted_and_the_warning_says_at_least() {
        let mut overlap = Overlap::new(VlanMode::None);
        for number in 0..u32::try_from(CONVERSATIONS_MAX).unwrap() + 5 {
            let originator = std::net::Ipv4Addr::from(number).into();
            overlap.observe(&FlowRecord {
                originator,
                ..tcp_record()
            });
        }
        assert_eq!(
            (overlap.unwatched(), overlap.seen.len()),
            (5, CONVERSATIONS_MAX)
        );
        let originator = std::net::Ipv4Addr::from(3).into();
        overlap.observe(&FlowRecord {
            originator,
            source: source(8),
            ..tcp_record()
        });
        assert!(
            overlap
                .warning()
                .unwrap()
                .contains("mixes at least 1 conversation seen")
        );
    }

    fn check(mode: VlanMode, records: &[FlowRecord], expected: u64) -> Overlap {
        let mut overlap = Overlap::new(mode);
        for record in records {
            overlap.observe(record);
        }
        assert_eq!(overlap.mixed(), expected);
        overlap
    }
}
