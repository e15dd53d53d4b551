//! Mail to subscribers, through the operator's own mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use onhook_core::notification::Trouble;
use onhook_core::subscription::Secret;

/// How long the mail server may take for each step.
const STEP_WAIT: Duration = Duration::from_secs(10);
/// How long a mail may take as a whole.
const MAIL_WAIT: Duration = Duration::from_secs(30);

/// Which mail server, and who mails.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Its URL, such as `smtp://user:password@mail.example.com:587?tls=required`; it may hold a password.
    pub url: Secret,
    /// The sender, such as `onhook@example.com`.
    pub from: String,
}

/// Sends mail.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// With these settings.
    ///
    /// # Errors
    /// When the URL or the sender cannot be read. The URL is not repeated.
    pub(crate) fn new(settings: &MailSettings) -> Result<Self, String> {
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose()).map_err(|_| {
                "the mail server's URL cannot be used: it is one such as smtps://mail.example.com".to_owned()
            })?;
        let from = settings.from.parse().map_err(|error| format!("the sender of mails is none: {error}"))?;
        Ok(Self { transport: transport.timeout(Some(STEP_WAIT)).build(), from })
    }

    /// Sends a text. The id is the mail's `Message-ID`, so that one that comes twice can be told.
    pub(crate) async fn send(&self, to: &str, id: &str, subject: &str, text: String) -> Result<(), Trouble> {
        let to: Mailbox = to.parse().map_err(|_| Trouble::MailNever)?;
        let id = format!("<{id}@{}>", self.from.email.domain());
        let mail = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| Trouble::Internal)?;
        match tokio::time::timeout(MAIL_WAIT, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => match error.status().map(u16::from) {
                // Who we are is in doubt, not the mail: the operator can mend that.
                Some(530..=538) => Err(Trouble::MailLater),
                _ => Err(Trouble::MailNever),
            },
            Ok(Err(error)) if error.is_timeout() => Err(Trouble::Timeout),
            Ok(Err(_)) => Err(Trouble::MailLater),
            Err(_) => Err(Trouble::Timeout),
        }
    }
}

/// Whether mail can be sent to an address.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}
