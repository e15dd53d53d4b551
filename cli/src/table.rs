//! Tables on a terminal, and what the documents of the API are in a cell.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// A column: its heading, and where its value stands in an item.
pub(crate) type Column = (&'static str, &'static str);

/// Returns items as a table, with its headings if they are wanted, and fitted to so many characters a line if there is a
/// limit. Its last line has no line break.
pub(crate) fn table(columns: &[Column], items: &[Value], headed: bool, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match width {
        Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if headed {
        table.set_header(columns.iter().map(|(heading, _)| *heading));
    }
    for item in items {
        table.add_row(columns.iter().map(|(_, at)| cell(item.pointer(at).unwrap_or(&Value::Null))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Returns a value as it stands in a cell or a sentence.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(fraction) if number.is_f64() => format!("{fraction:.1}"),
            _ => number.to_string(),
        },
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => "yes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_fitted_to_its_terminal() {
        let items = [
            json!({ "number": "+15405550100", "area": { "name": "540 (VA)" }, "why": "one two three four" }),
        ];
        let columns = [("NUMBER", "/number"), ("AREA", "/area/name"), ("WHY", "/why"), ("SITE", "/site")];
        let whole = table(&columns, &items, true, None);
        assert_eq!(
            whole,
            "NUMBER        AREA      WHY                 SITE\n+15405550100  540 (VA)  one two three four  -"
        );
        let narrow = table(&columns, &items, true, Some(40));
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.lines().count() > 2, "{narrow}");
    }
}
