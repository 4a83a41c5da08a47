//! Rows of one day become a Parquet file in memory, a group of rows at a time.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::ArchiveError;
use crate::row::{Cell, Row};
use crate::table::{Kind, Type};

/// Rows of a group: what a reader takes at once, and what waits here.
const GROUP_ROWS: usize = 64 << 10;

/// Values of one column and, for each row, whether it has one.
#[derive(Debug)]
enum Values {
    Text(Vec<ByteArray>),
    Int(Vec<i64>),
    Float(Vec<f64>),
}

#[derive(Debug)]
struct Pending {
    values: Values,
    present: Vec<i16>,
}

impl Pending {
    fn new(kind: Type) -> Self {
        Self {
            values: match kind {
                Type::Text => Values::Text(Vec::new()),
                Type::Int | Type::Time => Values::Int(Vec::new()),
                Type::Float => Values::Float(Vec::new()),
            },
            present: Vec::new(),
        }
    }

    fn push(&mut self, cell: Option<Cell>) {
        let is_there = match (&mut self.values, cell) {
            (Values::Text(values), Some(Cell::Text(text))) => {
                values.push(ByteArray::from(text.into_bytes()));
                true
            }
            (Values::Int(values), Some(Cell::Int(number))) => {
                values.push(number);
                true
            }
            (Values::Float(values), Some(Cell::Float(number))) => {
                values.push(number);
                true
            }
            // A cell has the type of its column: see `row::cell`.
            _ => false,
        };
        self.present.push(i16::from(is_there));
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ArchiveError> {
        let Some(mut column) = group.next_column()? else {
            return Ok(());
        };
        let present = Some(&self.present[..]);
        match &mut self.values {
            Values::Text(values) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(values, present, None)?;
                values.clear();
            }
            Values::Int(values) => {
                column
                    .typed::<Int64Type>()
                    .write_batch(values, present, None)?;
                values.clear();
            }
            Values::Float(values) => {
                column
                    .typed::<DoubleType>()
                    .write_batch(values, present, None)?;
                values.clear();
            }
        }
        column.close()?;
        self.present.clear();
        Ok(())
    }
}

/// See the module. The same rows give the same bytes.
pub(crate) struct Sheet {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Pending>,
    pending: usize,
    pub(crate) rows: u64,
}

impl Sheet {
    pub(crate) fn new(kind: Kind) -> Result<Self, ArchiveError> {
        let schema = Arc::new(parse_message_type(&kind.schema())?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("vxscope-archive".to_owned())
            .build();
        let types = kind.columns().iter().map(|column| column.kind);
        Ok(Self {
            writer: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            columns: types.chain([Type::Text]).map(Pending::new).collect(),
            pending: 0,
            rows: 0,
        })
    }

    pub(crate) fn push(&mut self, row: Row) -> Result<(), ArchiveError> {
        let cells = row.cells.into_iter();
        let cells = cells.chain([row.rest.map(Cell::Text)]);
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        (self.pending, self.rows) = (self.pending + 1, self.rows + 1);
        if self.pending == GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ArchiveError> {
        if self.pending == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        self.pending = 0;
        Ok(())
    }

    /// The file.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, ArchiveError> {
        self.write_group()?;
        Ok(self.writer.into_inner()?)
    }
}
