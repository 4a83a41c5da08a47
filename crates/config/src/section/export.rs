//! Outputs that are written of every flow and frame.

use vxscope_units::ByteSize;

use super::SIZE_MAX;
use crate::field::choice;
use crate::way::{ExportKind, Way};

section! {
    /// Outputs.
    pub struct Export at |config| config.export;

    /// Which outputs are written, besides `summary.json` and `sources.json`.
    kinds: Vec<Way> = vec![Way::of(ExportKind::Eve), Way::of(ExportKind::ConnLog), Way::of(ExportKind::Decap)], ["export" "kinds"] ();

    => /// `eve.json`.
    eve: Eve,
    => /// `decap.pcap`.
    decap: Decap,
    => /// Files of flow records.
    files: RecordFiles,
    => /// Flow records to an IPFIX collector.
    ipfix: Ipfix,
}

section! {
    /// Files of flow records: `eve.json`, `conn.log`, `conn.json`, `netflow.json`,
    /// `vpc-flow-logs.log`, `ocsf.json`. Where they are rotated, each is a series of finished files
    /// such as `eve-00000012-20261121T092736Z.json`, whose numbers grow from run to run.
    pub struct RecordFiles at |config| config.export.files;

    /// A file that has so many bytes is finished, and the next one begins; 0 never.
    rotate_bytes: ByteSize = ByteSize::bytes(0), ["export.files" "rotate_bytes"] ByteSize::bytes(0)..=SIZE_MAX;

    /// A file is finished so many seconds after its first record; 0 never.
    rotate_seconds: u32 = 0, ["export.files" "rotate_seconds"] 0..=604_800;
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
    /// Flow records to an IPFIX collector.
    pub struct Ipfix at |config| config.export.ipfix;

    /// Observation domain: tells several sensors apart that share an address.
    domain: u32 = 1, ["export.ipfix" "domain"] 0..=4_294_967_295;
}
