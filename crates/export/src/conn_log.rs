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
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::text::{push_address, push_log_time, push_micros, push_u64, text};
use crate::way_out::Offered;

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

/// The file `conn.log`, or a series of such files.
#[derive(Debug)]
pub struct ConnLog(RecordFile<Zeek>);

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

    /// Starts the file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &OutputDir, rotation: Rotation) -> Result<Self, ExportError> {
        let named = Named {
            name: NAME,
            offered: Offered::Records,
            file: "conn.log",
        };
        let layout = Zeek { is_marked: false };
        Ok(Self(RecordFile::create(dir, named, rotation, layout)?))
    }

    /// Adds what of each flow's time was not mirrored. To be asked for before the first record.
    pub fn add_marks(&mut self) {
        self.0.layout.is_marked = !self.0.is_begun();
    }

    /// Writes one record. Records come in the order of [`FlowRecord::order`]; `#open` is when
    /// the first one was made.
    pub fn push(&mut self, record: &FlowRecord) {
        let is_marked = self.0.layout.is_marked;
        self.0
            .push(1, record.closed, |out| write_record(out, record, is_marked));
    }

    /// Counts records that never came this far.
    pub fn shed(&mut self, reason: Shed, records: u64) {
        self.0.shed(reason, records);
    }

    /// Writes out what is only in memory yet, so that a crash does not take it along, and finishes
    /// a file that is old.
    pub fn tick(&mut self, now: Timestamp) {
        self.0.tick(now);
    }

    /// The ledger so far.
    #[must_use]
    pub fn count(&self) -> &SinkCount {
        self.0.count()
    }

    /// Writes `#close` and gives the file its name. In replay, `closed` is the capture's last
    /// time.
    #[must_use]
    pub fn finish(self, closed: Timestamp) -> SinkOutcome {
        self.0.finish(closed)
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
mod tests {
    use vxscope_flow::tcp::{ConnState, History};
    use vxscope_flow::{FlowRecord, Traffic};
    use vxscope_units::Timestamp;

    use super::{COLUMNS, ConnLog, LINE_BYTES, push_uid, write_record};
    use crate::file::OutputDir;
    use crate::records::Rotation;
    use crate::testing::{ipv6_record, marked_record, plain_record, tcp_record};

    #[test]
    fn a_tcp_flow() {
        check(
            &tcp_record(),
            "1000.250000 C002Al26WS 10.0.0.1 1122 10.0.0.2 80 tcp - 2.500000 70 1284 SF - - 12 \
             ShADadFf 5 330 4 1444 - 6 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
        );
    }

    #[test]
    fn a_udp_flow_of_one_moment_has_no_duration_and_no_bytes() {
        let mut history = History::default();
        history.push(b'D');
        let record = FlowRecord {
            originator_port: 5_353,
            responder_port: 5_353,
            end: Timestamp::new(1_000, 250_000_000),
            start: Timestamp::new(1_000, 250_000_000),
            reverse: Traffic::default(),
            conn_state: ConnState::S0,
            history,
            ..ipv6_record(17)
        };
        check(
            &record,
            "1000.250000 C002Al26WS 2001:db8::1 5353 2001:db8::2 5353 udp - - - - S0 - - 0 D \
             5 330 0 0 - 17 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
        );
    }

    #[test]
    fn icmp_of_both_families_is_icmp_with_types_as_ports() {
        let record = FlowRecord {
            originator_port: 8,
            ..plain_record(1)
        };
        check(
            &record,
            "1000.250000 C002Al26WS 10.0.0.1 8 10.0.0.2 0 icmp - 2.500000 70 1284 OTH - - 0 - \
             5 330 4 1444 - 1 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
        );
        let record = FlowRecord {
            originator_port: 128,
            responder_port: 129,
            ..ipv6_record(58)
        };
        check(
            &record,
            "1000.250000 C002Al26WS 2001:db8::1 128 2001:db8::2 129 icmp - 2.500000 70 1284 OTH \
             - - 0 - 5 330 4 1444 - 58 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
        );
    }

    #[test]
    fn other_protocols_are_unknown_transport_without_payload() {
        check(
            &plain_record(50),
            "1000.250000 C002Al26WS 10.0.0.1 0 10.0.0.2 0 unknown_transport - 2.500000 0 0 OTH \
             - - 0 - 5 330 4 1444 - 50 7 1:wCb3OG7yAFWelaUydu0D+125CLM=",
        );
    }

    #[test]
    fn uids_are_ten_characters_and_sort_as_their_numbers() {
        let mut last = String::new();
        for flow_id in [0, 1, 61, 62, 3_843, 1 << 40, (1 << 53) - 1] {
            let mut out = Vec::new();
            push_uid(&mut out, flow_id);
            let uid = String::from_utf8(out).unwrap();
            assert!(
                uid.len() == 10 && uid.starts_with('C') && uid > last,
                "{uid}"
            );
            last = uid;
        }
    }

    #[test]
    fn the_longest_line_fits_the_reserve() {
        let most = Traffic {
            packets: u64::MAX,
            bytes: u64::MAX,
            ip_bytes: u64::MAX,
            payload_bytes: u64::MAX,
        };
        let mut record = FlowRecord {
            originator: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
            responder: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
            start: Timestamp::ZERO,
            end: Timestamp::from_nanos(u64::MAX),
            forward: most,
            reverse: most,
            ..tcp_record()
        };
        for _ in 0..100 {
            record.history.push(b'S');
        }
        let mut out = Vec::new();
        record.mark = marked_record().mark;
        write_record(&mut out, &record, true);
        assert!(out.len() <= LINE_BYTES, "{}", out.len());
    }

    #[test]
    fn a_log_has_header_records_and_trailer() {
        let text = log(&[tcp_record(), plain_record(50)]);
        let lines: Vec<_> = text.lines().collect();
        let head = [
            "#separator \\x09",
            "#set_separator\t,",
            "#empty_field\t(empty)",
            "#unset_field\t-",
            "#path\tconn",
            "#open\t1970-01-01-00-16-43",
        ];
        assert_eq!(lines[..6], head);
        assert!(lines[6].starts_with("#fields\tts\tuid\tid.orig_h\t"));
        assert!(lines[6].ends_with("\ttunnel_parents\tip_proto\tvni\tcommunity_id"));
        assert!(lines[7].starts_with("#types\ttime\tstring\taddr\tport\t"));
        for line in &lines[6..8] {
            assert_eq!(line.split('\t').count(), 1 + COLUMNS.len());
        }
        assert_eq!(lines[10..], ["#close\t1970-01-01-00-33-20"]);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_marked_log_says_what_was_not_mirrored() {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut log = ConnLog::create(&dir, Rotation::NEVER).unwrap();
        log.add_marks();
        log.push(&marked_record());
        log.push(&tcp_record());
        let _ = log.finish(Timestamp::new(2_000, 0));
        let text = std::fs::read_to_string(dir.path().join("conn.log")).unwrap();
        let ends: Vec<_> = text.lines().skip(6).take(4).collect();
        for (line, end) in ends.iter().zip([
            "\tcommunity_id\tmirror_grade\tnot_mirrored",
            "\tstring\tstring\tinterval",
            "\toff\t12.040000",
            "=\t-\t-",
        ]) {
            assert!(line.ends_with(end), "{line}");
        }
    }

    #[test]
    fn a_log_without_records_is_complete_too() {
        let text = log(&[]);
        assert!(
            text.contains("#open\t1970-01-01-00-33-20\n#fields"),
            "{text}"
        );
        assert!(text.ends_with("#close\t1970-01-01-00-33-20\n"), "{text}");
    }

    fn log(records: &[FlowRecord]) -> String {
        let guard = tempfile::tempdir().unwrap();
        let dir = OutputDir::create(guard.path()).unwrap();
        let mut log = ConnLog::create(&dir, Rotation::NEVER).unwrap();
        for record in records {
            log.push(record);
        }
        let outcome = log.finish(Timestamp::new(2_000, 0));
        assert_eq!(outcome.count.written(), records.len() as u64);
        assert_eq!(outcome.count.offered(), records.len() as u64);
        std::fs::read_to_string(dir.path().join("conn.log")).unwrap()
    }

    /// `expected` has spaces where the log has tabs; no value holds a space.
    fn check(record: &FlowRecord, expected: &str) {
        let mut out = Vec::new();
        write_record(&mut out, record, false);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected.replace(' ', "\t") + "\n"
        );
        assert_eq!(expected.split(' ').count(), COLUMNS.len());
    }
}
