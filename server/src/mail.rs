//! Mail to subscribers: it goes through the operator's own mail server. An emulator without one keeps it to be looked
//! at.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use onhook_core::notify::notification::DeliveryFailure;
use onhook_core::notify::subscription::Secret;
use onhook_core::time::Timestamp;

/// Longest time the mail server may take for each step.
const STEP_WAIT: Duration = Duration::from_secs(10);
/// Longest time a mail may take as a whole.
const MAIL_WAIT: Duration = Duration::from_secs(30);
/// Most mails that an emulator keeps.
const MAILS_MAX: usize = 10_000;
/// Most bytes of these mails: a list of all is one reply.
const MAIL_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The mail server, and the sender.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Its URL, such as `smtp://user:password@mail.example.com:587?tls=required`; it may hold a password.
    pub url: Secret,
    /// The sender, such as `onhook@example.com`.
    pub from: String,
}

/// A mail that was kept instead of being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The recipient.
    pub(crate) to: String,
    /// Its subject.
    pub(crate) subject: String,
    /// Its text.
    pub(crate) body: String,
    /// When it was sent, by the emulator's clock.
    pub(crate) at: Timestamp,
}

impl Mail {
    fn bytes(&self) -> usize {
        self.to.len() + self.subject.len() + self.body.len()
    }
}

/// The mails that an emulator keeps, oldest first. When they exceed the bounds, the oldest are dropped.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    mails: VecDeque<Mail>,
    bytes: usize,
}

impl Caught {
    fn keep(&mut self, mail: Mail) {
        self.bytes += mail.bytes();
        self.mails.push_back(mail);
        while self.mails.len() > MAILS_MAX || self.bytes > MAIL_BYTES_MAX {
            let Some(oldest) = self.mails.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

/// Sends mail.
pub(crate) enum Mailer {
    /// Mail goes to a mail server.
    Server {
        /// The connection to it.
        transport: Box<AsyncSmtpTransport<Tokio1Executor>>,
        /// The sender.
        from: Mailbox,
    },
    /// Mail is kept in memory and sent nowhere.
    Catcher(Mutex<Caught>),
}

impl Mailer {
    /// Returns a mailer for the mail server of the settings. Without one, an emulator keeps mail in memory, and any
    /// other server gets `None`.
    ///
    /// # Errors
    /// As [`Mailer::new`].
    pub(crate) fn by(settings: Option<&MailSettings>, emulator: bool) -> Result<Option<Self>, String> {
        match settings {
            Some(settings) => Self::new(settings).map(Some),
            None => Ok(emulator.then(|| Self::Catcher(Mutex::default()))),
        }
    }

    /// Returns a mailer with these settings.
    ///
    /// # Errors
    /// If the URL or the sender cannot be read. The error does not repeat the URL.
    fn new(settings: &MailSettings) -> Result<Self, String> {
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose()).map_err(|_| {
                "the mail server's URL cannot be used: it is one such as smtps://mail.example.com".to_owned()
            })?;
        let from = settings.from.parse().map_err(|error| format!("the sender of mails is none: {error}"))?;
        Ok(Self::Server { transport: Box::new(transport.timeout(Some(STEP_WAIT)).build()), from })
    }

    /// Sends a text. The id is the mail's `Message-ID`, so that a mail that arrives twice can be recognised.
    pub(crate) async fn send(
        &self,
        to: &str,
        id: &str,
        subject: &str,
        text: String,
        at: Timestamp,
    ) -> Result<(), DeliveryFailure> {
        let to: Mailbox = to.parse().map_err(|_| DeliveryFailure::MailNever)?;
        let (transport, from) = match self {
            Self::Server { transport, from } => (transport, from),
            Self::Catcher(caught) => {
                let mail = Mail { to: to.email.to_string(), subject: subject.to_owned(), body: text, at };
                caught.lock().unwrap_or_else(PoisonError::into_inner).keep(mail);
                return Ok(());
            }
        };
        let id = format!("<{id}@{}>", from.email.domain());
        let mail = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| DeliveryFailure::Internal)?;
        match tokio::time::timeout(MAIL_WAIT, transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => match error.status().map(u16::from) {
                // The mail server doubts who we are, not the mail. The operator can mend that.
                Some(530..=538) => Err(DeliveryFailure::MailLater),
                _ => Err(DeliveryFailure::MailNever),
            },
            Ok(Err(error)) if error.is_timeout() => Err(DeliveryFailure::Timeout),
            Ok(Err(_)) => Err(DeliveryFailure::MailLater),
            Err(_) => Err(DeliveryFailure::Timeout),
        }
    }

    /// Returns the kept mails, newest first. If `to` is given, only the mails to that address.
    pub(crate) fn caught(&self, to: Option<&str>) -> Vec<Mail> {
        let Self::Catcher(caught) = self else { return Vec::new() };
        let caught = caught.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |mail: &&Mail| to.is_none_or(|to| to.eq_ignore_ascii_case(&mail.to));
        caught.mails.iter().rev().filter(wanted).cloned().collect()
    }

    /// Forgets the kept mails.
    pub(crate) fn forget(&self) {
        if let Self::Catcher(caught) = self {
            *caught.lock().unwrap_or_else(PoisonError::into_inner) = Caught::default();
        }
    }
}

/// Returns whether mail can be sent to an address.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(n: usize, body: String) -> Mail {
        Mail { to: String::new(), subject: n.to_string(), body, at: Timestamp::from_millis(0) }
    }

    #[test]
    fn beyond_its_bounds_the_oldest_mail_goes() {
        let mut caught = Caught::default();
        for n in 0..=MAILS_MAX {
            caught.keep(mail(n, String::new()));
        }
        assert_eq!((caught.mails.len(), &*caught.mails[0].subject), (MAILS_MAX, "1"));
        caught.keep(mail(0, "a".repeat(MAIL_BYTES_MAX - 1)));
        assert_eq!((caught.mails.len(), caught.bytes), (1, MAIL_BYTES_MAX));
        caught.keep(mail(7, "a".to_owned()));
        assert_eq!((&*caught.mails[0].subject, caught.bytes), ("7", 2));
        caught.keep(mail(8, "a".repeat(MAIL_BYTES_MAX)));
        assert_eq!((caught.mails.len(), caught.bytes), (0, 0));
    }
}
