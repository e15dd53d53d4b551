//! The guard: it refuses malformed documents before they are read.
//!
//! quick-xml finds where a tag or a text begins and ends. It takes half a document for a whole one, two documents for
//! one, a NUL for a letter. A disconnect order that was cut off on its way would run for the numbers that arrived. So
//! all output of the tokenizer is checked here first: one root, closed at the end; UTF-8 and characters that XML 1.0
//! has; no DOCTYPE, hence no entity except the five; a limit on everything that a stranger could make large. Nothing is
//! repaired and nothing is guessed.
//!
//! Not here: the meaning of elements (each resource's file), the tree ([`crate::text::xml`]), and the size of the body,
//! which the reader from the network limits.

use std::borrow::Cow;
use std::fmt;

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};

use crate::text::flag;

/// How deep elements may nest. The root is level 1. The deepest order has 5 levels.
pub const DEPTH_MAX: usize = 16;
/// How many elements a document may have. An order with more than 5,000 numbers is refused with a code of its own, so a
/// somewhat larger document has to be read to its end.
pub const ELEMENTS_MAX: usize = 6_000;
/// How many attributes a tag may have, namespace declarations included.
pub const ATTRIBUTES_MAX: usize = 64;
/// How long an attribute's value may be, in bytes as sent.
pub const VALUE_MAX: usize = 4 * 1024;
/// How long a name may be, in bytes with its prefix.
pub const NAME_MAX: usize = 128;

/// XML's white space. Unicode's other blanks are text.
pub(crate) const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Returns whether a text is only white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.trim_start_matches(WHITE).is_empty()
}

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not UTF-8.
    #[error("byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is, counted from 0.
        at: usize,
    },
    /// The document is, or says that it is, in an encoding other than UTF-8.
    #[error("the encoding {0} is not read, send UTF-8")]
    Encoding(Excerpt),
    /// The XML declaration is broken, or is not the first thing in the document.
    #[error("the XML declaration is broken or not at the very start")]
    Declaration,
    /// There is a document type, with or without entities in it.
    #[error("a DOCTYPE is not accepted")]
    Doctype,
    /// A reference to an entity that only a document type could define.
    #[error("the entity &{0}; is not known; an & by itself is written &amp;")]
    Entity(Excerpt),
    /// An `&` that begins no reference.
    #[error("an & by itself is written &amp;")]
    Ampersand,
    /// A character reference that is no number, or the number of no character that XML allows.
    #[error("&{0}; is no character that XML allows")]
    Reference(Excerpt),
    /// A character that XML 1.0 does not have.
    #[error("XML does not allow the character U+{code:04X} at byte {at}")]
    Character {
        /// The character's number.
        code: u32,
        /// Where it is, counted from 0.
        at: usize,
    },
    /// Elements within elements, too many levels of them.
    #[error("elements are nested deeper than {max} levels")]
    Depth {
        /// [`DEPTH_MAX`].
        max: usize,
    },
    /// Too many elements.
    #[error("the document has more than {max} elements")]
    TooManyElements {
        /// [`ELEMENTS_MAX`].
        max: usize,
    },
    /// Too many attributes in one tag.
    #[error("a tag has more than {max} attributes")]
    TooManyAttributes {
        /// [`ATTRIBUTES_MAX`].
        max: usize,
    },
    /// The value of an attribute is too long.
    #[error("the value of an attribute is longer than {max} bytes")]
    ValueTooLong {
        /// [`VALUE_MAX`].
        max: usize,
    },
    /// The name of an element or an attribute is too long.
    #[error("a name is longer than {max} bytes")]
    NameTooLong {
        /// [`NAME_MAX`].
        max: usize,
    },
    /// A name that holds something else than ASCII letters, digits, `.`, `-`, `_` and one `:`.
    #[error("{0:?} is not accepted as a name")]
    Name(Excerpt),
    /// An element that says that it is nil, and has something in it.
    #[error("the element {0} says that it is nil, and is not empty")]
    Nil(Excerpt),
    /// An attribute that a tag has twice.
    #[error("the attribute {0} is there twice in one tag")]
    DuplicateAttribute(Excerpt),
    /// The document ends in the middle of something.
    #[error("the document ends before its root element does")]
    Truncated,
    /// Another element after the root.
    #[error("there is a second root element")]
    SecondRoot,
    /// Text before or after the root.
    #[error("there is text outside the root element")]
    Junk,
    /// An end tag that closes another element than the one that is open.
    #[error("</{found}> cannot close <{open}>")]
    Mismatch {
        /// The name of the element that is open.
        open: Excerpt,
        /// The name in the end tag.
        found: Excerpt,
    },
    /// An end tag where no element is open.
    #[error("</{0}> closes nothing")]
    Unopened(Excerpt),
    /// There is no element at all.
    #[error("the document has no root element")]
    NoRoot,
    /// Anything else that the grammar of XML rules out.
    #[error("{0}")]
    Syntax(&'static str),
    /// Malformed JSON, or JSON that cannot become a document.
    #[error("{0}")]
    Json(String),
    /// A key that an object of JSON has twice.
    #[error("the key {0} is there twice")]
    DuplicateKey(Excerpt),
}

/// The beginning of something that a client sent, safe to be shown: at most [`Excerpt::MAX`] bytes, with nothing in it
/// that would control a terminal or reverse a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// The most bytes that an excerpt has.
    pub const MAX: usize = 60;

    pub(crate) fn of(input: &str) -> Self {
        const CUT: char = '…';
        let mut shown = String::new();
        for c in input.chars() {
            let c = if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() { c } else { '\u{FFFD}' };
            if shown.len() + c.len_utf8() + CUT.len_utf8() > Self::MAX {
                shown.push(CUT);
                break;
            }
            shown.push(c);
        }
        Self(shown.into())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// An event of a document, after comments, processing instructions and attributes have been checked and dropped. Only
/// one attribute has a meaning: an element that is `nil` says that it is not there. If such an element ends in its
/// first tag, it leaves no event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// An element begins; its name without the prefix.
    Open(&'a str),
    /// An element begins that says that it is nil.
    OpenNil(&'a str),
    /// The innermost open element ends.
    Close,
    /// An element that begins and ends in one tag.
    Empty(&'a str),
    /// A piece of the innermost open element's text, with line ends made LF. Its next piece may follow directly.
    Text(Cow<'a, str>),
    /// One character of that text, from a reference.
    Character(char),
}

/// Returns the events of one document, each already checked. It returns `None` only at the end of a complete document.
/// Events before an error belong to no document and must be dropped.
pub(crate) struct Guard<'a> {
    document: &'a str,
    /// True if the body began with a byte order mark, which is no longer in `document`.
    marked: bool,
    tokens: Reader<&'a [u8]>,
    depth: usize,
    elements: usize,
    elements_max: usize,
}

impl<'a> Guard<'a> {
    /// Returns a guard for a document that this program wrote itself, without a limit of elements.
    pub(crate) fn own(document: &'a str) -> Result<Self, Malformed> {
        Ok(Self { elements_max: usize::MAX, ..Self::new(document.as_bytes())? })
    }

    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        if matches!(body, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [b'<', 0, ..] | [0, b'<', ..]) {
            return Err(Malformed::Encoding(Excerpt::of("UTF-16")));
        }
        let body = str::from_utf8(body).map_err(|e| Malformed::NotUtf8 { at: e.valid_up_to() })?;
        if let Some((at, character)) = first_illegal(body) {
            return Err(Malformed::Character { code: character.into(), at });
        }
        // The reader drops a mark by itself and counts from after it. It gets the whole body, so that its positions fit
        // `document`, and a second mark is treated as text where none may be.
        let document = body.strip_prefix('\u{FEFF}').unwrap_or(body);
        let marked = document.len() < body.len();
        let tokens = Reader::from_str(body);
        Ok(Self { document, marked, tokens, depth: 0, elements: 0, elements_max: ELEMENTS_MAX })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event<'a>>, Malformed> {
        use quick_xml::events::Event as Token;
        loop {
            let start = self.position()?;
            let token = self.tokens.read_event().map_err(|error| self.refused(error))?;
            let whole = self.document.get(start..self.position()?).ok_or(BROKEN)?;
            match token {
                Token::Start(_) => {
                    let (name, nil) = self.begin(between(whole, "<", ">")?)?;
                    self.depth += 1;
                    return Ok(Some(if nil { Event::OpenNil(name) } else { Event::Open(name) }));
                }
                Token::Empty(_) => {
                    let (name, nil) = self.begin(between(whole, "<", "/>")?)?;
                    if !nil {
                        return Ok(Some(Event::Empty(name)));
                    }
                }
                Token::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(BROKEN)?;
                    return Ok(Some(Event::Close));
                }
                Token::Text(_) if self.depth > 0 => {
                    if whole.contains("]]>") {
                        return Err(Malformed::Syntax("text holds ]]>, which is written ]]&gt;"));
                    }
                    return Ok(Some(Event::Text(lines(whole))));
                }
                Token::Text(_) if is_blank(whole) => {}
                Token::CData(_) if self.depth > 0 => {
                    return Ok(Some(Event::Text(lines(between(whole, "<![CDATA[", "]]>")?))));
                }
                Token::GeneralRef(_) if self.depth > 0 => {
                    return Ok(Some(Event::Character(reference(between(whole, "&", ";")?)?)));
                }
                Token::Text(_) | Token::CData(_) | Token::GeneralRef(_) => return Err(Malformed::Junk),
                Token::Comment(_) => {
                    let comment = between(whole, "<!--", "-->")?;
                    if comment.contains("--") || comment.ends_with('-') {
                        return Err(Malformed::Syntax("a comment holds --"));
                    }
                }
                Token::PI(_) => instruction(between(whole, "<?", "?>")?)?,
                Token::Decl(_) if start == 0 => self.declaration(between(whole, "<?xml", "?>")?)?,
                Token::Decl(_) => return Err(Malformed::Declaration),
                Token::DocType(_) => return Err(Malformed::Doctype),
                Token::Eof if self.depth > 0 => return Err(Malformed::Truncated),
                Token::Eof if self.elements == 0 => return Err(Malformed::NoRoot),
                Token::Eof => return Ok(None),
            }
        }
    }

    /// Returns how much of `document` the tokenizer has passed.
    fn position(&self) -> Result<usize, Malformed> {
        usize::try_from(self.tokens.buffer_position()).map_err(|_| BROKEN)
    }

    /// Checks a start tag. `tag` is the text between its brackets. Returns the name, and whether the element says that
    /// it is nil.
    fn begin(&mut self, tag: &'a str) -> Result<(&'a str, bool), Malformed> {
        if self.depth == 0 && self.elements > 0 {
            return Err(Malformed::SecondRoot);
        }
        if self.depth == DEPTH_MAX {
            return Err(Malformed::Depth { max: DEPTH_MAX });
        }
        if self.elements == self.elements_max {
            return Err(Malformed::TooManyElements { max: self.elements_max });
        }
        self.elements += 1;
        match tag.find(WHITE) {
            None => Ok((local_name(tag)?, false)),
            Some(end) => {
                let (name, rest) = tag.split_at(end);
                Ok((local_name(name)?, attributes(rest)?))
            }
        }
    }

    /// Checks the XML declaration: a version, then perhaps an encoding, then perhaps a word on standalone.
    fn declaration(&self, inside: &str) -> Result<(), Malformed> {
        // One more than allowed is read, so that a declaration of a megabyte stays cheap.
        let attributes: Result<Vec<_>, _> = Attributes(inside).take(4).collect();
        let attributes = attributes.map_err(|_| Malformed::Declaration)?;
        let (version, encoding, standalone) = match attributes[..] {
            [("version", version)] => (version, "UTF-8", "no"),
            [("version", version), ("encoding", encoding)] => (version, encoding, "no"),
            [("version", version), ("standalone", standalone)] => (version, "UTF-8", standalone),
            [("version", version), ("encoding", encoding), ("standalone", standalone)] => {
                (version, encoding, standalone)
            }
            _ => return Err(Malformed::Declaration),
        };
        let minor = version.strip_prefix("1.").unwrap_or_default();
        if minor.is_empty()
            || !minor.bytes().all(|b| b.is_ascii_digit())
            || !matches!(standalone, "yes" | "no")
        {
            return Err(Malformed::Declaration);
        }
        let ascii = encoding.eq_ignore_ascii_case("US-ASCII") && self.document.is_ascii() && !self.marked;
        if ascii || encoding.eq_ignore_ascii_case("UTF-8") {
            Ok(())
        } else {
            Err(Malformed::Encoding(Excerpt::of(encoding)))
        }
    }

    /// Returns why a document is refused after the tokenizer gave up.
    fn refused(&self, error: Error) -> Malformed {
        match error {
            Error::Syntax(SyntaxError::UnclosedDoctype)
            | Error::IllFormed(IllFormedError::MissingDoctypeName) => Malformed::Doctype,
            // The tokenizer also calls misspelt markup unclosed. Only at the end is something really missing.
            Error::Syntax(_) if self.position() == Ok(self.document.len()) => Malformed::Truncated,
            Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
                Malformed::Mismatch { open: Excerpt::of(&expected), found: Excerpt::of(&found) }
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(found)) => {
                Malformed::Unopened(Excerpt::of(&found))
            }
            Error::IllFormed(IllFormedError::UnclosedReference) => Malformed::Ampersand,
            _ => BROKEN,
        }
    }
}

const BROKEN: Malformed = Malformed::Syntax("the markup is broken");

/// Returns the text between `open` and `close`, which the tokenizer has seen there.
fn between<'a>(whole: &'a str, open: &str, close: &str) -> Result<&'a str, Malformed> {
    whole.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).ok_or(BROKEN)
}

/// The attributes after a tag's name: `white space, name, =, quoted value`, any number of times.
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a str), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches(WHITE);
        if rest.is_empty() {
            return None;
        }
        let apart = rest.len() < self.0.len();
        let attribute = split_attribute(rest).filter(|_| apart);
        self.0 = attribute.map_or("", |(_, _, rest)| rest);
        Some(
            attribute
                .map(|(name, value, _)| (name, value))
                .ok_or(Malformed::Syntax("an attribute is broken")),
        )
    }
}

/// Splits `name="value" …` into the name, the value and what follows.
fn split_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start_matches(WHITE);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, rest) = rest.get(1..)?.split_once(quote)?;
    Some((name.trim_end_matches(WHITE), value, rest))
}

/// Checks the attributes of one tag. Returns whether one of them says that the element is nil: `xsi:nil` with any
/// prefix, since serialisers choose their own and some write none.
fn attributes(inside: &str) -> Result<bool, Malformed> {
    let mut names = [""; ATTRIBUTES_MAX];
    let mut nil = false;
    for (count, attribute) in Attributes(inside).enumerate() {
        let (name, value) = attribute?;
        let local = local_name(name)?;
        let declares = name.starts_with("xmlns:");
        nil |= local == "nil" && !declares && flag::parse(value.trim_matches(WHITE)) == Some(true);
        if names.iter().take(count).any(|taken| *taken == name) {
            return Err(Malformed::DuplicateAttribute(Excerpt::of(name)));
        }
        *names.get_mut(count).ok_or(Malformed::TooManyAttributes { max: ATTRIBUTES_MAX })? = name;
        if value.len() > VALUE_MAX {
            return Err(Malformed::ValueTooLong { max: VALUE_MAX });
        }
        if value.contains('<') {
            return Err(Malformed::Syntax("the value of an attribute holds <, which is written &lt;"));
        }
        for piece in value.split('&').skip(1) {
            let (name, _) = piece.split_once(';').ok_or(Malformed::Ampersand)?;
            reference(name)?;
        }
    }
    Ok(nil)
}

/// Checks a processing instruction, which is never carried out.
fn instruction(inside: &str) -> Result<(), Malformed> {
    let target = inside.split(WHITE).next().unwrap_or_default();
    // `xml` in any spelling is kept for the declaration, and the tokenizer knows just one spelling.
    if target.eq_ignore_ascii_case("xml") {
        Err(Malformed::Declaration)
    } else {
        local_name(target).map(drop)
    }
}

/// Returns the name after the prefix. It must be ASCII: all names of the interface are, and XML's editions differ on
/// what else a name may hold.
fn local_name(name: &str) -> Result<&str, Malformed> {
    if name.len() > NAME_MAX {
        return Err(Malformed::NameTooLong { max: NAME_MAX });
    }
    let local = match name.split_once(':') {
        None => Some(name),
        Some((prefix, local)) => is_name(prefix).then_some(local),
    };
    local.filter(|local| is_name(local)).ok_or_else(|| Malformed::Name(Excerpt::of(name)))
}

/// Returns whether a text is a name without a prefix.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Returns the character of the reference `&name;`.
fn reference(name: &str) -> Result<char, Malformed> {
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match name.strip_prefix('#') {
            Some(number) => character(number).ok_or_else(|| Malformed::Reference(Excerpt::of(name))),
            None => Err(Malformed::Entity(Excerpt::of(name))),
        },
    }
}

/// Returns the character with a number as in references: `48` or `x30`.
fn character(number: &str) -> Option<char> {
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    // `from_str_radix` would accept a sign.
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))?;
    char::from_u32(code).filter(|c| is_character(*c))
}

/// Returns whether XML 1.0 has that character.
pub(crate) fn is_character(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
}

/// Returns the first character that XML 1.0 does not have, and its position.
fn first_illegal(text: &str) -> Option<(usize, char)> {
    // Nearly every document is plain ASCII, and without an early exit this looks at many bytes at once.
    let plain = text.bytes().fold(true, |plain, b| plain & matches!(b, b'\t' | b'\n' | b'\r' | b' '..=0x7F));
    if plain { None } else { text.char_indices().find(|(_, c)| !is_character(*c)) }
}

/// Returns the text with its line ends made LF, which XML requires before anything else.
fn lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ascii_with_at_most_one_prefix() {
        for (name, local) in
            [("a", "a"), ("_", "_"), ("x:Name", "Name"), ("xmlns:x-1.y_", "x-1.y_"), ("a-:_b.", "_b.")]
        {
            assert_eq!(local_name(name), Ok(local), "{name}");
        }
        for name in [
            "", ":", "a:", ":a", "a:b:c", "a::b", "1", "-a", ".a", "x:1", "a b", "a/", "a=", "\"a", "é",
            "a\u{B7}",
        ] {
            assert_eq!(local_name(name), Err(Malformed::Name(Excerpt::of(name))), "{name}");
        }
    }

    #[test]
    fn a_reference_is_one_of_five_or_a_number() {
        #[rustfmt::skip]
        let table = [
            ("amp", Some('&')), ("lt", Some('<')), ("gt", Some('>')), ("quot", Some('"')), ("apos", Some('\'')),
            ("#48", Some('0')), ("#x30", Some('0')), ("#x000030", Some('0')), ("#9", Some('\t')), ("#xD", Some('\r')),
            ("#x85", Some('\u{85}')), ("#xD7FF", Some('\u{D7FF}')), ("#xe000", Some('\u{E000}')),
            ("#xFFFD", Some('\u{FFFD}')), ("#x10000", Some('\u{10000}')), ("#1114111", Some('\u{10FFFF}')),
            ("", None), ("AMP", None), ("amp ", None), ("#", None), ("#x", None), ("#X30", None), ("#0x30", None),
            ("#+48", None), ("#-48", None), ("#x+30", None), ("# 48", None), ("#4A", None), ("#４８", None),
            ("#0", None), ("#x1F", None), ("#xD800", None), ("#xDFFF", None), ("#xFFFE", None), ("#xFFFF", None),
            ("#x110000", None), ("#4294967344", None), ("#99999999999999999999", None),
        ];
        for (name, expected) in table {
            assert_eq!(reference(name).ok(), expected, "{name}");
        }
    }

    #[test]
    fn characters_are_those_of_xml_1_0() {
        for (text, illegal) in [
            ("\t\n\r ~\x7F", None),
            ("é\u{80}\u{9F}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}\u{1FFFE}", None),
            ("ab\0c", Some((2, '\0'))),
            ("\u{1F}", Some((0, '\u{1F}'))),
            ("é\u{B}", Some((2, '\u{B}'))),
            ("é\u{FFFE}", Some((2, '\u{FFFE}'))),
        ] {
            assert_eq!(first_illegal(text), illegal, "{text:?}");
        }
    }

    #[test]
    fn attributes_are_split_where_xml_splits_them() {
        let split = |inside| Attributes(inside).map(Result::ok).collect::<Vec<_>>();
        assert_eq!(split(""), []);
        assert_eq!(split(" \n"), []);
        assert_eq!(split(" a='1'\tb = \"='\"\n"), [Some(("a", "1")), Some(("b", "='"))]);
        for broken in ["a='1'", " a", " a=", " a=1", " a='1", " a='1\"", " ='", " 'a'"] {
            assert_eq!(split(broken), [None], "{broken}");
        }
        assert_eq!(split(" a='1'b='2' c='3'"), [Some(("a", "1")), None]);
    }

    #[test]
    fn an_attribute_says_that_its_element_is_nil() {
        for (inside, nil) in [
            (" nil='true'", true),
            (" xsi:nil=\"1\"", true),
            (" i:nil=' TRUE\n'", true),
            (" a='b' xsi:nil='true' c='d'", true),
            (" nil='false'", false),
            (" nil='0'", false),
            (" nil=''", false),
            (" nil='yes'", false),
            (" nillable='true'", false),
            (" xmlns:nil='true'", false),
            (" NIL='true'", false),
        ] {
            assert_eq!(attributes(inside), Ok(nil), "{inside}");
        }
    }

    #[test]
    fn line_ends_become_line_feeds() {
        for (text, expected) in [("a\nb", "a\nb"), ("\r\n\r\r\n\n", "\n\n\n\n"), ("\r", "\n")] {
            assert_eq!(lines(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_structure_and_text_come_through() {
        let body = b"<?xml version='1.0'?><!-- c --><r a='1'><?p i?>R&amp;D<x:e/><n i:nil='1'/><n i:nil='1'> </n><![CDATA[&amp;]]></r>\n";
        let mut guard = Guard::new(body).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| guard.next().unwrap()).collect();
        let text = |piece| Event::Text(Cow::Borrowed(piece));
        assert_eq!(
            events,
            [
                Event::Open("r"),
                text("R"),
                Event::Character('&'),
                text("D"),
                Event::Empty("e"),
                Event::OpenNil("n"),
                text(" "),
                Event::Close,
                text("&amp;"),
                Event::Close
            ]
        );
    }

    #[test]
    fn the_events_end_only_where_a_document_is_complete() {
        for (body, end) in [
            ("<r/>", Ok(None)),
            ("<!-- no root -->", Err(Malformed::NoRoot)),
            ("<r>", Err(Malformed::Truncated)),
            ("<r/><r/>", Err(Malformed::SecondRoot)),
        ] {
            let mut guard = Guard::new(body.as_bytes()).unwrap();
            let last = std::iter::repeat_with(|| guard.next()).find(|event| !matches!(event, Ok(Some(_))));
            assert_eq!(last, Some(end), "{body}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        assert_eq!(Excerpt::of("R & D").to_string(), "R & D");
        assert_eq!(Excerpt::of("a\u{1B}[2J\n\u{202E}é").to_string(), "a\u{FFFD}[2J\u{FFFD}\u{FFFD}é");
        for long in ["a".repeat(61), "é".repeat(61), "\n".repeat(61), "a".repeat(1_000_000)] {
            let shown = Excerpt::of(&long).to_string();
            assert!(shown.len() <= Excerpt::MAX && shown.ends_with('…'), "{shown}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let refusals = [
            Malformed::NotUtf8 { at: 3 },
            Malformed::Encoding(Excerpt::of("ISO-8859-1")),
            Malformed::Declaration,
            Malformed::Doctype,
            Malformed::Entity(Excerpt::of("nbsp")),
            Malformed::Ampersand,
            Malformed::Reference(Excerpt::of("#xD800")),
            Malformed::Character { code: 0, at: 3 },
            Malformed::Depth { max: DEPTH_MAX },
            Malformed::TooManyElements { max: ELEMENTS_MAX },
            Malformed::TooManyAttributes { max: ATTRIBUTES_MAX },
            Malformed::ValueTooLong { max: VALUE_MAX },
            Malformed::NameTooLong { max: NAME_MAX },
            Malformed::Name(Excerpt::of("1r")),
            Malformed::Nil(Excerpt::of("a")),
            Malformed::DuplicateAttribute(Excerpt::of("a")),
            Malformed::Truncated,
            Malformed::SecondRoot,
            Malformed::Junk,
            Malformed::Mismatch { open: Excerpt::of("a"), found: Excerpt::of("b") },
            Malformed::Unopened(Excerpt::of("a")),
            Malformed::NoRoot,
            BROKEN,
        ];
        insta::assert_snapshot!(refusals.map(|refusal| refusal.to_string()).join("\n"), @r#"
        byte 3 is not UTF-8
        the encoding ISO-8859-1 is not read, send UTF-8
        the XML declaration is broken or not at the very start
        a DOCTYPE is not accepted
        the entity &nbsp; is not known; an & by itself is written &amp;
        an & by itself is written &amp;
        &#xD800; is no character that XML allows
        XML does not allow the character U+0000 at byte 3
        elements are nested deeper than 16 levels
        the document has more than 6000 elements
        a tag has more than 64 attributes
        the value of an attribute is longer than 4096 bytes
        a name is longer than 128 bytes
        "1r" is not accepted as a name
        the element a says that it is nil, and is not empty
        the attribute a is there twice in one tag
        the document ends before its root element does
        there is a second root element
        there is text outside the root element
        </b> cannot close <a>
        </a> closes nothing
        the document has no root element
        the markup is broken
        "#);
    }
}
