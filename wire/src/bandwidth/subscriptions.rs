//! Subscriptions: the request, the answers, and the log of deliveries, which is onhook's own (contract §5.1).

use onhook_core::ids::AccountId;
use onhook_core::ids::OrderId;
use onhook_core::notify::notification::DeliveryState;
use onhook_core::notify::subscription::{
    CREDENTIAL_MAX, Callback, Credentials, Digest, EMAIL_MAX, EXPIRY_S, Email, EventType, NewSubscription,
    NumberFormat, OrderType, PUBLIC_KEY_MAX, Receiver, Secret, Subject, Subscription, URL_MAX,
};
use onhook_core::order::Status;
use onhook_core::time::Timestamp;
use onhook_core::words::UnknownWord;

use super::flag;
use crate::error::{Family, Problem, cut};
use crate::text::xml::{Document, Element};

/// The root of every answer.
pub const ROOT: &str = "SubscriptionsResponse";
/// The root of a request.
pub const REQUEST: &str = "Subscription";
/// The form of this resource's errors.
pub const FAMILY: Family = Family::Response(ROOT);

/// A request whose form has been checked. The caller must check its URL, its certificate and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// What it is about.
    pub subject: Subject,
    /// The receiver, without the signing secret of its deliveries, which the client does not choose.
    pub receiver: Receiver,
    /// How long it lasts, in seconds. Mail has no end.
    pub expiry_s: Option<i64>,
    /// True if deliveries are to be signed.
    pub sign: bool,
}

impl Post {
    /// Reads the document and checks its form. Unknown elements are passed over, such as the `User` that old clients
    /// put into a callback.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(root: &Element<'_>) -> Result<Self, Problem> {
        if !root.is(REQUEST) {
            return Err(Problem::BadRequest("the root element is Subscription".into()));
        }
        let subject = subject(root)?;
        match (root.child("CallbackSubscription")?, root.child("EmailSubscription")?) {
            (Some(callback), None) => read_callback(subject, callback),
            (None, Some(email)) => {
                let receiver = Receiver::Email(read_email(email)?);
                Ok(Self { subject, receiver, expiry_s: None, sign: false })
            }
            _ => Err(Problem::Subscription),
        }
    }

    /// Returns it as a subscription of an account that begins at `now`, signed with a secret or not signed.
    #[must_use]
    pub fn subscription(
        self,
        account: AccountId,
        now: Timestamp,
        signing: Option<Secret>,
    ) -> NewSubscription {
        let expires_at = self.expiry_s.map(|seconds| now.plus_millis(seconds.saturating_mul(1_000)));
        let receiver = match self.receiver {
            Receiver::Callback(callback) => Receiver::Callback(Callback { signing, ..callback }),
            mail => mail,
        };
        NewSubscription { account, subject: self.subject, receiver, expires_at }
    }
}

fn subject(root: &Element<'_>) -> Result<Subject, Problem> {
    let order = match root.filled("OrderId")? {
        None => None,
        Some(text) => Some(text.parse::<OrderId>().map_err(|_| Problem::Uuid("OrderId", cut(text)))?),
    };
    match (root.filled("OrderType")?, root.filled("EventType")?, order) {
        (Some(text), None, order) => Ok(Subject::Orders(order_type(text)?, order)),
        (None, Some(text), None) => {
            let found = EventType::ALL.iter().find(|event| event.word().eq_ignore_ascii_case(text));
            found.copied().map(Subject::Event).ok_or(Problem::EventType)
        }
        (None, None, _) => Err(Problem::OrderOrEvent),
        _ => Err(Problem::Subscription),
    }
}

/// Returns an order type, read in any case.
///
/// # Errors
/// [`Problem::SubscribedType`].
pub fn order_type(text: &str) -> Result<OrderType, Problem> {
    let found = OrderType::ALL.iter().find(|orders| orders.word().eq_ignore_ascii_case(text));
    found.copied().ok_or(Problem::SubscribedType)
}

fn read_callback(subject: Subject, callback: &Element<'_>) -> Result<Post, Problem> {
    let url = callback.filled("URL")?.ok_or(Problem::NoCallbackUrl)?;
    if url.chars().count() > URL_MAX {
        return Err(Problem::CallbackUrl);
    }
    let expiry_s = match callback.filled("Expiry")? {
        None => EXPIRY_S,
        Some(text) => match text.parse::<i64>() {
            Ok(0) => return Err(Problem::TooSmall("Expiry", 0)),
            Ok(seconds) if seconds > 0 && text.bytes().all(|b| b.is_ascii_digit()) => seconds,
            _ => return Err(Problem::NotNegative("Expiry")),
        },
    };
    let format = match callback.filled("NumberFormat")? {
        None => NumberFormat::Legacy,
        Some(text) => {
            let format = text.to_ascii_uppercase().parse();
            format.map_err(|UnknownWord { valid }| Problem::Value("NumberFormat", cut(text), valid))?
        }
    };
    let (credentials, public_key) = match callback.child("CallbackCredentials")? {
        None => (None, None),
        Some(given) => (read_credentials(given)?, read_public_key(given)?),
    };
    let (retry, sign) = match callback.child("Delivery")? {
        None => (false, false),
        Some(delivery) => {
            let asked = |name| Ok::<_, Problem>(flag::child(delivery, name)?.unwrap_or(false));
            (asked("Retry")?, asked("Sign")?)
        }
    };
    let receiver = Receiver::Callback(Callback {
        url: url.to_owned(),
        credentials,
        public_key,
        format,
        retry,
        signing: None,
    });
    Ok(Post { subject, receiver, expiry_s: Some(expiry_s), sign })
}

fn read_credentials(given: &Element<'_>) -> Result<Option<Credentials>, Problem> {
    let Some(basic) = given.child("BasicAuthentication")? else { return Ok(None) };
    let part = |name| -> Result<String, Problem> {
        let text = basic.filled(name)?.ok_or(Problem::Credentials)?;
        let fits = text.len() <= CREDENTIAL_MAX && !text.chars().any(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err(Problem::Credentials) }
    };
    let (username, password) = (part("Username")?, part("Password")?);
    if username.contains(':') {
        return Err(Problem::Credentials);
    }
    Ok(Some(Credentials { username, password: Secret::new(password) }))
}

fn read_public_key(given: &Element<'_>) -> Result<Option<String>, Problem> {
    match given.filled("PublicKey")? {
        None => Ok(None),
        Some(text) if text.len() > PUBLIC_KEY_MAX => Err(Problem::PublicKey),
        // Encoders break lines.
        Some(text) => Ok(Some(text.split_ascii_whitespace().collect())),
    }
}

fn read_email(email: &Element<'_>) -> Result<Email, Problem> {
    let address = email.filled("Email")?.ok_or(Problem::Subscription)?;
    let fits = address.len() <= EMAIL_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && address
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    if !fits {
        return Err(Problem::Subscription);
    }
    let digest = match email.filled("DigestRequested")? {
        None => Digest::None,
        Some(text) => text.to_ascii_uppercase().parse().map_err(|_| Problem::Digest)?,
    };
    Ok(Email { address: address.to_owned(), digest })
}

/// Returns the answer with subscriptions. It has the plural wrapper even for one subscription: every client looks for
/// it.
#[must_use]
pub fn list(subscriptions: &[Subscription], now: Timestamp) -> String {
    write(subscriptions, now, None)
}

/// Returns the answer with a new subscription and its signing secret, which is shown this once.
#[must_use]
pub fn made(subscription: &Subscription, now: Timestamp, signing: &Secret) -> String {
    write(std::slice::from_ref(subscription), now, Some(signing))
}

fn write(subscriptions: &[Subscription], now: Timestamp, signing: Option<&Secret>) -> String {
    let mut out = Document::new();
    out.open(ROOT);
    if subscriptions.is_empty() {
        out.empty("Subscriptions");
    } else {
        out.open("Subscriptions");
        for one in subscriptions {
            write_one(&mut out, one, now, signing);
        }
        out.close("Subscriptions");
    }
    out.close(ROOT);
    out.finish()
}

fn write_one(out: &mut Document, one: &Subscription, now: Timestamp, signing: Option<&Secret>) {
    out.open("Subscription").leaf_display("SubscriptionId", one.id);
    match one.subject {
        Subject::Orders(orders, order) => {
            out.leaf("OrderType", orders.word());
            if let Some(order) = order {
                out.leaf_display("OrderId", order);
            }
        }
        Subject::Event(event) => {
            out.leaf("EventType", event.word());
        }
    }
    match &one.receiver {
        Receiver::Callback(callback) => write_callback(out, one, callback, now, signing),
        Receiver::Email(email) => {
            out.open("EmailSubscription").leaf("Email", &email.address);
            out.leaf("DigestRequested", email.digest.word()).close("EmailSubscription");
        }
    }
    out.close("Subscription");
}

fn write_callback(
    out: &mut Document,
    one: &Subscription,
    callback: &Callback,
    now: Timestamp,
    signing: Option<&Secret>,
) {
    out.open("CallbackSubscription").leaf("URL", &callback.url);
    if let Some(end) = one.expires_at {
        out.leaf_display("Expiry", end.since(now).max(0) / 1_000);
    }
    if let Some(last) = &one.last {
        out.leaf("Status", last);
    }
    if callback.credentials.is_some() || callback.public_key.is_some() {
        out.open("CallbackCredentials");
        if let Some(credentials) = &callback.credentials {
            out.open("BasicAuthentication").leaf("Username", &credentials.username);
            out.close("BasicAuthentication");
        }
        if let Some(key) = &callback.public_key {
            out.leaf("PublicKey", key);
        }
        out.close("CallbackCredentials");
    }
    out.leaf("NumberFormat", callback.format.word());
    let signed = callback.signing.is_some();
    if callback.retry || signed {
        out.open("Delivery").leaf_display("Retry", callback.retry).leaf_display("Sign", signed);
        if let Some(secret) = signing {
            out.leaf("Secret", secret.expose());
        }
        if one.disabled {
            out.leaf_display("Disabled", true);
        }
        out.close("Delivery");
    }
    out.close("CallbackSubscription");
}

/// A notification in the log of deliveries.
#[derive(Clone, Debug)]
pub struct Logged<'a> {
    /// Its id.
    pub id: String,
    /// The order that it is about.
    pub order: OrderId,
    /// The type of that order.
    pub orders: OrderType,
    /// The order's status at the event.
    pub status: Status,
    /// True if it is about a note.
    pub note: bool,
    /// When the event happened.
    pub at: Timestamp,
    /// Its state.
    pub standing: DeliveryState,
    /// When it is tried next.
    pub due_at: Option<Timestamp>,
    /// Why it was given up.
    pub reason: Option<&'a str>,
    /// The attempts: when each began, how long it took (milliseconds), how it ended.
    pub attempts: Vec<(Timestamp, u32, &'a str)>,
}

/// Returns the answer with a page of a subscription's log of deliveries, and how many there are in all.
#[must_use]
pub fn deliveries(log: &[Logged<'_>], total: u64) -> String {
    let mut out = Document::new();
    out.open("DeliveriesResponse").leaf_display("TotalCount", total).open("Deliveries");
    for one in log {
        out.open("Delivery").leaf("MessageId", &one.id).leaf_display("OrderId", one.order);
        out.leaf("OrderType", one.orders.word()).leaf("OrderStatus", one.status.word());
        out.leaf("About", if one.note { "NOTE" } else { "STATUS" }).leaf_display("Created", one.at);
        out.leaf("State", one.standing.word());
        if let Some(at) = one.due_at {
            out.leaf_display("NextAttempt", at);
        }
        if let Some(reason) = one.reason {
            out.leaf("Reason", reason);
        }
        out.open("Attempts");
        for (at, took_ms, outcome) in &one.attempts {
            out.open("Attempt").leaf_display("At", at).leaf_display("DurationMs", took_ms);
            out.leaf("Outcome", outcome).close("Attempt");
        }
        out.close("Attempts").close("Delivery");
    }
    out.close("Deliveries").close("DeliveriesResponse");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Result<Post, Problem> {
        let document = format!("<Subscription>{inner}</Subscription>");
        Post::read(&crate::text::xml::parse(document.as_bytes()).unwrap())
    }

    fn callback(inner: &str) -> Result<Post, Problem> {
        read(&format!("<OrderType>orders</OrderType><CallbackSubscription>{inner}</CallbackSubscription>"))
    }

    #[test]
    fn what_clients_send_is_read() {
        let post = callback("<URL> https://example.com/a </URL><User>ignored</User>").unwrap();
        assert_eq!(post.subject, Subject::Orders(OrderType::Orders, None));
        assert_eq!(
            (post.receiver.target(), post.expiry_s, post.sign),
            ("https://example.com/a", Some(EXPIRY_S), false)
        );
        let long =
            callback("<URL>u</URL><Expiry>3122064000</Expiry><NumberFormat>e164</NumberFormat>").unwrap();
        let Receiver::Callback(ref sent) = long.receiver else { panic!() };
        assert_eq!((long.expiry_s, sent.format), (Some(3_122_064_000), NumberFormat::E164));
        let far = callback("<URL>u</URL><Expiry>9223372036854775807</Expiry>").unwrap();
        let new = far.subscription(AccountId::new(1).unwrap(), Timestamp::from_millis(7), None);
        assert_eq!(new.expires_at, Some(Timestamp::from_millis(i64::MAX)));
        for orders in OrderType::ALL {
            let post = read(&format!(
                "<OrderType>{}</OrderType><EmailSubscription><Email>a@example.com</Email></EmailSubscription>",
                orders.word().to_uppercase()
            ));
            assert_eq!(post.unwrap().subject, Subject::Orders(*orders, None));
        }
    }

    #[test]
    fn what_is_wrong_has_its_code() {
        let url = "<URL>https://example.com/</URL>";
        let basic = |inner: &str| {
            callback(&format!(
                "{url}<CallbackCredentials><BasicAuthentication>{inner}</BasicAuthentication></CallbackCredentials>"
            ))
        };
        let mail = |inner: &str| {
            read(&format!("<OrderType>orders</OrderType><EmailSubscription>{inner}</EmailSubscription>"))
        };
        let row = |result: Result<Post, Problem>| result.unwrap_err().row().code.unwrap();
        for (result, code) in [
            (read("<OrderType>nothing</OrderType>"), 14500),
            (read("<OrderType>orders</OrderType>"), 14501),
            (read("<OrderType>orders</OrderType><EventType>MESSAGING_LOST</EventType>"), 14501),
            (mail("<Email>nobody</Email>"), 14501),
            (mail("<Email>a@b@example.com</Email>"), 14501),
            (mail("<Email>a b@example.com</Email>"), 14501),
            (mail("<Email>a@example.com</Email><DigestRequested>HOURLY</DigestRequested>"), 14502),
            (callback(""), 14503),
            (callback("<URL> </URL>"), 14503),
            (basic("<Username>a</Username>"), 14505),
            (basic("<Username> </Username><Password>b</Password>"), 14505),
            (basic("<Username>a:b</Username><Password>b</Password>"), 14505),
            (callback(&format!("<URL>{}</URL>", "x".repeat(URL_MAX + 1))), 14506),
            (read("<EventType>OTHER</EventType>"), 14507),
            (read("<CallbackSubscription/>"), 14508),
            (read("<OrderType>orders</OrderType><OrderId>x</OrderId>"), 1008),
            (callback(&format!("{url}<Expiry>0</Expiry>")), 1004),
            (callback(&format!("{url}<Expiry>-1</Expiry>")), 1002),
            (callback(&format!("{url}<Expiry>+1</Expiry>")), 1002),
            (callback(&format!("{url}<Expiry>9223372036854775808</Expiry>")), 1002),
            (callback(&format!("{url}<NumberFormat>X</NumberFormat>")), 1008),
            (callback(&format!("{url}<Delivery><Retry>maybe</Retry></Delivery>")), 1008),
            (callback(&format!("{url}{url}")), 1009),
        ] {
            assert_eq!(row(result), code);
        }
    }
}
