//! Who looks after a live run, who may ask it, and what it gives up.

use std::net::SocketAddr;

use crate::field::choice;

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
    /// Canaries: small datagrams of the sensor to sources, whose copies have to come back through
    /// their mirrors. See docs/GUIDE.md.
    pub struct Canary at |config| config.canary;

    /// Seconds between two canaries to each known source that has been heard in this run and is
    /// mirrored in full; 300 tells soon enough. 0: none.
    every_seconds: u32 = 0, ["canary" "every_seconds"] 0..=86_400;

    /// The UDP port they go to. The sources' security groups must accept it from the sensor, or
    /// mirrors do not show them; nobody has to listen.
    port: u16 = 9, ["canary" "port"] 1..=65_535;

    /// Seconds after which one that has not come back is missed, if nothing else came either.
    wait_seconds: u32 = 30, ["canary" "wait_seconds"] 1..=3_600;
}

section! {
    /// Who may ask a live run, and how. See docs/CONTROL.md.
    pub struct Api at |config| config.api;

    /// Address and port for HTTP: /metrics, /healthz, /readyz, /api/. Empty: none. Port 0: one of
    /// the kernel's choice.
    listen: Option<SocketAddr> = None, ["api" "listen"] ();

    /// Whether api.listen may be an address that other machines reach. Then api.tokens must name a
    /// file, and either api.tls_certificate one too, or something in front must speak TLS: tokens
    /// are sent as they are.
    exposed: bool = false, ["api" "exposed"] ();

    /// A file of lines `NAME SCOPE[,SCOPE] TOKEN` that only its owner may read; scopes are
    /// metadata, packets, control. With it every request over HTTP but probes needs a token.
    /// Empty: none; then HTTP shows metadata without what is to come, no packets, and takes no
    /// orders. `vxscope token` makes a line.
    tokens: String = String::new(), ["api" "tokens"] 4_096;

    /// A file of certificates in PEM, the sensor's own first: then api.listen speaks TLS 1.2 and 1.3
    /// and nothing else. Read at the start, and again on SIGHUP or a reload over HTTP. Empty: none.
    /// Only in a build with the feature tls, as the Debian package is.
    tls_certificate: String = String::new(), ["api" "tls_certificate"] 4_096;

    /// The file of its private key in PEM, which nobody but its owner and group may read.
    tls_key: String = String::new(), ["api" "tls_key"] 4_096;

    /// Address and port of a listener that answers a load balancer's probe, /api/2.0/status, and
    /// nothing else, without TLS. Empty: none.
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

section! {
    /// What a live run says on standard error.
    pub struct Log at |config| config.log;

    /// `text`: for people. `json`: one object a line, with timestamp, level, target, message and
    /// fields, from the first packet's socket to the end. Either way each place in the program logs
    /// at most 10 lines a minute; the next one says how many were left out. `VXSCOPE_LOG=debug`
    /// tells more.
    format: LogFormat = LogFormat::Text, ["log" "format"] ();
}

choice! {
    /// What a line of the log looks like.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

section! {
    /// What a live run gives up once it receives.
    pub struct Security at |config| config.security;

    /// Whether a live run makes no core dumps, gains no privileges, and has the kernel refuse
    /// system calls that it never makes. false helps whoever wants to look at it with a debugger.
    seal: bool = true, ["security" "seal"] ();

    /// Whether a live run can write, make and remove files in the folders of its configuration
    /// alone, from before it opens anything, where the kernel has Landlock. It cannot look at
    /// other processes then, and so not name one that has its port. The package says true.
    confine: bool = false, ["security" "confine"] ();
}
