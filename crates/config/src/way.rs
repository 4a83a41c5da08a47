//! Ways out: which output, and where to.

use std::fmt;

use toml::de::DeValue;

use crate::field::{Choice, Field, choice, distinct, print_list};

choice! {
    /// A kind of output.
    pub enum ExportKind {
        /// `eve.json`: Suricata's flow records.
        Eve = "eve",
        /// `conn.log`: Zeek's connection log.
        ConnLog = "conn-log",
        /// `decap.pcap`: the mirrored frames without their tunnel.
        Decap = "decap",
        /// `conn.json`: Zeek's connection log as JSON.
        ConnJson = "conn-json",
        /// `netflow.json`: Suricata's netflow records.
        NetflowEve = "netflow-eve",
        /// `vpc-flow-logs.log`: lines like those of VPC Flow Logs.
        VpcFlowLogs = "vpc-flow-logs",
        /// `ocsf.json`: OCSF Network Activity.
        Ocsf = "ocsf",
        /// Flow records to a collector.
        Ipfix = "ipfix",
        /// Frames as a capture through a pipe or a unix socket.
        PcapStream = "pcap-stream",
        /// Frames as a capture for TCP readers.
        PcapOverIp = "pcap-over-ip",
        /// Frames as captures in a folder, one file after the other.
        Pcap = "pcap",
        /// The same as pcapng, which tells sources apart.
        Pcapng = "pcapng",
        /// Frames to an interface that the sensor makes.
        Tap = "tap",
        /// Frames as VXLAN to another sensor.
        Vxlan = "vxlan",
    }
}

/// What a kind of output wants to know behind the `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: it is a file in the folder of the outputs, and there is one of it.
    None,
    /// One of these, for people; several outputs of the kind may have different ones.
    Needed(&'static str),
}

impl ExportKind {
    /// What it wants to know.
    #[must_use]
    pub const fn target(self) -> Target {
        match self {
            Self::Eve
            | Self::ConnLog
            | Self::Decap
            | Self::ConnJson
            | Self::NetflowEve
            | Self::VpcFlowLogs
            | Self::Ocsf => Target::None,
            Self::Ipfix => Target::Needed("HOST:PORT|tcp:HOST:PORT"),
            Self::PcapStream => Target::Needed("PATH|-"),
            Self::PcapOverIp => Target::Needed("ADDRESS:PORT|connect:HOST:PORT"),
            Self::Pcap | Self::Pcapng => Target::Needed("DIR"),
            Self::Tap => Target::Needed("NAME"),
            Self::Vxlan => Target::Needed("HOST:PORT"),
        }
    }

    /// Whether it takes frames; otherwise it takes flow records.
    #[must_use]
    pub const fn takes_frames(self) -> bool {
        match self {
            Self::Decap
            | Self::PcapStream
            | Self::PcapOverIp
            | Self::Pcap
            | Self::Pcapng
            | Self::Tap
            | Self::Vxlan => true,
            Self::Eve
            | Self::ConnLog
            | Self::ConnJson
            | Self::NetflowEve
            | Self::VpcFlowLogs
            | Self::Ocsf
            | Self::Ipfix => false,
        }
    }
}

/// One output: `eve`, or `tap=NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Which output.
    pub kind: ExportKind,
    /// Where to, for kinds that want to know.
    pub target: Option<String>,
}

impl Way {
    /// An output of a kind without target.
    #[must_use]
    pub const fn of(kind: ExportKind) -> Self {
        Self { kind, target: None }
    }

    /// Reads `KIND` or `KIND=TARGET`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, target) = match text.split_once('=') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        let kind = ExportKind::from_name(name)
            .ok_or_else(|| format!("no output \"{name}\"; there are {}", forms()))?;
        match (kind.target(), target) {
            (Target::None, None) => Ok(Self::of(kind)),
            (Target::Needed(_), Some(target)) if !target.is_empty() => Ok(Self {
                kind,
                target: Some(target.to_owned()),
            }),
            (Target::None, Some(_)) => Err(format!(
                "\"{name}\" is a file in the folder of the outputs and takes no target"
            )),
            (Target::Needed(what), _) => Err(format!("\"{name}\" needs a target: {name}={what}")),
        }
    }
}

/// The word as it is written, target included: also the output's name in the summary.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{}={target}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

/// Every output as it is written.
fn forms() -> String {
    let form = |kind: &ExportKind| match kind.target() {
        Target::None => kind.name().to_owned(),
        Target::Needed(what) => format!("{kind}={what}"),
    };
    let forms: Vec<String> = ExportKind::ALL.iter().map(form).collect();
    forms.join(", ")
}

impl Field for Vec<Way> {
    type Limits = ();
    const LIST: bool = true;

    fn read(value: &DeValue<'_>, (): &Self::Limits) -> Option<Self> {
        distinct(value, |item| Way::parse(item.as_str()?).ok())
    }

    fn print(&self) -> String {
        print_list(self.iter().map(|way| format!("{:?}", way.to_string())))
    }

    fn allowed((): &Self::Limits) -> String {
        format!("a list of outputs, each at most once: {}", forms())
    }
}

#[cfg(test)]
mod tests {
    use super::{ExportKind, Way};
    use crate::field::Choice;

    #[test]
    fn every_kind_is_read_as_it_is_printed() {
        for kind in ExportKind::ALL {
            let way = Way {
                kind: *kind,
                target: match kind.target() {
                    super::Target::None => None,
                    super::Target::Needed(what) => Some(what.to_owned()),
                },
            };
            assert_eq!(Way::parse(&way.to_string()), Ok(way));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("eev", "no output \"eev\"; there are eve, conn-log");
        check("eve=there", "takes no target");
        check("", "no output \"\"");
    }

    fn check(text: &str, part: &str) {
        let error = Way::parse(text).expect_err("a wrong output");
        assert!(error.contains(part), "{error}");
    }
}
