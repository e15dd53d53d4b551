//! XML as a tree, and XML on its way out.
//!
//! [`parse`] reads what the guard ([`crate::text::guard`]) accepts: names without prefixes, text with its references
//! resolved, no attributes. An element that says that it is nil is not in the tree. Clients send elements in any order,
//! pretty printed or not, and with their own capitals in names. So an [`Element`] finds its children by name, whatever
//! the case of the letters. A repeated element where one belongs is always an error, and so is an element within a
//! text.
//!
//! A tree remembers which of its elements were asked for, so that unread ones can be named ([`Element::unread`]).
//!
//! [`Document`] writes answers, which some clients take apart by position and none with namespaces: a declaration, then
//! elements without white space between them.
//!
//! Not here: the elements and their meaning, which are in each resource's file.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write};

use crate::text::guard::{self, Event, Excerpt, Guard, Malformed};

/// An element that was read, with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its name without the prefix.
    pub name: &'a str,
    text: Cow<'a, str>,
    /// The elements right below it, in the document's order.
    pub children: Vec<Element<'a>>,
    asked: Cell<Asked>,
}

/// The part of an element that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// The element, by its name.
    Element,
    /// Its text.
    Text,
}

/// Why an element cannot be read as what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It is there twice, where two would contradict each other.
    #[error("the element {0} is there more than once")]
    Twice(&'static str),
    /// It stands for a text, and has another element in it.
    #[error("{0} takes a text, with no element, object or array in it")]
    NotText(String),
}

/// Reads a document into its root element.
///
/// ```
/// # use onhook_wire::xml;
/// let order = xml::parse(b"<Order><Name>R&amp;D</Name></Order>")?;
/// assert_eq!(order.name, "Order");
/// assert_eq!(order.value("name"), Ok(Some("R&D")));
/// # Ok::<(), onhook_wire::guard::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] says which rule the document breaks; the rules are in [`crate::text::guard`].
pub fn parse(body: &[u8]) -> Result<Element<'_>, Malformed> {
    tree(Guard::new(body)?)
}

/// Reads back what a [`Document`] wrote, whatever its length.
pub(crate) fn parse_own(document: &str) -> Result<Element<'_>, Malformed> {
    tree(Guard::own(document)?)
}

fn tree(mut guard: Guard<'_>) -> Result<Element<'_>, Malformed> {
    // An element that ends takes its children from the end of `ended`, so that each list of children is
    // allocated once, in its final size.
    let mut open: Vec<Open<'_>> = Vec::with_capacity(8);
    let mut ended: Vec<Element<'_>> = Vec::with_capacity(8);
    while let Some(event) = guard.next()? {
        match event {
            Event::Open(name) => {
                open.push(Open::new(name, false, ended.len()));
            }
            Event::OpenNil(name) => open.push(Open::new(name, true, ended.len())),
            Event::Empty(name) => ended.push(Element::new(name, Cow::Borrowed(""), Vec::new())),
            Event::Close => match open.pop() {
                // It is unknown which of the two is meant, and a number may be in it.
                Some(Open { name, text, nil: true, first_child })
                    if first_child < ended.len() || !guard::is_blank(&text) =>
                {
                    return Err(Malformed::Nil(Excerpt::of(name)));
                }
                Some(Open { nil: true, .. }) | None => {}
                Some(Open { name, text, nil: false, first_child }) => {
                    let children = ended.drain(first_child..).collect();
                    ended.push(Element::new(name, text, children));
                }
            },
            Event::Text(piece) => match open.last_mut() {
                Some(Open { text, .. }) if text.is_empty() => *text = piece,
                // Between its children, where a pretty printed document has its line ends.
                Some(Open { text, first_child, .. })
                    if *first_child < ended.len() && guard::is_blank(text) && guard::is_blank(&piece) => {}
                Some(Open { text, .. }) => text.to_mut().push_str(&piece),
                None => {}
            },
            Event::Character(c) => {
                if let Some(Open { text, .. }) = open.last_mut() {
                    text.to_mut().push(c);
                }
            }
        }
    }
    ended.pop().ok_or(Malformed::NoRoot)
}

/// An element whose end tag has not come yet.
struct Open<'a> {
    name: &'a str,
    text: Cow<'a, str>,
    /// True if it says that it is not there.
    nil: bool,
    /// Where its children begin among the elements that have ended.
    first_child: usize,
}

impl<'a> Open<'a> {
    fn new(name: &'a str, nil: bool, first_child: usize) -> Self {
        Self { name, text: Cow::Borrowed(""), nil, first_child }
    }
}

impl<'a> Element<'a> {
    fn new(name: &'a str, text: Cow<'a, str>, children: Vec<Element<'a>>) -> Self {
        Self { name, text, children, asked: Cell::new(Asked::Nothing) }
    }

    /// Returns whether this is its name, whatever the case of the letters.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.name.eq_ignore_ascii_case(name)
    }

    /// Returns the only child of that name.
    ///
    /// # Errors
    /// [`Misread::Twice`] if there are two, even in two spellings.
    pub fn child(&self, name: &'static str) -> Result<Option<&Element<'a>>, Misread> {
        let mut found = self.children_of(name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Misread::Twice(name)),
            (only, None) => Ok(only),
        }
    }

    /// Returns the text of the only child of that name, trimmed. `Some("")` if the child has no text.
    ///
    /// # Errors
    /// [`Misread`] if there are two, or if it has an element in it.
    pub fn value(&self, name: &'static str) -> Result<Option<&str>, Misread> {
        self.child(name)?.map(Element::text).transpose()
    }

    /// Returns the text as [`Element::value`] does, but `None` if it is empty.
    ///
    /// # Errors
    /// As [`Element::value`].
    pub fn filled(&self, name: &'static str) -> Result<Option<&str>, Misread> {
        Ok(self.value(name)?.filter(|text| !text.is_empty()))
    }

    /// Returns all children of that name, in the document's order.
    pub fn children_of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Element<'a>> {
        self.children.iter().filter(move |child| {
            let found = child.is(name);
            if found && child.asked.get() == Asked::Nothing {
                child.asked.set(Asked::Element);
            }
            found
        })
    }

    /// Returns the texts of all children of that name, trimmed, for a list.
    ///
    /// # Errors
    /// [`Misread::NotText`] if one of them has an element in it.
    pub fn texts_of(&self, name: &'static str) -> Result<Vec<&str>, Misread> {
        self.children_of(name).map(Element::text).collect()
    }

    /// Returns its text without the white space around it: XML's four characters, not every blank of Unicode.
    ///
    /// # Errors
    /// [`Misread::NotText`] if it has an element in it: its meaning is not guessed.
    pub fn text(&self) -> Result<&str, Misread> {
        Ok(self.verbatim()?.trim_matches(guard::WHITE))
    }

    /// Returns its text exactly as it stands.
    ///
    /// # Errors
    /// As [`Element::text`].
    pub fn verbatim(&self) -> Result<&str, Misread> {
        self.asked.set(Asked::Text);
        if self.children.is_empty() { Ok(&self.text) } else { Err(Misread::NotText(self.name.to_owned())) }
    }

    /// Its own text, whatever stands between the pieces: CDATA sections and resolved references are in it,
    /// comments and children are not. Not trimmed, but of white space alone between children there may be less.
    /// No reader of a request takes its values from here.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.text
    }

    /// Returns whether its text was asked for.
    pub(crate) fn is_read(&self) -> bool {
        self.asked.get() == Asked::Text
    }

    /// Returns whether it was asked for.
    pub(crate) fn is_found(&self) -> bool {
        self.asked.get() != Asked::Nothing
    }

    /// Returns the names of the elements below it that were not asked for, each once and at most `max`, and whether
    /// there are more. Elements inside such an element are not named.
    #[must_use]
    pub fn unread(&self, max: usize) -> (Vec<&'a str>, bool) {
        let mut names = Vec::new();
        let more = self.gather_unread(&mut names, max);
        (names, more)
    }

    fn gather_unread(&self, names: &mut Vec<&'a str>, max: usize) -> bool {
        self.children.iter().any(|child| {
            if child.is_found() {
                return child.gather_unread(names, max);
            }
            let new = !names.contains(&child.name);
            if new && names.len() < max {
                names.push(child.name);
                return false;
            }
            new
        })
    }
}

/// A document that is being written.
///
/// ```
/// # use onhook_wire::xml::Document;
/// let mut document = Document::new();
/// document.element("Order", |order| {
///     order.leaf("Name", "R&D").leaf_display("Count", 2).empty("ErrorList");
/// });
/// assert_eq!(
///     document.finish(),
///     r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#.to_owned()
///         + "<Order><Name>R&amp;D</Name><Count>2</Count><ErrorList/></Order>"
/// );
/// ```
///
/// Names come from the code and are written as they are. Text may come from a client.
#[derive(Debug, Clone)]
pub struct Document {
    out: String,
}

impl Document {
    /// A document that has its declaration and nothing else yet.
    #[expect(clippy::new_without_default, reason = "a document without elements is no value to default to")]
    pub fn new() -> Self {
        // Room for an order of a few numbers, so that most answers are allocated once.
        let mut out = String::with_capacity(1024);
        out.push_str(r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#);
        Self { out }
    }

    /// Writes a start tag: `<name>`.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.tag("<", name, ">")
    }

    /// Writes an end tag: `</name>`.
    pub fn close(&mut self, name: &str) -> &mut Self {
        self.tag("</", name, ">")
    }

    /// An element with nothing in it: `<name/>`.
    pub fn empty(&mut self, name: &str) -> &mut Self {
        self.tag("<", name, "/>")
    }

    /// Text within the element that is open, escaped. Characters that XML cannot hold are left out.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape(&mut self.out, text);
        self
    }

    /// An element with text: `<name>text</name>`, and `<name></name>` when there is none.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name).text(text).close(name)
    }

    /// An element with the text of a value, which is escaped like any other.
    pub fn leaf_display(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.open(name);
        write!(Escaping(&mut self.out), "{value}").expect("only the value's own Display could fail");
        self.close(name)
    }

    /// An element with whatever `inner` writes into it.
    pub fn element(&mut self, name: &str, inner: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        inner(self);
        self.close(name)
    }

    /// The document's text.
    pub fn finish(self) -> String {
        self.out
    }

    fn tag(&mut self, before: &str, name: &str, after: &str) -> &mut Self {
        debug_assert!(guard::is_name(name), "{name:?} is not the name of an element");
        for part in [before, name, after] {
            self.out.push_str(part);
        }
        self
    }
}

/// Escapes what is formatted into it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends `text` as the content of an element. Quotes have no meaning there, and the service that clients were written
/// against does not escape them. An unescaped CR would arrive as LF.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '&' | '<' | '>' | '\r') || !guard::is_character(c)) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('\r') => out.push_str("&#13;"),
            _ => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

/// Returns a document that [`Document`] wrote, indented for people: two spaces a level, an element with text on one
/// line. White space in text stays as it is.
pub fn pretty(document: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    let mut depth: usize = 0;
    let mut just_opened = false;
    // Text holds no bare `<`, so what follows one is a tag, and then the text behind it.
    for piece in document.split('<').skip(1) {
        let closes = piece.starts_with('/');
        let opens = !closes && !piece.starts_with('?') && !piece.contains("/>");
        if closes {
            depth = depth.saturating_sub(1);
        }
        let same_line = out.is_empty() || (closes && just_opened);
        if !same_line {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
        out.push('<');
        out.push_str(piece);
        depth += usize::from(opens);
        just_opened = opens;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_asked_for_by_name() {
        let root =
            parse(b"<r> a<Name> x </Name>b <n/><m>1</m><o><m/></o><m>2</m><empty> </empty></r>").unwrap();
        assert_eq!(root.content(), " ab ");
        assert_eq!(root.child("Name").unwrap().unwrap().verbatim(), Ok(" x "));
        for name in ["Name", "name", "NAME"] {
            assert_eq!(root.value(name), Ok(Some("x")), "{name}");
        }
        assert_eq!(root.value("n"), Ok(Some("")));
        assert_eq!((root.value("empty"), root.filled("empty")), (Ok(Some("")), Ok(None)));
        assert_eq!(root.value("absent"), Ok(None));
        assert_eq!(root.children_of("M").map(Element::content).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn two_children_where_one_belongs_are_an_error() {
        let root = parse(b"<r><Name>a</Name><x:name>b</x:name><m/><m/></r>").unwrap();
        assert_eq!(root.child("m"), Err(Misread::Twice("m")));
        assert_eq!(root.value("m"), Err(Misread::Twice("m")));
        assert_eq!(root.value("Name"), Err(Misread::Twice("Name")));
    }

    #[test]
    fn a_text_has_no_element_in_it() {
        let root = parse(b"<r><a>1<b>2</b>3</a><c><!-- 1 -->4</c></r>").unwrap();
        assert_eq!(root.value("a"), Err(Misread::NotText("a".into())));
        assert_eq!(root.text(), Err(Misread::NotText("r".into())));
        assert_eq!(root.value("c"), Ok(Some("4")));
        assert_eq!(root.child("a").unwrap().unwrap().content(), "13");
    }

    #[test]
    fn what_is_nil_is_not_in_the_tree() {
        let root = parse(b"<r>1<a i:nil='true'/>2<a nil='1'>\n<b nil='1'/>\n</a>3</r>").unwrap();
        assert_eq!((root.children.len(), root.content()), (0, "123"));
        assert_eq!(parse(b"<r nil='true'/>"), Err(Malformed::NoRoot));
        assert_eq!(parse(b"<r nil='true'></r>"), Err(Malformed::NoRoot));
        for full in ["<a nil='1'>1</a>", "<a nil='1'><b/></a>", "<a nil='1'>&#48;</a>"] {
            let document = format!("<r>{full}</r>");
            assert_eq!(parse(document.as_bytes()), Err(Malformed::Nil(Excerpt::of("a"))), "{full}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_named_once() {
        let root = parse(b"<r><a>1</a><b><c/><d/></b><e><f/></e><e/><G/><h/></r>").unwrap();
        root.value("A").unwrap();
        root.child("b").unwrap().unwrap().value("c").unwrap();
        assert_eq!(root.unread(9), (vec!["d", "e", "G", "h"], false));
        assert_eq!(root.unread(4), (vec!["d", "e", "G", "h"], false));
        assert_eq!(root.unread(2), (vec!["d", "e"], true));
        assert_eq!(parse(b"<r>1</r>").unwrap().unread(9), (vec![], false));
    }

    #[test]
    fn white_space_counts_where_there_is_text_or_no_child() {
        let root = parse(b"<r>\n <a/>\n <b> <!-- --> x</b>\n c <d/>\n</r>").unwrap();
        assert_eq!(root.content(), "\n \n c \n");
        assert_eq!(root.children[1].content(), "  x");
        let root = parse(b"<r>\n<a/>\n<b/>\n</r>").unwrap();
        assert_eq!((root.content(), matches!(root.text, Cow::Borrowed(_))), ("\n", true));
    }

    #[test]
    fn only_the_white_space_of_xml_is_trimmed() {
        let root = parse("<r> \t\r\n\u{A0}a b\u{2003}&#32;&#9;&#10;&#13;</r>".as_bytes()).unwrap();
        assert_eq!(root.text(), Ok("\u{A0}a b\u{2003}"));
    }

    #[test]
    fn text_is_borrowed_when_it_is_in_one_piece() {
        let root = parse(b"<r><a>one</a><b><![CDATA[one]]></b><c>t&#119;o</c></r>").unwrap();
        let borrowed = |child: &Element<'_>| matches!(child.text, Cow::Borrowed(_));
        assert_eq!(root.children.iter().map(borrowed).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn text_is_escaped_where_it_would_be_markup() {
        for (text, written) in [
            ("", ""),
            ("R&D <\"a\" 'b'>", "R&amp;D &lt;\"a\" 'b'&gt;"),
            ("]]>", "]]&gt;"),
            ("a\r\n\tb", "a&#13;\n\tb"),
            ("\0a\u{8}\u{1F}\u{FFFE}é😀\u{FFFF}", "aé😀"),
        ] {
            let mut document = Document::new();
            document.leaf("a", text).leaf_display("b", text);
            let out = document.finish();
            assert!(out.ends_with(&format!("?><a>{written}</a><b>{written}</b>")), "{out}");
        }
    }

    #[test]
    fn a_document_can_be_made_pretty() {
        let mut document = Document::new();
        document.element("Response", |response| {
            response
                .empty("ErrorList")
                .open("Order")
                .leaf("Name", "a <b>  c")
                .leaf("Note", "")
                .close("Order");
            response.element("List", |_| {}).leaf_display("Count", 2);
        });
        insta::assert_snapshot!(pretty(&document.finish()), @r#"
        <?xml version="1.0" encoding="UTF-8" standalone="yes"?>
        <Response>
          <ErrorList/>
          <Order>
            <Name>a &lt;b&gt;  c</Name>
            <Note></Note>
          </Order>
          <List></List>
          <Count>2</Count>
        </Response>
        "#);
    }
}
