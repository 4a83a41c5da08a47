//! A line becomes a row: a value for each column, and the rest.

use serde_json::{Map, Value};
use vxscope_units::Timestamp;
use vxscope_units::time::{read_epoch, read_iso};

use crate::day::Day;
use crate::table::{Column, Kind, Type};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Int(i64),
    Float(f64),
}

/// A row: as many cells as the table has columns.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) day: Day,
    pub(crate) cells: Vec<Option<Cell>>,
    pub(crate) rest: Option<String>,
    /// The line is not what its file should hold; all of it is in `rest`.
    pub(crate) malformed: bool,
}

/// Reads the lines of one file, from its first on.
#[derive(Debug)]
pub(crate) struct Lines {
    kind: Kind,
    /// Of a table with a head: the names of its fields.
    names: Vec<String>,
}

impl Lines {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            names: Vec::new(),
        }
    }

    /// The row of a line; `None` if it is empty or a head.
    pub(crate) fn row(&mut self, line: &[u8]) -> Option<Row> {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return None;
        }
        let fields = match self.kind {
            Kind::VpcFlowLogs => match self.fields(line) {
                Ok(fields) => fields?,
                Err(()) => return Some(self.malformed(line)),
            },
            Kind::Eve | Kind::Netflow | Kind::Conn | Kind::Ocsf => {
                match serde_json::from_slice(line) {
                    Ok(Value::Object(fields)) => fields,
                    _ => return Some(self.malformed(line)),
                }
            }
        };
        Some(self.of_fields(fields))
    }

    /// The fields of a line of words, by the names of the head; `None` for the head itself.
    fn fields(&mut self, line: &[u8]) -> Result<Option<Map<String, Value>>, ()> {
        let text = str::from_utf8(line).map_err(|_| ())?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if self.names.is_empty() {
            if words.first() != Some(&"version") {
                return Err(());
            }
            self.names = words.into_iter().map(str::to_owned).collect();
            return Ok(None);
        }
        if words.len() != self.names.len() {
            return Err(());
        }
        let fields = self
            .names
            .iter()
            .zip(words)
            .filter(|(_, word)| *word != "-");
        let fields = fields.map(|(name, word)| (name.clone(), Value::from(word)));
        Ok(Some(fields.collect()))
    }

    fn of_fields(&self, mut fields: Map<String, Value>) -> Row {
        let columns = self.kind.columns();
        let cells: Vec<Option<Cell>> = columns
            .iter()
            .map(|column| take(&mut fields, column, self.kind))
            .collect();
        // Objects that have given all they had say nothing more.
        fields.retain(|_, value| value.as_object().is_none_or(|it| !it.is_empty()));
        let time = match cells.first() {
            Some(Some(Cell::Int(micros))) => u64::try_from(*micros).ok(),
            _ => None,
        };
        Row {
            day: Day::of(time.map(|micros| Timestamp::from_nanos(micros.saturating_mul(1_000)))),
            cells,
            rest: (!fields.is_empty()).then(|| Value::Object(fields).to_string()),
            malformed: false,
        }
    }

    fn malformed(&self, line: &[u8]) -> Row {
        Row {
            day: Day::Unknown,
            cells: vec![None; self.kind.columns().len()],
            rest: Some(String::from_utf8_lossy(line).into_owned()),
            malformed: true,
        }
    }
}

/// Takes a column's value out of the fields; one of another type stays where it is.
fn take(fields: &mut Map<String, Value>, column: &Column, kind: Kind) -> Option<Cell> {
    match column.path.split_once('/') {
        None => {
            let cell = cell(fields.get(column.path)?, column.kind, kind)?;
            fields.remove(column.path);
            Some(cell)
        }
        Some((outer, inner)) => {
            let fields = fields.get_mut(outer)?.as_object_mut()?;
            let cell = cell(fields.get(inner)?, column.kind, kind)?;
            fields.remove(inner);
            Some(cell)
        }
    }
}

fn cell(value: &Value, kind: Type, of: Kind) -> Option<Cell> {
    match kind {
        Type::Text => Some(Cell::Text(value.as_str()?.to_owned())),
        Type::Int => match value {
            Value::String(text) => text.parse().ok().map(Cell::Int),
            other => other.as_i64().map(Cell::Int),
        },
        Type::Float => value.as_f64().map(Cell::Float),
        Type::Time => {
            let time = match value {
                Value::String(text) => read_iso(text).or_else(|| read_epoch(text))?,
                // OCSF counts milliseconds, Zeek seconds.
                Value::Number(number) if of == Kind::Ocsf => {
                    Timestamp::from_nanos(number.as_u64()?.checked_mul(1_000_000)?)
                }
                Value::Number(number) => read_epoch(&number.to_string())?,
                _ => return None,
            };
            i64::try_from(time.as_nanos() / 1_000).ok().map(Cell::Int)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_column_is_in_the_rest() {
        let line = br#"{"timestamp":"2026-11-21T02:00:00.000001+0000","event_type":"flow","vni":7,"src_port":"x","flow":{"pkts_toserver":3,"start":"2026-11-21T02:00:00.000000+0000"},"tcp":{"syn":true}}"#;
        let row = Lines::new(Kind::Eve).row(line).unwrap();
        assert_eq!(row.day.to_string(), "2026-11-21");
        assert_eq!(row.cells[0], Some(Cell::Int(1_795_226_400_000_001)));
        assert_eq!(row.cells[4], Some(Cell::Int(7)));
        assert_eq!(row.rest.unwrap(), r#"{"src_port":"x","tcp":{"syn":true}}"#);
        assert!(!row.malformed);
    }

    #[test]
    fn a_table_of_words_has_a_head() {
        let mut lines = Lines::new(Kind::VpcFlowLogs);
        let head = b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
        assert!(lines.row(head).is_none());
        let line = b"2 - eni-1 10.0.0.1 10.0.0.2 1000 80 6 3 180 1795226400 1795226460 ACCEPT OK";
        let row = lines.row(line).unwrap();
        assert_eq!(row.cells[0], Some(Cell::Int(1_795_226_400_000_000)));
        assert_eq!(row.cells[3], None);
        assert_eq!(row.cells[7], Some(Cell::Int(1000)));
        assert_eq!(row.rest, None);
        assert!(lines.row(b"2 - eni-1").unwrap().malformed);
    }

    #[test]
    fn what_is_no_record_is_kept_as_it_is() {
        let mut lines = Lines::new(Kind::Conn);
        assert!(lines.row(b"  ").is_none());
        let row = lines.row(b"{\"ts\":1.5,\"uid\":").unwrap();
        assert_eq!(row.rest.unwrap(), "{\"ts\":1.5,\"uid\":");
        assert!(row.malformed && row.day == Day::Unknown);
        let row = lines
            .row(br#"{"ts":1795226400.5,"id.orig_h":"::1","duration":0.5}"#)
            .unwrap();
        assert_eq!(row.cells[0], Some(Cell::Int(1_795_226_400_500_000)));
        assert_eq!(row.cells[8], Some(Cell::Float(0.5)));
    }
}
