//! What this machine tells of itself: interfaces, routes, who listens. A sensor with a control
//! socket is on it.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vxscope_enrolment::preflight::{Host, HostInterface, Route, VXLAN_PORT};

/// As far as the system tells; nothing without `ip`.
pub(crate) fn here(sensor: &str) -> Option<Host> {
    let told = |arguments: &[&str]| -> Option<Vec<Value>> {
        let output = Command::new("ip").arg("-json").args(arguments).output();
        serde_json::from_slice(&output.ok()?.stdout).ok()
    };
    let mut routes = routes(&told(&["route"])?);
    routes.extend(self::routes(&told(&["-6", "route"]).unwrap_or_default()));
    Some(Host {
        sensor: sensor.to_owned(),
        interfaces: interfaces(&told(&["address"])?),
        rp_filter_all: rp_filter("all"),
        routes,
        routed_by_source: by_source(&told(&["rule"])?),
        listens: listens(),
    })
}

/// From `ip -json address`.
fn interfaces(told: &[Value]) -> Vec<HostInterface> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let interface = |one: &Value| {
        let name = text(one, "ifname");
        let addresses = one["addr_info"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|it| it["local"].as_str()?.parse().ok());
        Some(HostInterface {
            mac: text(one, "address"),
            mtu: one["mtu"]
                .as_u64()
                .and_then(|mtu| u32::try_from(mtu).ok())?,
            rp_filter: rp_filter(&name),
            addresses: addresses.collect(),
            name,
        })
    };
    told.iter().filter_map(interface).collect()
}

/// From `ip -json route`.
fn routes(told: &[Value]) -> Vec<Route> {
    let route = |one: &Value| {
        let metric = one["metric"].as_u64().unwrap_or_default();
        let to = match one["dst"].as_str()? {
            "default" if is_v6(one) => "::/0".to_owned(),
            "default" => "0.0.0.0/0".to_owned(),
            block if block.contains('/') => block.to_owned(),
            address if address.contains(':') => format!("{address}/128"),
            address => format!("{address}/32"),
        };
        let (_, bits) = to.split_once('/')?;
        Some(Route {
            bits: bits.parse().ok()?,
            to: to.parse().ok()?,
            device: one["dev"].as_str()?.to_owned(),
            metric: u32::try_from(metric).unwrap_or(u32::MAX),
        })
    };
    told.iter().filter_map(route).collect()
}

fn is_v6(route: &Value) -> bool {
    route["gateway"].as_str().is_some_and(|it| it.contains(':')) || route["pref"].is_string()
}

/// From `ip -json rule`: the addresses for which a rule names a table of their own.
fn by_source(told: &[Value]) -> Vec<IpAddr> {
    let own = told.iter().filter(|one| {
        let table = one["table"].as_str().unwrap_or_default();
        !matches!(table, "local" | "main" | "default")
    });
    own.filter_map(|one| one["src"].as_str()?.parse().ok())
        .collect()
}

fn rp_filter(name: &str) -> u8 {
    let path = Path::new("/proc/sys/net/ipv4/conf")
        .join(name)
        .join("rp_filter");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

/// Whether somebody has the port, or takes frames as a whole (a packet ring has no port).
fn listens() -> Option<bool> {
    let udp = ["/proc/net/udp", "/proc/net/udp6"];
    let tables: Vec<String> = udp
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    let rings = std::fs::read_to_string("/proc/net/packet").unwrap_or_default();
    let has_ring = rings.lines().count() > 1;
    (!tables.is_empty()).then(|| has_ring || tables.iter().any(|table| has_port(table)))
}

fn has_port(table: &str) -> bool {
    let port = format!(":{VXLAN_PORT:04X}");
    let local = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let mut sockets = table.lines().skip(1).filter_map(local);
    sockets.any(|local| local.ends_with(&port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_ip_says_becomes_facts() {
        let address = json!([{"ifname": "ens6", "address": "02:00:00:00:00:01", "mtu": 1500,
            "addr_info": [{"local": "10.0.0.9"}, {"local": "fe80::1"}]}]);
        let [interface] = &interfaces(address.as_array().unwrap())[..] else {
            panic!("one interface");
        };
        assert_eq!((interface.mtu, interface.addresses.len()), (1500, 2));
        let told = json!([
            {"dst": "default", "gateway": "10.0.0.1", "dev": "ens5", "metric": 100},
            {"dst": "10.0.0.0/24", "dev": "ens6"},
            {"dst": "10.0.0.77", "dev": "ens7"},
            {"dst": "unreachable"},
        ]);
        let routes = routes(told.as_array().unwrap());
        let bits: Vec<(u8, &str)> = routes
            .iter()
            .map(|one| (one.bits, one.device.as_str()))
            .collect();
        assert_eq!(bits, [(0, "ens5"), (24, "ens6"), (32, "ens7")]);
        let rules = json!([{"src": "all", "table": "main"}, {"src": "10.0.0.9", "table": "4789"},
            {"src": "10.0.0.8", "table": "main"}]);
        let own: Vec<IpAddr> = vec!["10.0.0.9".parse().unwrap()];
        assert_eq!(by_source(rules.as_array().unwrap()), own);
        let table = "head\n 1: 00000000:12B5 00000000:0000 07\n 2: 0100007F:0035 0:0 07\n";
        assert!(has_port(table) && !has_port("head\n 2: 0100007F:0035 0:0 07\n"));
    }

    #[test]
    fn this_machine_has_its_loopback() {
        if let Some(host) = here("sensor-1") {
            assert!(
                host.interfaces.iter().any(|one| one.name == "lo"),
                "{host:?}"
            );
            assert!(host.listens.is_some());
        }
    }
}
