//! Flows beside those of programs that read `decap.pcap`: tshark's conversations, argus's flows,
//! and whether capinfos and tcpdump take the file.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::support::flow::{self, Tuple, Volume, Volumes};
use crate::support::run::{self, Ran, Reading};
use crate::support::{capture, corpus, listed, output, program};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Captures of which tshark counts conversations otherwise.
const TSHARK_DIFFERENCES: &[(&str, &str)] = &[
    ("pcaps/fragments.pcap", "without reassembly tshark knows no ports of later fragments"),
    (
        "geneve/tcpdump__bigtcp-ipv6-geneve-ipv6.pcap",
        "tshark takes a length of 0 in the IPv6 header (segmentation offload) for an empty packet",
    ),
    ("vxlan/zeek__tunnels_vxlan-triple-v2.pcap", INSIDE),
    ("udp/pcapplusplus__ipv6.dmp", INSIDE),
];

/// Captures of which argus counts flows otherwise.
const ARGUS_DIFFERENCES: &[(&str, &str)] = &[
    (
        "pcaps/fragments.pcap",
        "argus counts later fragments of IPv6 as flows of their own, and of IPv4 only some",
    ),
    (
        "pcaps/malformed.pcap",
        "argus reads ports in headers that contradict themselves or are cut off; those are \
         untracked here",
    ),
];

const INSIDE: &str = "tshark opens the tunnels inside the frame, too";

#[test]
fn conversations_of_decap_pcap_are_those_of_tshark() {
    let (mut captures, mut conversations, mut packets) = (0, 0, 0);
    let mut differing = Vec::new();
    for choice in choices() {
        let ran = run::run(&choice.path, choice.reading);
        let Some(theirs) = tshark(&decap(&ran)) else {
            return;
        };
        let ours = ours(&ran);
        let differences = roughly(&ours, &theirs, counts_bytes(&ran));
        if !differences.is_empty() {
            differing.push((choice.name, differences.join("; ")));
            continue;
        }
        captures += 1;
        conversations += ours.len();
        packets += ours.values().map(|volume| volume.packets).sum::<u64>();
    }
    println!(
        "tshark conversations: {captures} captures, {conversations} conversations, {packets} \
         packets agree"
    );
    listed(&differing, TSHARK_DIFFERENCES);
    assert!(captures > 0);
}

#[test]
fn flows_of_decap_pcap_are_those_of_argus() {
    let (mut captures, mut conversations, mut volume) = (0, 0, Volume::default());
    let mut differing = Vec::new();
    for choice in choices() {
        let ran = run::run(&choice.path, choice.reading);
        let Some(theirs) = argus(&decap(&ran)) else {
            return;
        };
        let ours = ours(&ran);
        let differences = flow::differences(&ours, &theirs);
        if !differences.is_empty() {
            differing.push((choice.name, differences.join("; ")));
            continue;
        }
        captures += 1;
        conversations += ours.len();
        for our in ours.values() {
            volume.add(our.packets, our.bytes);
        }
    }
    println!(
        "argus: {captures} captures, {conversations} conversations, {} packets, {} bytes agree",
        volume.packets, volume.bytes
    );
    listed(&differing, ARGUS_DIFFERENCES);
    assert!(captures > 0);
}

#[test]
fn capinfos_and_tcpdump_read_decap_pcap_to_its_end() {
    let (mut captures, mut frames) = (0, 0);
    for choice in choices() {
        let ran = run::run(&choice.path, choice.reading);
        let written = capture::decap(ran.path()).len();
        let file = decap(&ran);
        let Some(info) = program::output("capinfos", &["-M".as_ref(), file.as_os_str()]) else {
            return;
        };
        assert_eq!(
            after(&info, "Number of packets:"),
            written.to_string(),
            "{}",
            choice.name
        );
        assert_eq!(
            after(&info, "File encapsulation:"),
            "ether",
            "{}",
            choice.name
        );
        let arguments = ["-n", "--count", "-r"].map(str::to_owned);
        let arguments = arguments
            .into_iter()
            .chain([file.to_str().unwrap().to_owned()]);
        let arguments: Vec<String> = arguments.collect();
        let Some(count) = program::output("tcpdump", &arguments) else {
            return;
        };
        assert!(
            count.starts_with(&format!("{written} packet")),
            "{}: {count}",
            choice.name
        );
        captures += 1;
        frames += written;
    }
    println!("capinfos and tcpdump: {captures} files, {frames} frames");
    assert!(captures > 0);
}

/// A capture to compare.
struct Choice {
    name: String,
    path: PathBuf,
    reading: Reading,
}

/// Our own captures, those of others with tunnels, and some of their plain ones.
fn choices() -> Vec<Choice> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps");
    let mut names: Vec<_> = fs::read_dir(&own)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "pcap")
    });
    names.sort();
    let own = names.into_iter().map(|path| Choice {
        name: format!("pcaps/{}", path.file_name().unwrap().to_str().unwrap()),
        path,
        reading: Reading::Mirror,
    });
    own.chain(corpus::root().into_iter().flat_map(|root| others(&root)))
        .collect()
}

fn others(root: &Path) -> Vec<Choice> {
    let mut counts = [0; 3];
    let mut choices = Vec::new();
    for entry in corpus::entries(root) {
        let folder = entry.name.split('/').next().unwrap();
        // Each takes three programs up to a second, so only some of the many plain ones.
        let (reading, place, every) = match folder {
            "vxlan" | "geneve" => (Reading::Mirror, 0, 1),
            "tcp6" => (Reading::Bare, 1, 4),
            "tcp4" | "udp" | "vlan" => (Reading::Bare, 2, 32),
            _ => continue,
        };
        counts[place] += 1;
        if counts[place] % every == 0 && entry.packets.is_some() && !entry.name.ends_with(".gz") {
            choices.push(Choice {
                name: entry.name,
                path: entry.path,
                reading,
            });
        }
    }
    choices
}

fn decap(ran: &Ran) -> PathBuf {
    ran.path().join("decap.pcap")
}

/// TCP and UDP flows; in `decap.pcap` there are no VNIs.
fn ours(ran: &Ran) -> Volumes {
    let mut volumes = Volumes::new();
    for (tuple, volume) in flow::volumes(&output::eve(ran.path())) {
        if matches!(tuple.protocol, TCP | UDP) {
            let tuple = Tuple { vni: 0, ..tuple };
            volumes
                .entry(tuple)
                .or_default()
                .add(volume.packets, volume.bytes);
        }
    }
    volumes
}

/// Of frames that were cut, others count the bytes on the wire and we count those captured.
fn counts_bytes(ran: &Ran) -> bool {
    ran.outcome.summary.frames.truncated == 0
}

/// Conversations, and how far off their bytes may be: tshark prints large numbers in units.
type Rough = std::collections::BTreeMap<Tuple, (Volume, u64)>;

fn tshark(file: &Path) -> Option<Rough> {
    let mut conversations = Rough::new();
    let options = ["-n", "-q", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"];
    let reports = ["-z", "conv,tcp", "-z", "conv,udp", "-r", file.to_str().unwrap()];
    let arguments: Vec<&str> = options.into_iter().chain(reports).collect();
    let text = program::output("tshark", &arguments)?;
    let mut protocol = TCP;
    for line in text.lines() {
        match line {
            "TCP Conversations" => protocol = TCP,
            "UDP Conversations" => protocol = UDP,
            _ => {}
        }
        let Some((first, rest)) = line.split_once("<->") else { continue };
        let mut words = rest.split_whitespace();
        let ends = [end(first.trim()), end(words.next().unwrap())];
        let conversation = conversations.entry(Tuple::new(0, protocol, ends)).or_default();
        for _ in 0..2 {
            let mut number = || words.next().unwrap().replace(',', "").parse::<u64>().unwrap();
            let (packets, bytes) = (number(), number());
            let unit = match words.next().unwrap() {
                "bytes" => 1,
                "kB" => 1_000,
                "MB" => 1_000_000,
                unit => panic!("{unit}?"),
            };
            conversation.0.add(packets, bytes * unit);
            conversation.1 += unit - 1;
        }
    }
    Some(conversations)
}

/// `address:port`, without brackets even around IPv6.
fn end(text: &str) -> (IpAddr, u16) {
    let (address, port) = text.rsplit_once(':').unwrap();
    (address.parse().unwrap(), port.parse().unwrap())
}

fn roughly(ours: &Volumes, theirs: &Rough, bytes: bool) -> Vec<String> {
    // Where they are within the rounding, our bytes stand for theirs.
    let same = |(tuple, (volume, slack)): (&Tuple, &(Volume, u64))| {
        let near = ours
            .get(tuple)
            .filter(|our| our.bytes.abs_diff(volume.bytes) <= *slack);
        let bytes = near.map_or(volume.bytes, |our| our.bytes);
        (
            *tuple,
            Volume {
                packets: volume.packets,
                bytes,
            },
        )
    };
    flow::differences(ours, &theirs.iter().map(same).collect())
}

/// Flows of all status records together.
fn argus(file: &Path) -> Option<Volumes> {
    let flows = file.with_extension("argus");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    program::output(
        "argus",
        &[
            "-X".into(),
            "-r".into(),
            path(file),
            "-w".into(),
            path(&flows),
        ],
    )?;
    let fields = "saddr sport daddr dport proto spkts dpkts sbytes dbytes";
    let fixed = ["-X", "-n", "-c", ",", "-s"]
        .into_iter()
        .chain(fields.split(' '));
    let mut arguments: Vec<String> = fixed.map(str::to_owned).collect();
    arguments.extend(["-r".into(), path(&flows)]);
    let text = program::output("ra", &arguments)?;
    let mut volumes = Volumes::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let protocol = match fields[4] {
            "tcp" => TCP,
            "udp" => UDP,
            _ => continue,
        };
        let end = |at: usize| {
            (
                fields[at].parse().unwrap(),
                fields[at + 1].parse().unwrap_or(0),
            )
        };
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        let volume = volumes
            .entry(Tuple::new(0, protocol, [end(0), end(2)]))
            .or_default();
        volume.add(number(5) + number(6), number(7) + number(8));
    }
    Some(volumes)
}

/// What follows a label on its line.
fn after<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label} in {text}"))
        .trim()
}
