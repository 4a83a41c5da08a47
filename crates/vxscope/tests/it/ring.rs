//! Packet rings beside sockets, in a network of their own: exact accounts, equal outputs, and a
//! host that is afterwards as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Run, folder, json, skip};

/// Two namespaces and a cable: `far` runs in the other one.
const NETWORK: &str = r#"
set -e
# Without addresses of their own accord, so that nobody but the test speaks.
sysctl -q -w net.ipv6.conf.all.accept_ra=0 || true
ip link set lo up
unshare --net sleep 600 > /dev/null 2>&1 &
other=$!
trap 'kill -KILL $sensor $other 2> /dev/null' EXIT
here=$(readlink /proc/self/ns/net)
while [ "$(readlink /proc/$other/ns/net)" = "$here" ]; do sleep 0.01; done
far() { nsenter -t $other -n "$@"; }
ip link add mirror0 type veth peer name far0
ip link set far0 netns $other
ip address add 192.0.2.1/24 dev mirror0
ip -6 address add fd00::1/64 dev mirror0 nodad
ip link set mirror0 up
far ip link set lo up
far ip address add 192.0.2.2/24 dev far0
far ip -6 address add fd00::2/64 dev far0 nodad
far ip link set far0 up
far ping -c 1 -w 60 192.0.2.1 > /dev/null
start() {
  "$SENSOR" run --interface mirror0 --listen "${LISTEN:-0.0.0.0:4789}" --out $1 --set rings.memory=16MiB \
    --set capture.backend=\"$2\" --set workers.count=$3 $4 > $1.out 2> $1.log < /dev/null &
  sensor=$!
  until grep -q 'to stop in order' $1.log; do
    kill -0 $sensor || { cat $1.log; return 1; }
    sleep 0.05
  done
}
stop() { sleep 0.3; kill -TERM $sensor; wait $sensor; }
"#;

/// A kernel VXLAN device sends what its own counter says.
const KERNEL_SENDER: &str = r#"
for backend in udp packet-ring; do for workers in 1 2; do for family in 4 6; do
  out=out-$backend-$workers-$family
  case $family in
    4) LISTEN=0.0.0.0:4789; ends="local 192.0.2.2 remote 192.0.2.1" ;;
    6) LISTEN=[::]:4789; ends="local fd00::2 remote fd00::1" ;;
  esac
  start $out $backend $workers
  far ip link add vx0 type vxlan id 42 $ends dstport 4789 dev far0
  far sysctl -q -w net.ipv6.conf.vx0.disable_ipv6=1 || true
  far ip address add 10.7.0.2/24 dev vx0
  far ip link set vx0 up
  for peer in 3 4 5 6; do
    far ip neighbour add 10.7.0.$peer lladdr 02:00:00:00:00:0$peer dev vx0
    far ping -q -c 26 -i 0.002 -W 0.1 10.7.0.$peer > /dev/null || true
  done
  sleep 0.1
  # Down first: what it still says of its own accord is counted, too.
  far ip link set vx0 down
  far ip -s -j link show vx0 > $out.json
  far ip link delete vx0
  stop
done; done; done
"#;

#[test]
fn what_a_kernel_vxlan_device_sends_is_received_to_the_last_packet() {
    let dir = folder();
    let Some(run) = in_network(dir.path(), KERNEL_SENDER) else {
        return;
    };
    assert_eq!(run.code, Some(0), "{run:?}");
    for backend in ["udp", "packet-ring"] {
        for workers in [1, 2] {
            for family in [4, 6] {
                let name = format!("out-{backend}-{workers}-{family}");
                let out = dir.path().join(&name);
                let link = json(&dir.path().join(format!("{name}.json")));
                let sent = link[0]["stats64"]["tx"]["packets"]
                    .as_u64()
                    .expect("a count");
                let packets = &json(&out.join("summary.json"))["packets"];
                let number = |key: &str| packets[key].as_u64().unwrap_or_default();
                assert!(sent >= 100, "{sent}");
                assert_eq!(
                    number("received") + number("kernel_dropped"),
                    sent,
                    "{name}: {packets}"
                );
                assert_eq!(
                    number("received"),
                    number("decapsulated"),
                    "{name}: {packets}"
                );
                let sources = json(&out.join("sources.json"));
                let outer = if family == 4 { "192.0.2.2" } else { "fd00::2" };
                assert_eq!(sources[0]["outer_ip"], outer, "{sources}");
                assert_eq!(sources[0]["vni"], 42);
            }
        }
    }
}

/// The same seed, so the same frames, through each backend.
const SAME_TRAFFIC: &str = r#"
for backend in udp packet-ring; do for workers in 1 2; do
  start out-$backend-$workers $backend $workers
  far "$SENSOR" gen --allow-remote --to 192.0.2.1:4789 --sources 3 --flows 200 --packets 8000 --rate 20000 \
    --seed 7 --size imix > out-$backend-$workers.sent
  stop
done; done
"#;

#[test]
fn both_backends_give_the_same_outputs_for_the_same_traffic() {
    // Of what the kernel dropped on a busy machine there are no outputs: then it is done again.
    let seen = (0..5).find_map(|_| what_was_seen_of_the_same_traffic());
    let seen = seen.expect("a run in which nothing is dropped");
    let Some((first, others)) = seen.split_first() else {
        return;
    };
    assert!(first.flows.len() >= 200 && first.connections.len() >= 200);
    assert!(first.frames.len() > 1_000);
    for other in others {
        let name = &other.name;
        assert_eq!(other.packets, first.packets, "{name}");
        assert!(other.flows == first.flows, "{name}: eve.json");
        assert!(other.connections == first.connections, "{name}: conn.log");
        assert!(other.frames == first.frames, "{name}: decap.pcap");
    }
}

/// What one run left.
struct Seen {
    name: String,
    packets: Value,
    flows: BTreeMap<String, u32>,
    connections: BTreeMap<String, u32>,
    frames: BTreeMap<Vec<u8>, u32>,
}

/// Of each run; nothing where there cannot be one, and `None` if the kernel dropped something.
fn what_was_seen_of_the_same_traffic() -> Option<Vec<Seen>> {
    let dir = folder();
    let Some(run) = in_network(dir.path(), SAME_TRAFFIC) else {
        return Some(Vec::new());
    };
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut seen = Vec::new();
    for backend in ["udp", "packet-ring"] {
        for workers in [1, 2] {
            let name = format!("out-{backend}-{workers}");
            let out = dir.path().join(&name);
            let packets = json(&out.join("summary.json"))["packets"].clone();
            check_balance(&packets, dir.path(), &name);
            if lost(&packets) > 0 {
                return None;
            }
            seen.push(Seen {
                packets,
                flows: flows(&out),
                connections: connections(&out),
                frames: frames(&out),
                name,
            });
        }
    }
    Some(seen)
}

/// What was sent was received or is known to be lost.
fn check_balance(packets: &Value, dir: &Path, name: &str) {
    let sent = json(&dir.join(format!("{name}.sent")));
    let received = packets["received"].as_u64().expect("a count");
    let sent = sent["sent"].as_u64().expect("a count");
    assert_eq!(received + lost(packets), sent, "{name}: {packets}");
}

/// Dropped in the sockets or rings, or at the interface.
fn lost(packets: &Value) -> u64 {
    let number = |key: &str| packets[key].as_u64().expect("a count");
    number("kernel_dropped") + number("interface_dropped")
}

/// Flow records by what does not depend on the hour, and how often they occur.
fn flows(out: &Path) -> BTreeMap<String, u32> {
    let text = fs::read_to_string(out.join("eve.json")).expect("a file");
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let flow = &line["flow"];
        let keys = [
            "vni",
            "src_ip",
            "src_port",
            "dest_ip",
            "dest_port",
            "proto",
            "community_id",
        ];
        let counts = [
            "pkts_toserver",
            "pkts_toclient",
            "bytes_toserver",
            "bytes_toclient",
        ];
        let keys = keys.map(|key| line[key].to_string()).join(" ");
        format!(
            "{keys} {}",
            counts.map(|key| flow[key].to_string()).join(" ")
        )
    });
    count(lines)
}

/// Lines of conn.log without times and ids.
fn connections(out: &Path) -> BTreeMap<String, u32> {
    let text = fs::read_to_string(out.join("conn.log")).expect("a file");
    let fields = text.lines().find_map(|line| line.strip_prefix("#fields\t"));
    let fields: Vec<_> = fields.expect("names").split('\t').collect();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let values = fields.iter().zip(line.split('\t'));
        let values = values.filter(|(name, _)| !["ts", "uid", "duration"].contains(name));
        values
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
            .join("\t")
    });
    count(lines)
}

/// Frames of decap.pcap.
fn frames(out: &Path) -> BTreeMap<Vec<u8>, u32> {
    let bytes = fs::read(out.join("decap.pcap")).expect("a file");
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let (frame, next) = behind.split_at(length as usize);
        frames.push([&header[12..], frame].concat());
        rest = next;
    }
    count(frames.into_iter())
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, u32> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// More than the smallest buffers take.
const OVERLOAD: &str = r#"
for backend in udp packet-ring; do for workers in 1 2; do
  start out-$backend-$workers $backend $workers "--set capture.receive_buffer=64KiB"
  far "$SENSOR" gen --allow-remote --to 192.0.2.1:4789 --flows 500 --packets 150000 --rate 2000000 --size 64 \
    > out-$backend-$workers.sent
  stop
done; done
"#;

#[test]
fn under_overload_every_packet_is_received_or_counted_as_dropped() {
    let dir = folder();
    let Some(run) = in_network(dir.path(), OVERLOAD) else {
        return;
    };
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut dropped = 0;
    for backend in ["udp", "packet-ring"] {
        for workers in [1, 2] {
            let name = format!("out-{backend}-{workers}");
            let packets = &json(&dir.path().join(&name).join("summary.json"))["packets"];
            check_balance(packets, dir.path(), &name);
            dropped += lost(packets);
        }
    }
    assert!(dropped > 0);
}

/// What a stopped and a killed sensor leave: nothing.
const AFTERWARDS: &str = r#"
answered() { # TIMES that it is asked at most
  far bash -c 'exec 3> /dev/udp/192.0.2.1/4789; for n in $(seq $0); do echo $n >&3 || { echo yes; exit; }; sleep 0.05; done; echo no' $1 2> /dev/null
}
state() { ip -d link show mirror0; ip route; ss -uanp 2> /dev/null || cat /proc/net/udp; cat /proc/net/packet | wc -l; }
state > before
echo "before $(answered 1000)"
start out-1 packet-ring 2
echo "running $(answered 4)"
stop
echo "stopped $(answered 1000)"
state > after-stop
start out-2 packet-ring 2
kill -KILL $sensor
wait $sensor || true
echo "killed $(answered 1000)"
state > after-kill
start out-3 auto 1
grep -q 'receive *packet rings' out-3.log && echo "auto takes the ring"
stop
"#;

#[test]
fn the_host_is_quiet_meanwhile_and_afterwards_as_it_was() {
    let dir = folder();
    let Some(run) = in_network(dir.path(), AFTERWARDS) else {
        return;
    };
    assert_eq!(run.code, Some(0), "{run:?}");
    let expected = "before yes\nrunning no\nstopped yes\nkilled yes\nauto takes the ring\n";
    assert_eq!(run.stdout, expected, "{run:?}");
    let state = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    assert_eq!(state("after-stop"), state("before"));
    assert_eq!(state("after-kill"), state("before"));
    // What it was told while it ran.
    let summary = json(&dir.path().join("out-1/summary.json"));
    assert_eq!(summary["packets"]["received"], 4, "{summary}");
}

fn in_network(dir: &Path, script: &str) -> Option<Run> {
    let can = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link add near0 type veth peer name far0",
        ])
        .output()
        .is_ok_and(|output| output.status.success());
    if !can {
        skip("packet rings take root and a network of their own");
        return None;
    }
    let output = Command::new("unshare")
        .args(["--net", "bash", "-c", &format!("{NETWORK}{script}")])
        .env("SENSOR", env!("CARGO_BIN_EXE_vxscope"))
        .env_remove("VXSCOPE_LOG")
        .current_dir(dir)
        .output();
    Some(Run::from(output.expect("as it was tried")))
}
