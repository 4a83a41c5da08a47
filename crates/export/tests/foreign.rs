//! What other programs read in our captures. Runs where `tshark` and `capinfos` are installed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test helpers; the note says which check did not run"
)]

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use vxscope_export::{DecapWriter, FrameChunk, OutputDir, VlanMode, WayOut};
use vxscope_units::{MirrorSource, Timestamp, Vni};

/// UDP from 10.0.0.1:4000 to 10.0.0.2:53 with a payload of 4 bytes; checksums unset.
const FRAME: [u8; 46] = [
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0,
    1, 10, 0, 0, 2, 0x0f, 0xa0, 0, 53, 0, 12, 0, 0, b'a', b'b', b'c', b'd',
];

/// Frames that were longer on the wire than captured say so.
const ORIGINAL_LEN: u32 = 1_046;

#[test]
fn untagged_frames_are_read_as_they_were() {
    check(VlanMode::None, 46, ["", ""], ["", ""]);
}

#[test]
fn mapped_frames_have_one_tag_per_source() {
    check(VlanMode::Map, 50, ["1", "2"], ["", ""]);
}

#[test]
fn double_tagged_frames_have_the_vni_in_two_ids() {
    // 5569041 = 1359 · 4096 + 2577, 4711 = 1 · 4096 + 615.
    check(VlanMode::QinQ, 54, ["2577", "615"], ["1359", "1"]);
}

/// Writes a frame of each of two sources, then compares what `tshark` prints: captured and
/// original length, time, 802.1Q id, 802.1ad id, addresses and port.
fn check(vlan: VlanMode, captured: u32, customer: [&str; 2], service: [&str; 2]) {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    let path = dir.path().join("decap.pcap");
    write(&dir, vlan);

    let fields = [
        "frame.cap_len",
        "frame.len",
        "frame.time_epoch",
        "vlan.id",
        "ieee8021ad.id",
    ];
    let inner = ["ip.src", "ip.dst", "udp.dstport"];
    let fields = fields
        .into_iter()
        .chain(inner)
        .flat_map(|field| ["-e", field]);
    let arguments = ["-n", "-T", "fields", "-E", "separator=,", "-r"];
    let Some(text) = run("tshark", arguments, &path, fields) else {
        return;
    };
    let original = ORIGINAL_LEN + captured - 46;
    let line = |position: usize| {
        format!(
            "{captured},{original},{position}.000007000,{},{},10.0.0.1,10.0.0.2,53\n",
            customer[position], service[position]
        )
    };
    assert_eq!(text, line(0) + &line(1));

    let Some(text) = run("capinfos", ["-T", "-m", "-r", "-c", "-E", "-l"], &path, []) else {
        return;
    };
    // File name, encapsulation, snap length by file, by packet, packets.
    let infos: Vec<_> = text
        .trim()
        .split(',')
        .map(|field| field.trim_matches('"'))
        .collect();
    assert_eq!(infos[1], "ether", "{text}");
    assert_eq!(infos[infos.len() - 1], "2", "{text}");
}

fn write(dir: &OutputDir, vlan: VlanMode) {
    let mut chunk = FrameChunk::with_capacity(0);
    for (index, vni) in [(0, 5_569_041), (1, 4_711)] {
        let source = MirrorSource {
            address: "192.0.2.1".parse().unwrap(),
            vni: Vni::try_new(vni).unwrap(),
        };
        assert!(chunk.push(
            index,
            Timestamp::new(index, 7_999),
            source,
            &FRAME,
            ORIGINAL_LEN
        ));
    }
    let mut decap = DecapWriter::create(dir, vlan).unwrap();
    decap.frames(&chunk, 0..chunk.len());
    assert!(Box::new(decap).finish().error.is_none());
}

/// The standard output of a program; `None`, with a note, where it is not installed.
fn run<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a str>,
    file: &Path,
    rest: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    match Command::new(program)
        .args(arguments)
        .arg(file)
        .args(rest)
        .output()
    {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("{program} is not installed: not checked");
            None
        }
        output => {
            let output = output.unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(String::from_utf8(output.stdout).unwrap())
        }
    }
}
