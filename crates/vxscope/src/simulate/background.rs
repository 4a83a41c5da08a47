//! What was recorded, as the background of a trial: captures, which go through the sensor first,
//! EVE flow records and VPC flow logs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use vxscope_config::Config;
use vxscope_engine::Replay;
use vxscope_trial::recorded::{Background, Lines, Recording, read_eve, read_vpc_flow_logs};

use crate::failure::Failure;
use crate::progress::Progress;
use crate::replay::failure;

const BAR: &str = "{bar:40} {bytes} of {total_bytes} of {msg}";
/// First bytes of captures: pcap of both byte orders and precisions, and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a file is, by how it begins.
enum Kind {
    Capture,
    Eve,
    VpcFlowLogs,
}

/// Reads every file.
pub(super) fn read(files: &[PathBuf]) -> Result<Background, Failure> {
    let mut recording = Recording::new();
    for file in files {
        let lines = match kind(file)? {
            Kind::Capture => through_the_sensor(file, &mut recording)?,
            Kind::Eve => text(file, file, &mut recording, &read_eve)?,
            Kind::VpcFlowLogs => text(file, file, &mut recording, &read_vpc_flow_logs)?,
        };
        if lines.conversations == 0 {
            let why = if lines.without_source > 0 {
                "of no conversation can it be told which end is mirrored"
            } else {
                "there is no conversation of a mirrored source in it"
            };
            return Err(wrong(file, why));
        }
    }
    Background::new(&recording).map_err(Failure::Failed)
}

fn wrong(file: &Path, what: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {what}", file.display()))
}

fn kind(file: &Path) -> Result<Kind, Failure> {
    let mut start = Vec::new();
    let opened = File::open(file).map_err(|error| wrong(file, error))?;
    let read = opened.take(4_096).read_to_end(&mut start);
    read.map_err(|error| wrong(file, error))?;
    if CAPTURES.iter().any(|magic| start.starts_with(magic)) {
        return Ok(Kind::Capture);
    }
    if start.starts_with(&GZIP) {
        return Err(wrong(file, "compressed; unpack it first: gunzip -k"));
    }
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(Kind::Eve),
        Some(byte) if byte.is_ascii_digit() || start.windows(7).any(|it| it == b"srcaddr") => {
            Ok(Kind::VpcFlowLogs)
        }
        Some(_) => Err(wrong(
            file,
            "neither a capture (pcap, pcapng), nor EVE records, nor VPC flow logs",
        )),
        None => Err(wrong(file, "empty")),
    }
}

type Reader = dyn Fn(
    &mut dyn BufRead,
    &mut Recording,
    &mut dyn FnMut(u64),
) -> Result<Lines, vxscope_trial::recorded::RecordedError>;

/// `named` is what the user knows the file as.
fn text(
    file: &Path,
    named: &Path,
    recording: &mut Recording,
    reader: &Reader,
) -> Result<Lines, Failure> {
    let opened = File::open(file).map_err(|error| wrong(named, error))?;
    let length = opened.metadata().map(|it| it.len()).ok();
    let bar = Progress::new(BAR, length);
    bar.say(named.display().to_string());
    let lines = reader(&mut BufReader::new(opened), recording, &mut |bytes| {
        bar.set(bytes)
    });
    lines.map_err(|error| wrong(named, error))
}

/// A capture's flows, as the sensor records them.
fn through_the_sensor(file: &Path, recording: &mut Recording) -> Result<Lines, Failure> {
    let folder = Temporary::create()?;
    let assignments = [
        "export.kinds=[\"eve\"]".to_owned(),
        "rings.memory=16MiB".to_owned(),
    ];
    let config = Config::parse_with("", &assignments).map_err(|problems| {
        let file = None;
        Failure::Configuration { file, problems }
    })?;
    let replay = Replay {
        config,
        inputs: vec![file.to_owned()],
        out: folder.0.clone(),
        bare: false,
        extract: Vec::new(),
    };
    let bar = Progress::new(BAR, None);
    bar.say(file.display().to_string());
    let outcome = vxscope_engine::replay(&replay, &|now| {
        bar.set_total(now.bytes_total);
        bar.set(now.bytes);
    });
    drop(bar);
    // Half a capture would be another background than the whole.
    crate::replay::conclude(outcome.map_err(|error| failure(&error))?)?;
    text(&folder.0.join("eve.json"), file, recording, &read_eve)
}

/// A folder of our own that ends with us.
struct Temporary(PathBuf);

impl Temporary {
    fn create() -> Result<Self, Failure> {
        let base = std::env::temp_dir();
        let number = std::process::id();
        for attempt in 0..1_000 {
            let path = base.join(format!("vxscope-simulate-{number}-{attempt}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(wrong(&path, error)),
            }
        }
        Err(wrong(&base, "no folder can be made there"))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left there is for whoever cleans up.
        let _ = fs::remove_dir_all(&self.0);
    }
}
