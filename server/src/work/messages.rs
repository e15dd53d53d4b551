//! Composes notifications, and sends them.

use onhook_core::ids::SubscriptionId;
use onhook_core::notify::notification::{DeliveryFailure, Notification, Outcome};
use onhook_core::notify::subscription::Callback;
use onhook_wire::notifications;

use crate::app::App;
use crate::callback::send::Message;
use crate::callback::signing;
use crate::emulator::callbacks::Told;
use crate::emulator::faults::Deaf;
use crate::emulator::requests::headers;

/// The result of an attempt: the outcome, the beginning of the answer, and for how many milliseconds the receiver asks
/// to be left alone.
pub(super) type Tried = (Outcome, Option<String>, Option<i64>);

fn failed(trouble: DeliveryFailure) -> Tried {
    (Outcome::Failed(trouble), None, None)
}

/// Sends a notification to a URL.
pub(super) async fn call(app: &App, id: SubscriptionId, callback: &Callback, told: &Notification) -> Tried {
    let body = notifications::document(id, callback.format, told);
    let Some(headers) = signing::headers(&told.id, app.clock.wall(), callback.signing.as_ref(), &body) else {
        return failed(DeliveryFailure::Internal);
    };
    let message = Message {
        url: &callback.url,
        content_type: notifications::CONTENT_TYPE,
        headers,
        body,
        credentials: callback.credentials.as_ref(),
        public_key: callback.public_key.as_deref(),
    };
    let tried = match app.callbacks.send(&message, app.clock.wall()).await {
        Ok(answer) => (Outcome::Answered(answer.status), Some(answer.said), answer.retry_after_ms),
        Err(trouble) => failed(trouble),
    };
    keep(app, &message, told, &tried, None);
    tried
}

/// Returns the result of an attempt at which a receiver does this instead of being asked.
pub(super) fn of(deaf: Deaf) -> Tried {
    match deaf {
        Deaf::Fails(trouble) => failed(trouble),
        Deaf::Answers(status) => (Outcome::Answered(status), None, None),
    }
}

/// Sends nothing to a URL, as an emulator was asked for, and returns the result. Without a fault it is an internal
/// failure.
pub(super) fn unsent(
    app: &App,
    id: SubscriptionId,
    callback: &Callback,
    told: &Notification,
    deaf: Option<(Deaf, String)>,
) -> Tried {
    let Some((deaf, fault)) = deaf else { return failed(DeliveryFailure::Internal) };
    let body = notifications::document(id, callback.format, told);
    let headers = signing::headers(&told.id, app.clock.wall(), callback.signing.as_ref(), &body);
    let message = Message {
        url: &callback.url,
        content_type: notifications::CONTENT_TYPE,
        headers: headers.unwrap_or_default(),
        body,
        credentials: None,
        public_key: None,
    };
    let tried = of(deaf);
    keep(app, &message, told, &tried, Some(fault));
    tried
}

/// Keeps what was sent, on an emulator.
fn keep(app: &App, message: &Message<'_>, told: &Notification, tried: &Tried, fault: Option<String>) {
    let Some(emulator) = &app.emulator else { return };
    let named = [("content-type", message.content_type.as_bytes())].into_iter();
    let more = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let status = match tried.0 {
        Outcome::Answered(status) => Some(status),
        Outcome::Mailed | Outcome::Failed(_) => None,
    };
    emulator.callbacks.keep(Told {
        at: app.clock.now(),
        receiver: message.url.to_owned(),
        order: Some(told.order.id.to_string()),
        headers: headers(named.chain(more)),
        body: message.body.clone(),
        outcome: tried.0.to_string(),
        status,
        fault,
    });
}

/// Sends notifications to a mailbox, all in one mail, which has the id of the first one.
pub(super) async fn mail(
    app: &App,
    id: SubscriptionId,
    address: &str,
    first: &Notification,
    told: &[Notification],
) -> Tried {
    let Some(mailer) = &app.mailer else { return failed(DeliveryFailure::NoMail) };
    let (subject, text) = (notifications::mail_subject(told), notifications::mail(id, told));
    match mailer.send(address, &first.id.to_string(), &subject, text, app.clock.now()).await {
        Ok(()) => (Outcome::Mailed, None, None),
        Err(trouble) => failed(trouble),
    }
}
