//! The other side of an accept and of a switch's question: an axum server that reads the body, parses nothing, stores
//! nothing, and answers as much as onhook does. No HTTP server on this stack can be faster.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::TcpListener;

use crate::child::{self, Running};

/// The guide's answer, with a fixed identifier and date.
const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrderResponse>
<orderRequest>
<Name>training run</Name>
<OrderCreateDate>2018-01-23T21:00:23.802Z</OrderCreateDate>
<id>b902dee1-0585-4258-becd-5c7e51ccf5e1</id>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</TelephoneNumberList>
<DisconnectMode>normal</DisconnectMode>
</DisconnectTelephoneNumberOrderType>
</orderRequest>
<OrderStatus>RECEIVED</OrderStatus>
</DisconnectTelephoneNumberOrderResponse>
"#;

/// The answer to a switch, with a fixed number and instant.
const CALL: &str = r#"{"number":"+15405514342","at":"2018-01-23T21:00:23.802Z","state":"InService","treatment":"deliver","deliver":{"account":9900000,"site":1,"peer":1},"sip_code":null,"q850_cause":null,"chargeable":{"account":9900000},"why":"it is in service since 2018-01-23T21:00:23.802Z"}
"#;

/// Starts the echo as a separate process.
pub(crate) async fn spawn() -> Result<Running> {
    child::serve(&[OsStr::new("serve-echo")], Duration::from_secs(10)).await
}

/// The child's work: serves until the parent has ended.
pub(crate) fn serve() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        child::say(listener.local_addr()?)?;
        let app = Router::new()
            .route("/api/accounts/{account}/disconnects", post(answer))
            .route("/ops/v1/calls/{number}", get(call));
        tokio::select! {
            served = async { axum::serve(listener, app).await } => Ok(served?),
            () = child::parent_ended() => Ok(()),
        }
    })
}

async fn answer(_body: Bytes) -> impl IntoResponse {
    const LOCATION: &str = "http://127.0.0.1:9080/api/accounts/9900000/disconnects/\
                            b902dee1-0585-4258-becd-5c7e51ccf5e1";
    let headers = [(header::CONTENT_TYPE, "application/xml; charset=utf-8"), (header::LOCATION, LOCATION)];
    (StatusCode::CREATED, headers, ANSWER)
}

async fn call() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], CALL)
}
