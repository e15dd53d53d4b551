//! Subscriptions, and their log of deliveries, which is onhook's own.

use std::sync::Arc;

use http::{StatusCode, header};
use onhook_core::account::Role;
use onhook_core::ids::SubscriptionId;
use onhook_core::notify::subscription::{
    NewSubscription, Receiver, SUBSCRIPTIONS_MAX, Secret, Subject, Subscription,
};
use onhook_core::time::Timestamp;
use onhook_store::contract::deliveries::DeliveryPage;
use onhook_store::contract::subscriptions::{Subscribed, SubscriptionQuery};
use onhook_wire::error::{Problem, cut};
use onhook_wire::subscriptions::{self, FAMILY, Logged, Post, REQUEST};

use super::call::Call;
use super::door::{Route, example};
use super::paging;
use super::reply::store_problem;
use crate::app::App;
use crate::callback::{signing, tls};
use crate::http::doc::{Doc, Form, Parameter, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;
use crate::mail;

/// Deliveries on a page of the log: by default, and at most.
const SIZE: u32 = 100;
const SIZE_MAX: u32 = 1_000;
/// The last page that may be asked for.
const PAGE_MAX: u32 = 1_000_000;

/// What subscriptions are filtered by.
const FILTERS: [Parameter; 2] = [
    Parameter::new("orderType", Form::Text("disconnects"), "only subscriptions to orders of this type"),
    Parameter::new("orderId", Form::Uuid, "only subscriptions to this order"),
];
/// The page of the log.
const PAGES: [Parameter; 2] =
    [Parameter::new("page", Form::Whole(1, PAGE_MAX), "the page's number"), paging::size(SIZE_MAX)];

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Needs::Account(Role::Read), Needs::Account(Role::Admin));
    let form = (Group::Subscription, FAMILY);
    vec![
        Route::get(
            "/accounts/{account}/subscriptions",
            read,
            form,
            Doc::new(
                "Lists the account's subscriptions that have not ended.",
                Told::ok(example!("subscriptions")),
            )
            .query(&FILTERS),
            list,
        ),
        Route::post(
            "/accounts/{account}/subscriptions",
            write,
            form,
            Doc::new("Makes a subscription to what becomes of orders, or to an event.", Told::MADE),
            create,
        )
        .takes(REQUEST, example!("subscription_request")),
        Route::get(
            "/accounts/{account}/subscriptions/{subscription}",
            read,
            form,
            Doc::new("Shows a subscription.", Told::ok(example!("subscriptions"))),
            show,
        ),
        Route::put(
            "/accounts/{account}/subscriptions/{subscription}",
            write,
            form,
            Doc::new("Replaces a subscription. Its secret stays.", Told::DONE),
            replace,
        )
        .takes(REQUEST, example!("subscription_request")),
        Route::delete(
            "/accounts/{account}/subscriptions/{subscription}",
            write,
            form,
            Doc::new("Removes a subscription. What waits to be delivered to it is given up.", Told::DONE),
            remove,
        ),
        Route::get(
            "/accounts/{account}/subscriptions/{subscription}/deliveries",
            read,
            form,
            Doc::new(
                "Lists the deliveries of a subscription with their attempts, the newest first.",
                Told::ok(example!("deliveries")),
            )
            .query(&PAGES),
            deliveries,
        ),
    ]
}

/// Returns the account's subscriptions that have not ended.
async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let orders = match call.query.get("ordertype")? {
        None => None,
        Some(text) => Some(subscriptions::order_type(text)?),
    };
    let order = match call.query.get("orderid")? {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::Uuid("orderId", cut(text)))?),
    };
    let now = app.clock.now();
    let query = SubscriptionQuery { account: call.account()?, orders, order, now };
    let found = app.store.subscriptions(query).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, subscriptions::list(&found, now)))
}

/// Makes a subscription: 201 and its location. There is no body, unless its deliveries are signed. Then the body shows
/// their secret, this once.
async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let (new, now, secret) = checked(&app, &call, None).await?;
    let subject = new.subject;
    let made = app.store.subscribe(new, now).await.map_err(store_problem)?;
    let made = written(made, &call, subject)?;
    app.deliveries_bell.notify_one();
    let (base, prefix, account) = (&app.public_url, call.prefix.text, made.account);
    let location = format!("{base}{prefix}/accounts/{account}/subscriptions/{}", made.id);
    let reply = match secret {
        None => Reply::empty(StatusCode::CREATED),
        Some(secret) => Reply::xml(StatusCode::CREATED, subscriptions::made(&made, now, &secret)),
    };
    Ok(reply.with(header::LOCATION, &location))
}

/// Replaces a subscription as a whole: 200. Its secret stays. A secret that it did not have before is shown.
async fn replace(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let known = find(&app, &call).await?;
    let (new, now, secret) = checked(&app, &call, Some(&known)).await?;
    let subject = new.subject;
    let made = app.store.resubscribe(known.id, new, now).await.map_err(store_problem)?;
    let made = written(made, &call, subject)?;
    app.deliveries_bell.notify_one();
    match secret {
        None => Ok(Reply::empty(StatusCode::OK)),
        Some(secret) => Ok(Reply::xml(StatusCode::OK, subscriptions::made(&made, now, &secret))),
    }
}

/// Returns the requested subscription, and its secret if it got a new one.
async fn checked(
    app: &App,
    call: &Call,
    known: Option<&Subscription>,
) -> Result<(NewSubscription, Timestamp, Option<Secret>), Problem> {
    let account = call.account()?;
    let root = call.document()?;
    let post = Post::read(&root)?;
    match &post.receiver {
        Receiver::Callback(callback) => {
            if let Some(key) = &callback.public_key {
                tls::public_key(key).ok_or(Problem::PublicKey)?;
                // Plain HTTP has no certificate that could have the key.
                if !callback.url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
                    return Err(Problem::CallbackUrl);
                }
            }
            if let Err(why) = app.callbacks.admit(&callback.url).await {
                tracing::info!(account = account.get(), callback.why = %why, "a callback URL was refused: {why}");
                return Err(Problem::CallbackUrl);
            }
        }
        Receiver::Email(email) => {
            if app.mailer.is_none() {
                return Err(Problem::NotAllowed("EmailSubscription"));
            }
            if !mail::is_address(&email.address) {
                return Err(Problem::Subscription);
            }
        }
    }
    let kept = known.and_then(|known| match &known.receiver {
        Receiver::Callback(callback) => callback.signing.clone(),
        Receiver::Email(_) => None,
    });
    let (signing, new) = match (post.sign, kept) {
        (false, _) => (None, None),
        (true, Some(kept)) => (Some(kept), None),
        (true, None) => {
            let secret = signing::new_secret(app.random().map_err(store_problem)?);
            (Some(secret.clone()), Some(secret))
        }
    };
    let now = app.clock.now();
    Ok((post.subscription(account, now, signing), now, new))
}

fn written(subscribed: Subscribed, call: &Call, subject: Subject) -> Result<Subscription, Problem> {
    match (subscribed, subject) {
        (Subscribed::Made(made), _) => Ok(*made),
        (Subscribed::Duplicate, _) => Err(Problem::DuplicateSubscription),
        (Subscribed::TooMany, _) => Err(Problem::TooManySubscriptions(SUBSCRIPTIONS_MAX)),
        (Subscribed::NoOrder, Subject::Orders(orders, Some(order))) => {
            Err(Problem::NoOrderOfType(order, orders))
        }
        (Subscribed::NoOrder, _) => Err(Problem::Internal),
        (Subscribed::Missing, _) => Err(missing(call)?),
    }
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, subscriptions::list(&[found], app.clock.now())))
}

/// Removes a subscription. Its waiting notifications are given up.
async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let removed = app.store.unsubscribe(call.account()?, id(&call)?, app.clock.now()).await;
    if removed.map_err(store_problem)? { Ok(Reply::empty(StatusCode::OK)) } else { Err(missing(&call)?) }
}

/// Returns the subscription's deliveries, newest first, with their attempts.
async fn deliveries(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let page = call.query.size("page", 1, PAGE_MAX)?;
    let size = call.query.size("size", SIZE, SIZE_MAX)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let found = app.store.deliveries(call.account()?, id(&call)?, page, size).await.map_err(store_problem)?;
    let Some(DeliveryPage { deliveries, total }) = found else { return Err(missing(&call)?) };
    let log: Vec<Logged<'_>> = deliveries
        .iter()
        .map(|one| Logged {
            id: one.id.to_string(),
            order: one.order,
            orders: one.orders,
            status: one.status,
            note: one.note,
            at: one.at,
            standing: one.standing,
            due_at: one.due_at,
            reason: one.reason.as_deref(),
            attempts: one.attempts.iter().map(|a| (a.at, a.took_ms, a.outcome.as_str())).collect(),
        })
        .collect();
    Ok(Reply::xml(StatusCode::OK, subscriptions::deliveries(&log, total)))
}

async fn find(app: &App, call: &Call) -> Result<Subscription, Problem> {
    let found = app.store.subscription(call.account()?, id(call)?, app.clock.now()).await;
    match found.map_err(store_problem)? {
        Some(found) => Ok(found),
        None => Err(missing(call)?),
    }
}

fn id(call: &Call) -> Result<SubscriptionId, Problem> {
    let text = call.param("subscription");
    text.parse().map_err(|_| Problem::Uuid("SubscriptionId", cut(text)))
}

fn missing(call: &Call) -> Result<Problem, Problem> {
    Ok(Problem::NoSubscription(cut(call.param("subscription")), call.account()?))
}
