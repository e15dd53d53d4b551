//! A request that has passed everything before the handler.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use onhook_core::account::user::Asker;
use onhook_core::ids::AccountId;
use onhook_core::lifecycle::provenance::{Author, Credential, Doer, Provenance};
use onhook_core::order::KEY_MAX;
use onhook_core::time::Timestamp;
use onhook_store::contract::once::Once;

use super::auth::{Caller, is_token};
use super::incoming::Incoming;
use super::origin::Origin;
use super::refusal::Refusal;
use super::reply::Reply;
use crate::emulator::faults::Staging;

/// The header with a request's key.
pub(crate) const KEY: &str = "idempotency-key";

/// A request and its caller.
#[derive(Debug)]
pub struct Call {
    /// The caller. It has no name if the route needs nothing.
    pub caller: Caller,
    /// The path's account, if it has one.
    pub account: Option<AccountId>,
    /// The prefix of its path. `None` outside the API.
    pub prefix: Option<&'static str>,
    /// Where it is from.
    pub from: Origin,
    /// The path's parameters by name, decoded, in the case in which they were sent.
    pub params: Vec<(&'static str, String)>,
    /// The query's names and values, decoded.
    pub pairs: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it was sent. Empty if the route takes none, or reads it while it arrives.
    pub body: Bytes,
    /// Its body while it arrives, if the route reads it so ([`Route::streaming`](super::route::Route::streaming)).
    pub incoming: Incoming,
    /// The key under which it is done once, if it has one, and its route is outside the API and reads the body whole.
    pub key: Option<RequestKey>,
    /// What an emulator stages for the order that it makes.
    pub(crate) staging: Staging,
}

/// The key of a request that is done once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The key.
    pub key: Arc<str>,
    /// A digest of the method, the path, the query and the body.
    pub digest: [u8; 32],
}

impl RequestKey {
    /// Reads the key of a request.
    ///
    /// # Errors
    /// If there are two, or if it is not 1 to 255 visible characters.
    pub(super) fn read(
        headers: &HeaderMap,
        method: &http::Method,
        uri: &Uri,
        body: &[u8],
    ) -> Result<Option<Self>, Refusal> {
        let mut sent = headers.get_all(KEY).iter();
        let Some(header) = sent.next() else { return Ok(None) };
        let visible = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let text = header.to_str().ok().filter(visible).filter(|key| (1..=KEY_MAX).contains(&key.len()));
        let Some(key) = text.filter(|_| sent.next().is_none()) else {
            let why = format!("an Idempotency-Key is there once, with 1 to {KEY_MAX} visible characters");
            return Err(Refusal::BadRequest(why.into()));
        };
        let mut digest = blake3::Hasher::new();
        for part in [method.as_str(), uri.path(), uri.query().unwrap_or_default()] {
            digest.update(part.as_bytes()).update(b"\n");
        }
        digest.update(body);
        Ok(Some(Self { key: key.into(), digest: *digest.finalize().as_bytes() }))
    }
}

impl Call {
    /// Returns under what the caller acts, and why if it says so.
    #[must_use]
    pub fn under(&self, reason: Option<&str>) -> Provenance {
        let signed_in = || if is_token(&self.headers) { Credential::Token } else { Credential::Basic };
        Provenance {
            credential: Some(self.from.machine().unwrap_or_else(signed_in)),
            address: self.from.address(),
            reason: reason.map(Into::into),
            plan: None,
        }
    }

    /// Returns the caller, with under what it acts.
    #[must_use]
    pub fn author(&self) -> Author {
        Author { user: self.caller.user.to_string(), under: self.under(None) }
    }

    /// Returns the request as one that is done once, if it has a key. `reply` makes the reply to a result of the store,
    /// and `None` if that is a refusal. The store calls it in its transaction, and keeps the reply there.
    #[must_use]
    pub fn once<T>(
        &self,
        at: Timestamp,
        reply: impl Fn(&T) -> Option<Reply> + Send + Sync + 'static,
    ) -> Option<Once<T>> {
        let RequestKey { key, digest } = self.key.clone()?;
        let render = Arc::new(move |done: &T| reply(done)?.to_keep());
        Some(Once { user: self.caller.user.to_string(), key: key.to_string(), digest, at, render })
    }

    /// Returns the caller as one who acts at `now`.
    #[must_use]
    pub fn doer(&self, now: Timestamp) -> Doer {
        Doer { author: self.author(), now }
    }

    /// Returns the caller, as one who asks for a change of users.
    #[must_use]
    pub fn asker(&self) -> Asker {
        if self.caller.at_machine { Asker::AtTheMachine } else { Asker::User(self.caller.user.to_string()) }
    }

    /// Returns a parameter of the path. Empty if the route has none of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}
