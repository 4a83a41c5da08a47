//! The fuzz properties as ordinary tests: over the inputs kept in `fuzz/`, over cut and damaged
//! copies of them, over the bundled captures, and over other projects' captures where they are.

#![expect(clippy::print_stderr, reason = "a failure names its input")]

mod seed;

use std::fs;
use std::path::{Path, PathBuf};

use vxscope_config::Config;
use vxscope_pcap::{Reader, Step};
use vxscope_testkit::Vxlan;
use vxscope_testkit::property::{self, Property, decapsulate_input, frame_input, steering_input};
use vxscope_wire::Tunnel;

/// Longest input of which every prefix is tried.
const CUT_BYTES_MAX: usize = 600;
/// All kept inputs together stay small enough to be part of the repository.
const KEPT_BYTES_MAX: u64 = 300 << 10;
/// Records of one foreign capture.
const RECORDS_MAX: usize = 12;
/// Bytes of one foreign record.
const RECORD_BYTES_MAX: usize = 600;

#[test]
fn decapsulate_holds_for_kept_cut_and_damaged_inputs() {
    check("decapsulate", 150);
}

#[test]
fn frame_holds_for_kept_cut_and_damaged_inputs() {
    check("frame", 150);
}

#[test]
fn steering_holds_for_kept_cut_and_damaged_inputs() {
    check("steering", 150);
}

#[test]
fn capture_file_holds_for_kept_cut_and_damaged_inputs() {
    check("capture_file", 150);
}

#[test]
fn config_holds_for_kept_cut_and_damaged_inputs() {
    check("config", 20);
}

#[test]
fn guard_holds_for_kept_cut_and_damaged_inputs() {
    check("guard", 300);
}

#[test]
fn replay_holds_for_kept_and_damaged_inputs() {
    check("replay", 6);
}

/// Not kept as files, which every new key would change.
#[test]
fn printed_configurations_hold() {
    property::config(Config::default().to_toml().as_bytes());
    property::config(Config::reference().as_bytes());
}

/// `UPDATE_EXPECT=1` writes them again.
#[test]
fn built_inputs_are_what_the_builders_write() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    for property in property::ALL {
        let folder = fuzz_folder("seeds").join(property.name);
        let built = seed::built(property.name);
        assert!(!built.is_empty(), "{} has no seeds", property.name);
        for (name, bytes) in &built {
            if update {
                fs::create_dir_all(&folder).expect("the folder of kept inputs is writable");
                fs::write(folder.join(name), bytes).expect("a kept input is writable");
            }
            let kept = fs::read(folder.join(name)).unwrap_or_default();
            assert!(kept == *bytes, "{name} of {} is outdated", property.name);
        }
        let kept = files(&folder)
            .into_iter()
            .filter(|path| file_name(path).starts_with("built-"));
        assert_eq!(kept.count(), built.len(), "{} keeps others", property.name);
    }
}

#[test]
fn kept_inputs_are_few_and_small() {
    let kept = property::ALL.map(|property| {
        ["seeds", "regressions"].map(|kind| files(&fuzz_folder(kind).join(property.name)))
    });
    let length = |path: &PathBuf| fs::metadata(path).expect("it was listed").len();
    let bytes: u64 = kept.iter().flatten().flatten().map(length).sum();
    assert!(bytes <= KEPT_BYTES_MAX, "{bytes} bytes are kept");
}

#[test]
fn a_regression_is_a_description_and_bytes_in_hex() {
    let text = b"# Two bytes\n# that were too many.\n0aFF\n00 1\n0\n";
    assert_eq!(from_hex(Path::new("a.hex"), text), [0x0a, 0xff, 0x00, 0x10]);
}

#[test]
fn bundled_captures_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps");
    let captures: Vec<PathBuf> = files(&folder)
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .collect();
    assert!(!captures.is_empty());
    for capture in captures {
        let bytes = fs::read(&capture).expect("it was listed");
        let _named = Named(format!("{} whole", capture.display()));
        property::capture_file(&bytes);
        property::replay(&bytes);
    }
}

#[test]
fn other_projects_records_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: there is no {}", corpus.display());
        return;
    }
    let mut records = 0;
    for folder in folders(&corpus) {
        if matches!(file_name(&folder), "expected" | "licences") {
            continue;
        }
        for capture in files(&folder) {
            records += check_capture(&capture);
        }
    }
    println!("{records} records");
    assert!(records > 5_000, "{records}");
}

/// Some records of a capture as mirrored traffic, and as frames.
fn check_capture(capture: &Path) -> usize {
    let file = fs::read(capture).expect("it was listed");
    let (mut reader, mut rest, mut records) = (Reader::new(), file.as_slice(), 0);
    while records < RECORDS_MAX {
        // Malformed captures are among them; what stands before the error counts.
        let consumed = match reader.read(rest) {
            Ok(Step::Record { consumed, record }) => {
                let _named = Named(format!("record {records} of {}", capture.display()));
                let bytes = &record.data[..record.data.len().min(RECORD_BYTES_MAX)];
                let original_len = u16::try_from(record.original_len).unwrap_or(u16::MAX);
                property::decapsulate(&decapsulate_input(record.link, 1, bytes));
                property::frame(&frame_input(original_len, bytes));
                let payload = Vxlan::new("192.0.2.1", 7).datagram(bytes);
                property::steering(&steering_input(Tunnel::Vxlan, &payload));
                records += 1;
                consumed
            }
            Ok(Step::Skip { consumed }) => consumed,
            Ok(Step::NeedMore { .. }) | Err(_) => break,
        };
        rest = &rest[consumed..];
    }
    records
}

/// Runs the property over its kept inputs, each as it is, with `flips` times a few bits changed,
/// and, where it is small, cut after each of its bytes.
fn check(name: &str, flips: usize) {
    let property = property::ALL
        .into_iter()
        .find(|property| property.name == name);
    let property = property.expect("a property of that name");
    let mut bits = Bits(0x5eed);
    let inputs = kept_inputs(&property);
    assert!(!inputs.is_empty());
    for (path, input) in inputs {
        run(&property, &path, "whole", &input);
        for _ in 0..flips {
            let damaged = bits.damage(&input);
            run(&property, &path, "damaged", &damaged);
        }
        // A replay writes files; cut captures are what `capture_file` is about.
        if input.len() <= CUT_BYTES_MAX && name != "replay" {
            for length in 0..input.len() {
                run(&property, &path, "cut", &input[..length]);
            }
        }
    }
}

fn run(property: &Property, path: &Path, how: &str, input: &[u8]) {
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    let _named = Named(format!("{} {how}: {hex}", path.display()));
    (property.body)(input);
}

/// Seeds as they are, regressions as text: lines of `#` that describe them, then bytes in hex.
fn kept_inputs(property: &Property) -> Vec<(PathBuf, Vec<u8>)> {
    let seeds = files(&fuzz_folder("seeds").join(property.name));
    let regressions = files(&fuzz_folder("regressions").join(property.name));
    let read = |path: &PathBuf| fs::read(path).expect("it was listed");
    let seeds = seeds.into_iter().map(|path| (path.clone(), read(&path)));
    let regressions = regressions
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| (path.clone(), from_hex(&path, &read(&path))));
    seeds.chain(regressions).collect()
}

fn from_hex(path: &Path, text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("a regression is text");
    assert!(
        text.starts_with("# "),
        "{} has no description",
        path.display()
    );
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    assert!(
        digits.len().is_multiple_of(2),
        "{} ends in half a byte",
        path.display()
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}

fn fuzz_folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(kind)
}

/// What is in a folder, in the order of names; nothing if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// Says what ran when a property panicked.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0);
        }
    }
}

/// The same bits in every run (xorshift64, Marsaglia 2003).
struct Bits(u64);

impl Bits {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("it is below a usize")
    }

    /// The input with one to four bits changed.
    fn damage(&mut self, input: &[u8]) -> Vec<u8> {
        let mut input = input.to_vec();
        if !input.is_empty() {
            for _ in 0..=self.below(4) {
                let at = self.below(input.len());
                input[at] ^= 1 << self.below(8);
            }
        }
        input
    }
}
