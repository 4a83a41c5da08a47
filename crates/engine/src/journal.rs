//! Reads the journal of coverage that sensors leave: for the command, and for whoever asks a
//! running sensor.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use vxscope_coverage::{Book, Record};

/// Longest line that is read; what follows in one that is longer is read as lines, too.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// All records of a folder's `coverage-*.ndjson`, oldest first; and how many lines are no records,
/// as a crash leaves them.
///
/// # Errors
/// For people: the folder or a file cannot be read, or there is no journal.
pub fn read_journal(folder: &Path) -> Result<(Book, u64), String> {
    let files = files(folder)?;
    if files.is_empty() {
        return Err(format!(
            "{}: holds no coverage-*.ndjson; name the folder that a sensor writes to",
            folder.display()
        ));
    }
    let (mut book, mut cut) = (Book::default(), 0);
    let mut line = Vec::new();
    for path in files {
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let mut file = BufReader::new(file);
        loop {
            line.clear();
            let mut limited = file.by_ref().take(LINE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut line);
            if read.map_err(|error| unreadable(&path, &error))? == 0 {
                break;
            }
            match record(&line) {
                Some(record) => book.add(&record),
                None => cut += u64::from(line != b"\n"),
            }
        }
    }
    Ok((book, cut))
}

/// When the journal of a folder last spoke, in microseconds; `None` if it never did.
pub(crate) fn last_word(folder: &Path) -> Option<u64> {
    let newest = files(folder).ok()?.pop()?;
    let mut file = File::open(newest).ok()?;
    let length = file.metadata().ok()?.len();
    let begin = length.saturating_sub(LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(begin)).ok()?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).ok()?;
    let last = end.rsplit(|it| *it == b'\n').find_map(record)?;
    Some(last.at)
}

fn record(line: &[u8]) -> Option<Record> {
    let text = str::from_utf8(line.trim_ascii_end()).ok()?;
    Record::parse(text).ok()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|it| it.starts_with("coverage-") && it.ends_with(".ndjson"))
        })
        .collect();
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{}: cannot be read: {error}", path.display())
}
