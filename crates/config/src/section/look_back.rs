//! Packets of the past, and the detectors that ask for them.

use vxscope_units::ByteSize;

use super::SIZE_MAX;

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
