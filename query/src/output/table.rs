//! Rows as a table of text, for people.
//!
//! ```text
//!   +---------+---+
//!   | name    | n |     each line is as long as the longest values of all columns
//!   +---------+---+
//! ```
//! *Invariant:* what is made is the text and nothing for each cell, and the text is no longer than [`MOST`]: of 100,000
//! rows of 70 columns a cell each would be more than a gigabyte.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use model::{Error, Result};
use unicode_width::UnicodeWidthStr;

/// Most bytes of a table.
const MOST: usize = 128 << 20;

/// `batches` have the columns of `schema`: texts, numbers and booleans.
pub fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    let size = Size::of(schema, batches).map_err(unexpected)?;
    if size.bytes() > MOST {
        let told = format!(
            "{} lines of {} letters are too wide for a table; ask for JSON or CSV, or for fewer rows",
            size.lines,
            size.width()
        );
        return Err(Error::invalid(told));
    }
    let mut out = String::with_capacity(size.bytes());
    rule(&mut out, &size.widths);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    line(&mut out, &size.widths, &names);
    rule(&mut out, &size.widths);
    each_row(batches, |cells| line(&mut out, &size.widths, cells)).map_err(unexpected)?;
    rule(&mut out, &size.widths);
    Ok(out)
}

fn unexpected(error: ArrowError) -> Error {
    Error::internal(format!("writing the answer: {error}"))
}

/// What a table will take, known before it is made.
#[derive(Default)]
struct Size {
    /// Of each column, in letters of a terminal.
    widths: Vec<usize>,
    lines: usize,
    /// Bytes of all values.
    text: usize,
}

impl Size {
    fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> std::result::Result<Size, ArrowError> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut size = Size { widths: vec![0; names.len()], ..Size::default() };
        size.add(&names);
        each_row(batches, |cells| size.add(cells))?;
        size.lines += 3;
        Ok(size)
    }

    fn add(&mut self, cells: &[&str]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = cell.split('\n').map(UnicodeWidthStr::width).fold(*width, usize::max);
            self.text += cell.len();
        }
        self.lines += cells.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(1);
    }

    fn width(&self) -> usize {
        self.widths.iter().map(|width| width + 3).sum::<usize>() + 1
    }

    /// At most: letters are counted with the room that they leave.
    fn bytes(&self) -> usize {
        self.lines.saturating_mul(self.width() + 1).saturating_add(self.text)
    }
}

/// Hands over the texts of each row.
fn each_row(batches: &[RecordBatch], mut take: impl FnMut(&[&str])) -> std::result::Result<(), ArrowError> {
    let options = FormatOptions::default();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| Column::of(column, &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let mut numbers = vec![String::new(); columns.len()];
        for row in 0..batch.num_rows() {
            for (column, number) in columns.iter().zip(&mut numbers) {
                column.write_number(row, number)?;
            }
            let cells = columns.iter().zip(&numbers).map(|(column, number)| column.text(row).unwrap_or(number));
            take(&cells.collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// A text is shown as it stands, all else as Arrow writes it.
enum Column<'a> {
    Text(&'a ArrayRef),
    Other(ArrayFormatter<'a>),
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef, options: &FormatOptions<'a>) -> std::result::Result<Self, ArrowError> {
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(Column::Text(array)),
            _ => Ok(Column::Other(ArrayFormatter::try_new(array.as_ref(), options)?)),
        }
    }

    fn text(&self, row: usize) -> Option<&'a str> {
        let Column::Text(array) = self else { return None };
        Some(match array.data_type() {
            _ if array.is_null(row) => "",
            DataType::Utf8 => array.as_string::<i32>().value(row),
            DataType::LargeUtf8 => array.as_string::<i64>().value(row),
            _ => array.as_string_view().value(row),
        })
    }

    fn write_number(&self, row: usize, out: &mut String) -> std::result::Result<(), ArrowError> {
        out.clear();
        match self {
            Column::Text(_) => Ok(()),
            Column::Other(formatter) => formatter.value(row).write(out),
        }
    }
}

fn rule(out: &mut String, widths: &[usize]) {
    for width in widths {
        let _ = write!(out, "+{:-<1$}", "", width + 2);
    }
    out.push_str("+\n");
}

/// The cells of one row, of which one may have several lines.
fn line(out: &mut String, widths: &[usize], cells: &[&str]) {
    let lines = cells.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(1);
    let mut parts: Vec<_> = cells.iter().map(|cell| cell.split('\n')).collect();
    for _ in 0..lines {
        for (part, width) in parts.iter_mut().zip(widths) {
            let text = part.next().unwrap_or_default();
            let _ = write!(out, "| {text}{:1$} ", "", width - text.width().min(*width));
        }
        out.push_str("|\n");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn batch(texts: &[Option<&str>]) -> RecordBatch {
        let numbers: Int64Array = (0..texts.len() as i64).map(|n| (n % 3 != 1).then_some(n * 1_000)).collect();
        let views: StringViewArray = texts.iter().rev().copied().collect();
        let columns: [(&str, ArrayRef); 5] = [
            ("text", Arc::new(texts.iter().copied().collect::<StringArray>())),
            ("数", Arc::new(numbers)),
            ("a view", Arc::new(views)),
            ("is", Arc::new(BooleanArray::from(vec![true; texts.len()]))),
            ("f", Arc::new(Float64Array::from(vec![0.1; texts.len()]))),
        ];
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }

    #[test]
    fn a_table_reads_as_arrows_own() {
        let texts = [Some("a"), None, Some("中文字"), Some(""), Some("two\nlines, and 王伟"), Some("naïve ☕")];
        for batches in
            [vec![batch(&texts)], vec![batch(&texts[..2]), batch(&texts[2..])], vec![batch(&texts).slice(0, 0)]]
        {
            let theirs = arrow::util::pretty::pretty_format_batches(&batches).expect("formats").to_string();
            assert_eq!(table(&batches[0].schema(), &batches).expect("formats"), theirs + "\n");
        }
    }

    #[test]
    fn a_table_takes_what_was_said_before_it_was_made() {
        let texts = [Some("a"), Some("中文字"), Some("l\nm\nn"), None];
        let batches = [batch(&texts)];
        let size = Size::of(&batches[0].schema(), &batches).expect("known");
        let made = table(&batches[0].schema(), &batches).expect("formats");
        assert_eq!(made.lines().count(), size.lines);
        assert!(made.len() <= size.bytes() && made.capacity() == size.bytes(), "{} {}", made.len(), size.bytes());
    }

    #[test]
    fn a_text_of_many_lines_beside_a_long_one_is_refused() {
        let (lines, long) = ("\n".repeat(10_000), "x".repeat(20_000));
        let error = table(&batch(&[]).schema(), &[batch(&[Some(&lines), Some(&long)])]).expect_err("400 MB");
        assert!(error.message.contains("too wide for a table"), "{error}");
    }
}
