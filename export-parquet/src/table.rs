//! Rows to a Parquet file: flat, every column optional, compressed by Snappy, which every reader knows.

use crate::columns::{Column, Value};
use crate::judged::Row;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::Arc;

/// Rows that a reader takes at once.
const GROUP: usize = 1 << 17;

/// Writes the table; what the columns mean goes along, under `cutgpu.columns`, as JSON.
pub(crate) fn write(columns: &[&Column], rows: &[Row], out: impl Write + Send) -> Result<()> {
    let about: serde_json::Map<String, serde_json::Value> =
        columns.iter().map(|column| (column.name.to_string(), column.about.into())).collect();
    let about = KeyValue::new("cutgpu.columns".to_string(), serde_json::Value::Object(about).to_string());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("cutgpu {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![about]))
        .build();
    let schema = Arc::new(parse_message_type(&message(columns))?);
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    for rows in rows.chunks(GROUP) {
        let mut group = file.next_row_group()?;
        for column in columns {
            fill(&mut group, &column.value, rows)?;
        }
        group.close()?;
    }
    file.close()?;
    Ok(())
}

/// The schema in Parquet's own words.
fn message(columns: &[&Column]) -> String {
    let field = |column: &&Column| {
        let (kind, logical) = match column.value {
            Value::Text(_) => ("BYTE_ARRAY", " (STRING)"),
            Value::Moment(_) => ("INT64", " (TIMESTAMP(MILLIS,true))"),
            Value::Whole(_) => ("INT64", ""),
            Value::Real(_) => ("DOUBLE", ""),
            Value::Flag(_) => ("BOOLEAN", ""),
        };
        format!("  OPTIONAL {kind} {}{logical};\n", column.name)
    };
    format!("message cutgpu {{\n{}}}", columns.iter().map(field).collect::<String>())
}

fn fill<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    value: &Value,
    rows: &[Row],
) -> Result<()> {
    let rows = rows.iter();
    match value {
        Value::Text(of) => put::<ByteArrayType, _>(
            group,
            rows.map(|row| of(row).map(|text| ByteArray::from(text.into_bytes()))),
        ),
        Value::Moment(of) => put::<Int64Type, _>(group, rows.map(of)),
        // What does not fit is no count of anything here.
        Value::Whole(of) => put::<Int64Type, _>(group, rows.map(|row| i64::try_from(of(row)?).ok())),
        Value::Real(of) => {
            put::<DoubleType, _>(group, rows.map(|row| of(row).filter(|number| number.is_finite())))
        }
        Value::Flag(of) => put::<BoolType, _>(group, rows.map(of)),
    }
}

/// Writes a column: values where there are any, and for each row whether there is one.
fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut values, mut present) = (Vec::new(), Vec::new());
    for cell in cells {
        present.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let missing = || ParquetError::General("there are more columns than the schema has".to_string());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(&values, Some(&present), None)?;
    column.close()
}
