//! Tables on stdout.

use comfy_table::{LineStyle, Table, TableStyle};

/// An empty table without lines but one under its header.
pub(super) fn table(header: &[&str]) -> Table {
    let rule = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(rule)).set_header(header.iter().copied());
    table
}
