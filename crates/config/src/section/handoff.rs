//! Frames on their way to other programs.

use vxscope_units::ByteSize;

use super::{SIZE_MAX, VlanMode};
use crate::field::choice;

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
    /// Interfaces for other programs: `tap=NAME`.
    pub struct Tap at |config| config.handoff.tap;

    /// The interface's MTU. Sniffers size their buffers by it; longer frames pass all the same.
    mtu: u32 = 9_216, ["handoff.tap" "mtu"] 576..=65_521;
}
