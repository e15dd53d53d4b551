//! Notes on orders (contract §1.6).

use onhook_core::account::user::folded;
use onhook_core::order::NOTE_MAX;
use onhook_core::time::Timestamp;

use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "Note";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Response("NoteResponse");

/// Returns the text of a note that a client sends. Its `UserId` must be the user who sends it.
///
/// # Errors
/// Another root, another user, no text or one that is too long.
pub fn read(root: &Element<'_>, user: &str) -> Result<String, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is Note".into()));
    }
    match root.filled("UserId")? {
        None => return Err(Problem::NoteUser),
        Some(name) if folded(name) != folded(user) => {
            return Err(Problem::Value("UserId", cut(name), &[]));
        }
        Some(_) => {}
    }
    match root.filled("Description")? {
        None => Err(Problem::Required("Description")),
        Some(text) if text.chars().count() > NOTE_MAX => Err(Problem::TooLong("Description", NOTE_MAX)),
        Some(text) => Ok(text.to_owned()),
    }
}

/// A note in a list: its id, its user, its text, and its time.
pub type Shown<'a> = (i64, &'a str, &'a str, Timestamp);

/// Returns the answer with the notes of an order.
#[must_use]
pub fn list<'a>(notes: impl IntoIterator<Item = Shown<'a>>) -> String {
    let mut out = Document::new();
    out.element("Notes", |out| {
        for (id, user, text, at) in notes {
            out.open("Note").leaf_display("Id", id).leaf("UserId", user).leaf("Description", text);
            out.leaf_display("LastDateModifier", at).close("Note");
        }
    });
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml::parse;

    #[test]
    fn a_note_is_its_sender_s_whatever_the_case_of_the_name() {
        let read = |user: &str| {
            let note = format!("<Note><UserId>{user}</UserId><Description>a note</Description></Note>");
            super::read(&parse(note.as_bytes()).unwrap(), "username")
        };
        assert_eq!((read("username"), read("UserName")), (Ok("a note".into()), Ok("a note".into())));
        assert_eq!(read("username2"), Err(Problem::Value("UserId", "username2".into(), &[])));
    }
}
