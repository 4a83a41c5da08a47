//! Zeek's `notice.log`, as a table (TSV) or as JSON. A table says at its head what its columns
//! are, so its reader remembers them.

use std::net::IpAddr;

use serde_json::Value;
use vxscope_units::time::{read_epoch, read_iso};

use crate::{Alert, Line, Malformed, NAME_BYTES_MAX, file_name, protocol, tidy};

/// Columns of a table that are remembered; far more than any log has. What is beyond is not read.
const COLUMNS_MAX: usize = 256;

/// Reads a notice.log from its beginning.
#[derive(Clone, Debug)]
pub struct Reader {
    separator: char,
    unset: String,
    columns: Vec<String>,
}

/// As Zeek writes tables unless told otherwise. A file that is read from somewhere in its middle
/// has no head; then these columns, which Zeek writes by default, are assumed.
impl Default for Reader {
    fn default() -> Self {
        let columns = [
            "ts",
            "uid",
            "id.orig_h",
            "id.orig_p",
            "id.resp_h",
            "id.resp_p",
            "fuid",
            "file_mime_type",
            "file_desc",
            "proto",
            "note",
            "msg",
            "sub",
            "src",
            "dst",
            "p",
        ];
        Self {
            separator: '\t',
            unset: "-".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
        }
    }
}

impl Reader {
    /// Reads one line.
    ///
    /// # Errors
    /// Why the line says nothing.
    pub fn read(&mut self, line: &[u8]) -> Result<Line, Malformed> {
        let text = str::from_utf8(line).map_err(|_| Malformed::Syntax)?;
        let text = text.trim_end_matches('\r');
        if let Some(head) = text.strip_prefix('#') {
            self.head(head);
            return Ok(Line::Other);
        }
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text).map_err(|_| Malformed::Syntax)?;
            return alert(|name| match value.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
        }
        let fields: Vec<&str> = text.split(self.separator).take(COLUMNS_MAX).collect();
        if fields.len() < 2 {
            return Err(Malformed::Syntax);
        }
        alert(|name| {
            let column = self.columns.iter().position(|it| it == name)?;
            let field = fields.get(column)?;
            (*field != self.unset && *field != "(empty)").then(|| (*field).to_owned())
        })
    }

    /// A line of the head: `separator \x09`, `fields<TAB>ts<TAB>uid…`.
    fn head(&mut self, head: &str) {
        if let Some(separator) = head.strip_prefix("separator ") {
            let code = separator.strip_prefix("\\x");
            let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
            self.separator =
                code.map_or_else(|| separator.chars().next().unwrap_or('\t'), char::from);
            return;
        }
        let mut words = head.split(self.separator);
        match words.next() {
            Some("fields") => self.columns = words.take(COLUMNS_MAX).map(str::to_owned).collect(),
            Some("unset_field") => self.unset = words.next().unwrap_or("-").to_owned(),
            _ => {}
        }
    }
}

/// An alert of the fields that `field` finds. A notice has the ends of its connection, or at
/// least addresses of its own.
fn alert(field: impl Fn(&str) -> Option<String>) -> Result<Line, Malformed> {
    let time = field("ts").and_then(|it| read_epoch(&it).or_else(|| read_iso(&it)));
    let time = time.ok_or(Malformed::Time)?;
    let address = |name: &str| field(name).and_then(|it| it.parse::<IpAddr>().ok());
    let port = |name: &str| field(name).and_then(|it| it.parse::<u16>().ok());
    let connection = (address("id.orig_h"), address("id.resp_h"));
    let own = (address("src"), address("dst"));
    let (source, destination) = match (connection, own) {
        ((Some(one), Some(other)), _) => ((one, port("id.orig_p")), (other, port("id.resp_p"))),
        (_, (Some(one), Some(other))) => ((one, None), (other, port("p"))),
        _ => return Err(Malformed::Addresses),
    };
    let note = field("note").unwrap_or_default();
    let message = field("msg").unwrap_or_default();
    let vlan = ["vlan", "inner_vlan"].map(port);
    Ok(Line::Alert(Box::new(Alert {
        time,
        id: file_name(&note),
        name: tidy(&format!("{note}: {message}"), NAME_BYTES_MAX),
        severe: false,
        source,
        // A port of a notice's own is not one of a conversation.
        destination: match source.1 {
            Some(_) => destination,
            None => (destination.0, None),
        },
        protocol: field("proto").as_deref().and_then(protocol),
        community_id: field("community_id"),
        vlan: vlan.into_iter().flatten().collect(),
    })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vxscope_units::Timestamp;

    use super::*;

    const HEAD: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
        #unset_field\t-\n#path\tnotice\n#open\t2026-11-21-02-00-00\n\
        #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tnote\tmsg\tsub\tsrc\tdst\tp\tcommunity_id\tvlan\tinner_vlan\n\
        #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tenum\tstring\tstring\taddr\taddr\tport\tstring\tint\tint\n";
    const ROW: &str = "1795226400.250000\tC1\t10.0.0.1\t40112\t10.0.0.2\t443\ttcp\t\
        SSL::Invalid_Server_Cert\tbad certificate\t-\t10.0.0.1\t10.0.0.2\t443\t1:x\t3\t77";

    #[test]
    fn a_row_of_a_table_is_an_alert() {
        let mut reader = Reader::default();
        for line in HEAD.lines() {
            assert_eq!(reader.read(line.as_bytes()), Ok(Line::Other));
        }
        check(&mut reader, ROW);
        assert_eq!(reader.read(b"#close\t2026-11-21-03-00-00"), Ok(Line::Other));
    }

    #[test]
    fn json_says_the_same() {
        let json = r#"{"ts":1795226400.25,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":40112,"id.resp_h":"10.0.0.2","id.resp_p":443,"proto":"tcp","note":"SSL::Invalid_Server_Cert","msg":"bad certificate","community_id":"1:x","vlan":3,"inner_vlan":77,"actions":["Notice::ACTION_LOG"],"suppress_for":3600.0}"#;
        check(&mut Reader::default(), json);
        let iso = json.replace("1795226400.25", "\"2026-11-21T02:00:00.250000Z\"");
        check(&mut Reader::default(), &iso);
    }

    #[test]
    fn a_scan_has_addresses_and_no_conversation() {
        let json = r#"{"ts":5.0,"note":"Scan::Port_Scan","msg":"m","src":"10.0.0.1","dst":"10.0.0.2","p":80}"#;
        let Ok(Line::Alert(alert)) = Reader::default().read(json.as_bytes()) else {
            panic!("an alert")
        };
        assert_eq!((alert.source.1, alert.destination.1), (None, None));
    }

    #[test]
    fn what_says_nothing_says_why() {
        let mut reader = Reader::default();
        for (line, why) in [
            ("", Malformed::Syntax),
            ("one", Malformed::Syntax),
            ("a\tb", Malformed::Time),
            ("{", Malformed::Syntax),
            (r#"{"note":"x"}"#, Malformed::Time),
            (
                r#"{"ts":5,"note":"x","src":"10.0.0.1"}"#,
                Malformed::Addresses,
            ),
        ] {
            assert_eq!(reader.read(line.as_bytes()), Err(why), "{line}");
        }
        assert_eq!(reader.read(&[0xff, 0xfe]), Err(Malformed::Syntax));
    }

    proptest! {
        #[test]
        fn no_bytes_can_do_more_than_be_refused(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..8), words in "[#fields\t.a-z]{0,60}") {
            let mut reader = Reader::default();
            let _ = reader.read(words.as_bytes());
            for line in lines {
                let _ = reader.read(&line);
            }
            let _ = reader.read(ROW.as_bytes());
        }
    }

    fn check(reader: &mut Reader, line: &str) {
        let Ok(Line::Alert(alert)) = reader.read(line.as_bytes()) else {
            panic!("an alert")
        };
        let expected = Alert {
            time: Timestamp::new(1_795_226_400, 250_000_000),
            id: "SSL--Invalid-Server-Cert".to_owned(),
            name: "SSL::Invalid_Server_Cert: bad certificate".to_owned(),
            severe: false,
            source: ("10.0.0.1".parse().unwrap(), Some(40112)),
            destination: ("10.0.0.2".parse().unwrap(), Some(443)),
            protocol: Some(6),
            community_id: Some("1:x".to_owned()),
            vlan: vec![3, 77],
        };
        assert_eq!(*alert, expected);
    }
}
