//! Composes notifications, and sends them.

use onhook_core::ids::SubscriptionId;
use onhook_core::notify::notification::{DeliveryFailure, Notification, Outcome};
use onhook_core::notify::subscription::Callback;
use onhook_wire::notifications;

use crate::app::App;
use crate::callback::send::Message;
use crate::callback::signing;

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
    match app.callbacks.send(&message, app.clock.wall()).await {
        Ok(answer) => (Outcome::Answered(answer.status), Some(answer.said), answer.retry_after_ms),
        Err(trouble) => failed(trouble),
    }
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
