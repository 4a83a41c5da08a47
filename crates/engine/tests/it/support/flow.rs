//! Conversations as all programs count them: a tuple without direction, packets, bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::Value;

use super::output::{bytes_of, number, packets_of, text};

/// Addresses, ports and protocol, the smaller end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    pub(crate) vni: u32,
    pub(crate) protocol: u8,
    pub(crate) ends: [(IpAddr, u16); 2],
}

impl Tuple {
    pub(crate) fn new(vni: u32, protocol: u8, mut ends: [(IpAddr, u16); 2]) -> Self {
        ends.sort_unstable();
        Self {
            vni,
            protocol,
            ends,
        }
    }

    /// Without ports, for what other programs count without them.
    pub(crate) fn portless(self) -> Self {
        Self::new(
            self.vni,
            self.protocol,
            self.ends.map(|(address, _)| (address, 0)),
        )
    }

    /// Of a record of `eve.json`.
    pub(crate) fn of_eve(record: &Value) -> Self {
        let end = |address, port| {
            let port = record[port].as_u64().unwrap_or(0);
            (
                text(record, address).parse().unwrap(),
                u16::try_from(port).unwrap(),
            )
        };
        let vni = u32::try_from(number(record, "/vni")).unwrap();
        let ends = [end("src_ip", "src_port"), end("dest_ip", "dest_port")];
        Self::new(vni, protocol(text(record, "proto")), ends)
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(a, p), (b, q)] = self.ends;
        write!(
            f,
            "{a}:{p} {b}:{q} protocol {} VNI {}",
            self.protocol, self.vni
        )
    }
}

/// The number of a protocol by the name that Suricata, Zeek, tshark or argus give it.
pub(crate) fn protocol(name: &str) -> u8 {
    match name.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "igmp" => 2,
        "ip-in-ip" => 4,
        "tcp" => 6,
        "udp" => 17,
        "rdp" => 27,
        "ipv6" => 41,
        "rsvp" => 46,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" => 58,
        "ipv6-nonxt" => 59,
        "eigrp" => 88,
        "ospf" => 89,
        "pim" => 103,
        "ipcomp" => 108,
        "vrrp" => 112,
        "pgm" => 113,
        "sctp" => 132,
        "mobility" => 135,
        "hip" => 139,
        number => number.parse().unwrap_or_else(|_| panic!("what is {name}?")),
    }
}

/// Packets and bytes of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Volume {
    pub(crate) fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// Volumes by conversation.
pub(crate) type Volumes = BTreeMap<Tuple, Volume>;

/// Volumes of `eve.json`, flows of one tuple together.
pub(crate) fn volumes(records: &[Value]) -> Volumes {
    let mut volumes = Volumes::new();
    for record in records {
        let volume = volumes.entry(Tuple::of_eve(record)).or_default();
        volume.add(packets_of(record), bytes_of(record));
    }
    volumes
}

/// What differs between ours and another program's, a sentence each.
pub(crate) fn differences(ours: &Volumes, theirs: &Volumes) -> Vec<String> {
    let mut differences = Vec::new();
    for (tuple, volume) in theirs {
        match ours.get(tuple) {
            None => differences.push(format!("{tuple}: only they have it, {volume:?}")),
            Some(our) if our != volume => {
                differences.push(format!("{tuple}: {our:?}, they say {volume:?}"));
            }
            Some(_) => {}
        }
    }
    for (tuple, volume) in ours {
        if !theirs.contains_key(tuple) {
            differences.push(format!("{tuple}: only we have it, {volume:?}"));
        }
    }
    differences
}
