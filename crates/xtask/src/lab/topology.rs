//! The network of the lab: namespaces, veth pairs, the mirrors and what the kernel counted.

use super::namespace::Namespace;
use super::tenant::{CLIENT, CLIENT_V6, OUTER_PREFIX, SERVER, SERVER_V6, SILENT, TARGET, Tenant};
use crate::Result;
use serde_json::Value;

/// The MAC address of the target's bridge; the mirrors know it, so that no packet waits for ARP.
const TARGET_MAC: &str = "02:00:00:00:ff:01";
/// Room for the outer headers of a full inner frame and of its fragments.
const OUTER_MTU: u32 = 9001;

/// The directions of a mirror, each with the number of its action. The kernel lists the u32 filters
/// of both whichever is asked for, so the number is what tells their counts apart.
const INGRESS: (&str, u64) = ("ingress", 1);
const EGRESS: (&str, u64) = ("egress", 2);

/// All namespaces of one recording.
pub(super) struct Network {
    pub(super) target: Namespace,
    pub(super) tenants: [Machines; 2],
}

/// The two machines of one tenant.
pub(super) struct Machines {
    pub(super) server: Namespace,
    pub(super) client: Namespace,
}

/// What the kernel mirrored of one tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mirrored {
    /// Frames the server received, and sent.
    pub(super) ingress: u64,
    pub(super) egress: u64,
}

/// Builds everything up to the mirrors, which start with [`Network::mirror_all`].
pub(super) fn build(tenants: &[Tenant; 2], tag: &str) -> Result<Network> {
    let target = Namespace::create(tag, "target")?;
    target.ip(&format!(
        "link add br0 address {TARGET_MAC} mtu {OUTER_MTU} type bridge"
    ))?;
    target.ip(&format!("addr add {TARGET}/{OUTER_PREFIX} dev br0"))?;
    target.ip("link set br0 up")?;
    let [a, b] = tenants;
    let machines = [machines(a, tag, &target)?, machines(b, tag, &target)?];
    Ok(Network {
        target,
        tenants: machines,
    })
}

fn machines(tenant: &Tenant, tag: &str, target: &Namespace) -> Result<Machines> {
    let server = Namespace::create(tag, &format!("{}-server", tenant.name))?;
    let client = Namespace::create(tag, &format!("{}-client", tenant.name))?;
    inner_link(tenant, &server, &client)?;
    mirror_link(tenant, &server, target)?;
    Ok(Machines { server, client })
}

/// The link that is mirrored: `eth0` on both sides.
fn inner_link(tenant: &Tenant, server: &Namespace, client: &Namespace) -> Result<()> {
    let number = tenant.number;
    server.ip(&format!(
        "link add eth0 address 02:00:00:00:0a:{number:02x} type veth \
         peer name peer0 address 02:00:00:00:0c:{number:02x}"
    ))?;
    server.give("peer0", client)?;
    client.ip("link set peer0 name eth0")?;
    for (machine, v4, v6) in [(server, SERVER, SERVER_V6), (client, CLIENT, CLIENT_V6)] {
        machine.without_offloads("eth0")?;
        // TCP builds large segments even so, and the mirror would see them before they are cut.
        machine.ip("link set eth0 gso_max_segs 1")?;
        machine.ip(&format!("addr add {v4}/24 dev eth0"))?;
        machine.ip(&format!("addr add {v6}/64 dev eth0 nodad"))?;
        machine.ip("link set eth0 up")?;
    }
    // Nothing forwards there, so that connections to it stay unanswered.
    client.ip(&format!("route add {SILENT}/32 via {SERVER}"))
}

/// The link to the target and the VXLAN device on it.
fn mirror_link(tenant: &Tenant, server: &Namespace, target: &Namespace) -> Result<()> {
    let Tenant {
        name,
        vni,
        outer,
        number,
    } = tenant;
    server.ip(&format!(
        "link add mirror address 02:00:00:00:0f:{number:02x} mtu {OUTER_MTU} type veth \
         peer name to-{name} mtu {OUTER_MTU}"
    ))?;
    server.give(&format!("to-{name}"), target)?;
    target.ip(&format!("link set to-{name} master br0 up"))?;
    server.ip("link set mirror addrgenmode none up")?;
    server.ip(&format!("addr add {outer}/{OUTER_PREFIX} dev mirror"))?;
    server.ip(&format!(
        "neigh replace {TARGET} lladdr {TARGET_MAC} dev mirror nud permanent"
    ))?;
    server.ip(&format!(
        "link add vx0 mtu 8000 type vxlan id {vni} remote {TARGET} local {outer} dstport 4789 \
         ttl 255 noudpcsum nolearning"
    ))?;
    server.without_offloads("vx0")?;
    server.without_offloads("mirror")?;
    // The device itself must not speak: only copies leave by it.
    server.sysctl("net.ipv6.conf.vx0.disable_ipv6=1")?;
    server.ip("link set vx0 addrgenmode none arp off multicast off up")
}

impl Network {
    /// From now on, each frame on a server's `eth0` leaves once more, in VXLAN.
    pub(super) fn mirror_all(&self) -> Result<()> {
        for machines in &self.tenants {
            let server = &machines.server;
            server.tc("qdisc add dev eth0 clsact")?;
            for (direction, index) in [INGRESS, EGRESS] {
                server.tc(&format!(
                    "filter add dev eth0 {direction} protocol all u32 match u32 0 0 \
                     action mirred egress mirror index {index} dev vx0"
                ))?;
            }
        }
        Ok(())
    }

    /// Takes the mirrored links down, so that the counts stand still.
    pub(super) fn silence_clients(&self) -> Result<()> {
        self.tenants
            .iter()
            .try_for_each(|machines| machines.client.ip("link set eth0 down"))
    }

    /// What the kernel says it mirrored, tenant by tenant.
    pub(super) fn mirrored(&self) -> Result<[Mirrored; 2]> {
        let [a, b] = &self.tenants;
        Ok([mirrored(&a.server)?, mirrored(&b.server)?])
    }
}

fn mirrored(server: &Namespace) -> Result<Mirrored> {
    let text = server.tc("-s -j filter show dev eth0 ingress")?;
    let filters: Value = serde_json::from_str(&text)?;
    let count = |(direction, index): (&str, u64)| {
        action_packets(&filters, index)
            .ok_or_else(|| format!("tc shows no mirred action on {direction}: {text}"))
    };
    Ok(Mirrored {
        ingress: count(INGRESS)?,
        egress: count(EGRESS)?,
    })
}

/// The packets of the action with a number, among the filters that tc shows.
fn action_packets(filters: &Value, index: u64) -> Option<u64> {
    filters
        .as_array()?
        .iter()
        .map(|filter| &filter["options"]["actions"][0])
        .find(|action| action["index"].as_u64() == Some(index))
        .and_then(|action| action["stats"]["packets"].as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_count_is_the_one_of_the_numbered_action() {
        let filter = |index: u64, packets: u64| {
            let action = json!({"kind": "mirred", "index": index, "stats": {"packets": packets}});
            json!({"kind": "u32", "options": {"actions": [action]}})
        };
        let filters =
            json!([{"kind": "u32", "options": {"fh": "800:"}}, filter(2, 7), filter(1, 9)]);
        assert_eq!(action_packets(&filters, INGRESS.1), Some(9));
        assert_eq!(action_packets(&filters, EGRESS.1), Some(7));
        assert_eq!(action_packets(&json!([]), INGRESS.1), None);
    }
}
