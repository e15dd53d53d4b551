//! The applications of an account, and the ones that its peers name.

use onhook_core::account::application::{APPLICATIONS_MAX, Details, NewApplication, Service};
use onhook_core::ids::AccountId;

use crate::app::{ACCOUNT, App, Call, Reply, Seed, Who, account, delete, get, patch, post, put, with_app};

/// An id that no application has.
const NO_ID: &str = "d775585a-ed5b-4a49-8b96-f68c0a993ebe";

const VOICE: &str = "<Application><ServiceType>Voice-V2</ServiceType><AppName>Quickstart App</AppName>\
    <CallInitiatedCallbackUrl>https://example.com/voice?a=1&amp;b=2</CallInitiatedCallbackUrl></Application>";
/// An application with each setting that the documents have for messages.
const MESSAGING: &str = "<Application><ServiceType>Messaging-V2</ServiceType><AppName>Production Server</AppName>\
    <InboundCallbackUrl>https://example.com/in</InboundCallbackUrl><InboundCallbackCreds><UserId>in</UserId>\
    <Password>secret</Password></InboundCallbackCreds><OutboundCallbackUrl>https://example.com/out\
    </OutboundCallbackUrl><RequestedCallbackTypes><CallbackType>message-delivered</CallbackType>\
    <CallbackType>message-failed</CallbackType></RequestedCallbackTypes></Application>";

/// Makes an application, and returns its path.
async fn make(app: &App, body: &str) -> String {
    let made = app.send(post(account("/applications"), body)).await.expect(201);
    app.path_of(made.header("location").unwrap())
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn settings(app: &App, product: &str) -> String {
    account(&format!("/sites/{}/sippeers/{}/products/{product}", app.site, app.peer))
}

fn named(id: &str) -> String {
    format!("<ApplicationsSettings><HttpMessagingV2AppId>{id}</HttpMessagingV2AppId></ApplicationsSettings>")
}

fn json(call: Call) -> Call {
    call.content_type("application/json").header("Accept", "application/json")
}

fn refused(reply: &Reply) -> (u16, Option<u16>) {
    (reply.status, reply.code())
}

#[tokio::test]
async fn an_application_is_made_listed_changed_and_removed() {
    with_app(Seed::two_accounts(), async |app| {
        golden!(app, "applications_none", app.send(get(account("/applications"))).await);
        let made = app.send(post(account("/applications"), VOICE)).await;
        golden!(app, "application_made", made);
        let voice = app.path_of(made.header("location").unwrap());
        let messaging = make(app, MESSAGING).await;
        golden!(app, "application", app.send(get(&messaging)).await);
        golden!(app, "applications", app.send(get(account("/applications"))).await);

        // In part: what is left out stays. As a whole: it goes.
        let part = "<Application><InboundCallbackCreds><UserId>another</UserId></InboundCallbackCreds></Application>";
        golden!(app, "application_patched", app.send(patch(&messaging, part)).await);
        let whole = "<Application><AppName>Production Server</AppName><ServiceType>Messaging-V2</ServiceType>\
            <MsgCallbackUrl>https://example.com/all</MsgCallbackUrl></Application>";
        let put_whole = app.send(put(&messaging, whole)).await;
        golden!(app, "application_put", put_whole);
        assert_eq!(app.send(get(&messaging)).await.text(), put_whole.text());

        app.send(delete(&voice)).await.expect(200);
        golden!(app, "application_unknown", app.send(get(&voice)).await);
        let left = app.send(get(account("/applications"))).await;
        assert_eq!(left.elements("ApplicationId"), [id(&messaging)]);
    })
    .await;
}

#[tokio::test]
async fn applications_are_json_too() {
    with_app(Seed::two_accounts(), async |app| {
        let v2 = "/api/v2/accounts/9900000/applications";
        let body = r#"{"serviceType":"Messaging-V2","appName":"App","outboundCallbackUrl":"https://example.com/out",
            "callbackCreds":{"userId":"a","password":"secret"},"requestedCallbackTypes":["message-failed"]}"#;
        let made = app.send(json(post(v2, body))).await;
        golden!(app, "application_json", made);
        let path = app.path_of(made.header("location").unwrap());
        golden!(app, "applications_json", app.send(json(get(v2))).await);
        let settings = settings(app, "messaging/applicationSettings").replace("/api", "/api/v2");
        let body = format!(r#"{{"httpMessagingV2AppId":"{}"}}"#, id(&path));
        golden!(app, "application_named_json", app.send(json(put(&settings, body))).await);
        golden!(app, "application_peers_json", app.send(json(get(format!("{path}/associatedsippeers")))).await);
        let none = app.send(json(put(&settings, r#"{"httpMessagingV2AppId":"REMOVE"}"#))).await.expect(200);
        assert_eq!(none.text(), r#"{"applicationsSettings":{}}"#);
        let none = app.send(json(get(format!("{path}/associatedsippeers")))).await.expect(200);
        assert_eq!(none.text(), r#"{"associatedSipPeers":[]}"#);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_application_is_refused() {
    with_app(Seed::two_accounts(), async |app| {
        let path = make(app, VOICE).await;
        golden!(app, "application_bare", app.send(post(account("/applications"), "<Application/>")).await);
        let other = "<Application><ServiceType>Messaging-V2</ServiceType></Application>";
        assert_eq!(refused(&app.send(patch(&path, other)).await), (400, Some(1005)));
        let long = "a".repeat(2_000);
        let urls = ["CallbackUrl", "MsgCallbackUrl", "InboundCallbackUrl", "OutboundCallbackUrl"];
        let more = ["CallInitiatedCallbackUrl", "CallStatusCallbackUrl", "CallInitiatedFallbackUrl"];
        let all = urls.iter().chain(&more).map(|name| format!("<{name}>{long}</{name}>"));
        let much = format!("<Application>{}</Application>", all.collect::<String>());
        app.send(patch(&path, much.as_str())).await.expect(200);
        let creds = format!("<CallbackCreds><UserId>{long}</UserId></CallbackCreds>");
        let body =
            format!("<Application>{creds}{}</Application>", creds.replace("Callback", "InboundCallback"));
        golden!(app, "application_too_much", app.send(patch(&path, body)).await);
        for path in [account(&format!("/applications/{NO_ID}")), account("/applications/1")] {
            for call in [get(&path), put(&path, VOICE), patch(&path, VOICE), delete(&path)] {
                assert_eq!(refused(&app.send(call).await), (404, Some(13629)));
            }
        }
        golden!(
            app,
            "application_peers_unknown",
            app.send(get(account(&format!("/applications/{NO_ID}/associatedsippeers")))).await
        );
        // Another account's application does not exist.
        let theirs = path.replace("9900000", "9900001");
        let reply = app.send(get(theirs).by(Who::Neighbour)).await;
        assert_eq!(refused(&reply), (404, Some(13629)));
    })
    .await;
}

#[tokio::test]
async fn an_account_has_a_limit_of_applications() {
    with_app(Seed::two_accounts(), async |app| {
        let (guide, service) = (AccountId::new(ACCOUNT).unwrap(), Service::Voice);
        for _ in 0..APPLICATIONS_MAX {
            let new = NewApplication { service, name: "App".into(), details: Details::default() };
            app.parts.store.add_application(guide, new).await.unwrap();
        }
        golden!(app, "applications_full", app.send(post(account("/applications"), VOICE)).await);
    })
    .await;
}

#[tokio::test]
async fn a_peer_names_an_application_which_then_stays() {
    with_app(Seed::two_accounts(), async |app| {
        let (voice, messaging) = (make(app, VOICE).await, make(app, MESSAGING).await);
        let path = settings(app, "messaging/applicationSettings");
        golden!(app, "application_named_none", app.send(get(&path)).await);
        golden!(app, "application_named", app.send(put(&path, named(id(&messaging)))).await);
        assert_eq!(app.send(get(&path)).await.element("HttpMessagingV2AppId"), Some(id(&messaging)));
        golden!(app, "application_peers", app.send(get(format!("{messaging}/associatedSipPeers"))).await);
        golden!(app, "application_stays", app.send(delete(&messaging)).await);

        // An application for calls is refused for messages, and an unknown one is refused.
        golden!(app, "application_other_service", app.send(put(&path, named(id(&voice)))).await);
        golden!(app, "application_named_unknown", app.send(put(&path, named(NO_ID))).await);
        assert_eq!(app.send(get(&path)).await.element("HttpMessagingV2AppId"), Some(id(&messaging)));

        // For calls there are two elements for it, with the same meaning.
        let (origination, termination) =
            (settings(app, "origination/settings"), settings(app, "termination/settings"));
        golden!(app, "application_voice_none", app.send(get(&origination)).await);
        let body = format!(
            "<SipPeerOriginationSettings><VoiceProtocol>HTTP</VoiceProtocol><HttpSettings><HttpVoiceV2AppId>{}\
             </HttpVoiceV2AppId></HttpSettings></SipPeerOriginationSettings>",
            id(&voice)
        );
        golden!(app, "application_voice_named", app.send(post(&origination, body.as_str())).await);
        golden!(app, "application_voice_both", app.send(get(&termination)).await);
        app.send(delete(&voice)).await.expect(409);
        let sip = "<SipPeerTerminationSettings><VoiceProtocol>SIP</VoiceProtocol></SipPeerTerminationSettings>";
        app.send(put(&termination, sip)).await.expect(200);
        app.send(delete(&voice)).await.expect(200);

        app.send(put(&path, "<ApplicationsSettings>REMOVE</ApplicationsSettings>")).await.expect(200);
        golden!(
            app,
            "application_peers_none",
            app.send(get(format!("{messaging}/associatedsippeers"))).await
        );
        app.send(delete(&messaging)).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_removed_peer_names_no_application() {
    with_app(Seed::two_accounts(), async |app| {
        let path = make(app, MESSAGING).await;
        let site = account(&format!("/sites/{}/sippeers", app.site));
        let made = app.send(post(&site, "<SipPeer><PeerName>Another</PeerName></SipPeer>")).await.expect(201);
        let peer = app.path_of(made.header("location").unwrap());
        app.send(put(format!("{peer}/products/messaging/applicationSettings"), named(id(&path))))
            .await
            .expect(200);
        app.send(delete(&path)).await.expect(409);
        app.send(delete(&peer)).await.expect(200);
        app.send(delete(&path)).await.expect(200);
    })
    .await;
}
