//! A document that a client sent, and the names of its elements that were not read.
//!
//! Unknown elements are passed over: clients send more than this server needs. But then a misspelt name does nothing,
//! in silence. So the emulator names the elements passed over in a header, for developers, and every server names them
//! in its log at `debug`. A tree of elements remembers what was asked for ([`Element::unread`]), so there is no list of
//! known names to keep.

use std::ops::Deref;
use std::sync::OnceLock;

use onhook_wire::json;
use onhook_wire::xml::Element;

/// Most names that are told.
const NAMES_MAX: usize = 8;
/// Most characters of a name that are told.
const NAME_MAX: usize = 40;
/// Most digits that are shown in a name. More could be a telephone number, which no log holds.
const DIGITS_MAX: usize = 6;

/// The names of a document's elements that were not read, once its handler is done with it.
#[derive(Debug, Default)]
pub(crate) struct PassedOver(OnceLock<String>);

impl PassedOver {
    /// Returns the names, separated by commas. `None` if all was read, or there was no document.
    pub(crate) fn names(&self) -> Option<&str> {
        self.0.get().map(String::as_str).filter(|names| !names.is_empty())
    }
}

/// A document that a handler reads. When dropped, it reports the elements that were not read.
#[derive(Debug)]
pub(crate) struct Posted<'c> {
    root: Element<'c>,
    is_json: bool,
    passed_over: Option<&'c PassedOver>,
}

impl<'c> Posted<'c> {
    pub(crate) fn new(root: Element<'c>, is_json: bool, passed_over: Option<&'c PassedOver>) -> Self {
        Self { root, is_json, passed_over }
    }

    /// Returns the names of the elements, or in JSON of the keys, that were not read. They are ASCII, since the names
    /// of elements are.
    fn unread(&self) -> String {
        let (names, more) = self.root.unread(NAMES_MAX);
        let names = names.into_iter().filter(|name| !self.is_json || *name != json::INSIDE);
        let mut told: Vec<String> = names.map(|name| self.told(name)).collect();
        if more {
            told.push("...".to_owned());
        }
        told.join(", ")
    }

    fn told(&self, name: &str) -> String {
        let name = if self.is_json { json::key(name) } else { name.into() };
        let hidden = name.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX;
        let shown = |c: char| if hidden && c.is_ascii_digit() { '#' } else { c };
        name.chars().take(NAME_MAX).map(shown).collect()
    }
}

impl<'c> Deref for Posted<'c> {
    type Target = Element<'c>;

    fn deref(&self) -> &Element<'c> {
        &self.root
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        if let Some(PassedOver(names)) = self.passed_over {
            names.get_or_init(|| self.unread());
        }
    }
}

#[cfg(test)]
mod tests {
    use onhook_wire::xml::parse;

    use super::*;

    fn told(document: &str, is_json: bool) -> Option<String> {
        let passed_over = PassedOver::default();
        let posted = Posted::new(parse(document.as_bytes()).unwrap(), is_json, Some(&passed_over));
        posted.value("Read").unwrap();
        drop(posted);
        passed_over.names().map(str::to_owned)
    }

    #[test]
    fn what_nobody_has_read_is_named_within_bounds() {
        let long = "n".repeat(100);
        let many: String = (0..20).map(|n| format!("<a{n}/>")).collect();
        for (inside, names) in [
            ("<read>1</read>", None),
            ("<Read/><UNCHANGED>TRUE</UNCHANGED><x:b/>", Some("UNCHANGED, b".to_owned())),
            (&format!("<{long}/>"), Some("n".repeat(40))),
            (&many, Some("a0, a1, a2, a3, a4, a5, a6, a7, ...".to_owned())),
            ("<T5405514342/>", Some("T##########".to_owned())),
        ] {
            assert_eq!(told(&format!("<r>{inside}</r>"), false), names, "{inside}");
        }
        assert_eq!(
            told("<r><SiteId/><Unchanged/><_/></r>", true).as_deref(),
            Some("subAccountId, unchanged")
        );
    }
}
