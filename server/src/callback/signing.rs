//! Signs the notifications sent to a URL (Standard Webhooks).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use onhook_core::ids::MessageId;
use onhook_core::notify::subscription::Secret;
use onhook_core::time::Timestamp;
use sha2::Sha256;

/// The prefix of a signing secret.
const SECRET_PREFIX: &str = "whsec_";

/// Returns the headers of a message: its id, and with a secret also time and signature.
pub(crate) fn headers(
    id: &MessageId,
    now: Timestamp,
    signing: Option<&Secret>,
    body: &str,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let id = id.to_string();
    let mut headers = vec![(HeaderName::from_static("webhook-id"), HeaderValue::try_from(&id).ok()?)];
    if let Some(secret) = signing {
        let seconds = now.millis() / 1_000;
        let signature = sign(secret, &format!("{id}.{seconds}.{body}"))?;
        headers.push((HeaderName::from_static("webhook-timestamp"), HeaderValue::from(seconds)));
        headers.push((HeaderName::from_static("webhook-signature"), HeaderValue::try_from(signature).ok()?));
    }
    Some(headers)
}

fn sign(secret: &Secret, text: &str) -> Option<String> {
    let key = BASE64.decode(secret.expose().strip_prefix(SECRET_PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(text.as_bytes());
    Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

/// Returns a new signing secret from random bytes.
pub(crate) fn new_secret(random: [u8; 32]) -> Secret {
    Secret::new(format!("{SECRET_PREFIX}{}", BASE64.encode(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let text = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(sign(&secret, text).as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(sign(&Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), text), None);
        assert_ne!(sign(&new_secret([1; 32]), text), sign(&new_secret([2; 32]), text));
    }
}
