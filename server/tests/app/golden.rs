//! Whole answers as text, for golden files.
//!
//! Values that differ from run to run are replaced by a name, after their form has been checked: an order's id, a time,
//! the server's address. An id keeps its name within a golden file, so that a file shows which ids are the same.

use onhook_core::time::Timestamp;

use super::{App, Reply};

/// Headers that are part of the contract.
const TOLD: [&str; 4] = ["content-type", "location", "www-authenticate", "retry-after"];

/// Compares an answer with its golden file.
macro_rules! golden {
    ($app:expr, $name:expr, $reply:expr) => {
        insta::assert_snapshot!($name, $reply.golden($app))
    };
}

impl Reply {
    /// Returns status, headers and body as text for a golden file.
    #[track_caller]
    pub(crate) fn golden(&self, app: &App) -> String {
        Names::default().redact(&self.told(app))
    }

    /// Returns the text with its real ids and times.
    #[track_caller]
    pub(crate) fn told(&self, app: &App) -> String {
        let mut text = format!("{}\n", self.status);
        for (name, value) in self.headers.iter().filter(|(name, _)| TOLD.contains(&name.as_str())) {
            text += &format!("{name}: {value}\n");
        }
        if self.header("x-ratelimit-reset").is_some() {
            text += "x-ratelimit-reset: (there)\n";
        }
        text += "\n";
        // Documents have no white space between elements. The line breaks are only for readers of the golden file.
        if self.header("content-type").is_some_and(|kind| kind.starts_with("application/xml")) {
            assert!(!self.text().contains('\n'), "{}", self.text());
            text += &self.text().replace("><", ">\n<");
        } else {
            text += self.text();
        }
        text.replace(app.base(), "{base}")
    }

    /// Returns the answer with the last segment of its `Location` replaced, after asserting that it is a decimal id.
    #[track_caller]
    pub(crate) fn redacted_tail(mut self) -> Self {
        for (name, value) in &mut self.headers {
            if name == "location" {
                let (path, id) = value.rsplit_once('/').unwrap();
                assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()), "{value}");
                *value = format!("{path}/{{id}}");
            }
        }
        self
    }
}

/// The ids in a text so far.
#[derive(Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Replaces ids and times, after asserting their form.
    #[track_caller]
    pub(crate) fn redact(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(id) = rest.get(..36).filter(|id| resembles_id(id)) {
                out += &self.name(id);
                rest = &rest[36..];
            } else if resembles_time(rest) && !out.ends_with(|c: char| c.is_ascii_digit()) {
                let length = rest.find(['<', '&', '\n', '\\', '"']).unwrap_or(rest.len());
                assert_time(&rest[..length]);
                out += "{time}";
                rest = &rest[length..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    #[track_caller]
    fn name(&mut self, id: &str) -> String {
        assert_id(id);
        let known = self.0.iter().position(|have| have == id);
        let index = known.unwrap_or_else(|| {
            self.0.push(id.to_owned());
            self.0.len() - 1
        });
        if index == 0 { "{uuid}".to_owned() } else { format!("{{uuid {}}}", index + 1) }
    }
}

fn resembles_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Asserts a version 4 UUID in lower case.
#[track_caller]
pub(crate) fn assert_id(id: &str) {
    let fits = id.len() == 36
        && resembles_id(id)
        && id == id.to_ascii_lowercase()
        && &id[14..15] == "4"
        && ["8", "9", "a", "b"].contains(&&id[19..20]);
    assert!(fits, "{id} is no version 4 UUID in lower case");
}

fn resembles_time(text: &str) -> bool {
    let pattern = b"0000-00-00T";
    text.len() > pattern.len()
        && text.bytes().zip(pattern).all(|(byte, want)| match want {
            b'0' => byte.is_ascii_digit(),
            want => byte == *want,
        })
}

/// Asserts a time of the form `yyyy-MM-ddTHH:mm:ss.SSSZ`.
#[track_caller]
fn assert_time(text: &str) {
    let fits = text.len() == 24 && text.parse::<Timestamp>().is_ok_and(|time| time.to_string() == text);
    assert!(fits, "{text} is no time of the form yyyy-MM-ddTHH:mm:ss.SSSZ");
}

#[test]
fn only_ids_and_times_of_the_right_form_are_replaced() {
    let mut names = Names::default();
    let (one, other) = ("6d7da966-e071-4741-b31c-1d8932f4b8da", "ba05e04b-192a-47cb-b182-b1bf6cfef0d7");
    let text = format!("<id>{one}</id><at>2018-01-23T21:00:23.802Z</at>/{other}/{one}");
    assert_eq!(names.redact(&text), "<id>{uuid}</id><at>{time}</at>/{uuid 2}/{uuid}");
    for wrong in [
        "6D7DA966-e071-4741-b31c-1d8932f4b8da",
        "6d7da966-e071-1741-b31c-1d8932f4b8da",
        "6d7da966-e071-4741-c31c-1d8932f4b8da",
        "2018-01-23T21:00:23Z",
        "2018-01-23T21:00:23.802+00:00",
        "2018-01-23T21-00-23.802Z",
    ] {
        let redacted = std::panic::catch_unwind(|| Names::default().redact(&format!("<a>{wrong}</a>")));
        assert!(redacted.is_err(), "{wrong}");
    }
}
