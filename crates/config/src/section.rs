//! The table of keys: what each means, what it may hold, what it holds by default.
//!
//! A section is written once, in one of the files beside, and becomes a documented struct, its
//! defaults, and rows of the table that everything else reads.

use std::num::NonZeroU16;

use toml::de::DeValue;
use vxscope_units::ByteSize;

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
    flow::UDP_KEYS,
    flow::ICMP_KEYS,
    flow::OTHER_KEYS,
    Rings::KEYS,
    Signals::KEYS,
    Export::KEYS,
    Eve::KEYS,
    Decap::KEYS,
    RecordFiles::KEYS,
    Ipfix::KEYS,
    Policy::KEYS,
    Report::KEYS,
    Canary::KEYS,
    Api::KEYS,
    LookBack::KEYS,
    Detectors::KEYS,
    Handoff::KEYS,
    Files::KEYS,
    Tap::KEYS,
    Log::KEYS,
    Security::KEYS,
];

macro_rules! key {
    ($section:literal, $name:literal, [$($doc:expr),*], $type:ty, $limits:expr, |$config:ident| $place:expr) => {
        $crate::section::Key {
            section: $section,
            name: $name,
            doc: &[$($doc),*],
            read: |$config, value| {
                let read = <$type as $crate::field::Field>::read(value, &$limits);
                read.is_some_and(|value| {
                    $place = value;
                    true
                })
            },
            print: |$config| $crate::field::Field::print(&$place),
            allowed: || <$type as $crate::field::Field>::allowed(&$limits),
            list: <$type as $crate::field::Field>::LIST,
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
            pub(crate) const KEYS: &[$crate::section::Key] = &[$(
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

mod capture;
mod export;
mod flow;
mod handoff;
mod look_back;
mod serving;
mod sources;

pub use capture::{Backend, Capture, Decapsulation};
pub use export::{Decap, Eve, Export, Ipfix, RecordFiles, VlanMode};
pub use flow::{Flow, FlowScope, PairTimeouts, Rings, TcpTimeouts, Timeouts};
pub use handoff::{Duplicates, Files, Forward, Handoff, Split, Tap, TruncatedFrames};
pub use look_back::{Detectors, LookBack};
pub use serving::{Api, Canary, Log, LogFormat, Policy, PolicyMode, Report, Security};
pub use sources::{PayloadKept, Signals, Sources, UnknownSources};

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
    => /// Canaries through mirrors.
    canary: Canary,
    => /// Who may ask a live run, and how.
    api: Api,
    => /// Packets of the past, for those who ask.
    look_back: LookBack,
    => /// Intrusion detectors that are listened to.
    detectors: Detectors,
    => /// Frames on their way to other programs.
    handoff: Handoff,
    => /// What a live run says.
    log: Log,
    => /// What a live run gives up.
    security: Security,
}

/// The most memory that may be asked for.
const SIZE_MAX: ByteSize = ByteSize::mib(4 << 20);
