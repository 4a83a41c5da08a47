//! What a user types. Types here cannot hold a wrong value: clap refuses it with exit code 2.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::extract::Which;
use crate::mirrors::MirrorsArguments;
use crate::top::Order;
use clap::{ArgGroup, Args, Parser, Subcommand};
use vxscope_config::Way;
use vxscope_engine::Extract;
use vxscope_policy::strategy::Strategy;
use vxscope_sim::traffic::{Faults, FaultsError, Scenario, Size, Spec};

use crate::doctor::Consumer;
use crate::place;

/// A userspace VXLAN sensor for AWS VPC Traffic Mirroring.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work: sensor and mirrored traffic on this machine, for some seconds.
    Demo(DemoArguments),
    /// Run captures through the sensor and write what Zeek and Suricata would like to read.
    Replay(ReplayArguments),
    /// Receive mirrored traffic until interrupted, and write the same.
    Run(RunArguments),
    /// Make seeded mirror traffic as AWS sends it, and print what was made as JSON.
    Gen(GenArguments),
    /// Try mirror policies on a simulated fleet: what each costs, and which attacks it shows.
    Simulate(SimulateArguments),
    /// Find out what this machine can carry: the highest rate without loss, in about a minute.
    Bench(BenchArguments),
    /// Ask a running sensor how it stands.
    Status(AskArguments),
    /// Ask a running sensor for its mirror sources.
    Sources(AskArguments),
    /// Get the packets of a flow out of the rings of a running sensor.
    Extract(ExtractArguments),
    /// Keep the packets of a flow, an address or a source of a running sensor: those from before,
    /// and those to come.
    Pin(PinArguments),
    /// See how a running sensor's mirrors stand, and pin, hold, release or bring them back.
    Mirrors(MirrorsArguments),
    /// Plan what to mirror: strategies over an inventory, with coverage, cost, filters and advice.
    Plan(PlanArguments),
    /// Watch a running sensor at a terminal: sources, grades, blind windows, losses.
    Top(TopArguments),
    /// Tell what of a source was seen when, and why not the rest.
    Coverage(CoverageArguments),
    /// Make a token for HTTP: a line for the file that api.tokens names.
    Token(TokenArguments),
    /// Print what Suricata, Zeek or Arkime needs for the configured hand-off, and check it.
    Doctor(DoctorArguments),
    /// Check a configuration file and print every problem, or explain every key.
    CheckConfig(CheckConfigArguments),
}

/// Which configuration to start from, and what to change in it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConfigArguments {
    /// Configuration file (TOML); without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one key of the configuration, as in rings.memory=1GiB; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// How long traffic is sent.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) seconds: u64,
    /// Address and port of a web page to look at meanwhile; 127.0.0.1:0 lets the kernel choose.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Inner frames: imix, jumbo, or a number of bytes; may be repeated [default: 64, imix, 1400].
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Vec<Size>,
    /// How long each rate is tried.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
    /// Print JSON, with every try, instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// The sensor's own; it writes no outputs but those of --export.
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    /// Address and UDP port for VXLAN; GENEVE stays on its own port.
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:4789")]
    pub(crate) listen: SocketAddr,
    /// Interface that datagrams must come through; waited for if it is not there yet.
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: Option<String>,
    /// Folder for the outputs; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = place::HERE)]
    pub(crate) out: PathBuf,
    /// Address and port for HTTP: the page, /metrics, /healthz, /api/; loopback, unless
    /// api.exposed is set.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) api: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

/// What both ways to run the sensor understand.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunOptions {
    /// Worker threads, 1 to 64 [default: workers.count of the configuration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: Option<u16>,
    /// Write only these outputs; may be repeated [default: eve, conn-log, decap].
    #[arg(long, value_name = "KIND[=TARGET]", value_parser = Way::parse)]
    pub(crate) export: Vec<Way>,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Who reads what the sensor hands over.
    #[arg(value_enum, value_name = "CONSUMER")]
    pub(crate) consumer: Consumer,
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// Captures (pcap or pcapng), read one after the other; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Folder for the outputs; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Take records as frames of one source, VNI 0, instead of opening tunnels.
    #[arg(long)]
    pub(crate) bare: bool,
    /// Also write the packets of a flow: community-id=1:… or flow=ID; may be repeated.
    #[arg(long, value_name = "WHICH")]
    pub(crate) extract: Vec<Extract>,
    #[command(flatten)]
    pub(crate) options: RunOptions,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["to", "pcap"]))]
pub(crate) struct GenArguments {
    /// Mirror sources, each with its outer address and VNI.
    #[arg(long, value_name = "N", default_value_t = Spec::default().sources)]
    pub(crate) sources: u32,
    /// Inner conversations of all sources together.
    #[arg(long, value_name = "N", default_value_t = Spec::default().flows)]
    pub(crate) flows: u32,
    /// Packets of all sources together.
    #[arg(long, value_name = "N", default_value_t = Spec::default().packets)]
    pub(crate) packets: u64,
    /// Packets a second of all sources together: of capture time, or of the clock with --to.
    #[arg(long, value_name = "N", default_value_t = Spec::default().rate)]
    pub(crate) rate: u64,
    /// Inner frames: imix (7 of 64, 4 of 576, 1 of 1400 bytes), jumbo, or a number of bytes.
    #[arg(long, value_name = "SIZE", default_value = "imix")]
    pub(crate) size: Size,
    /// The same seed gives the same bytes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Capture to write; - is standard output, and the JSON then goes to standard error.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Send what the packets carry as UDP datagrams, at --rate.
    ///
    /// Every source has its own socket: the first 250 have the addresses 127.0.0.2 to 127.0.0.251,
    /// the next 250 those from 127.0.1.2, and so on up to 750 sources. Inside, their interfaces
    /// have the same addresses. The UDP source port is the socket's, not one for each flow. Bytes
    /// are counted without Ethernet, IP and UDP headers. Any other address than 127.x.x.x gets
    /// everything from one address, and only VNIs tell sources apart. With --gwlb the datagrams
    /// are GENEVE, whose usual port is 6081.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) to: Option<SocketAddr>,
    /// Send only what the mirror sessions in this file let through: the sessions.json of a sensor
    /// that looks after its mirrors. Read again ten times a second.
    #[arg(long, value_name = "FILE", requires = "to", conflicts_with = "gwlb")]
    pub(crate) obey: Option<PathBuf>,
    /// Let --to be an address of another machine.
    #[arg(long, requires = "to", conflicts_with = "pcap")]
    pub(crate) allow_remote: bool,
    /// Faults and their shares from 0 to 1, as in loss=0.01,forged=0.1.
    ///
    /// loss: made, but does not leave. reorder: leaves up to four packets later. duplicate: leaves
    /// twice. corrupt: bytes of the tunnel's headers or the inner frame are flipped, or the end
    /// is cut. forged: extra packets from addresses (16 from 127.254.0.1, in captures 10.254.0.1)
    /// or with VNIs that are no source. The JSON counts each; per_source has what left as it was
    /// made, and duplicates.
    #[arg(long, value_name = "NAME=SHARE,…", default_value = "none", value_parser = faults)]
    pub(crate) faults: Faults,
    /// Write one line of JSON for each packet that left.
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Cut inner frames after this many bytes, as a session's PacketLength does.
    #[arg(long, value_name = "BYTES")]
    pub(crate) packet_length: Option<u16>,
    /// Through a Gateway Load Balancer: VXLAN inside GENEVE.
    #[arg(long)]
    pub(crate) gwlb: bool,
    /// Give all sessions the same VNI.
    #[arg(long)]
    pub(crate) one_vni: bool,
    /// Share of the flows that speak IPv6, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = Spec::default().ipv6_share)]
    pub(crate) ipv6: f64,
    /// mixed, elephant, scan, fragments, east-west, overlap or malformed.
    #[arg(long, value_name = "NAME", default_value = "mixed")]
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// Sources at a time.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) sources: u32,
    /// Days.
    #[arg(long, value_name = "D", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=90))]
    pub(crate) days: u32,
    /// The same seed gives the same result.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Run so many seeds, one after the other from --seed on, for intervals over seeds: always-on,
    /// the policy, and what it is compared with.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeds: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Folder for charts as SVG and PNG: cost against sight, grades over time, blind times.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Another fleet than the standard one, in the format of docs/fleet.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: Option<PathBuf>,
    /// A fleet that really was, and what happened there, instead of a drawn one; may be repeated.
    ///
    /// Captures (pcap, pcapng) of mirrored traffic, EVE flow records, or VPC flow logs as text.
    /// What is shorter than --days is repeated in whole days. Attacks are drawn as always.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fleet", "sources"])]
    pub(crate) background: Vec<PathBuf>,
    /// How much every source of --background matters.
    #[arg(long, value_name = "WHAT", value_parser = ["low", "standard", "critical"], default_value = "standard", requires = "background")]
    pub(crate) importance: String,
    /// Let sources of --background that are of standard importance have no session for a while.
    #[arg(long, requires = "background")]
    pub(crate) allow_off: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AskArguments {
    /// The sensor's control socket: control.sock in its --out folder, if not configured otherwise.
    /// Without this it is vxscope-out/control.sock, or, where that is not,
    /// /var/lib/vxscope/out/control.sock.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        default_value_os_t = place::of("control.sock"),
        hide_default_value = true
    )]
    pub(crate) socket: PathBuf,
    /// Print the sensor's own words, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Whose flow, where several have one like it.
#[derive(Debug, Args)]
pub(crate) struct WhoseArguments {
    /// Only of mirror sources with this VNI.
    #[arg(long, value_name = "VNI")]
    pub(crate) vni: Option<u32>,
    /// Only of the mirror source with this outer address.
    #[arg(long, value_name = "ADDR")]
    pub(crate) outer_ip: Option<IpAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct ExtractArguments {
    /// flow=ID, community-id=1:…, tcp=ADDR:PORT,ADDR:PORT (udp, sctp), icmp=ADDR,ADDR or
    /// hosts=ADDR,ADDR.
    #[arg(value_name = "WHICH")]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) whose: WhoseArguments,
    /// Folder for the captures, one for each flow; - is standard output, for one flow.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// pcap, or pcapng with nanoseconds and whose it is.
    #[arg(long, value_name = "FORMAT", value_parser = ["pcap", "pcapng"], default_value = "pcap")]
    pub(crate) format: String,
    /// Why, for the sensor's audit log.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) ask: AskArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    #[command(subcommand)]
    pub(crate) command: PinCommand,
    #[command(flatten)]
    pub(crate) ask: AskArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PinCommand {
    /// Keep packets from now on, and those from before that are still there.
    Add(Box<PinAddArguments>),
    /// What is pinned, and what was lately.
    List,
    /// End a pin; its file stays.
    Remove {
        /// Its number.
        #[arg(value_name = "PIN")]
        pin: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PinAddArguments {
    /// As for extract, and address=ADDR, or source=ADDR with --vni.
    #[arg(value_name = "WHICH")]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) whose: WhoseArguments,
    /// For so long [default: look_back.pin_seconds of the sensor]
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
    /// Why, for the sensor's audit log.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Interfaces and roles: TOML, or JSON if the name ends in .json.
    #[arg(long, value_name = "FILE", required_unless_present = "print_prices")]
    pub(crate) inventory: Option<PathBuf>,
    /// all, importance, information, junctions, access or sample; several are put together.
    ///
    /// Each is also shown alone, with what speaks against it and what helps.
    #[arg(long, value_name = "NAME", value_parser = strategy, default_value = "all")]
    pub(crate) strategy: Vec<Strategy>,
    /// What sources get that no strategy wants: DNS and never-traffic, or no session at all.
    #[arg(long, value_name = "WHAT", value_parser = ["sentinel", "none"], default_value = "sentinel")]
    pub(crate) base: String,
    /// Let a filter accept up to so many ports between two ranges, where the rest then fits.
    #[arg(long, value_name = "PORTS", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) widen: Option<u32>,
    /// For the sample: at least so many of each role, Region and subnet.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) sample_least: u32,
    /// For the sample: so many percent of each.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) sample_percent: u32,
    /// For the sample: decides who is next; keep it to yourself.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// For the sample: which turn it is.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rotation: u64,
    /// Prices of your own; what the file names replaces what ships.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Print every rule of every filter, too.
    #[arg(long, conflicts_with = "json")]
    pub(crate) filters: bool,
    /// Print JSON: outcomes, sources, filters with their rules as EC2 names the fields.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the prices that ship, as a file to start from, and nothing else.
    #[arg(long, exclusive = true)]
    pub(crate) print_prices: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// The sensor's control socket: control.sock in its --out folder, if not configured otherwise.
    /// Without this it is vxscope-out/control.sock, or, where that is not,
    /// /var/lib/vxscope/out/control.sock.
    #[arg(long, value_name = "PATH", default_value_os_t = place::of("control.sock"), hide_default_value = true)]
    pub(crate) socket: PathBuf,
    /// What to sort by.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Order::Rate)]
    pub(crate) sort: Order,
    /// Print what is so now and end, as without a terminal.
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: look for so many seconds first, so that there are rates.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "once", value_parser = clap::value_parser!(u64).range(0..=60))]
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArguments {
    /// An address, ADDRESS,VNI or an interface; without it one row of CSV for every source.
    #[arg(value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// The folder of the journal: coverage in the sensor's --out folder. Without this it is
    /// vxscope-out/coverage, or, where that is not, /var/lib/vxscope/out/coverage.
    #[arg(long, value_name = "DIR", default_value_os_t = place::of("coverage"), hide_default_value = true)]
    pub(crate) journal: PathBuf,
    /// Begin: 2026-11-01, 2026-11-01T08:30, or -24h [default: -24h]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// End [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// A whole month, as in 2026-11.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    pub(crate) month: Option<String>,
    /// Print JSON instead of lines.
    #[arg(long, requires = "source")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// Who will use it.
    #[arg(value_name = "NAME", value_parser = crate::token::name)]
    pub(crate) name: String,
    /// What it opens; may be repeated or separated by commas.
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "metadata", value_parser = ["metadata", "packets", "control"])]
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArguments {
    /// Configuration file to check; without it only what --set changes is checked.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Change one key before checking, as in rings.memory=1GiB; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print the default configuration with the meaning and the limits of every key.
    #[arg(long, conflicts_with_all = ["file", "set"])]
    pub(crate) print_default: bool,
}

fn strategy(text: &str) -> Result<Strategy, String> {
    Strategy::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Strategy::ALL.iter().map(|one| one.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn faults(text: &str) -> Result<Faults, String> {
    match text {
        "none" => Ok(Faults::default()),
        _ => text.parse().map_err(|error: FaultsError| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
