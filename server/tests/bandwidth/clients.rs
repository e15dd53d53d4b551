//! Requests as Bandwidth's own client libraries send them, each with its habits.

use base64::Engine as _;

use crate::app::{
    App, Call, IN_SERVICE, NO_NUMBER, Names, POOL, Reply, Seed, Who, account, basic, delete, disconnects,
    get, post, put, with_app,
};

/// A client's exchanges, one after another, as one golden file.
struct Story<'a> {
    app: &'a App,
    /// Where the client finds its account.
    base: &'static str,
    /// What the client adds to every request.
    habits: Box<dyn Fn(Call) -> Call>,
    told: String,
}

impl<'a> Story<'a> {
    fn of(app: &'a App, base: &'static str, habits: impl Fn(Call) -> Call + 'static) -> Self {
        Self { app, base, habits: Box::new(habits), told: String::new() }
    }

    /// Makes one exchange, whose answer must have this status.
    async fn tell(&mut self, status: u16, call: Call) -> Reply {
        let call = (self.habits)(call);
        self.told += &format!("> {} {}\n", call.method, call.path);
        if !call.body.is_empty() {
            self.told += &format!("{}\n", String::from_utf8_lossy(&call.body).trim_end());
        }
        let reply = self.app.send(call).await.expect(status);
        self.told += &format!("< {}\n", reply.told(self.app));
        reply
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.tell(200, get(format!("{}{path}", self.base))).await
    }

    /// Sends a document, and returns the last part of its `Location`: the id, as every client takes it.
    async fn post(&mut self, path: &str, body: &str) -> String {
        let call = post(format!("{}{path}", self.base), body).content_type("application/xml");
        let reply = self.tell(201, call).await;
        reply.header("location").unwrap().rsplit('/').next().unwrap().to_owned()
    }

    /// Asks for an order until it has ended. Only the last answer is part of the story.
    async fn ended(&mut self, path: &str) -> Reply {
        self.app.ended((self.habits)(get(format!("{}{path}", self.base)))).await;
        self.get(path).await
    }

    fn end(self) -> String {
        Names::default().redact(&self.told)
    }
}

/// What there is to say in an order of either kind: the numbers, in an XML list on one line.
fn numbers(numbers: &[&str]) -> String {
    let each = numbers.iter().map(|number| format!("<TelephoneNumber>{number}</TelephoneNumber>"));
    format!("<TelephoneNumberList>{}</TelephoneNumberList>", each.collect::<String>())
}

#[tokio::test]
async fn node_asks_for_a_page_of_everything() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story =
            Story::of(app, "/api/accounts/9900000", |call| call.header("User-Agent", "node-numbers"));
        let body = format!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Order>
  <Name>from node</Name>
  <SiteId>{}</SiteId>
  <ExistingTelephoneNumberOrderType>
    <TelephoneNumberList>
      <TelephoneNumber>{POOL}</TelephoneNumber>
      <TelephoneNumber>{NO_NUMBER}</TelephoneNumber>
    </TelephoneNumberList>
  </ExistingTelephoneNumberOrderType>
</Order>"#,
            app.site
        );
        story.get("/availableNumbers?areaCode=336&quantity=2").await;
        let order = story.post("/orders", &body).await;
        // It takes the first `Error` that it finds for the reply's own, and hands the order over beside it.
        let partial = story.ended(&format!("/orders/{order}")).await;
        assert_eq!((partial.element("OrderStatus"), partial.code()), (Some("PARTIAL"), Some(5005)));
        story.get(&format!("/orders/{order}/tns")).await;
        story.get(&format!("/orders/{order}/areaCodes")).await;
        story.get(&format!("/orders/{order}/npaNxx")).await;
        story.get(&format!("/orders/{order}/totals")).await;
        let note = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<Note>\n  \
                    <UserId>username</UserId>\n  <Description>from node</Description>\n</Note>";
        let id = story.post(&format!("/orders/{order}/notes"), note).await;
        let notes = story.get(&format!("/orders/{order}/notes")).await;
        assert_eq!(notes.elements("Id"), [id]);
        story.get("/inserviceNumbers?page=1&size=2&areacode=919").await;
        story.get(&format!("/inserviceNumbers/{}", IN_SERVICE[0])).await;
        // Without `page` and `size` the real service redirects it, so it always sends them.
        story.tell(200, get("/api/tns?npa=919&page=1&size=500")).await;
        story.tell(200, get(format!("/api/tns/{}/tndetails", IN_SERVICE[0]))).await;
        insta::assert_snapshot!("node", story.end());
    })
    .await;
}

#[tokio::test]
async fn c_sharp_notes_orders_and_lists_from_the_root() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story =
            Story::of(app, "/v1.0/accounts/9900000", |call| call.header("Accept", "application/xml"));
        let root = |name: &str| {
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<{name} \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                 xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">"
            )
        };
        let body = format!(
            "{}<Name>from C#</Name><SiteId>{}</SiteId><PeerId>{}</PeerId><CustomerOrderId>c-1</CustomerOrderId>\
             <ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType></Order>",
            root("Order"),
            app.site,
            app.peer,
            numbers(&[POOL])
        );
        story.get("/availableNumbers?areaCode=336&quantity=1&enableTNDetail=True").await;
        let order = story.post("/orders", &body).await;
        story.ended(&format!("/orders/{order}")).await;
        // Its `GetTns` asks for the area codes, and accepts an answer without numbers.
        story.get(&format!("/orders/{order}/areaCodes")).await;
        story.get(&format!("/orders/{order}/history")).await;
        let body = format!(
            "{}<name>from C#</name><DisconnectTelephoneNumberOrderType>{}</DisconnectTelephoneNumberOrderType>\
             </DisconnectTelephoneNumberOrder>",
            root("DisconnectTelephoneNumberOrder"),
            numbers(&[POOL])
        );
        let order = story.post("/disconnects", &body).await;
        story.ended(&format!("/disconnects/{order}")).await;
        let body = root("Note") + "<UserId>username</UserId><Description>from C#</Description></Note>";
        let id = story.post(&format!("/disconnects/{order}/notes"), &body).await;
        let notes = story.get(&format!("/disconnects/{order}/notes")).await;
        assert_eq!(notes.elements("Id"), [id]);
        // It reads the numbers of an empty list too, and would fail if the list's element were missing.
        let none = story.get("/discnumbers?startdate=22-10-30&enddate=22-10-31").await;
        assert!(none.text().contains("<TelephoneNumbers><Count>0</Count></TelephoneNumbers>"), "{}", none.text());
        story.get("/discnumbers/totals").await;
        story.get("/inserviceNumbers?page=1&size=300").await;
        insta::assert_snapshot!("c_sharp", story.end());
    })
    .await;
}

#[tokio::test]
async fn ruby_cuts_links_and_escapes_numbers() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story =
            Story::of(app, "/v1.0/accounts/9900000", |call| call.header("Accept", "application/xml"));
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><DisconnectTelephoneNumberOrder><name>from ruby</name>\
             <DisconnectTelephoneNumberOrderType>{}</DisconnectTelephoneNumberOrderType>\
             </DisconnectTelephoneNumberOrder>",
            numbers(&IN_SERVICE[..2])
        );
        let order = story.post("/disconnects", &body).await;
        story.ended(&format!("/disconnects/{order}")).await;
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Note><UserId>username</UserId>\
                    <Description>from ruby</Description></Note>";
        let id = story.post(&format!("/disconnects/{order}/notes"), body).await;
        assert_eq!(story.get(&format!("/disconnects/{order}/notes")).await.elements("Id"), [id]);
        story.get("/discnumbers").await;
        story.get("/discnumbers/totals").await;
        story.get("/inserviceNumbers").await;
        story.get("/inserviceNumbers/totals").await;
        story.get("/inserviceNumbers/%2B15405514342").await;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Order><Name>from ruby</Name><SiteId>{}</SiteId>\
             <ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType></Order>",
            app.site,
            numbers(&IN_SERVICE[..1])
        );
        let order = story.post("/orders", &body).await;
        story.ended(&format!("/orders/{order}")).await;
        story.get(&format!("/orders/{order}/tns")).await;
        // It takes the text between a link's brackets, removes everything up to `/v1.0`, and asks for the rest next.
        let mut page = "/tns?page=1&size=2".to_owned();
        let mut found = Vec::new();
        for _ in 0..9 {
            let reply = story.tell(200, get(format!("/v1.0{page}"))).await;
            found.extend(reply.elements("FullNumber").into_iter().map(str::to_owned));
            let Some(next) = reply.element("next") else { break };
            let address = next.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let address = address.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned();
            page = address.rsplit_once("/v1.0").unwrap().1.to_owned();
        }
        assert_eq!(found, ["5405514342", "7034343704", "9195551001", "9195551002", "9195551003"]);
        insta::assert_snapshot!("ruby", story.end());
    })
    .await;
}

#[tokio::test]
async fn php_asks_for_thirty_at_a_time() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/api/accounts/9900000", |call| call);
        let body = format!(
            "<?xml version=\"1.0\"?>\n<DisconnectTelephoneNumberOrder><name>from php</name>\
             <CustomerOrderId>php-1</CustomerOrderId><DisconnectTelephoneNumberOrderType>{}\
             </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>\n",
            numbers(&[IN_SERVICE[0], NO_NUMBER])
        );
        let order = story.post("/disconnects", &body).await;
        story.ended(&format!("/disconnects/{order}?tndetail=true")).await;
        story.get("/disconnects?page=1&size=30").await;
        let body = "<?xml version=\"1.0\"?>\n<Note><UserId>username</UserId><Description>from php</Description>\
                    </Note>\n";
        let id = story.post(&format!("/disconnects/{order}/notes"), body).await;
        assert_eq!(story.get(&format!("/disconnects/{order}/notes")).await.elements("Id"), [id]);
        story.get("/discNumbers").await;
        story.get("/discNumbers/totals").await;
        story.get("/inserviceNumbers/totals").await;
        let body = format!(
            "<?xml version=\"1.0\"?>\n<Order><Name>from php</Name><CustomerOrderId>php-2</CustomerOrderId>\
             <SiteId>{}</SiteId><ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType></Order>\n",
            app.site,
            numbers(&IN_SERVICE[..1])
        );
        let order = story.post("/orders", &body).await;
        story.ended(&format!("/orders/{order}?tndetail=true")).await;
        story.get("/orders?page=1&size=30").await;
        story.tell(200, get("/api/tns?page=1&size=30&state=NC")).await;
        story.tell(200, get(format!("/api/tns/{}/sites", IN_SERVICE[0]))).await;
        // It looks for an error right under the root. Without one there it goes by the status.
        let wrong = format!("{}/availableNumbers?areaCode=9190", story.base);
        story.tell(400, get(wrong)).await;
        insta::assert_snapshot!("php", story.end());
    })
    .await;
}

#[tokio::test]
async fn python_reads_errors_by_position() {
    with_app(Seed::two_accounts(), async |app| {
        let typed = |call: Call| call.without("content-type").header("content-type", "application/xml");
        let mut story = Story::of(app, "/api/accounts/9900000", typed);
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n<Order><CustomerOrderId>py-1</CustomerOrderId>\
             <ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType><Name>from python</Name>\
             <SiteId>{}</SiteId></Order>",
            numbers(&[POOL]),
            app.site
        );
        story.get("/availableNumbers?areaCode=336&quantity=1&enableTNDetail=true").await;
        let order = story.post("/orders", &body).await;
        story.ended(&format!("/orders/{order}")).await;
        story.get(&format!("/orders/{order}/tns")).await;
        let body = "<?xml version='1.0' encoding='UTF-8'?>\n<Note><Description>from python</Description>\
                    <UserId>username</UserId></Note>";
        let id = story.post(&format!("/orders/{order}/notes"), body).await;
        assert_eq!(story.get(&format!("/orders/{order}/notes")).await.elements("Id"), [id]);
        story.get("/discnumbers").await;
        story.get("/inserviceNumbers?page=1&size=2").await;
        story.tell(200, get("/api/tns?page=1&size=10&npa=540")).await;
        // The first element of the first error is its code, the second its text.
        let body = "<?xml version='1.0' encoding='UTF-8'?>\n<DisconnectTelephoneNumberOrder>\
                    <DisconnectTelephoneNumberOrderType><DisconnectMode>later</DisconnectMode>\
                    <TelephoneNumberList><TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>\
                    </DisconnectTelephoneNumberOrderType><Name>n</Name></DisconnectTelephoneNumberOrder>";
        let refused = story.tell(400, post(format!("{}/disconnects", story.base), body)).await;
        let beginning = "Response><ErrorList><Error><Code>5084</Code><Description>DisconnectMode 'later'";
        assert!(refused.text().contains(beginning), "{}", refused.text());
        insta::assert_snapshot!("python", story.end());
    })
    .await;
}

#[tokio::test]
async fn java_is_challenged_each_time_and_knows_two_good_statuses() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/v1.0/accounts/9900000", |call| call);
        let order = format!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Order>
    <BackOrderRequested>false</BackOrderRequested>
    <Name>from java</Name>
    <SiteId>{}</SiteId>
    <PartialAllowed>false</PartialAllowed>
    <ExistingTelephoneNumberOrderType>
        <TelephoneNumberList>
            <TelephoneNumber>{POOL}</TelephoneNumber>
        </TelephoneNumberList>
    </ExistingTelephoneNumberOrderType>
</Order>
"#,
            app.site
        );
        let orders = format!("{}/orders", story.base);
        let challenged = post(&orders, order.as_str()).by(Who::Nobody);
        assert_eq!(
            story.tell(401, challenged).await.header("www-authenticate"),
            Some("Basic realm=\"onhook\"")
        );
        let id = story.post("/orders", &order).await;
        story.ended(&format!("/orders/{id}")).await;
        story.tell(401, get(format!("{orders}/{id}")).by(Who::Nobody)).await;
        story.get("/inserviceNumbers?size=2&page=1").await;
        // It takes 204 for an error, so an empty answer is 200.
        story.get("/inserviceNumbers?areacode=206").await;
        story.get("/availableNumbers?areaCode=206").await;
        story.get(&format!("/orders/{id}/notes")).await;
        story.tell(200, get(format!("/v1.0/tns/{POOL}"))).await;
        insta::assert_snapshot!("java", story.end());
    })
    .await;
}

#[tokio::test]
async fn the_newer_java_library_claims_a_realm_and_finds_orders_by_its_own_id() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/api/accounts/9900000", |call| call.header("x-realm", "admin"));
        story.get("/availableNumbers?areaCode=336&quantity=1").await;
        let body = format!(
            "<Order><CustomerOrderId>mine-1</CustomerOrderId><Name>from java</Name><SiteId>{}</SiteId>\
             <ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType></Order>",
            app.site,
            numbers(&[POOL])
        );
        let order = story.post("/orders", &body).await;
        // It ends at any list of errors but a pending order's. So a good order has no list, not even an empty one.
        let complete = story.ended(&format!("/orders/{order}")).await;
        assert!(!complete.text().contains("ErrorList"), "{}", complete.text());
        let found = story.get("/orders?customerOrderId=mine-1").await;
        assert_eq!(found.elements("orderId"), [order]);
        story.get("/orders?customerOrderId=mine-2").await;
        // The realm grants nothing.
        let call = post(format!("{}/orders", story.base), body.as_str()).by(Who::Reader);
        assert_eq!(story.tell(403, call).await.code(), Some(1001));
        story.tell(403, get("/api/accounts/9900001/orders")).await;
        insta::assert_snapshot!("numbers_java", story.end());
    })
    .await;
}

#[tokio::test]
async fn the_command_line_counts_pages_until_a_short_one() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/api/v2/accounts/9900000", |call| call);
        story.get("/availableNumbers?areaCode=336&quantity=10").await;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Order><ExistingTelephoneNumberOrderType>{}\
             </ExistingTelephoneNumberOrderType><SiteId>{}</SiteId></Order>",
            numbers(&["+13365550100"]),
            app.site
        );
        let order = story.post("/orders", &body).await;
        story.ended(&format!("/orders/{order}")).await;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DisconnectTelephoneNumberOrder>\
             <DisconnectTelephoneNumberOrderType>{}</DisconnectTelephoneNumberOrderType>\
             </DisconnectTelephoneNumberOrder>",
            numbers(&["+19195551001"])
        );
        let order = story.post("/disconnects", &body).await;
        story.ended(&format!("/disconnects/{order}")).await;
        let mut found = Vec::new();
        for page in 1.. {
            let list = format!(
                "/api/v2/tns?accountId=9900000&page={page}&size=3&status=Inservice%2CInAccount%2CAging"
            );
            let reply = story.tell(200, get(list)).await;
            let batch: Vec<_> = reply.elements("FullNumber").into_iter().map(str::to_owned).collect();
            found.extend(batch.iter().cloned());
            if batch.len() < 3 {
                break;
            }
        }
        let all =
            ["+13365550100", "+15405514342", "+17034343704", "+19195551001", "+19195551002", "+19195551003"];
        assert_eq!(found, all);
        // So it asks for the largest page that there is, too.
        let largest = "/api/v2/tns?accountId=9900000&page=1&size=2500&status=Inservice";
        assert_eq!(app.send(get(largest)).await.expect(200).elements("FullNumber").len(), 5);
        story.get("/inserviceNumbers/totals").await;
        story.get("/discnumbers/totals").await;
        let site = app.site;
        story.get(&format!("/sites/{site}/totaltns")).await;
        story.get(&format!("/sites/{site}/sippeers/{}/totaltns", app.peer)).await;
        // Its authors learned of 5001 by sending a list without its wrapper.
        let bare = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DisconnectTelephoneNumberOrder>{}\
             </DisconnectTelephoneNumberOrder>",
            numbers(&["+19195551001"])
        );
        let refused = story.tell(400, post(format!("{}/disconnects", story.base), bare)).await;
        assert_eq!(refused.code(), Some(5001));
        insta::assert_snapshot!("command_line_story", story.end());
    })
    .await;
}

/// What the command line, and Go's HTTP client below it, add to a request. They never say what they want to read.
fn band(call: Call, version: &str) -> Call {
    call.by(Who::Nobody).header("User-Agent", version).header("Accept-Encoding", "gzip")
}

/// A command's first request, for the token that its other requests have; and those requests' habits.
async fn band_signs_in(app: &App) -> impl Fn(Call) -> Call + 'static {
    let call = post("/api/v1/oauth2/token", "grant_type=client_credentials")
        .content_type("application/x-www-form-urlencoded");
    let call = band(call, "band-cli/0.1.0").header("Authorization", &basic("username", "password"));
    let granted = app.send(call).await.expect(200);
    let granted: serde_json::Value = serde_json::from_slice(&granted.body).unwrap();
    let token = granted["access_token"].as_str().unwrap().to_owned();
    assert!(granted["expires_in"].as_u64().unwrap() > 60, "{granted}");
    // `auth login` takes the accounts and roles from the token's second part, which it does not verify.
    let payload =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&claims["accounts"], &claims["express"]), (&serde_json::json!(["9900000"]), &false.into()));
    assert!(claims["roles"].as_array().unwrap().iter().all(serde_json::Value::is_string), "{claims}");
    move |call| band(call, "band-cli/1.0.0").header("Authorization", &format!("Bearer {token}"))
}

/// A document as it writes it: the elements in the order of their names.
fn band_document(elements: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{elements}")
}

/// Its order for a number that a search found.
fn band_order(site: &str, number: &str) -> String {
    band_document(&format!(
        "<Order><ExistingTelephoneNumberOrderType>{}</ExistingTelephoneNumberOrderType><SiteId>{site}</SiteId></Order>",
        numbers(&[number])
    ))
}

#[tokio::test]
async fn the_command_line_starts_quickly_on_a_new_account() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/api/v2/accounts/9900000", band_signs_in(app).await);
        // It looks for what it would make, makes what is not there, and wants an id in each answer.
        let sites = story.get("/sites").await;
        assert!(!sites.text().contains("Quickstart"), "{}", sites.text());
        let site = story
            .post("/sites", &band_document("<Site><Name>Quickstart Sub-account</Name></Site>"))
            .await;
        story.get(&format!("/sites/{site}/sippeers")).await;
        let peer = "<SipPeer><IsDefaultPeer>true</IsDefaultPeer><PeerName>Quickstart Location</PeerName></SipPeer>";
        let peer = story.post(&format!("/sites/{site}/sippeers"), &band_document(peer)).await;
        story.get("/applications").await;
        let voice = "<Application><AppName>Quickstart App</AppName><CallInitiatedCallbackUrl>https://example.com/voice\
                     </CallInitiatedCallbackUrl><ServiceType>Voice-V2</ServiceType></Application>";
        let voice = story.post("/applications", &band_document(voice)).await;
        let found = story.get("/availableNumbers?areaCode=336&quantity=1").await;
        let number = found.element("TelephoneNumber").unwrap().to_owned();
        let order = story.post("/orders", &band_order(&site, &number)).await;
        // `number order --wait` looks whether it is in service.
        app.ended(get(format!("{}/orders/{order}", story.base))).await;
        let in_service = "/api/v2/tns?accountId=9900000&page=1&size=2500&status=Inservice";
        let listed = story.tell(200, get(in_service)).await;
        assert!(listed.elements("FullNumber").contains(&&*number), "{}", listed.text());
        // A second start finds what the first one made.
        for (list, name, id) in [
            ("/sites".to_owned(), "Quickstart Sub-account", &site),
            (format!("/sites/{site}/sippeers"), "Quickstart Location", &peer),
            ("/applications".to_owned(), "Quickstart App", &voice),
        ] {
            let listed = story.get(&list).await;
            assert!(listed.text().contains(name) && listed.text().contains(&format!(">{id}<")), "{}", listed.text());
        }
        insta::assert_snapshot!("command_line_quickstart", story.end());
    })
    .await;
}

#[tokio::test]
async fn the_command_line_manages_applications_and_numbers() {
    with_app(Seed::two_accounts(), async |app| {
        let mut story = Story::of(app, "/api/v2/accounts/9900000", band_signs_in(app).await);
        let write = |path: String, body: &str| put(path, band_document(body)).content_type("application/xml");
        let app_document = |url: &str| {
            format!(
                "<Application><AppName>My SMS App</AppName><CallbackUrl>{url}</CallbackUrl><MsgCallbackUrl>{url}\
                 </MsgCallbackUrl><ServiceType>Messaging-V2</ServiceType></Application>"
            )
        };
        let id = story.post("/applications", &band_document(&app_document("https://example.com/sms"))).await;
        let path = format!("/applications/{id}");
        // A change sends the whole document, made from what was read before.
        let before = story.get(&path).await;
        assert_eq!(before.element("ServiceType"), Some("Messaging-V2"));
        let url = "https://example.com/callbacks";
        let changed = story.tell(200, write(format!("{}{path}", story.base), &app_document(url))).await;
        assert_eq!((changed.element("CallbackUrl"), changed.element("MsgCallbackUrl")), (Some(url), Some(url)));
        let settings =
            format!("/sites/{}/sippeers/{}/products/messaging/applicationSettings", app.site, app.peer);
        let named = format!("<ApplicationsSettings><HttpMessagingV2AppId>{id}</HttpMessagingV2AppId></ApplicationsSettings>");
        story.tell(200, write(format!("{}{settings}", story.base), &named)).await;
        let peers = story.get(&format!("{path}/associatedsippeers")).await;
        assert_eq!(peers.element("PeerId"), Some(&*app.peer.to_string()));
        assert_eq!(story.get(&settings).await.element("HttpMessagingV2AppId"), Some(&*id));
        story.tell(409, delete(format!("{}{path}", story.base))).await;

        story.habits = Box::new(band_signs_in(app).await);
        let found = story.get("/availableNumbers?areaCode=336&quantity=10").await;
        let number = found.element("TelephoneNumber").unwrap().to_owned();
        let order = story.post("/orders", &band_order(&app.site.to_string(), &number)).await;
        app.ended(get(format!("{}/orders/{order}", story.base))).await;
        let list = async |story: &mut Story<'_>, status: &str| {
            let path = format!("/api/v2/tns?accountId=9900000&page=1&size=2500&status={status}");
            let listed = story.tell(200, get(path)).await;
            listed.elements("FullNumber").contains(&&*number)
        };
        assert!(list(&mut story, "Inservice").await);
        let release = format!(
            "<DisconnectTelephoneNumberOrder><DisconnectTelephoneNumberOrderType>{}\
             </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>",
            numbers(&[&number])
        );
        let order = story.post("/disconnects", &band_document(&release)).await;
        app.ended(get(format!("{}/disconnects/{order}", story.base))).await;
        assert!(!list(&mut story, "Inservice%2CInAccount").await);
        assert!(list(&mut story, "Aging").await);
        // What it asks of voice packages leads it to the documents of sub-accounts.
        let packages = story.tell(403, get("/v2/accounts/9900000/voiceConfigurationPackages")).await;
        assert!(packages.body.is_empty(), "{}", packages.text());
        insta::assert_snapshot!("command_line_applications", story.end());
    })
    .await;
}

#[tokio::test]
async fn node_sends_pretty_printed_documents_with_a_small_name() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrder>
  <name>training run</name>
  <DisconnectTelephoneNumberOrderType>
    <TelephoneNumberList>
      <TelephoneNumber>5405514342</TelephoneNumber>
      <TelephoneNumber>7034343704</TelephoneNumber>
    </TelephoneNumberList>
  </DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>"#;
        let (received, path) = app.place(post(disconnects(""), body).content_type("application/xml")).await;
        assert_eq!(received.element("Name"), Some("training run"));
        // It takes an error code in the body for an error, whatever the status. A good answer has none.
        let fetched = app.ended(get(path)).await;
        assert_eq!((fetched.element("OrderStatus"), fetched.code()), (Some("COMPLETE"), None));
    })
    .await;
}

#[tokio::test]
async fn c_sharp_declares_namespaces_and_starts_at_the_root() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
            <DisconnectTelephoneNumberOrder xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
            xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\r\n  <name>training run</name>\r\n  \
            <DisconnectTelephoneNumberOrderType>\r\n    <TelephoneNumberList>\r\n      \
            <TelephoneNumber>5405514342</TelephoneNumber>\r\n    </TelephoneNumberList>\r\n  \
            </DisconnectTelephoneNumberOrderType>\r\n</DisconnectTelephoneNumberOrder>";
        let call = post("/v1.0/accounts/9900000/disconnects", body).header("Accept", "application/xml");
        let (received, path) = app.place(call).await;
        assert!(path.starts_with("/v1.0/accounts/9900000/disconnects/"), "{path}");
        assert_eq!(app.ended(get(path)).await.element("OrderStatus"), Some("COMPLETE"));
        // Its deserializer knows bare names only.
        assert!(!received.text().contains("xmlns"), "{}", received.text());
    })
    .await;
}

#[tokio::test]
async fn python_sorts_its_elements_and_names_a_type_for_what_it_only_reads() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version='1.0' encoding='UTF-8'?>\n<DisconnectTelephoneNumberOrder>\
            <CustomerOrderId>id-1</CustomerOrderId><DisconnectTelephoneNumberOrderType>\
            <DisconnectMode>normal</DisconnectMode><TelephoneNumberList><TelephoneNumber>5405514342</TelephoneNumber>\
            <TelephoneNumber>7034343704</TelephoneNumber></TelephoneNumberList></DisconnectTelephoneNumberOrderType>\
            <Name>training run</Name></DisconnectTelephoneNumberOrder>";
        let call = post(disconnects(""), body).without("content-type").header("content-type", "application/xml");
        let (_, path) = app.place(call).await;
        let fetched = app.ended(get(path).header("content-type", "application/xml")).await;
        assert_eq!(fetched.element("OrderStatus"), Some("COMPLETE"));
        let listed = app.send(get(disconnects("?page=1&size=30")).header("content-type", "application/xml")).await;
        assert_eq!(listed.expect(200).element("TotalCount"), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn php_spells_the_list_of_disconnected_numbers_its_own_way() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version=\"1.0\"?>\n<DisconnectTelephoneNumberOrder><name>n</name>\
            <CustomerOrderId>c</CustomerOrderId><DisconnectTelephoneNumberOrderType><TelephoneNumberList>\
            <TelephoneNumber>5405514342</TelephoneNumber></TelephoneNumberList>\
            </DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>\n";
        let (_, path) = app.place(post(disconnects(""), body).content_type("application/xml")).await;
        app.ended(get(format!("{path}?tndetail=true"))).await;
        let numbers = app.send(get(account("/discNumbers"))).await.expect(200);
        assert_eq!(numbers.elements("TelephoneNumber"), ["5405514342"]);
        let totals = app.send(get(account("/discNumbers/totals"))).await.expect(200);
        assert_eq!(totals.element("Count"), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn java_asks_without_credentials_first() {
    with_app(Seed::two_accounts(), async |app| {
        let body = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<DisconnectTelephoneNumberOrder>
    <Name>training run</Name>
    <DisconnectTelephoneNumberOrderType>
        <TelephoneNumberList>
            <TelephoneNumber>5405514342</TelephoneNumber>
        </TelephoneNumberList>
        <DisconnectMode>normal</DisconnectMode>
    </DisconnectTelephoneNumberOrderType>
</DisconnectTelephoneNumberOrder>"#;
        let call = post("/v1.0/accounts/9900000/disconnects", body).header("x-realm", "admin");
        let before = app.counts().await;
        golden!(app, "challenge", app.send(call.clone().by(Who::Nobody)).await);
        assert_eq!(app.counts().await, before);
        let (_, path) = app.place(call).await;
        let fetched = app.ended(get(path)).await;
        assert_eq!(fetched.elements("TelephoneNumber"), ["5405514342", "5405514342"]);
    })
    .await;
}

#[tokio::test]
async fn the_command_line_sends_no_name_and_e164() {
    with_app(Seed::two_accounts(), async |app| {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DisconnectTelephoneNumberOrder>\
            <DisconnectTelephoneNumberOrderType><TelephoneNumberList><TelephoneNumber>+19195551001</TelephoneNumber>\
            </TelephoneNumberList></DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>";
        let call = post("/api/v2/accounts/9900000/disconnects", body).content_type("application/xml");
        let (received, path) = app.place(call).await;
        golden!(app, "command_line", received);
        assert_eq!(app.ended(get(path)).await.element("OrderStatus"), Some("COMPLETE"));
    })
    .await;
}

#[tokio::test]
async fn a_type_may_be_left_out_where_the_document_speaks_for_itself() {
    with_app(Seed::two_accounts(), async |app| {
        let body = crate::app::xml::disconnect(&["5405514342"]);
        for start in ["", "\n  ", "\u{FEFF}", "<?xml version=\"1.0\"?>"] {
            let call = post(disconnects(""), format!("{start}{body}")).without("content-type");
            let reply = app.send(call).await;
            assert_eq!(reply.status, 201, "{start:?}: {}", reply.text());
        }
        for body in ["", "{}", "name=x"] {
            let reply = app.send(post(disconnects(""), body).without("content-type")).await;
            assert_eq!(reply.status, 415, "{body:?}");
        }
        // The scheme's case does not matter, and a colon belongs to the password.
        let lower = basic("username", "password").replace("Basic", "basic");
        let call = get(disconnects("")).by(Who::Nobody).header("authorization", &lower);
        app.send(call).await.expect(200);
    })
    .await;
}
