//! Tokens: a JSON Web Token (RFC 7519), signed with HMAC-SHA-256 and the store's key.
//!
//! Servers remember nothing of a token, so that every server on the same store can check it. It names its user and the
//! generation of that user's row. The user's rights are read from the row when the token is used. The claims
//! `accounts`, `roles` and `express` are there because a client reads them.
//!
//! Time is the system's: a client counts a token's hour by its own clock, which the emulator does not move.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use onhook_core::account::Role;
use onhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::known::Signed;

/// Most bytes of a token: a name of 255 bytes fits, however much of it JSON has to escape.
pub(super) const TOKEN_MAX: usize = 2_048;
/// How long a token is good, in seconds.
pub const TOKEN_LASTS_S: i64 = 3_600;
/// How far the clock of the server that issued a token may be ahead, in seconds.
const SKEW_S: i64 = 60;
/// `{"alg":"HS256","typ":"JWT"}`, the only header. Any other is refused unread, so that no token chooses how it is
/// checked.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The claims of a token.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Its user's name.
    pub(super) sub: String,
    /// The generation of its user's row, in decimal text: it has more digits than some readers of JSON keep.
    pub(super) generation: String,
    /// The user's account, as text. Empty for an operator.
    accounts: Vec<String>,
    /// The user's rights, in Bandwidth's words.
    roles: Vec<String>,
    /// Always false here.
    express: bool,
    /// When it was issued, in seconds of the epoch.
    iat: i64,
    /// When it ends, in seconds of the epoch.
    exp: i64,
}

/// Returns a new token for a user.
pub(super) fn sign(key: &[u8; 32], of: &Signed, now: Timestamp) -> String {
    let iat = now.millis().div_euclid(1_000);
    let role = match of.caller.role {
        Role::Read => "Numbers - Read",
        Role::Order => "Numbers - Order",
        Role::Admin => "Numbers - Admin",
        Role::Operator => "Numbers - Operator",
    };
    let claims = Claims {
        sub: of.caller.user.to_string(),
        generation: of.generation.to_string(),
        accounts: of.caller.account.iter().map(ToString::to_string).collect(),
        roles: vec![role.to_owned()],
        express: false,
        iat,
        exp: iat.saturating_add(TOKEN_LASTS_S),
    };
    let payload = serde_json::to_vec(&claims).expect("texts and integers are always JSON");
    let signed = format!("{HEADER}.{}", BASE64.encode(payload));
    let signature = BASE64.encode(mac(key, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// Returns the claims of a token, if this store's key signed it and it is good at this time.
pub(super) fn read(key: &[u8; 32], token: &str, now: Timestamp) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= TOKEN_MAX)?;
    let payload = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
    let signature = BASE64.decode(signature).ok()?;
    mac(key, signed).verify_slice(&signature).ok()?; // in constant time
    let claims: Claims = serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()?;
    let now = now.millis().div_euclid(1_000);
    (claims.iat <= now.saturating_add(SKEW_S) && now < claims.exp).then_some(claims)
}

fn mac(key: &[u8; 32], signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length fits");
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Caller;
    use onhook_core::account::user::Rights;
    use onhook_core::ids::AccountId;

    const KEY: [u8; 32] = [7; 32];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn signed(user: &str, account: u32, role: Role) -> Signed {
        Signed {
            caller: Caller::user(user.into(), AccountId::new(account), role, Rights::NONE),
            generation: -9,
        }
    }

    #[test]
    fn a_token_is_a_jwt_with_what_its_clients_read() {
        let part = |token: &str, n| -> serde_json::Value {
            serde_json::from_slice(&BASE64.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
        };
        let token = sign(&KEY, &signed("user\"name", 9_900_000, Role::Order), at(1_000));
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(part(&token, 0), serde_json::json!({ "alg": "HS256", "typ": "JWT" }));
        let wanted = serde_json::json!({
            "sub": "user\"name", "generation": "-9", "accounts": ["9900000"], "roles": ["Numbers - Order"],
            "express": false, "iat": 1_000, "exp": 4_600,
        });
        assert_eq!(part(&token, 1), wanted);
        let operator = sign(&KEY, &signed("operator", 0, Role::Operator), at(1_000));
        assert_eq!(part(&operator, 1)["accounts"], serde_json::json!([]));
        assert_eq!(part(&operator, 1)["roles"], serde_json::json!(["Numbers - Operator"]));
        let longest = sign(&KEY, &signed(&"\"".repeat(255), u32::MAX, Role::Operator), at(i64::MAX / 2_000));
        assert!(longest.len() <= TOKEN_MAX, "{}", longest.len());
        assert!(read(&KEY, &longest, at(i64::MAX / 2_000)).is_some());
    }

    #[test]
    fn a_token_is_good_for_an_hour_and_not_before_its_time() {
        let token = sign(&KEY, &signed("username", 1, Role::Read), at(1_000));
        for (now, good) in [(939, false), (940, true), (1_000, true), (4_599, true), (4_600, false)] {
            assert_eq!(read(&KEY, &token, at(now)).is_some(), good, "at {now}");
        }
    }

    #[test]
    fn what_the_key_has_not_signed_in_this_way_is_no_token() {
        let token = sign(&KEY, &signed("username", 1, Role::Read), at(1_000));
        let good = |token: &str| read(&KEY, token, at(1_000)).is_some();
        assert!(good(&token));
        assert!(read(&[8; 32], &token, at(1_000)).is_none());
        let parts: Vec<&str> = token.split('.').collect();
        let forged = BASE64.encode(
            BASE64.decode(parts[1]).map(String::from_utf8).unwrap().unwrap().replace("username", "operator"),
        );
        // This token is signed with the right key, but its header names another algorithm.
        let other = BASE64.encode(r#"{"alg":"none"}"#);
        let resigned = format!("{other}.{}", parts[1]);
        let resigned = format!("{resigned}.{}", BASE64.encode(mac(&KEY, &resigned).finalize().into_bytes()));
        for wrong in [
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{other}.{}.", parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            resigned,
            format!("{token}="),
            format!("{token}.{}", parts[2]),
            token[..token.len() - 1].to_owned(),
            token.to_ascii_uppercase(),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(!good(&wrong), "{wrong}");
        }
    }
}
