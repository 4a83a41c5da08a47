//! Command lines and configuration lines, by consumer and way out.

use vxscope_config::{Config, ExportKind, VlanMode, Way};

use super::Consumer;

/// What to type and to write, for one way out.
pub(super) fn lines(consumer: Consumer, way: &Way, config: &Config) -> Vec<String> {
    let target = way.target.as_deref().unwrap_or_default();
    let decap = "vxscope-out/decap.pcap";
    let target = if way.kind == ExportKind::Decap {
        decap
    } else {
        target
    };
    let mut lines = vec![command(consumer, way.kind, target)];
    lines.extend(
        settings(consumer, config.handoff.vlan)
            .iter()
            .map(|it| (*it).to_owned()),
    );
    lines
}

fn command(consumer: Consumer, kind: ExportKind, target: &str) -> String {
    use ExportKind as Kind;
    match (consumer, kind) {
        (Consumer::Suricata, Kind::Tap) => format!("suricata -k none --af-packet={target}"),
        (Consumer::Suricata, Kind::PcapStream) if target == "-" => {
            "vxscope run --export pcap-stream=- | suricata -k none -r /dev/stdin   # 7.0, or from 8.0.6 on"
                .to_owned()
        }
        (Consumer::Suricata, Kind::PcapStream) => {
            format!("suricata -k none -r {target}   # 7.0, or from 8.0.6 on: 8.0.0 to 8.0.5 lose packets")
        }
        (Consumer::Suricata, Kind::PcapOverIp) => {
            format!("nc {} | suricata -k none -r /dev/stdin", host_and_port(target))
        }
        (Consumer::Suricata, Kind::Pcap | Kind::Pcapng) => {
            format!("suricata -k none -r {target} --pcap-file-continuous")
        }
        (Consumer::Suricata, _) => format!("suricata -k none -r {target}"),
        (Consumer::Zeek, Kind::Tap) => format!("zeek -C -i {target} vxscope.zeek"),
        (Consumer::Zeek, Kind::PcapStream) if target == "-" => {
            "vxscope run --export pcap-stream=- | zeek -C -r - vxscope.zeek".to_owned()
        }
        (Consumer::Zeek, Kind::PcapOverIp) => {
            format!("nc {} | zeek -C -r - vxscope.zeek", host_and_port(target))
        }
        (Consumer::Zeek, Kind::Pcap | Kind::Pcapng) => {
            format!("for capture in {target}/vxscope-*; do zeek -C -r \"$capture\" vxscope.zeek; done   # one state for each file")
        }
        (Consumer::Zeek, _) => format!("zeek -C -r {target} vxscope.zeek"),
        (Consumer::Arkime, Kind::Tap) => format!("interface={target}\npcapReadMethod=tpacketv3"),
        (Consumer::Arkime, Kind::PcapOverIp) => match target.strip_prefix("connect:") {
            Some(_) => "pcapReadMethod=pcap-over-ip-server".to_owned(),
            None => format!("pcapReadMethod=pcap-over-ip-client\ninterface={target}"),
        },
        (Consumer::Arkime, Kind::Pcap | Kind::Pcapng) => format!("capture -R {target} --monitor"),
        (Consumer::Arkime, _) => format!("capture -r {target}"),
    }
}

/// What else has to be set, whatever the way.
const fn settings(consumer: Consumer, vlan: VlanMode) -> &'static [&'static str] {
    match (consumer, vlan) {
        (Consumer::Suricata, _) => &[
            "# suricata.yaml",
            "vlan:",
            "  use-for-tracking: true        # tells tagged sources apart",
            "decoder:",
            "  vxlan:",
            "    enabled: false              # frames are decapsulated already",
            "default-packet-size: 9234       # frames of 9216 bytes with two tags",
            "stream:",
            "  midstream: true               # conversations that began before the mirror",
        ],
        (Consumer::Zeek, VlanMode::None) => &[
            "# vxscope.zeek",
            "redef PacketAnalyzer::VXLAN::vxlan_ports = {};   # frames are decapsulated already",
            "redef Pcap::snaplen = 9234;",
        ],
        (Consumer::Zeek, VlanMode::Map | VlanMode::Qinq) => &[
            "# vxscope.zeek",
            "@load policy/frameworks/conn_key/vlan_fivetuple   # from 8.0 on; tells sources apart",
            "@load policy/protocols/conn/vlan-logging",
            "redef PacketAnalyzer::VXLAN::vxlan_ports = {};   # frames are decapsulated already",
            "redef Pcap::snaplen = 9234;",
        ],
        (Consumer::Arkime, VlanMode::None) => &[
            "# config.ini",
            "readTruncatedPackets=true       # else it skips every frame that was cut",
            "snapLen=16384",
        ],
        (Consumer::Arkime, VlanMode::Map | VlanMode::Qinq) => &[
            "# config.ini",
            "sessionIdTracking=vlan          # tells tagged sources apart",
            "readTruncatedPackets=true       # else it skips every frame that was cut",
            "snapLen=16384",
        ],
    }
}

/// `HOST PORT`, as nc has it; where we connect it has to listen.
fn host_and_port(target: &str) -> String {
    match target.strip_prefix("connect:") {
        Some(target) => format!("-l {}", target.rsplit(':').next().unwrap_or_default()),
        None => target.rsplit_once(':').map_or_else(
            || target.to_owned(),
            |(host, port)| format!("{} {port}", host.trim_matches(['[', ']'])),
        ),
    }
}
