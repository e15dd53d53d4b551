//! The applications of an account, and the ones that its peers name.

use std::sync::Arc;

use http::StatusCode;
use onhook_core::account::Role;
use onhook_core::account::application::{Application, NotNamed};
use onhook_core::ids::ApplicationId;
use onhook_store::contract::applications::ApplicationNamed;
use onhook_store::contract::premises::Removed;
use onhook_wire::applications::{self, FAMILY, PEERS_FAMILY, REQUEST, Settings};
use onhook_wire::error::{Problem, cut};

use super::call::Call;
use super::door::{Route, example};
use super::peers;
use super::reply::{conflict, created, store_problem};
use crate::app::App;
use crate::http::doc::{Doc, Shape, Told};
use crate::http::reply::Reply;
use crate::http::route::Needs;
use crate::limits::Group;

/// The settings of a peer that name an application, with their paths, what is said and what is shown.
const SETTINGS: [(Settings, &str, Shape, Shape); 3] = [
    (
        Settings::Messaging,
        "/accounts/{account}/sites/{site}/sippeers/{peer}/products/messaging/applicationsettings",
        example!("messaging_settings_request"),
        example!("messaging_settings"),
    ),
    (
        Settings::Origination,
        "/accounts/{account}/sites/{site}/sippeers/{peer}/products/origination/settings",
        example!("origination_settings_request"),
        example!("origination_settings"),
    ),
    (
        Settings::Termination,
        "/accounts/{account}/sites/{site}/sippeers/{peer}/products/termination/settings",
        example!("termination_settings_request"),
        example!("termination_settings"),
    ),
];
/// The refusal to name an application.
const OF_OTHER: Told = Told::new(409, "The application is for another service.");

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Needs::Account(Role::Read), Needs::Account(Role::Admin));
    let (form, peers) = ((Group::Free, FAMILY), (Group::Free, PEERS_FAMILY));
    let mut routes = vec![
        Route::get(
            "/accounts/{account}/applications",
            read,
            form,
            Doc::new("Lists the account's applications.", Told::ok(example!("applications"))),
            list,
        ),
        Route::post(
            "/accounts/{account}/applications",
            admin,
            form,
            Doc::new("Makes an application.", Told::made(example!("application"))),
            create,
        )
        .takes(REQUEST, example!("application_request")),
        Route::get(
            "/accounts/{account}/applications/{application}",
            read,
            form,
            Doc::new("Shows an application.", Told::ok(example!("application"))),
            show,
        ),
        Route::put(
            "/accounts/{account}/applications/{application}",
            admin,
            form,
            Doc::new(
                "Replaces an application: what the document leaves out is gone.",
                Told::ok(example!("application")),
            ),
            |app, call| change(app, call, true),
        )
        .takes(REQUEST, example!("application_request")),
        Route::patch(
            "/accounts/{account}/applications/{application}",
            admin,
            form,
            Doc::new(
                "Changes an application: what the document leaves out stays.",
                Told::ok(example!("application")),
            ),
            |app, call| change(app, call, false),
        )
        .takes(REQUEST, example!("application_request")),
        Route::delete(
            "/accounts/{account}/applications/{application}",
            admin,
            form,
            Doc::new("Removes an application that no SIP peer names.", Told::DONE)
                .or(Told::new(409, "SIP peers name it.")),
            remove,
        ),
        Route::get(
            "/accounts/{account}/applications/{application}/associatedsippeers",
            read,
            peers,
            Doc::new(
                "Lists the SIP peers that name an application.",
                Told::ok(example!("application_peers")),
            ),
            peers_of,
        ),
    ];
    for (settings, path, said, shown) in SETTINGS {
        let form = (Group::Free, settings.family());
        let name = move |status| move |app, call| name(app, call, settings, status);
        let doc = Doc::new("Shows which application a SIP peer names.", Told::ok(shown));
        routes.push(Route::get(path, read, form, doc, move |app, call| named(app, call, settings)));
        let doc = Doc::new("Makes a SIP peer name an application, or none.", Told::ok(shown)).or(OF_OTHER);
        let put = Route::put(path, admin, form, doc, name(StatusCode::OK));
        routes.push(put.takes(settings.request(), said));
        if settings != Settings::Messaging {
            let reply = Told::new(201, "It is set.").with(shown);
            let doc = Doc::new("Makes a SIP peer name an application, or none.", reply).or(OF_OTHER);
            let post = Route::post(path, admin, form, doc, name(StatusCode::CREATED));
            routes.push(post.takes(settings.request(), said));
        }
    }
    routes
}

async fn list(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = app.store.applications(call.account()?, None).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, applications::list(&found)))
}

async fn create(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let account = call.account()?;
    let new = applications::new(&*call.document()?)?;
    let made = app.store.add_application(account, new).await.map_err(conflict)?;
    let (base, prefix) = (&app.public_url, call.prefix.text);
    let location = format!("{base}{prefix}/accounts/{account}/applications/{}", made.id);
    Ok(created(&location, applications::one(&made)))
}

async fn show(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = find(&app, &call).await?;
    Ok(Reply::xml(StatusCode::OK, applications::one(&found)))
}

/// Changes an application, as a whole or in part.
async fn change(app: Arc<App>, call: Call, whole: bool) -> Result<Reply, Problem> {
    let kept = find(&app, &call).await?;
    let said = applications::change(&*call.document()?, &kept, whole)?;
    let changed = app.store.change_application(kept.account, kept.id, said).await;
    let changed = changed.map_err(conflict)?.ok_or_else(|| unknown(&call))?;
    Ok(Reply::xml(StatusCode::OK, applications::one(&changed)))
}

async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    match app.store.remove_application(call.account()?, id(&call)?).await.map_err(store_problem)? {
        Removed::Gone => Ok(Reply::empty(StatusCode::OK)),
        Removed::Unknown => Err(unknown(&call)),
        Removed::Stays(_) => Err(Problem::Conflict(
            "SIP peers name the application: GET …/associatedsippeers says which. Have them name another first."
                .to_owned(),
        )),
    }
}

/// Returns the peers that name an application.
async fn peers_of(app: Arc<App>, call: Call) -> Result<Reply, Problem> {
    let found = find(&app, &call).await?;
    let peers = app.store.peers_with(found.account, found.id).await.map_err(store_problem)?;
    Ok(Reply::xml(StatusCode::OK, applications::peers(&peers)))
}

/// Returns the application that a peer names.
async fn named(app: Arc<App>, call: Call, settings: Settings) -> Result<Reply, Problem> {
    let (site, peer, _) = peers::find(&app, &call).await?;
    let named = app.store.application_of(site.account, peer.id, settings.service()).await;
    Ok(Reply::xml(StatusCode::OK, settings.write(named.map_err(store_problem)?)))
}

/// Makes a peer name an application, or none.
async fn name(app: Arc<App>, call: Call, settings: Settings, status: StatusCode) -> Result<Reply, Problem> {
    let (site, peer, _) = peers::find(&app, &call).await?;
    let application = settings.read(&*call.document()?)?;
    let (account, service) = (site.account, settings.service());
    let named = app.store.name_application(account, peer.id, service, application).await;
    match named.map_err(store_problem)? {
        ApplicationNamed::Done => Ok(Reply::xml(status, settings.write(application))),
        ApplicationNamed::Refused(NotNamed::NoPeer) => Err(peers::unknown(&call)),
        ApplicationNamed::Refused(NotNamed::NoApplication) => {
            Err(Problem::NoApplication(application.map(|id| id.to_string()).unwrap_or_default()))
        }
        ApplicationNamed::Refused(NotNamed::Service(other)) => {
            Err(Problem::Conflict(format!("The application is for {other}. Name one for {service}.")))
        }
    }
}

async fn find(app: &App, call: &Call) -> Result<Application, Problem> {
    let found = app.store.applications(call.account()?, Some(id(call)?)).await;
    found.map_err(store_problem)?.pop().ok_or_else(|| unknown(call))
}

fn id(call: &Call) -> Result<ApplicationId, Problem> {
    call.param("application").parse().map_err(|_| unknown(call))
}

fn unknown(call: &Call) -> Problem {
    Problem::NoApplication(cut(call.param("application")))
}
