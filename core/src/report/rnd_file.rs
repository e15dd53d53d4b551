//! The form of the file for the Reassigned Numbers Database: its name, its columns, its lines.
//!
//! What the database's own guide prescribes could not be verified, so all of it is a matter of configuration, and the
//! form that is meant is called `rnd-unverified`.

use crate::number::Number;
use crate::report::months::{DUE_DAY, Month};
use crate::time::Date;
use crate::words::words;

/// The name of the form that stands in no configuration.
pub const UNVERIFIED: &str = "rnd-unverified";

/// The earliest day through which a report must have everything.
pub const CUTOFF_MIN: i8 = 10;

/// Most characters of a header or a file's name.
const TEXT_MAX: usize = 200;

words! {
    /// A column of the file.
    Column {
        /// Who reports.
        Company = "company_id",
        /// The telephone number.
        Number = "tn",
        /// The day of its disconnect.
        Date = "disconnect_date",
        /// Which of several files it is. Empty if there is one.
        Batch = "batch_id",
    }
}

words! {
    /// How a day is written.
    DateFormat {
        /// 2026-12-03
        Iso = "YYYY-MM-DD",
        /// 12/03/26
        Short = "MM/DD/YY",
        /// 12/03/2026
        Long = "MM/DD/YYYY",
        /// 12/3/26
        ShortBare = "M/D/YY",
        /// 12/3/2026
        LongBare = "M/D/YYYY",
    }
}

words! {
    /// How a number is written.
    NumberFormat {
        /// Ten digits.
        Ten = "10",
        /// With a plus sign and the country code.
        E164 = "e164",
    }
}

/// The form of the file. Lines end in CR LF, and no field needs quotes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Form {
    /// The first line. Empty for none.
    pub header: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// How days are written.
    pub date_format: DateFormat,
    /// How numbers are written.
    pub tn_format: NumberFormat,
    /// The file's name, with `{company}`, `{period}` and `{batch}`. What stands in brackets is left out where there is
    /// one file.
    pub file_name: String,
    /// Most lines of a file, the header not counted.
    pub row_limit: u32,
    /// The day of the month through which a report has everything.
    pub cutoff_day: i8,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            header: "CompanyID,TN,DisconnectDate,BatchID".into(),
            columns: Column::ALL.to_vec(),
            date_format: DateFormat::Iso,
            tn_format: NumberFormat::Ten,
            file_name: "{company}_{period}[_{batch}].csv".into(),
            row_limit: 1_000_000,
            cutoff_day: DUE_DAY - 1,
        }
    }
}

/// Returns whether a text can be a company's id: 3 to 10 letters and digits.
#[must_use]
pub fn is_company(text: &str) -> bool {
    (3..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Form {
    /// Returns what is wrong with the form, in a sentence without its end. `None` if it can be used.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let plain = |text: &str| {
            text.chars().count() <= TEXT_MAX
                && text.chars().all(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        };
        let brackets = |text: &str| (text.matches('[').count(), text.matches(']').count());
        if !(CUTOFF_MIN..DUE_DAY).contains(&self.cutoff_day) {
            return Some(format!("the cut-off day is {CUTOFF_MIN} to {}", DUE_DAY - 1));
        }
        if self.row_limit == 0 {
            return Some("a file has at least one row".into());
        }
        if [Column::Number, Column::Date].iter().any(|column| !self.columns.contains(column)) {
            return Some("the columns name tn and disconnect_date".into());
        }
        let twice = |column| self.columns.iter().filter(|other| *other == column).count() > 1;
        if self.columns.iter().any(twice) {
            return Some("no column is there twice".into());
        }
        if !plain(&self.header) || !plain(&self.file_name) || self.file_name.starts_with('.') {
            return Some(format!(
                "a header and a file's name have at most {TEXT_MAX} characters, and neither slashes nor control characters"
            ));
        }
        if brackets(&self.file_name) > (1, 1) || !self.file_name.contains("{batch}") {
            return Some("the file's name has {batch}, so that several files have names of their own".into());
        }
        None
    }

    /// Returns how its header and its columns disagree, in a sentence without its end. `None` if they fit. Each of the two
    /// may be set alone, so this is no fault of either.
    #[must_use]
    pub fn mismatch(&self) -> Option<String> {
        let (names, columns) = (self.header.split(',').count(), self.columns.len());
        (!self.header.is_empty() && names != columns).then(|| {
            format!(
                "rnd_header has {names} fields and rnd_columns has {columns} columns: set both, or no header"
            )
        })
    }

    /// Returns the name of a file. `batch` is its place among several, from 1.
    #[must_use]
    pub fn name(&self, company: &str, month: Month, batch: Option<u32>) -> String {
        let template = match (self.file_name.split_once('['), batch) {
            (Some((before, rest)), None) => {
                format!("{before}{}", rest.split_once(']').map_or("", |(_, after)| after))
            }
            _ => self.file_name.replace(['[', ']'], ""),
        };
        let batch = batch.map(|batch| batch.to_string()).unwrap_or_default();
        template.replace("{company}", company).replace("{period}", &month.digits()).replace("{batch}", &batch)
    }

    /// Returns the first line with its end. Empty if there is none.
    #[must_use]
    pub fn first_line(&self) -> String {
        if self.header.is_empty() { String::new() } else { format!("{}\r\n", self.header) }
    }

    /// Returns the line of a number with its end.
    #[must_use]
    pub fn line(&self, company: &str, number: Number, date: Date, batch: Option<u32>) -> String {
        let field = |column: &Column| match column {
            Column::Company => company.to_owned(),
            Column::Number => match self.tn_format {
                NumberFormat::Ten => number.ten_digits().unwrap_or_default(),
                NumberFormat::E164 => number.to_string(),
            },
            Column::Date => self.date(date),
            Column::Batch => batch.map(|batch| batch.to_string()).unwrap_or_default(),
        };
        let fields: Vec<String> = self.columns.iter().map(field).collect();
        format!("{}\r\n", fields.join(","))
    }

    fn date(&self, date: Date) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        let short = year.rem_euclid(100);
        match self.date_format {
            DateFormat::Iso => format!("{year:04}-{month:02}-{day:02}"),
            DateFormat::Short => format!("{month:02}/{day:02}/{short:02}"),
            DateFormat::Long => format!("{month:02}/{day:02}/{year:04}"),
            DateFormat::ShortBare => format!("{month}/{day}/{short:02}"),
            DateFormat::LongBare => format!("{month}/{day}/{year:04}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_form_that_is_set() {
        let (number, month): (Number, Month) = ("5405550100".parse().unwrap(), "2026-12".parse().unwrap());
        let date: Date = "2026-12-03".parse().unwrap();
        let form = Form::default();
        assert_eq!(form.fault(), None);
        assert_eq!(form.first_line(), "CompanyID,TN,DisconnectDate,BatchID\r\n");
        assert_eq!(form.line("ACME1", number, date, None), "ACME1,5405550100,2026-12-03,\r\n");
        assert_eq!(form.line("ACME1", number, date, Some(2)), "ACME1,5405550100,2026-12-03,2\r\n");
        assert_eq!(form.name("ACME1", month, None), "ACME1_202612.csv");
        assert_eq!(form.name("ACME1", month, Some(2)), "ACME1_202612_2.csv");
        let bare = Form {
            header: String::new(),
            columns: vec![Column::Date, Column::Number],
            tn_format: NumberFormat::E164,
            ..form
        };
        assert_eq!(bare.first_line(), "");
        for (date_format, day) in [
            (DateFormat::Iso, "2026-12-03"),
            (DateFormat::Short, "12/03/26"),
            (DateFormat::Long, "12/03/2026"),
            (DateFormat::ShortBare, "12/3/26"),
            (DateFormat::LongBare, "12/3/2026"),
        ] {
            let line = Form { date_format, ..bare.clone() }.line("ACME1", number, date, None);
            assert_eq!(line, format!("{day},+15405550100\r\n"));
        }
    }

    #[test]
    fn a_header_has_a_field_for_each_column() {
        let of = |header: &str, columns: &[Column]| {
            Form { header: header.into(), columns: columns.to_vec(), ..Form::default() }.mismatch()
        };
        let two = [Column::Number, Column::Date];
        assert_eq!(of("TN,DisconnectDate", &two), None);
        assert_eq!(of("", &two), None, "no header");
        let told = "rnd_header has 3 fields and rnd_columns has 2 columns: set both, or no header";
        assert_eq!(of("CompanyID,TN,DisconnectDate", &two).as_deref(), Some(told));
        assert!(of("TN", &two).is_some());
    }

    #[test]
    fn a_form_that_cannot_be_filed_is_refused() {
        let form = Form::default();
        for wrong in [
            Form { cutoff_day: 9, ..form.clone() },
            Form { cutoff_day: 15, ..form.clone() },
            Form { row_limit: 0, ..form.clone() },
            Form { columns: vec![Column::Date], ..form.clone() },
            Form { columns: vec![Column::Company, Column::Number], ..form.clone() },
            Form { columns: vec![Column::Number, Column::Date, Column::Number], ..form.clone() },
            Form { file_name: "../{batch}".into(), ..form.clone() },
            Form { file_name: "{company}.csv".into(), ..form.clone() },
            Form { header: "a\nb".into(), ..form },
        ] {
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
        for (company, good) in [
            ("ACME1", true),
            ("ABC", true),
            ("AB", false),
            ("ABCDEFGHIJK", false),
            ("AC,ME", false),
            ("ÄCME", false),
        ] {
            assert_eq!(is_company(company), good, "{company}");
        }
    }
}
