//! `onhook demo`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use onhook_core::lifecycle::diagram::State;
use onhook_core::notify::subscription::Secret;
use onhook_core::number::Number;
use onhook_core::time::DAY_MS;
use onhook_server::{Server, Settings, demo_data};
use reqwest::{Client, Method, Response};
use tokio::net::TcpListener;

use super::explain;
use crate::config::{self, File};
use crate::exit::Exit;
use crate::stop::Stop;
use crate::target::{Home, now, policy};
use crate::terminal::Terminal;

/// Show a number's life: the guide's two exchanges, a reconnect, and a release 45 days later or more
///
/// Starts a real server in a temporary folder, with the documented account, and talks to it over HTTP. Then
/// it stays up, so that a client can be pointed at it; the folder is removed at the end. With --database-url
/// the data is in that database, which must be empty, and stays there.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  onhook demo --once")]
pub(crate) struct Demo {
    /// End when the story is told
    #[arg(long)]
    once: bool,
    /// Where to listen; another port is taken if it is in use
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9080", value_parser = config::address)]
    listen: SocketAddr,
    /// An empty database for the data, instead of a temporary folder, such as postgres://onhook@localhost/demo
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// The guide's request, character for character.
const ORDER: &str = r#"<?xml version="1.0"?>
<DisconnectTelephoneNumberOrder>
<name>training run</name>
<DisconnectTelephoneNumberOrderType>
<TelephoneNumberList>
<TelephoneNumber>5405514342</TelephoneNumber>
<TelephoneNumber>7034343704</TelephoneNumber>
</TelephoneNumberList>
</DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>"#;

/// How long a step may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(10);

impl Demo {
    pub(crate) async fn run(self, config: &File, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        anyhow::ensure!(
            self.listen.ip().is_loopback(),
            "the demonstration listens on a loopback address only"
        );
        let mut stop = Stop::listen()?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let home = match self.database_url {
            Some(url) => Home::Database(Secret::new(url), "--database-url"),
            None => Home::Folder(folder.path().to_owned()),
        };
        let policy = policy(config)?;
        let store = home.open_or_make().await?;
        anyhow::ensure!(
            demo_data::seed(&*store, now(), policy.clone()).await?,
            "{home} has accounts or users already: give the demonstration an empty database"
        );
        let listener = match TcpListener::bind(self.listen).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((self.listen.ip(), 0)).await.context("cannot listen")?,
        };
        let settings = Settings { emulator: true, policy, ..Settings::default() };
        let server = onhook_server::start(listener, store, settings).await.map_err(|e| anyhow::anyhow!(e))?;
        let mut story = Story { base: format!("http://{}", server.address), client: Client::new(), terminal };
        let told = tokio::select! {
            told = story.tell_and_stay(&server, self.once) => told,
            () = stop.asked() => Ok(()),
        };
        server.stop().await; // before the folder is removed
        told.map(|()| Exit::Done)
    }
}

struct Story<'a> {
    base: String,
    client: Client,
    terminal: &'a mut Terminal,
}

impl Story<'_> {
    async fn tell_and_stay(&mut self, server: &Server, once: bool) -> anyhow::Result<()> {
        self.tell(server).await?;
        if !once {
            self.addresses()?;
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn tell(&mut self, server: &Server) -> anyhow::Result<()> {
        let [kept, given_up] = demo_data::NUMBERS.map(|(digits, _)| digits);
        let account = format!("/api/accounts/{}", demo_data::ACCOUNT);

        self.chapter("1. A client disconnects two numbers, as in the guide")?;
        let created = self.call(Method::POST, &format!("{account}/disconnects"), Some(ORDER)).await?;
        let order = created.location.context("the answer names no Location")?;
        let order = order.strip_prefix(&self.base).context("the Location is another server's")?.to_owned();

        self.chapter("2. It reads the order back")?;
        self.until_ended(server, &order).await?;
        self.call(Method::GET, &order, None).await?;

        self.chapter("3. Where the numbers are now, and until when they can be reconnected")?;
        let mut release_at = now();
        for digits in [kept, given_up] {
            let facts = server.app.store.facts(digits.parse::<Number>()?).await?.context("it is there")?;
            release_at = release_at.max(facts.entry.standing.due_at().context("it is aging")?);
            self.terminal.line(&explain::sentence(&facts))?;
        }

        self.chapter("4. The account takes one of them back")?;
        let site = server.app.store.sites(None).await?.first().context("the account has a site")?.id;
        let order = format!(
            "<Order>\n<Name>taking one back</Name>\n<ExistingTelephoneNumberOrderType>\n<TelephoneNumberList>\n\
             <TelephoneNumber>{kept}</TelephoneNumber>\n</TelephoneNumberList>\n\
             </ExistingTelephoneNumberOrderType>\n<SiteId>{site}</SiteId>\n</Order>"
        );
        let created = self.call(Method::POST, &format!("{account}/orders"), Some(&order)).await?;
        let order = created.location.context("the answer names no Location")?;
        let order = order.strip_prefix(&self.base).context("the Location is another server's")?.to_owned();
        self.until_ended(server, &order).await?;
        self.call(Method::GET, &format!("/api/tns/{kept}"), None).await?;

        let days = (release_at.since(server.app.clock.now()) / DAY_MS) + 1;
        self.chapter(&format!(
            "5. {days} days later, nobody has asked for the other one: it is in the pool"
        ))?;
        let advance = format!("{{\"advance_days\": {days}}}");
        self.call(Method::POST, "/ops/v1/emulator/clock", Some(&advance)).await?;
        self.until_in_pool(server, given_up.parse()?).await?;
        self.call(Method::GET, &format!("/api/tns/{given_up}"), None).await?;
        let facts = server.app.store.facts(given_up.parse::<Number>()?).await?.context("it is there")?;
        self.terminal.line(&explain::sentence(&facts))?;
        Ok(())
    }

    fn chapter(&mut self, title: &str) -> anyhow::Result<()> {
        self.terminal.line(&format!("\n=== {title}\n"))?;
        Ok(())
    }

    /// Sends a request, and prints it and its answer as they were sent.
    async fn call(&mut self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let operator = path.starts_with("/ops");
        let user = if operator { demo_data::OPERATOR } else { demo_data::USER };
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .basic_auth(user, Some(demo_data::PASSWORD))
            .timeout(PATIENCE);
        if let Some(body) = body {
            let kind = if operator { "application/json" } else { "application/xml; charset=utf-8" };
            request = request.header("Content-Type", kind).body(body.to_owned());
        }
        let request = request.build()?;
        self.terminal.line(&format!("{method} {path} HTTP/1.1"))?;
        for (name, value) in request.headers() {
            self.terminal.line(&format!("{name}: {}", value.to_str()?))?;
        }
        if let Some(body) = body {
            self.terminal.line(&format!("\n{body}"))?;
        }
        let answer = self.client.execute(request).await?;
        Answer::read(answer, self.terminal).await
    }

    /// Waits until an order has run. Accepting an order wakes the worker, so this takes milliseconds.
    async fn until_ended(&self, server: &Server, path: &str) -> anyhow::Result<()> {
        self.until(server, || async {
            let answer = self
                .client
                .get(format!("{}{path}", self.base))
                .basic_auth(demo_data::USER, Some(demo_data::PASSWORD))
                .timeout(PATIENCE)
                .send()
                .await?;
            Ok(!answer.text().await?.contains("<OrderStatus>RECEIVED<"))
        })
        .await
    }

    async fn until_in_pool(&self, server: &Server, number: Number) -> anyhow::Result<()> {
        self.until(server, || async {
            let facts = server.app.store.facts(number).await?.context("it is there")?;
            Ok(facts.entry.state() == State::Available)
        })
        .await
    }

    async fn until<F: Future<Output = anyhow::Result<bool>>>(
        &self,
        server: &Server,
        done: impl Fn() -> F,
    ) -> anyhow::Result<()> {
        let begun = server.app.clock.steady_ms();
        while !done().await? {
            let waited = server.app.clock.steady_ms() - begun;
            anyhow::ensure!(
                u128::try_from(waited)? < PATIENCE.as_millis(),
                "it did not happen in {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn addresses(&mut self) -> anyhow::Result<()> {
        let Story { base, terminal, .. } = self;
        terminal.line(&format!(
            "\n=== It stays up. Point your own client at it; Ctrl-C ends it.\n\n\
             API:      {base}/api    (account {}, user {}, password {})\n\
             Clock:    {base}/ops/v1/emulator/clock    (user {}, password {})\n\
             Metrics:  {base}/metrics",
            demo_data::ACCOUNT,
            demo_data::USER,
            demo_data::PASSWORD,
            demo_data::OPERATOR,
            demo_data::PASSWORD
        ))?;
        Ok(())
    }
}

struct Answer {
    location: Option<String>,
}

impl Answer {
    async fn read(answer: Response, terminal: &mut Terminal) -> anyhow::Result<Self> {
        terminal.line(&format!("\nHTTP/1.1 {}", answer.status()))?;
        for (name, value) in answer.headers() {
            terminal.line(&format!("{name}: {}", value.to_str()?))?;
        }
        let location = answer.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let good = answer.error_for_status_ref().map(drop);
        let text = answer.text().await?;
        let shown = if text.starts_with('<') { onhook_wire::xml::pretty(&text) } else { text };
        terminal.line(&format!("\n{}\n", shown.trim_end()))?;
        good?;
        Ok(Self { location })
    }
}
