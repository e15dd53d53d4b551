//! Requests that are done once: what was replied to one with the same key.

use http::{HeaderName, StatusCode, header};

use super::problem::Code;
use crate::app::App;
use crate::http::call::RequestKey;
use crate::http::reply::Reply;

/// The header of a reply that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Returns what was replied to the request before, if it was done, or why its key cannot be used for it.
///
/// # Errors
/// If the store cannot be read.
pub(super) async fn before(
    app: &App,
    user: &str,
    key: &RequestKey,
) -> Result<Option<Result<Reply, Code>>, onhook_store::StoreError> {
    let kept = match app.under_way.remembered(user, &key.key) {
        Some(kept) => Some(kept),
        None => app.store.reply(user, &key.key).await?,
    };
    let Some(kept) = kept else { return Ok(None) };
    if kept.digest != key.digest {
        return Ok(Some(Err(Code::KeyReused)));
    }
    let status = StatusCode::from_u16(kept.reply.status).unwrap_or(StatusCode::OK);
    let mut reply = Reply::kept(status, kept.reply.body).with(REPLAYED, "true");
    if let Some(location) = kept.reply.location {
        reply = reply.with(header::LOCATION, &location);
    }
    Ok(Some(Ok(reply)))
}
