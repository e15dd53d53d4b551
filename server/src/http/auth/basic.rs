//! Reads `Authorization` headers.
//!
//! Not here: the check of what they hold.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use onhook_core::account::user::PASSWORD_MAX;

use super::token::TOKEN_MAX;

/// Longest name or password, in bytes. Longer ones are refused unread.
pub const CREDENTIAL_MAX: usize = PASSWORD_MAX;

/// Base64 in its two alphabets, with or without padding.
const EITHER: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, EITHER);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER);

/// True if these headers hold a token instead of name and password.
#[must_use]
pub fn is_token(headers: &http::HeaderMap) -> bool {
    headers.get_all(http::header::AUTHORIZATION).iter().any(|header| bearer(header).is_some())
}

/// Returns the token of a Bearer header.
pub(super) fn bearer(header: &http::HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && token.len() <= TOKEN_MAX;
    fits.then(|| token.trim())
}

/// Returns name and password of a Basic header, split at the first colon. Clients write base64 in both of its
/// alphabets, and some leave the padding out.
pub(super) fn basic(header: &http::HeaderValue) -> Option<(String, String)> {
    let text = header.to_str().ok().filter(|text| text.len() <= 4 * CREDENTIAL_MAX)?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let encoded = encoded.trim();
    let base64 = if encoded.contains(['-', '_']) { &FOR_URLS } else { &PLAIN };
    let decoded = base64.decode(encoded).ok()?;
    let decoded = String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))?;
    let (user, password) = decoded.split_once(':')?;
    let fits = user.len() <= CREDENTIAL_MAX && password.len() <= CREDENTIAL_MAX && !user.is_empty();
    fits.then(|| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> http::HeaderValue {
        http::HeaderValue::from_str(text).unwrap()
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn basic_headers_are_read_strictly() {
        assert_eq!(basic(&header("Basic dXNlcm5hbWU6cGFzc3dvcmQ=")), pair("username", "password"));
        assert_eq!(basic(&header("basic dTpwOnE=")), pair("u", "p:q"));
        for wrong in [
            "Basic",
            "Basic !!",
            "Basic dXNlcg==",
            "Bearer dTpw",
            "Basic AHU6cA==",
            "Basic OnA=",
            "Basic dTpwOnE==",
            "Basic dTpw OnE=",
            "Basic dTpwO",
        ] {
            assert_eq!(basic(&header(wrong)), None, "{wrong}");
        }
        let long =
            base64::engine::general_purpose::STANDARD.encode(format!("u:{}", "p".repeat(CREDENTIAL_MAX + 1)));
        assert_eq!(basic(&header(&format!("Basic {long}"))), None);
    }

    #[test]
    fn both_alphabets_of_base64_are_read_with_and_without_padding() {
        for encoded in [
            "dTEwOmE-Pj5iPz8_Y35-fg==",
            "dTEwOmE+Pj5iPz8/Y35+fg==",
            "dTEwOmE-Pj5iPz8_Y35-fg",
            "dTEwOmE+Pj5iPz8/Y35+fg",
        ] {
            assert_eq!(basic(&header(&format!("Basic {encoded}"))), pair("u10", "a>>>b???c~~~"), "{encoded}");
        }
    }

    #[test]
    fn bearer_headers_are_told_from_others() {
        assert_eq!(bearer(&header("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&header("bearer  abc")), Some("abc"));
        for other in [
            "Bearer",
            "Basic dTpw",
            "Bearerabc",
            "Token abc",
            &format!("Bearer {}", "a".repeat(TOKEN_MAX + 1)),
        ] {
            assert_eq!(bearer(&header(other)), None, "{other}");
        }
    }
}
