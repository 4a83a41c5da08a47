//! `conn.log`: one line per flow as Zeek writes it (`base/protocols/conn/main.zeek`), TSV with
//! the usual header and trailer, `vni` and `community_id` as additional columns at the end.
//!
//! Columns that need site knowledge or a protocol parser stay unset (`-`): `service`, and
//! `local_orig`/`local_resp`, because which addresses are local differs from tenant to tenant and
//! private ranges are everybody's. `tunnel_parents` is unset as well: the outer packet is the
//! mirror's, not a conversation of its own. SCTP keeps its ports, where Zeek writes 0.

use vxscope_flow::FlowRecord;
use vxscope_units::{GradeMark, Timestamp};

use crate::error::ExportError;
use crate::file::OutputDir;
use crate::grade;
use crate::protocol;
use crate::records::{Layout, Named, RecordFile, Rotation};
use crate::sink::{SinkCount, SinkOutcome};
use crate::text::{push_address, push_log_time, push_micros, push_u64, text};
use crate::way_out::{Entry, Offered, WayOut};

/// The sink's name in `--export` and in the summary.
const NAME: &str = "conn-log";

/// Room for the longest line, so that a record is at most one growth of the buffer.
const LINE_BYTES: usize = 512;

/// Names and types of the columns: Zeek's own in its order, then ours.
const COLUMNS: [(&str, &str); 24] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("tunnel_parents", "set[string]"),
    ("ip_proto", "count"),
    ("vni", "count"),
    ("community_id", "string"),
];

/// In ASCII order, so that uids sort like the numbers they stand for.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Digits of a uid: 62⁹ is above 2⁵³.
const UID_DIGITS: u32 = 9;

const _: () = assert!(62u64.pow(UID_DIGITS) > 1 << 53);

/// Further columns of a run whose mirrors are looked after, so that "not seen" is not taken for
/// "did not happen": the lowest grade that the source had meanwhile and how long flows were not
/// mirrored, both unset where it was full.
const MARKS: [(&str, &str); 2] = [("mirror_grade", "string"), ("not_mirrored", "interval")];

/// Appends the header lines. `opened` is the time of the first record, not the wall clock's, so
/// that the same capture gives the same file.
pub fn write_header(out: &mut Vec<u8>, opened: Timestamp, is_marked: bool) {
    text(
        out,
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n",
    );
    text(out, "#path\tconn\n#open\t");
    push_log_time(out, opened);
    let columns = || COLUMNS.iter().chain(MARKS.iter().filter(|_| is_marked));
    text(out, "\n#fields");
    for (name, _) in columns() {
        text(out, "\t");
        text(out, name);
    }
    text(out, "\n#types");
    for (_, kind) in columns() {
        text(out, "\t");
        text(out, kind);
    }
    text(out, "\n");
}

/// Appends the last line of a complete log.
pub fn write_trailer(out: &mut Vec<u8>, closed: Timestamp) {
    text(out, "#close\t");
    push_log_time(out, closed);
    text(out, "\n");
}

/// Appends one line.
pub fn write_record(out: &mut Vec<u8>, record: &FlowRecord, is_marked: bool) {
    out.reserve(LINE_BYTES);
    push_micros(out, micros(record.start));
    text(out, "\t");
    push_uid(out, record.flow_id);
    text(out, "\t");
    push_endpoints(out, record);
    text(out, protocol::zeek_name(record.protocol));
    text(out, "\t-\t");
    push_volume(out, record);
    text(out, record.conn_state.name());
    text(out, "\t-\t-\t");
    push_u64(out, record.tcp.as_ref().map_or(0, |tcp| tcp.missed_bytes));
    text(out, "\t");
    let history = record.history.as_str();
    text(out, if history.is_empty() { "-" } else { history });
    for traffic in [&record.forward, &record.reverse] {
        column(out, traffic.packets);
        column(out, traffic.ip_bytes);
    }
    text(out, "\t-");
    column(out, u64::from(record.protocol));
    column(out, u64::from(record.source.vni.get()));
    text(out, "\t");
    text(out, record.community_id.as_str());
    if is_marked {
        push_mark(out, record.mark.as_ref());
    }
    text(out, "\n");
}

fn push_mark(out: &mut Vec<u8>, mark: Option<&GradeMark>) {
    let Some(mark) = mark else {
        return text(out, "\t-\t-");
    };
    text(out, "\t");
    text(out, mark.grade.name());
    text(out, "\t");
    push_micros(out, grade::micros(mark));
}

/// Appends `C` and the flow id in base 62, always ten characters.
pub fn push_uid(out: &mut Vec<u8>, flow_id: u64) {
    let mut digits = [0; UID_DIGITS as usize];
    let mut rest = flow_id;
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    out.push(b'C');
    out.extend_from_slice(&digits);
}

/// The file `conn.log`, or a series of such files. `#open` is when its first record was made,
/// `#close` when its last one was.
#[derive(Debug)]
pub struct ConnLog {
    file: RecordFile<Zeek>,
    last_closed: Timestamp,
}

/// Header and trailer of a log of Zeek's.
#[derive(Debug)]
struct Zeek {
    is_marked: bool,
}

impl Layout for Zeek {
    fn head(&self, out: &mut Vec<u8>, opened: Timestamp) {
        write_header(out, opened, self.is_marked);
    }

    fn tail(&self, out: &mut Vec<u8>, closed: Timestamp) {
        write_trailer(out, closed);
    }
}

impl ConnLog {
    /// Its name as in `--export` and in the summary.
    pub const NAME: &str = NAME;

    /// Starts the file; if it is marked, with what of each flow's time was not mirrored.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        dir: &OutputDir,
        rotation: Rotation,
        is_marked: bool,
    ) -> Result<Self, ExportError> {
        let named = Named {
            name: NAME,
            offered: Offered::Records,
            file: "conn.log",
        };
        Ok(Self {
            file: RecordFile::create(dir, named, rotation, Zeek { is_marked })?,
            last_closed: Timestamp::ZERO,
        })
    }
}

impl WayOut for ConnLog {
    fn records(&mut self, entries: &[Entry]) {
        let is_marked = self.file.layout.is_marked;
        for record in entries.iter().filter_map(Entry::flow) {
            self.last_closed = self.last_closed.max(record.closed);
            self.file
                .push(1, record.closed, |out| write_record(out, record, is_marked));
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.file.tick(now);
    }

    fn count(&self) -> SinkCount {
        *self.file.count()
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        self.file.finish(self.last_closed)
    }
}

fn push_endpoints(out: &mut Vec<u8>, record: &FlowRecord) {
    let ends = [
        (record.originator, record.originator_port),
        (record.responder, record.responder_port),
    ];
    for (address, port) in ends {
        push_address(out, address);
        column(out, u64::from(port));
        text(out, "\t");
    }
}

/// `duration`, `orig_bytes`, `resp_bytes`: all three unset where no time passed, as in Zeek. The
/// times are those of the log and of `decap.pcap`, in microseconds.
fn push_volume(out: &mut Vec<u8>, record: &FlowRecord) {
    let duration = micros(record.end).saturating_sub(micros(record.start));
    if duration == 0 {
        return text(out, "-\t-\t-\t");
    }
    push_micros(out, duration);
    // Zeek has no payload counts for protocols without an analyzer and writes 0.
    let counted = protocol::zeek_name(record.protocol) != "unknown_transport";
    for traffic in [&record.forward, &record.reverse] {
        column(out, if counted { traffic.payload_bytes } else { 0 });
    }
    text(out, "\t");
}

/// Times as logs have them.
pub(crate) fn micros(time: Timestamp) -> u64 {
    time.as_nanos() / 1_000
}

/// A tab and a number.
fn column(out: &mut Vec<u8>, value: u64) {
    text(out, "\t");
    push_u64(out, value);
}

#[cfg(test)]
mod tests;
