//! The table of keys: what each means, what it may hold, what it holds by default.
//!
//! A section is written once, below, and becomes a documented struct, its defaults, and rows of
//! the table that everything else reads.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use toml::de::DeValue;
use vxscope_units::{BindTable, Binding, ByteSize, Payload, Unknown};

use crate::field::{Field, choice};
use crate::role::Role;
use crate::way::{ExportKind, Way};

/// One row of the table: a key, and how to get at its value in a [`Config`].
pub(crate) struct Key {
    /// TOML table, empty for the root.
    pub(crate) section: &'static str,
    /// Name within the section.
    pub(crate) name: &'static str,
    /// Lines of its documentation, each with the space that follows `///`.
    pub(crate) doc: &'static [&'static str],
    /// Takes the value over; false if it has another type or breaks the limits.
    pub(crate) read: fn(&mut Config, &DeValue<'_>) -> bool,
    /// The value as TOML.
    pub(crate) print: fn(&Config) -> String,
    /// What `read` takes, for people.
    pub(crate) allowed: fn() -> String,
    /// Whether the value is a list.
    pub(crate) list: bool,
}

impl Key {
    /// The full path: `flow.flows_max`.
    pub(crate) fn path(&self) -> String {
        join(self.section, self.name)
    }
}

/// The path of `name` in `section`.
pub(crate) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// Every key, in the order in which they are printed.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().copied().flatten()
}

const SECTIONS: &[&[Key]] = &[
    Config::KEYS,
    Capture::KEYS,
    Decapsulation::KEYS,
    Sources::KEYS,
    Flow::KEYS,
    Timeouts::KEYS,
    TcpTimeouts::KEYS,
    UDP_KEYS,
    ICMP_KEYS,
    OTHER_KEYS,
    Rings::KEYS,
    Signals::KEYS,
    Export::KEYS,
    Eve::KEYS,
    Decap::KEYS,
    Ipfix::KEYS,
    Policy::KEYS,
    Report::KEYS,
    Api::KEYS,
    LookBack::KEYS,
    Detectors::KEYS,
    Handoff::KEYS,
    Files::KEYS,
    Tap::KEYS,
    Security::KEYS,
];

macro_rules! key {
    ($section:literal, $name:literal, [$($doc:expr),*], $type:ty, $limits:expr, |$config:ident| $place:expr) => {
        Key {
            section: $section,
            name: $name,
            doc: &[$($doc),*],
            read: |$config, value| {
                let read = <$type as Field>::read(value, &$limits);
                read.is_some_and(|value| {
                    $place = value;
                    true
                })
            },
            print: |$config| Field::print(&$place),
            allowed: || <$type as Field>::allowed(&$limits),
            list: <$type as Field>::LIST,
        }
    };
}

macro_rules! section {
    (
        $(#[$about:meta])*
        pub struct $Section:ident at |$config:ident| $place:expr;
        $(
            $(#[doc = $doc:literal])*
            $field:ident: $type:ty = $default:expr, [$section:literal $name:literal] $limits:expr;
        )*
        $(
            => $(#[$nested_doc:meta])* $nested:ident: $Nested:ty,
        )*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Section {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                pub $field: $type,
            )*
            $($(#[$nested_doc])* pub $nested: $Nested,)*
        }

        impl $Section {
            pub(crate) const KEYS: &[Key] = &[$(
                key!($section, $name, [$($doc),*], $type, $limits, |$config| $place.$field),
            )*];
        }

        impl Default for $Section {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($nested: <$Nested>::default(),)*
                }
            }
        }
    };
}

section! {
    /// What the sensor does. Every value is in range; a hand-made one is checked by
    /// [`Config::check`].
    pub struct Config at |config| config;

    /// Seed of flow ids and of the steering of a replay: the same input, configuration and seed
    /// give the same output.
    seed: u64 = 0, ["" "seed"] 0..=i64::MAX.unsigned_abs();

    /// Worker threads, one per core; each keeps its own share of flows, sources and rings.
    workers: NonZeroU16 = NonZeroU16::MIN, ["workers" "count"] 1..=64;

    => /// Live receive.
    capture: Capture,
    => /// Which datagrams carry mirrored frames.
    decapsulation: Decapsulation,
    => /// Which mirror sources are known.
    sources: Sources,
    => /// Flow tables.
    flow: Flow,
    => /// Rings of recent packets.
    rings: Rings,
    => /// What the traffic of a source shows.
    signals: Signals,
    => /// Outputs.
    export: Export,
    => /// Who looks after the mirrors of a live run.
    policy: Policy,
    => /// Reports of a live run.
    report: Report,
    => /// Who may ask a live run, and how.
    api: Api,
    => /// Packets of the past, for those who ask.
    look_back: LookBack,
    => /// Intrusion detectors that are listened to.
    detectors: Detectors,
    => /// Frames on their way to other programs.
    handoff: Handoff,
    => /// What a live run gives up.
    security: Security,
}

section! {
    /// What a live run gives up once it receives.
    pub struct Security at |config| config.security;

    /// Whether a live run makes no core dumps, gains no privileges, and has the kernel refuse
    /// system calls that it never makes. false helps whoever wants to look at it with a debugger.
    seal: bool = true, ["security" "seal"] ();
}

section! {
    /// Live receive.
    pub struct Capture at |config| config.capture;

    /// How mirrored traffic is received. `udp`: through sockets, which any user may. `packet-ring`:
    /// from a ring that the kernel fills with the packets of `--interface`, for about a third of
    /// its work; takes CAP_NET_RAW, and CAP_NET_ADMIN and CAP_BPF to save that work. `auto`: the
    /// ring where it can be had, otherwise UDP; the start says which, and why.
    backend: Backend = Backend::Udp, ["capture" "backend"] ();

    /// Receive buffer of each socket, the kernel's overhead included: there is one for each
    /// worker and port, or one packet ring for each worker, which takes all of it at the start. When
    /// it is full the kernel drops datagrams, counted as `kernel_dropped`.
    receive_buffer: ByteSize = ByteSize::mib(64), ["capture" "receive_buffer"] ByteSize::kib(16)..=ByteSize::mib(1_024);

    /// How long a stop may take, in seconds. What was received and is not written after three
    /// quarters of it is counted as `deadline`, the files are closed, and the exit code is 1. Keep
    /// it below the time after which a service manager kills: 90 s for systemd, 10 s for
    /// `docker stop`.
    stop_seconds: u32 = 10, ["capture" "stop_seconds"] 0..=3_600;
}

choice! {
    /// How mirrored traffic is received.
    pub enum Backend {
        /// UDP sockets.
        Udp = "udp",
        /// A packet ring on an interface.
        PacketRing = "packet-ring",
        /// The ring where it can be had.
        Auto = "auto",
    }
}

section! {
    /// Which datagrams carry mirrored frames.
    pub struct Decapsulation at |config| config.decapsulation;

    /// UDP destination ports that carry VXLAN. Anything else is rejected as `not_mirror`.
    vxlan_ports: Vec<u16> = vec![4_789], ["decapsulation" "vxlan_ports"] 4;

    /// UDP destination ports that carry GENEVE (Gateway Load Balancer).
    geneve_ports: Vec<u16> = vec![6_081], ["decapsulation" "geneve_ports"] 4;

    /// How many tunnels inside the mirrored frame are opened as well. With 0 a tunnel that a
    /// workload sends itself stays the payload of a flow; a deeper one than this is rejected as
    /// `depth_exceeded`.
    depth: u8 = 0, ["decapsulation" "depth"] 0..=4;
}

choice! {
    /// What becomes of a mirror source that no `[[source]]` names.
    pub enum UnknownSources {
        /// Accepted while no source is listed, else quarantined.
        Auto = "auto",
        /// A source like any other.
        Accept = "accept",
        /// Counted by source, and nothing else.
        Quarantine = "quarantine",
        /// Counted in one number.
        Drop = "drop",
    }
}

choice! {
    /// How much of a frame's payload is kept.
    pub enum PayloadKept {
        /// All of it.
        Full = "full",
        /// Its first bytes.
        Head = "head",
        /// Headers only.
        None = "none",
    }
}

impl From<PayloadKept> for Payload {
    fn from(kept: PayloadKept) -> Self {
        match kept {
            PayloadKept::Full => Self::Full,
            PayloadKept::Head => Self::Head,
            PayloadKept::None => Self::None,
        }
    }
}

impl From<Payload> for PayloadKept {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Full => Self::Full,
            Payload::Head => Self::Head,
            Payload::None => Self::None,
        }
    }
}

section! {
    /// Which mirror sources are known.
    pub struct Sources at |config| config.sources;

    /// What becomes of frames whose outer address and VNI no [[source]] names. "accept": they
    /// are traffic like any other. "quarantine": they get no flow, no ring and no output; they
    /// are counted as rejected (`quarantined`) and by source in `quarantine.json`. "drop": they
    /// are counted as rejected (`unknown_source`) in one number. "auto": accept while no source
    /// is listed, else quarantine.
    unknown: UnknownSources = UnknownSources::Auto, ["sources" "unknown"] ();

    /// How much of each frame rings and outputs keep: "full", the "head" of the payload, or "none"
    /// of it, headers only. A [[source]] may say otherwise for itself. Counters, flow records and
    /// signals are of whole frames; a frame that was cut here reads as truncated.
    payload: PayloadKept = PayloadKept::Full, ["sources" "payload"] ();

    /// Bytes of payload that "head" keeps of each frame.
    payload_head: u32 = 64, ["sources" "payload_head"] 1..=65_535;

    => /// The sources that are known, each written as `[[source]]`.
    listed: Vec<Binding>,
}

choice! {
    /// Where two conversations with the same addresses and ports are the same flow.
    pub enum FlowScope {
        /// Within one mirror source: outer source address and VNI.
        Source = "source",
        /// Within one VNI, whoever sent it.
        Vni = "vni",
    }
}

section! {
    /// Flow tables.
    pub struct Flow at |config| config.flow;

    /// Where two conversations with the same addresses and ports are the same flow: within one
    /// mirror "source" (outer address and VNI), or within one "vni" for packet brokers with
    /// several senders.
    scope: FlowScope = FlowScope::Source, ["flow" "scope"] ();

    /// Flows kept at once, all workers together. At the limit a source over its share gets no
    /// new flow (`untracked` as `source_budget`); for any other the oldest of 8 flows is closed
    /// as `evicted`.
    flows_max: u64 = 1_048_576, ["flow" "flows_max"] 8..=134_217_728;

    /// Mirror sources with a row of their own. Those beyond are counted together in one row
    /// named `overflow`.
    sources_max: u32 = 16_384, ["flow" "sources_max"] 1..=16_777_215;

    /// Part of the flow table that one source may hold while another is active.
    source_share: f64 = 0.5, ["flow" "source_share"] 0.01..=1.0;

    /// Fragmented inner packets remembered at once, in each worker, to know the ports of later
    /// fragments. At the limit the oldest is forgotten; its later fragments then have no ports.
    fragments_max: u32 = 16_384, ["flow" "fragments_max"] 16..=4_194_304;

    /// Seconds after which a flow that is still active is closed as `active` and goes on as a
    /// new one; 0 never does.
    active_timeout_seconds: u32 = 0, ["flow" "active_timeout_seconds"] 0..=604_800;

    => /// Seconds of silence after which a flow is closed as `idle`.
    timeouts: Timeouts,
}

impl UnknownSources {
    /// What it comes to with a bind table, which may have replaced the listed sources.
    #[must_use]
    pub const fn with(self, table: &BindTable) -> Unknown {
        match self {
            Self::Auto if !table.is_empty() => Unknown::Quarantine,
            Self::Auto | Self::Accept => Unknown::Accept,
            Self::Quarantine => Unknown::Quarantine,
            Self::Drop => Unknown::Drop,
        }
    }
}

/// The longest timeout: a week.
const TIMEOUT_MAX: u64 = 604_800;

section! {
    /// Seconds of silence after which a flow is closed as `idle`, by transport protocol. The
    /// defaults are Suricata's.
    pub struct Timeouts at |config| config.flow.timeouts;

    => /// TCP.
    tcp: TcpTimeouts,
    => /// UDP.
    udp: PairTimeouts,
    => /// ICMP and `ICMPv6`.
    icmp: PairTimeouts,
    => /// Every other protocol.
    other: PairTimeouts,
}

section! {
    /// Seconds of silence after which a TCP flow is closed as `idle`.
    pub struct TcpTimeouts at |config| config.flow.timeouts.tcp;

    /// Seconds of silence that end a TCP flow whose handshake is not complete.
    new: u32 = 60, ["flow.timeouts" "tcp.new"] 1..=TIMEOUT_MAX;

    /// Seconds of silence that end an established TCP flow.
    established: u32 = 600, ["flow.timeouts" "tcp.established"] 1..=TIMEOUT_MAX;

    /// Seconds for which a closed TCP flow still absorbs late packets.
    closed: u32 = 60, ["flow.timeouts" "tcp.closed"] 1..=TIMEOUT_MAX;
}

/// Seconds of silence after which a flow without handshake is closed as `idle`.
#[derive(Clone, Debug, PartialEq)]
pub struct PairTimeouts {
    /// Seconds of silence that end a flow with packets from one side only.
    ///
    /// Default: `30`.
    pub new: u32,
    /// Seconds of silence that end a flow with packets from both sides.
    ///
    /// Default: `300`.
    pub established: u32,
}

impl Default for PairTimeouts {
    fn default() -> Self {
        Self {
            new: 30,
            established: 300,
        }
    }
}

/// The rows of one protocol's [`PairTimeouts`].
macro_rules! pair_timeouts {
    ($title:literal, $new:literal, $established:literal, $protocol:ident) => {
        &[
            key!(
                "flow.timeouts",
                $new,
                [concat!(
                    " Seconds of silence that end ",
                    $title,
                    " flow with packets from one side only."
                )],
                u32,
                1..=TIMEOUT_MAX,
                |config| config.flow.timeouts.$protocol.new
            ),
            key!(
                "flow.timeouts",
                $established,
                [concat!(
                    " Seconds of silence that end ",
                    $title,
                    " flow with packets from both sides."
                )],
                u32,
                1..=TIMEOUT_MAX,
                |config| config.flow.timeouts.$protocol.established
            ),
        ]
    };
}

const UDP_KEYS: &[Key] = pair_timeouts!("a UDP", "udp.new", "udp.established", udp);
const ICMP_KEYS: &[Key] = pair_timeouts!("an ICMP", "icmp.new", "icmp.established", icmp);
const OTHER_KEYS: &[Key] = pair_timeouts!("any other", "other.new", "other.established", other);

section! {
    /// Rings of recent packets: the first packets of every flow, and a rolling window of the last.
    pub struct Rings at |config| config.rings;

    /// Whether packets are kept. If not, every packet is `unstored` as `disabled`.
    enabled: bool = true, ["rings" "enabled"] ();

    /// Memory for kept packets, all workers together. When it is full the oldest packets are
    /// overwritten.
    memory: ByteSize = ByteSize::mib(256), ["rings" "memory"] ByteSize::mib(1)..=SIZE_MAX;

    /// Bytes of each flow's beginning that go to the head log, where they are kept long.
    head: ByteSize = ByteSize::kib(16), ["rings" "head"] ByteSize::kib(1)..=ByteSize::mib(64);

    /// Bytes that follow the head and go to the tail log. A flow beyond both moves to a private
    /// ring, so that large flows never push small ones out.
    tail: ByteSize = ByteSize::kib(64), ["rings" "tail"] ByteSize::kib(1)..=ByteSize::mib(64);

    /// Size of one private ring: the window of last bytes of a large flow. Holds at least head
    /// and tail together.
    private: ByteSize = ByteSize::kib(256), ["rings" "private"] ByteSize::kib(4)..=ByteSize::mib(256);

    /// Part of the memory for the pool of private rings. When all are taken, later packets of
    /// further large flows are `unstored`; with 0 there are none.
    private_share: f64 = 0.25, ["rings" "private_share"] 0.0..=0.9;

    /// Part of the rest of the memory for the head log; what is left is the tail log.
    head_share: f64 = 0.5, ["rings" "head_share"] 0.05..=0.95;
}

/// The most memory that may be asked for.
const SIZE_MAX: ByteSize = ByteSize::mib(4 << 20);

choice! {
    /// How `decap.pcap` tells frames of different sources apart.
    pub enum VlanMode {
        /// Not at all: frames as they were mirrored.
        None = "none",
        /// One 802.1Q tag, assigned to sources in order of appearance.
        Map = "map",
        /// Two tags that hold the VNI without loss.
        Qinq = "qinq",
    }
}

section! {
    /// The signals of a source: what its traffic is for, and what in it is relevant.
    pub struct Signals at |config| config.signals;

    /// Memory for what was seen before, all sources together; each takes about 12 KiB when its
    /// first flow is answered. At the limit further sources get none: their relevant events are
    /// counted as `facts_unheld`, and they are shown as `saturated`.
    memory: ByteSize = ByteSize::mib(256), ["signals" "memory"] ByteSize::kib(16)..=SIZE_MAX;

    /// Seconds between two writings of learned.ndjson in the folder of a live run: what was seen
    /// before, and what the policy has learned, so that after a restart sources are not new. 0:
    /// nothing is kept.
    keep_seconds: u32 = 300, ["signals" "keep_seconds"] 0..=86_400;

    => /// What machines of a role never serve, each written as `[[role]]`.
    roles: Vec<Role>,
}

section! {
    /// Outputs.
    pub struct Export at |config| config.export;

    /// Which outputs are written, besides `summary.json` and `sources.json`.
    kinds: Vec<Way> = vec![Way::of(ExportKind::Eve), Way::of(ExportKind::ConnLog), Way::of(ExportKind::Decap)], ["export" "kinds"] ();

    => /// `eve.json`.
    eve: Eve,
    => /// `decap.pcap`.
    decap: Decap,
    => /// Flow records to an IPFIX collector.
    ipfix: Ipfix,
}

section! {
    /// How `eve.json` is written.
    pub struct Eve at |config| config.export.eve;

    /// Only fields that Suricata's schema knows.
    strict: bool = false, ["export.eve" "strict"] ();
}

section! {
    /// How `decap.pcap` is written.
    pub struct Decap at |config| config.export.decap;

    /// Tags that tell frames of different sources apart: "none", one 802.1Q tag per source
    /// ("map"), or the VNI in two tags ("qinq").
    vlan: VlanMode = VlanMode::None, ["export.decap" "vlan"] ();
}

choice! {
    /// Who decides about mirrors.
    pub enum PolicyMode {
        /// Nobody but the operator: everything is mirrored in full.
        Manual = "manual",
        /// Decisions are made and shown, mirrors stay on.
        Shadow = "shadow",
        /// Decisions are carried out.
        Dynamic = "dynamic",
    }
}

section! {
    /// Who looks after the mirrors of a live run. The sensor holds no AWS credentials: its mirror
    /// API is a simulated one, and who plays the sources obeys `sessions.json` in the folder of the
    /// outputs.
    pub struct Policy at |config| config.policy;

    /// Who decides about mirrors: nobody ("manual"), the policy in the shadow, where mirrors stay
    /// on ("shadow"), or the policy ("dynamic").
    mode: PolicyMode = PolicyMode::Manual, ["policy" "mode"] ();

    /// The policy's rules, a TOML file: importance, floors, deadlines, pins, limits. Empty: their
    /// defaults. Read again when it changes, whole or not at all; the mode there counts for
    /// nothing.
    file: String = String::new(), ["policy" "file"] 4_096;

    /// A sta.conf whose mirror_handling_mode replaces policy.mode: "DYNAMIC" or "MANUAL"; MANUAL
    /// where it says nothing. Empty: none. Read again when it changes, whole or not at all.
    sta_conf: String = String::new(), ["policy" "sta_conf"] 4_096;
}

section! {
    /// Reports of a live run: what each mirror source showed, tick by tick.
    pub struct Report at |config| config.report;

    /// The sensor's name in its reports; empty: the name of the host.
    sensor: String = String::new(), ["report" "sensor"] 64;

    /// Whether a journal of who was there and what was mirrored is kept, in coverage/ in the folder
    /// of the outputs: a file a month, from run to run, for `vxscope coverage`. Nobody removes it
    /// but you.
    coverage: bool = true, ["report" "coverage"] ();

    /// Milliseconds between two reports, and between two states that status and metrics show.
    interval_milliseconds: u32 = 1_000, ["report" "interval_milliseconds"] 100..=60_000;
}

section! {
    /// Who may ask a live run, and how. See docs/CONTROL.md.
    pub struct Api at |config| config.api;

    /// Address and port for HTTP: /metrics, /healthz, /readyz, /api/. Empty: none. Port 0: one of
    /// the kernel's choice.
    listen: Option<SocketAddr> = None, ["api" "listen"] ();

    /// Whether api.listen may be an address that other machines reach. Then api.tokens must name a
    /// file, and something in front of it should speak TLS: tokens are sent as they are.
    exposed: bool = false, ["api" "exposed"] ();

    /// A file of lines `NAME SCOPE[,SCOPE] TOKEN` that only its owner may read; scopes are
    /// metadata, packets, control. With it every request over HTTP but probes needs a token.
    /// Empty: none; then HTTP shows metadata without what is to come, no packets, and takes no
    /// orders. `vxscope token` makes a line.
    tokens: String = String::new(), ["api" "tokens"] 4_096;

    /// Address and port of a listener that answers a load balancer's probe, /api/2.0/status, and
    /// nothing else. Empty: none.
    health_listen: Option<SocketAddr> = None, ["api" "health_listen"] ();

    /// Flows that ended and can be searched over HTTP, about 300 bytes each; the oldest are
    /// forgotten. 0: none.
    flows_max: u32 = 16_384, ["api" "flows_max"] 0..=1_048_576;

    /// The control socket; empty: control.sock in the folder of the outputs.
    control_socket: String = String::new(), ["api" "control_socket"] 107;

    /// Seconds in which a client must get on: send the request it began, take a part of its
    /// answer. One that does not is disconnected, and counted as stalled.
    client_timeout_seconds: u32 = 10, ["api" "client_timeout_seconds"] 1..=600;

    /// Mirror sources with metrics of their own: those with the most packets. How many are left
    /// out is in `vxscope_sources_omitted`.
    metrics_sources_max: u32 = 1_000, ["api" "metrics_sources_max"] 0..=65_536;
}

choice! {
    /// What becomes of frames that the mirror cut, on their way to a TAP.
    pub enum TruncatedFrames {
        /// They are shed and counted.
        Drop = "drop",
        /// They go where the others go.
        Pass = "pass",
        /// They go to a TAP of their own.
        OwnTap = "own-tap",
    }
}

choice! {
    /// Which sources a `vxlan` output sends on.
    pub enum Forward {
        /// All of them.
        All = "all",
        /// Those that are listed with `forward = true`.
        Marked = "marked",
    }
}

choice! {
    /// What becomes of packets that were mirrored at both of their ends.
    pub enum Duplicates {
        /// Nobody looks for them.
        Off = "off",
        /// They are counted by pairs of sources.
        Count = "count",
        /// They are counted, and the receiver's copy is kept from other programs.
        Suppress = "suppress",
    }
}

section! {
    /// Packets of the past: what a live run gives to those who ask, and keeps for them.
    pub struct LookBack at |config| config.look_back;

    /// Closed flows that can still be asked for, all workers together. At the limit the one that
    /// closed first is forgotten, though its packets may still be there.
    closed_flows: u64 = 262_144, ["look_back" "closed_flows"] 0..=16_777_216;

    /// Bytes that one extraction may hold. What is beyond is left out, and the extraction is not
    /// complete.
    extraction: ByteSize = ByteSize::mib(16), ["look_back" "extraction"] ByteSize::mib(1)..=ByteSize::mib(1_024);

    /// Whether packets can also be had over HTTP without a token: whoever reaches api.listen may
    /// then read them. With api.tokens the scope packets decides.
    http: bool = false, ["look_back" "http"] ();

    /// The audit log, to which every extraction is appended before it is given; empty:
    /// audit.ndjson in the folder of the outputs.
    audit: String = String::new(), ["look_back" "audit"] 4_096;

    /// Bytes of captures that pins and alerts may keep in the folder "look-back" of the outputs.
    /// When they are used up the oldest are removed.
    disk: ByteSize = ByteSize::mib(1_024), ["look_back" "disk"] ByteSize::mib(1)..=SIZE_MAX;

    /// Hours for which such a capture is kept.
    keep_hours: u32 = 72, ["look_back" "keep_hours"] 1..=8_760;

    /// Bytes that one pin may write. When they are used up the pin ends as "full".
    pin: ByteSize = ByteSize::mib(64), ["look_back" "pin"] ByteSize::kib(64)..=ByteSize::mib(65_536);

    /// Seconds for which a pin lasts, unless it says otherwise.
    pin_seconds: u32 = 3_600, ["look_back" "pin_seconds"] 1..=604_800;
}

section! {
    /// Intrusion detectors that are listened to: an alert saves the packets from before it, pins
    /// its flow, and is an event of its source.
    pub struct Detectors at |config| config.detectors;

    /// Suricata's eve.json, followed as it grows and is rotated; empty: none.
    eve: String = String::new(), ["detectors" "eve"] 4_096;

    /// A unix socket to make for Suricata's eve-log with "filetype: unix_stream"; empty: none.
    eve_socket: String = String::new(), ["detectors" "eve_socket"] 107;

    /// Zeek's notice.log, as TSV or JSON, followed as it grows and is rotated; empty: none.
    zeek_notice: String = String::new(), ["detectors" "zeek_notice"] 4_096;

    /// Alerts a minute whose packets are saved. Further ones are counted as shed.
    alerts_per_minute: u32 = 600, ["detectors" "alerts_per_minute"] 1..=100_000;

    /// Seconds for which an alert pins its flow.
    pin_seconds: u32 = 300, ["detectors" "pin_seconds"] 1..=604_800;
}

section! {
    /// Frames on their way to other programs: streams and readers of captures.
    pub struct Handoff at |config| config.handoff;

    /// Tags that tell frames of different sources apart: "none", one 802.1Q tag per source
    /// ("map"), or the VNI in two tags ("qinq").
    vlan: VlanMode = VlanMode::None, ["handoff" "vlan"] ();

    /// Where the ids of "map" are kept, as JSON, and as CSV beside it; a live run gives again what
    /// stands there. Empty: vlans.json in the folder of the outputs.
    vlan_file: String = String::new(), ["handoff" "vlan_file"] 4_096;

    /// What may wait for each reader of a stream. When it is full, frames are shed for that
    /// reader, counted as `reader_behind`; a replay waits instead.
    reader_buffer: ByteSize = ByteSize::mib(4), ["handoff" "reader_buffer"] ByteSize::kib(512)..=ByteSize::mib(1_024);

    /// What becomes of frames that are cut short, on their way to a TAP: "drop" them (counted as
    /// `truncated`; an intrusion detector would be blinded by them without saying so), "pass"
    /// them, or give them a TAP of their own ("own-tap"), named like the other with "-cut".
    truncated: TruncatedFrames = TruncatedFrames::Drop, ["handoff" "truncated"] ();

    /// Which sources `vxlan` outputs send on: "all", or those listed with forward = true
    /// ("marked"). The others count as `not_selected`.
    forward: Forward = Forward::All, ["handoff" "forward"] ();

    /// Packets that were mirrored at both of their ends, and came twice within a second: "count"
    /// them by pairs of sources, or also "suppress" the receiver's copy on its way to other
    /// programs (counted as `duplicate`). Flow records, rings and ledger always have both.
    duplicates: Duplicates = Duplicates::Off, ["handoff" "duplicates"] ();

    => /// Captures in files.
    files: Files,
    => /// Interfaces for other programs.
    tap: Tap,
}

choice! {
    /// How captures are divided among files.
    pub enum Split {
        /// All sources in one file at a time.
        Together = "together",
        /// A file for each source.
        Source = "source",
    }
}

section! {
    /// Captures in files: `pcap=DIR`, `pcapng=DIR`.
    pub struct Files at |config| config.handoff.files;

    /// How captures are divided: all sources "together", or a file for each "source".
    split: Split = Split::Together, ["handoff.files" "split"] ();

    /// A file that would become longer is finished first.
    rotate_bytes: ByteSize = ByteSize::mib(256), ["handoff.files" "rotate_bytes"] ByteSize::kib(64)..=SIZE_MAX;

    /// A file is finished so many seconds after its first packet; 0 never.
    rotate_seconds: u32 = 300, ["handoff.files" "rotate_seconds"] 0..=604_800;

    /// A file is finished after so many packets; 0 never.
    rotate_packets: u64 = 0, ["handoff.files" "rotate_packets"] 0..=1_000_000_000_000;

    /// What all captures in the folder may take, those of earlier runs included: beyond it the
    /// oldest are deleted and counted. 0 deletes nothing.
    budget: ByteSize = ByteSize::bytes(0), ["handoff.files" "budget"] ByteSize::bytes(0)..=SIZE_MAX;

    /// Files open at once, of "source". At the limit the one with the oldest newest packet is
    /// finished.
    open_max: u32 = 64, ["handoff.files" "open_max"] 1..=4_096;

    /// Suricata's command socket, which is told of each finished file (`pcap-file`). Empty: nobody
    /// is told.
    suricata_socket: String = String::new(), ["handoff.files" "suricata_socket"] 107;

    /// Where Suricata is told to write its logs of these files; empty: in the captures' folder.
    suricata_output: String = String::new(), ["handoff.files" "suricata_output"] 4_096;
}

section! {
    /// Interfaces for other programs: `tap=NAME`.
    pub struct Tap at |config| config.handoff.tap;

    /// The interface's MTU. Sniffers size their buffers by it; longer frames pass all the same.
    mtu: u32 = 9_216, ["handoff.tap" "mtu"] 576..=65_521;
}

section! {
    /// Flow records to an IPFIX collector.
    pub struct Ipfix at |config| config.export.ipfix;

    /// Observation domain: tells several sensors apart that share an address.
    domain: u32 = 1, ["export.ipfix" "domain"] 0..=4_294_967_295;
}
