//! A TAP that programs sniff on, in a network of its own: what they see, what the host does with
//! it, and what is left of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::sensor::{number, received_and_dropped};
use crate::{Run, folder, json, skip};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");

/// What the scripts share. `sensor OPTIONS` starts one and waits until it receives; `handed` waits
/// until it has so many packets, and the TAP all of them that it gets; `sniff` starts tcpdump, and
/// `end` ends it once it has read what the kernel has for it.
const PRELUDE: &str = r#"
set -e
trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
ip link set lo up
sensor() {
    rm -f said
    "$SENSOR" run --listen 127.0.0.1:4789 --out out --set rings.memory=8MiB "$@" 2>said &
    sensor=$!
    until grep -qs ^interrupt said; do sleep 0.05; kill -0 $sensor; done
}
is_handed() {
    "$SENSOR" status --json --socket out/control.sock | python3 -c '
import json, sys
status = json.load(sys.stdin)
packets, tap = status["packets"], status["sinks"]["tap=cap0"]
come = packets["received"] + packets["kernel_dropped"] == int(sys.argv[1])
done = tap["written"] + sum(tap["shed"].values()) == packets["decapsulated"]
sys.exit(not (come and done))' "$1"
}
handed() { # PACKETS
    until is_handed "$1"; do sleep 0.05; kill -0 $sensor; done
}
sniff() { # INTERFACE FILE [BUFFER IN KIB]
    heard=$2.said
    rm -f "$heard"
    tcpdump -Z root -i "$1" --immediate-mode -s 16384 -B "${3:-65536}" -w "$2" 2>"$heard" &
    sniffer=$!
    until grep -qs "listening on" "$heard"; do sleep 0.05; kill -0 $sniffer; done
}
has_read() {
    local told='s/.*: \([0-9]*\) packets* captured, \([0-9]*\) packets* received by filter, \([0-9]*\) .*/\1 \2 \3/p'
    kill -USR1 $sniffer
    sleep 0.05
    tail -n 1 "$heard" | sed -n "$told" | { read -r got of lost && [ $((got + lost)) -ge "$of" ]; }
}
end() {
    until has_read; do kill -0 $sniffer; done
    kill -INT $sniffer
    wait $sniffer || true
}
load() { "$SENSOR" gen --to 127.0.0.1:4789 --rate 5000 "$@" >>sent; }
stop() { kill -TERM $sensor; wait $sensor; }
"#;

#[test]
fn tcpdump_sees_every_frame_and_the_host_none() {
    for workers in ["1", "2"] {
        let script = r#"
            sensor --export tap=cap0 --workers $WORKERS --set handoff.truncated=pass
            cat /proc/sys/net/ipv6/conf/cap0/disable_ipv6 >hygiene 2>/dev/null || echo 1 >hygiene
            ip -o link show cap0 >>hygiene
            ip -o address show cap0 >>hygiene
            sniff cap0 seen.pcap
            load --packets 6000
            load --packets 200 --size jumbo
            handed 6200
            end
            stop
            ip link show cap0 2>/dev/null && echo "still there" >>hygiene
            true
        "#;
        let Some(dir) = check(&script.replace("$WORKERS", workers)) else {
            return;
        };
        let summary = json(&dir.path().join("out/summary.json"));
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!(received + dropped, 6_200);
        let sink = &summary["sinks"]["tap=cap0"];
        assert_eq!(number(&sink["written"]), received, "{sink}");
        let Some((seen, lost)) = seen(dir.path(), "seen.pcap") else {
            return;
        };
        assert_eq!(seen + lost, received, "{workers} workers");
        let hygiene = fs::read_to_string(dir.path().join("hygiene")).unwrap();
        let lines: Vec<&str> = hygiene.lines().collect();
        assert_eq!((lines[0], lines.len()), ("1", 2), "{hygiene}");
        let flags = lines[1].split(['<', '>']).nth(1).unwrap_or_default();
        assert!(flags.contains("NOARP") && flags.contains("UP"), "{hygiene}");
        assert!(lines[1].contains("mtu 9216"), "{hygiene}");
    }
}

#[test]
fn nothing_is_left_of_it_after_a_kill() {
    let script = r#"
        sensor --export tap=cap0
        ip link show cap0 >there
        kill -KILL $sensor
        wait $sensor || true
        ip link show cap0 2>/dev/null >left || true
    "#;
    let Some(dir) = check(script) else { return };
    assert_ne!(fs::read_to_string(dir.path().join("there")).unwrap(), "");
    assert_eq!(fs::read_to_string(dir.path().join("left")).unwrap(), "");
}

#[test]
fn tshark_tells_tenants_apart_by_both_kinds_of_tags() {
    let script = r#"
        ip tuntap add cap0 mode tap
        # So that nobody but the sensor says anything there.
        echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/cap0/disable_ipv6 || true
        ip link set cap0 multicast off up
        for vlan in qinq map none; do
            sniff cap0 $vlan.pcap
            "$SENSOR" replay "$CAPTURE" --out out-$vlan --export tap=cap0 --set handoff.vlan=$vlan \
                --set handoff.truncated=pass >replayed
            end
        done
    "#;
    let Some(dir) = check(script) else { return };
    let rows = json(&dir.path().join("out-qinq/sources.json"));
    let rows = rows.as_array().expect("a list");
    let vlans = json(&dir.path().join("out-map/vlans.json"));
    let id = |row: &Value| {
        let of_row = |it: &&Value| it["vni"] == row["vni"] && it["outer_ip"] == row["outer_ip"];
        let line = vlans.as_array().expect("a list").iter().find(of_row);
        line.expect("every source has an id")["vlan"].to_string()
    };
    for row in rows {
        let vni = number(&row["vni"]);
        let double = format!(
            "ieee8021ad.id == {} and vlan.id == {}",
            vni >> 12,
            vni & 0xfff
        );
        let single = format!("vlan.id == {}", id(row));
        for (file, filter) in [("qinq.pcap", &double), ("map.pcap", &single)] {
            let Some(packets) = matching(&dir.path().join(file), filter) else {
                return;
            };
            assert_eq!(packets, number(&row["packets"]), "{file}: {filter}");
        }
    }
    let all: u64 = rows.iter().map(|row| number(&row["packets"])).sum();
    for vlan in ["none", "map", "qinq"] {
        let packets = matching(&dir.path().join(format!("{vlan}.pcap")), "frame");
        assert_eq!(packets, Some(all), "{vlan}");
        let summary = json(&dir.path().join(format!("out-{vlan}/summary.json")));
        assert_eq!(summary["sinks"]["tap=cap0"]["written"], all);
    }
}

#[test]
fn a_replay_waits_for_its_first_sniffer() {
    let script = r#"
        "$SENSOR" replay "$CAPTURE" --out out --export tap=cap0 --set handoff.truncated=pass >replayed &
        sensor=$!
        until ip link show cap0 2>/dev/null | grep -q LOWER_UP; do sleep 0.05; kill -0 $sensor; done
        sniff cap0 seen.pcap
        wait $sensor
    "#;
    // A sniffer is not ready at once, nor when the interface goes, and cannot say so: on a machine
    // that is too busy for it, it is done again.
    let is_whole = (0..5).any(|_| {
        let Some(dir) = check(script) else {
            return true;
        };
        let summary = json(&dir.path().join("out/summary.json"));
        let written = &summary["sinks"]["tap=cap0"]["written"];
        assert_eq!(*written, summary["packets"]["decapsulated"]);
        let seen = matching(&dir.path().join("seen.pcap"), "frame");
        seen.is_none_or(|seen| *written == seen)
    });
    assert!(is_whole, "frames were missing every time");
}

#[test]
fn truncated_frames_are_dropped_passed_or_kept_apart() {
    let script = r#"
        for policy in drop pass own-tap; do
            sensor --export tap=cap0 --set handoff.truncated=$policy
            sniff cap0 $policy.pcap
            whole=$sniffer heard_whole=$heard
            [ $policy = own-tap ] && sniff cap0-cut cut.pcap
            load --packets 1000 --size 1400
            load --packets 500 --size 1400 --packet-length 128
            handed 1500
            [ $policy = own-tap ] && end
            sniffer=$whole heard=$heard_whole
            end
            stop
            mv out out-$policy
        done
    "#;
    let Some(dir) = check(script) else { return };
    let mut apart = 0;
    for policy in ["drop", "pass", "own-tap"] {
        let summary = json(&dir.path().join(format!("out-{policy}/summary.json")));
        let (received, dropped) = received_and_dropped(&summary);
        assert_eq!((received, dropped), (1_500, 0));
        let sink = &summary["sinks"]["tap=cap0"];
        let shed = number(&sink["shed"]["truncated"]);
        apart = number(&summary["frames"]["truncated"]);
        assert!(apart > 100);
        assert_eq!(shed, if policy == "drop" { apart } else { 0 }, "{sink}");
        assert_eq!(number(&sink["written"]) + shed, 1_500);
        let whole = 1_500 - if policy == "pass" { 0 } else { apart };
        let Some((packets, lost)) = seen(dir.path(), &format!("{policy}.pcap")) else {
            return;
        };
        assert_eq!(packets + lost, whole, "{policy}");
    }
    let cut = seen(dir.path(), "cut.pcap").expect("as before");
    assert_eq!(cut.0 + cut.1, apart);
}

#[test]
fn payload_that_is_not_wanted_is_not_on_it() {
    let script = r#"
        sensor --export tap=cap0 --set handoff.truncated=pass --set sources.payload=none
        sniff cap0 seen.pcap
        load --packets 1000 --size 1400
        handed 1000
        end
        stop
    "#;
    let Some(dir) = check(script) else { return };
    let Some((seen, lost)) = seen(dir.path(), "seen.pcap") else {
        return;
    };
    assert_eq!(seen + lost, 1_000);
    let with_payload = matching(&dir.path().join("seen.pcap"), "tcp.payload or udp.payload");
    assert_eq!(with_payload, Some(0));
}

#[test]
fn a_sniffer_that_stands_still_costs_the_sensor_nothing() {
    let script = r#"
        sensor --export tap=cap0 --export decap --export pcap=caps --set handoff.truncated=pass
        sniff cap0 seen.pcap 1024
        load --packets 1000
        kill -STOP $sniffer
        load --packets 5000 --size 1400
        kill -CONT $sniffer
        load --packets 1000
        handed 7000
        end
        stop
    "#;
    let Some(dir) = check(script) else { return };
    let summary = json(&dir.path().join("out/summary.json"));
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!(received + dropped, 7_000);
    for (name, sink) in summary["sinks"].as_object().expect("sinks") {
        let shed = sink["shed"].as_object().expect("reasons").values();
        let shed: u64 = shed.map(number).sum();
        assert_eq!(number(&sink["offered"]), received, "{name}");
        assert_eq!(number(&sink["written"]) + shed, received, "{name}");
    }
    // The kernel queues for a sniffer, and counts what finds no room there: nothing is lost
    // between the TAP's counter and the sniffer's.
    let written = number(&summary["sinks"]["tap=cap0"]["written"]);
    let Some((seen, lost)) = seen(dir.path(), "seen.pcap") else {
        return;
    };
    assert_eq!(seen + lost, written);
    assert!(lost > 0, "it stood still");
}

#[test]
fn an_interface_that_is_taken_away_is_counted_and_made_again() {
    let script = r#"
        sensor --export tap=cap0 --export decap --workers 2
        load --packets 500
        handed 500
        ip link delete cap0
        load --packets 500
        handed 1000
        # It is made again after a while, by each worker's thread.
        until ip -d link show cap0 2>/dev/null | grep -q "numqueues 2"; do sleep 0.05; done
        sniff cap0 seen.pcap
        load --packets 500
        handed 1500
        end
        ip link set cap0 down
        load --packets 100
        stop
    "#;
    let Some(dir) = check(script) else { return };
    let summary = json(&dir.path().join("out/summary.json"));
    let (received, dropped) = received_and_dropped(&summary);
    assert_eq!((received, dropped), (1_600, 0));
    assert_eq!(summary["sinks"]["decap"]["written"], received);
    let sink = &summary["sinks"]["tap=cap0"];
    let gone = number(&sink["shed"]["no_interface"]);
    assert_eq!(number(&sink["written"]) + gone, received, "{sink}");
    // All that came while it was down, and at least the frame that showed that it was gone.
    assert!((101..=600).contains(&gone), "{sink}");
    assert!(
        number(&summary["details"]["tap=cap0"]["queues_reopened"]) > 0,
        "{summary}"
    );
    let Some((packets, lost)) = seen(dir.path(), "seen.pcap") else {
        return;
    };
    assert_eq!(packets + lost, 500);
}

#[test]
fn an_interface_of_somebody_else_is_put_back_or_refused() {
    let script = r#"
        ip tuntap add cap0 mode tap
        ip -o link show cap0 | cut -d' ' -f2-5 >before
        cat /proc/sys/net/ipv4/conf/cap0/arp_ignore >>before
        sensor --export tap=cap0
        load --packets 100
        stop
        ip -o link show cap0 | cut -d' ' -f2-5 >after
        cat /proc/sys/net/ipv4/conf/cap0/arp_ignore >>after
        for name in lo cap0 %d much-too-long-a-name; do
            [ $name = cap0 ] && sensor --export tap=cap0
            "$SENSOR" run --listen 127.0.0.1:4999 --out other --export tap=$name \
                --set decapsulation.geneve_ports=[5999] 2>refused-$name && echo accepted >>refused-$name
            [ $name = cap0 ] && stop
        done
        true
    "#;
    let Some(dir) = check(script) else { return };
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("before"), read("after"));
    for name in ["lo", "cap0", "%d", "much-too-long-a-name"] {
        let text = read(&format!("refused-{name}"));
        assert!(text.contains("cannot make the interface"), "{name}: {text}");
        assert!(!text.contains("accepted"), "{name}: {text}");
    }
}

/// Runs a script in a network, and with mounts, of its own; `None`, with a note, where there cannot
/// be one.
pub(crate) fn check(script: &str) -> Option<tempfile::TempDir> {
    let networks = [
        &["--net", "--mount"][..],
        &["--map-root-user", "--net", "--mount"],
    ];
    let can = |options: &&&[&str]| {
        let tried = Command::new("unshare")
            .args(**options)
            .args([
                "sh",
                "-c",
                "ip tuntap add try0 mode tap && tcpdump --version",
            ])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(options) = networks.iter().find(can) else {
        skip("no TAP, no network of its own, or no tcpdump for a test here");
        return None;
    };
    let dir = folder();
    let output = Command::new("unshare")
        .args(*options)
        .args([
            "timeout",
            "--kill-after=5",
            "300",
            "bash",
            "-c",
            &format!("{PRELUDE}{script}"),
        ])
        .env("SENSOR", env!("CARGO_BIN_EXE_vxscope"))
        .env("CAPTURE", CAPTURE)
        .env_remove("VXSCOPE_LOG")
        .current_dir(dir.path())
        .output()
        .expect("as was just tried");
    let run = Run::from(output);
    let said = fs::read_to_string(dir.path().join("said")).unwrap_or_default();
    assert_eq!(run.code, Some(0), "{run:?}\n{said}");
    Some(dir)
}

/// Packets that tcpdump wrote, and those that it says the kernel kept from it.
fn seen(dir: &Path, capture: &str) -> Option<(u64, u64)> {
    let said = fs::read_to_string(dir.join(format!("{capture}.said"))).expect("it was started");
    let told = |what: &str| {
        let line = said.lines().rfind(|line| line.ends_with(what));
        let number = line.and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
        number.expect(&said)
    };
    let lost = told("dropped by kernel");
    let packets = matching(&dir.join(capture), "frame")?;
    assert_eq!(told("captured"), packets);
    Some((packets, lost))
}

/// Packets of a capture that tshark finds with a filter.
fn matching(capture: &Path, filter: &str) -> Option<u64> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-nr").arg(capture).args(["-Y", filter]);
    let output = tshark.args(["-T", "fields", "-e", "frame.number"]).output();
    let Ok(output) = output else {
        skip("tshark is not installed");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).lines().count() as u64)
}
