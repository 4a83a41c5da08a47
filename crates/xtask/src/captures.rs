//! The table of generated captures: each is `vxscope gen` with these arguments, byte for byte.

/// One generated capture.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The name in the folder of bundled captures.
    pub(crate) file: &'static str,
    /// What `vxscope gen` is told, besides where to write.
    pub(crate) arguments: &'static str,
}

const fn generated(file: &'static str, arguments: &'static str) -> Generated {
    Generated { file, arguments }
}

/// All generated captures; what each proves stands in `pcaps/README.md`.
pub(crate) const GENERATED: &[Generated] = &[
    generated(
        "mixed.pcap",
        "--scenario mixed --sources 4 --flows 60 --packets 1000 --size imix --ipv6 0.25 --seed 1",
    ),
    generated(
        "jumbo-truncated.pcap",
        "--scenario mixed --sources 2 --flows 20 --packets 400 --size jumbo --packet-length 256 --seed 2",
    ),
    generated(
        "gwlb.pcap",
        "--scenario mixed --sources 3 --flows 30 --packets 500 --size imix --gwlb --seed 3",
    ),
    generated(
        "fragments.pcap",
        "--scenario fragments --sources 2 --flows 20 --packets 300 --size 576 --seed 4",
    ),
    generated(
        "malformed.pcap",
        "--scenario malformed --sources 2 --flows 20 --packets 600 --size imix --seed 5",
    ),
    generated(
        "scan.pcap",
        "--scenario scan --sources 2 --flows 500 --packets 1000 --size 64 --seed 6",
    ),
    generated(
        "elephant.pcap",
        "--scenario elephant --sources 2 --flows 20 --packets 300 --size 1400 --seed 7",
    ),
    generated(
        "one-vni-east-west.pcap",
        "--scenario east-west --one-vni --sources 4 --flows 40 --packets 800 --size imix --seed 8",
    ),
    generated(
        "one-vni-overlap.pcap",
        "--scenario overlap --one-vni --sources 3 --flows 30 --packets 300 --size 64 --seed 9",
    ),
];
