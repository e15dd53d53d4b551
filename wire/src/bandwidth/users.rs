//! Users, in the style of the other documents. Bandwidth's documents show how users are listed and how a password is
//! changed. Making, changing and removing users is onhook's own.

use onhook_core::account::Role;
use onhook_core::account::user::{self, PASSWORD_MAX, PASSWORD_MIN};
use onhook_core::words::UnknownWord;

use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of a request.
pub const REQUEST: &str = "User";
/// The form of errors about the list.
pub const LIST_FAMILY: Family = Family::Response("UsersResponse");
/// The form of errors about one user.
pub const FAMILY: Family = Family::Response("UserResponse");

/// The settings of a user that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name.
    pub name: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// What it may do.
    pub role: Option<Role>,
}

/// Returns the answer with the users of an account.
#[must_use]
pub fn list<'a>(users: impl IntoIterator<Item = (&'a str, Role)>) -> String {
    let mut out = Document::new();
    out.open("UsersResponse").open("Users");
    for (name, role) in users {
        write(&mut out, name, role);
    }
    out.close("Users").close("UsersResponse");
    out.finish()
}

/// Returns the answer with one user.
#[must_use]
pub fn one(name: &str, role: Role) -> String {
    let mut out = Document::new();
    out.open("UserResponse");
    write(&mut out, name, role);
    out.close("UserResponse");
    out.finish()
}

fn write(out: &mut Document, name: &str, role: Role) {
    out.open("User").leaf("Username", name);
    out.open("Roles").open("Role").leaf("RoleName", role.word()).close("Role").close("Roles");
    out.close("User");
}

/// Reads the settings of a user. Absent elements set nothing.
///
/// # Errors
/// Another root, a name that nobody can sign in with, a password that is not allowed, an unknown role or two roles.
pub fn read(root: &Element<'_>) -> Result<Said, Problem> {
    if !root.is(REQUEST) {
        return Err(Problem::BadRequest("the root element is User".into()));
    }
    let name = match root.filled("Username")? {
        Some(name) if name.len() > user::NAME_MAX => {
            return Err(Problem::TooLong("Username", user::NAME_MAX));
        }
        Some(name) if !user::is_name(name) => return Err(Problem::Value("Username", cut(name), &[])),
        name => name.map(str::to_owned),
    };
    let password = root.child("Password")?.map(checked).transpose()?;
    let role = match root.child("Roles")? {
        None => None,
        Some(roles) => {
            let role = roles.child("Role")?.ok_or(Problem::Required("Role"))?;
            let word = role.value("RoleName")?.ok_or(Problem::Required("RoleName"))?;
            let role = word.to_ascii_lowercase().parse();
            Some(role.map_err(|UnknownWord { valid }| Problem::Value("RoleName", cut(word), valid))?)
        }
    };
    Ok(Said { name, password, role })
}

/// Reads a user's new password from a document that sets nothing else. The client that changes passwords sends it
/// alone, as the root. It may also be in a `User`, as everywhere else.
///
/// # Errors
/// Another root, or a password that is not allowed.
pub fn read_password(root: &Element<'_>) -> Result<String, Problem> {
    match root {
        _ if root.is("Password") => checked(root),
        _ if root.is(REQUEST) => checked(root.child("Password")?.ok_or(Problem::Required("Password"))?),
        _ => Err(Problem::BadRequest("the root element is Password or User".into())),
    }
}

/// Returns a password exactly as sent: blanks at its ends are part of it.
fn checked(element: &Element<'_>) -> Result<String, Problem> {
    let password = element.verbatim()?;
    match password.len() {
        ..PASSWORD_MIN => Err(Problem::TooShort("Password", PASSWORD_MIN)),
        length if length > PASSWORD_MAX => Err(Problem::TooLong("Password", PASSWORD_MAX)),
        _ if !user::is_password(password) => {
            Err(Problem::BadRequest("a password is one line without control characters".into()))
        }
        _ => Ok(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::xml::parse;

    #[test]
    fn a_password_stands_alone_or_in_a_user() {
        let read = |document: &str| read_password(&parse(document.as_bytes()).unwrap());
        for document in ["<Password>pass word</Password>", "<User><Password>pass word</Password></User>"] {
            assert_eq!(read(document), Ok("pass word".into()), "{document}");
        }
        assert_eq!(read("<User/>"), Err(Problem::Required("Password")));
        assert_eq!(read("<Password>short</Password>"), Err(Problem::TooShort("Password", 8)));
        assert!(matches!(read("<Site/>"), Err(Problem::BadRequest(_))));
    }

    #[test]
    fn a_user_is_read_as_it_is_said() {
        let read = |inner: &str| read(&parse(format!("<User>{inner}</User>").as_bytes()).unwrap());
        let role = |name: &str| format!("<Roles><Role><RoleName>{name}</RoleName></Role></Roles>");
        let said = read(&format!("<Username>a b</Username><Password> pass word</Password>{}", role("Order")));
        let wanted =
            Said { name: Some("a b".into()), password: Some(" pass word".into()), role: Some(Role::Order) };
        assert_eq!(said, Ok(wanted));
        assert_eq!(read(""), Ok(Said { name: None, password: None, role: None }));
        let long = "a".repeat(1_025);
        for (inner, problem) in [
            ("<Username>a:b</Username>".to_owned(), Problem::Value("Username", "a:b".into(), &[])),
            ("<Username>..</Username>".to_owned(), Problem::Value("Username", "..".into(), &[])),
            (
                "<Username>a\u{202E}b</Username>".to_owned(),
                Problem::Value("Username", "a\u{202E}b".into(), &[]),
            ),
            (format!("<Username>{}</Username>", &long[..256]), Problem::TooLong("Username", 255)),
            ("<Password>1234567</Password>".into(), Problem::TooShort("Password", 8)),
            (format!("<Password>{long}</Password>"), Problem::TooLong("Password", 1_024)),
            (
                "<Password>pass\nword</Password>".into(),
                Problem::BadRequest("a password is one line without control characters".into()),
            ),
            (
                role("ROLE_USER"),
                Problem::Value("RoleName", "ROLE_USER".into(), &["read", "order", "admin", "operator"]),
            ),
            ("<Roles/>".into(), Problem::Required("Role")),
            ("<Roles><Role/><Role/></Roles>".into(), Problem::Twice("Role")),
        ] {
            assert_eq!(read(&inner), Err(problem), "{inner}");
        }
    }
}
