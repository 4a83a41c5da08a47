//! Flows beside those of programs that read `decap.pcap`: tshark's conversations, argus's flows,
//! and whether capinfos and tcpdump take the file.

use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::flow::{self, Tuple, Volume, Volumes};
use crate::support::run::{self, Ran, Reading};
use crate::support::{Comparison, capture, corpus, output, program};

/// Programs that run at once.
const THREADS: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Captures of which tshark counts conversations otherwise.
const TSHARK_DIFFERENCES: &[(&str, &str)] = &[
    (
        "pcaps/fragments.pcap",
        "without reassembly tshark knows no ports of later fragments",
    ),
    (
        "pcaps/malformed.pcap",
        "tshark makes no conversation of TCP whose header length is wrong or cut off; we use the \
         ports, which are there",
    ),
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
    let mut comparison = Comparison::new(TSHARK_DIFFERENCES);
    let (mut conversations, mut packets) = (0, 0);
    let Some(all) = each(&|ran| {
        let mut theirs = tshark(&decap(ran))?;
        if !counts_bytes(ran) {
            theirs.values_mut().for_each(|(_, slack)| *slack = u64::MAX);
        }
        Some((ours(ran), theirs))
    }) else {
        return;
    };
    for (choice, (ours, theirs)) in all {
        if comparison.note(&choice.name, &roughly(&ours, &theirs)) {
            conversations += ours.len();
            packets += ours.values().map(|volume| volume.packets).sum::<u64>();
        }
    }
    println!(
        "tshark conversations: {} captures, {conversations} conversations, {packets} packets agree",
        comparison.agreeing()
    );
    comparison.finish();
}

#[test]
fn flows_of_decap_pcap_are_those_of_argus() {
    let mut comparison = Comparison::new(ARGUS_DIFFERENCES);
    let (mut conversations, mut volume) = (0, Volume::default());
    let Some(all) = each(&|ran| {
        let (mut ours, mut theirs) = (ours(ran), argus(&decap(ran))?);
        if !counts_bytes(ran) {
            let volumes = ours.values_mut().chain(theirs.values_mut());
            volumes.for_each(|volume| volume.bytes = 0);
        }
        Some((ours, theirs))
    }) else {
        return;
    };
    for (choice, (ours, theirs)) in all {
        if comparison.note(&choice.name, &flow::differences(&ours, &theirs)) {
            conversations += ours.len();
            ours.values()
                .for_each(|our| volume.add(our.packets, our.bytes));
        }
    }
    println!(
        "argus: {} captures, {conversations} conversations, {} packets, {} bytes agree",
        comparison.agreeing(),
        volume.packets,
        volume.bytes
    );
    comparison.finish();
}

#[test]
fn capinfos_and_tcpdump_read_decap_pcap_to_its_end() {
    let Some(all) = each(&|ran| {
        let file = decap(ran);
        let info = program::output("capinfos", &["-M".as_ref(), file.as_os_str()])?;
        let count = program::output("tcpdump", &["-n", "--count", "-r", file.to_str()?])?;
        Some((capture::decap(ran.path()).len(), info, count))
    }) else {
        return;
    };
    let mut frames = 0;
    for (choice, (written, info, count)) in &all {
        let name = &choice.name;
        assert_eq!(
            after(info, "Number of packets:"),
            written.to_string(),
            "{name}"
        );
        assert_eq!(after(info, "File encapsulation:"), "ether", "{name}");
        assert!(
            count.starts_with(&format!("{written} packet")),
            "{name}: {count}"
        );
        frames += written;
    }
    println!("capinfos and tcpdump: {} files, {frames} frames", all.len());
}

/// Runs every choice and looks at it, a few at a time, because most of the time is spent waiting
/// for programs. `None` if one of these is not installed.
fn each<T: Send>(look: &(dyn Fn(&Ran) -> Option<T> + Sync)) -> Option<Vec<(Choice, T)>> {
    let waiting = Mutex::new(choices().into_iter());
    let done = Mutex::new(Vec::new());
    let missing = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    // The lock is not held over the work.
                    let choice = waiting.lock().unwrap().next();
                    let Some(choice) = choice else { return };
                    match look(&run::run(&choice.path, choice.reading)) {
                        Some(seen) => done.lock().unwrap().push((choice, seen)),
                        None => return missing.store(true, Ordering::Relaxed),
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    (!missing.into_inner()).then_some(done)
}

/// A capture to compare.
struct Choice {
    name: String,
    path: PathBuf,
    reading: Reading,
}

/// Whether bytes can be compared: of frames that were cut, others count those on the wire and
/// we count those captured.
fn counts_bytes(ran: &Ran) -> bool {
    ran.outcome.summary.frames.truncated == 0
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

/// Conversations, and how far off their bytes may be: tshark prints large numbers in units.
type Rough = std::collections::BTreeMap<Tuple, (Volume, u64)>;

fn tshark(file: &Path) -> Option<Rough> {
    let options = [
        "-n",
        "-q",
        "-o",
        "ip.defragment:FALSE",
        "-o",
        "ipv6.defragment:FALSE",
    ];
    let reports = ["-z", "conv,tcp", "-z", "conv,udp", "-r"];
    let arguments = options.into_iter().chain(reports).map(OsStr::new);
    let arguments: Vec<&OsStr> = arguments.chain([file.as_os_str()]).collect();
    program::output("tshark", &arguments).map(|text| conversations_of(&text))
}

/// The conversations in tshark's reports.
fn conversations_of(text: &str) -> Rough {
    let mut conversations = Rough::new();
    let mut protocol = TCP;
    for line in text.lines() {
        match line {
            "TCP Conversations" => protocol = TCP,
            "UDP Conversations" => protocol = UDP,
            _ => {}
        }
        let Some((first, rest)) = line.split_once("<->") else {
            continue;
        };
        let mut words = rest.split_whitespace();
        let ends = [end(first.trim()), end(words.next().unwrap())];
        let conversation = conversations
            .entry(Tuple::new(0, protocol, ends))
            .or_default();
        for _ in 0..2 {
            let mut number = || {
                words
                    .next()
                    .unwrap()
                    .replace(',', "")
                    .parse::<u64>()
                    .unwrap()
            };
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
    conversations
}

/// `address:port`, without brackets even around IPv6.
fn end(text: &str) -> (IpAddr, u16) {
    let (address, port) = text.rsplit_once(':').unwrap();
    (address.parse().unwrap(), port.parse().unwrap())
}

fn roughly(ours: &Volumes, theirs: &Rough) -> Vec<String> {
    // Where they are within the rounding, our bytes stand for theirs.
    let same = |(tuple, (volume, slack)): (&Tuple, &(Volume, u64))| {
        let near = |our: &&Volume| our.bytes.abs_diff(volume.bytes) <= *slack;
        let near = ours.get(tuple).filter(near);
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
    let arguments = ["-X", "-r"]
        .map(OsStr::new)
        .into_iter()
        .chain([file.as_os_str()]);
    let arguments = arguments.chain([OsStr::new("-w"), flows.as_os_str()]);
    program::output("argus", &arguments.collect::<Vec<_>>())?;
    let fields = "saddr sport daddr dport proto spkts dpkts sbytes dbytes";
    let options = ["-X", "-n", "-c", ",", "-s"]
        .into_iter()
        .chain(fields.split(' '));
    let arguments = options
        .chain(["-r"])
        .map(OsStr::new)
        .chain([flows.as_os_str()]);
    program::output("ra", &arguments.collect::<Vec<_>>()).map(|text| volumes_of(&text))
}

/// The flows in the table that `ra` prints.
fn volumes_of(text: &str) -> Volumes {
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
    volumes
}

/// What follows a label on its line.
fn after<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label} in {text}"))
        .trim()
}
