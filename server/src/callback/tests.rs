//! The guard, vector by vector: which URLs and addresses are allowed, without a network.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use onhook_core::time::Timestamp;

use super::send::Message;
use super::*;

/// A network that answers from a list, and counts its calls.
#[derive(Default)]
struct Fake {
    /// The addresses of each host, one answer after another. The last one is repeated.
    hosts: Mutex<HashMap<&'static str, Vec<Vec<&'static str>>>>,
    /// This machine's addresses.
    ours: Vec<&'static str>,
    resolved: AtomicUsize,
    /// True if it never answers.
    hangs: bool,
    connected: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Network for Fake {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.resolved.fetch_add(1, Ordering::Relaxed);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let mut hosts = self.hosts.lock().unwrap();
        let answers = hosts.get_mut(host).ok_or_else(|| io::Error::other("no such host"))?;
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Ok(answer.into_iter().map(|ip| ip.parse().unwrap()).collect())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.connected.lock().unwrap().push(to);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn is_ours(&self, address: IpAddr) -> bool {
        self.ours.iter().any(|ours| ours.parse::<IpAddr>().unwrap() == address)
    }
}

fn hosts(hosts: &[(&'static str, &[&[&'static str]])]) -> Fake {
    let hosts = hosts.iter().map(|(host, answers)| (*host, answers.iter().map(|a| a.to_vec()).collect()));
    Fake { hosts: Mutex::new(hosts.collect()), ..Fake::default() }
}

fn callbacks(rules: Rules, fake: Fake) -> (Callbacks, Arc<Fake>) {
    let fake = Arc::new(fake);
    (Callbacks::new(rules, Reach(fake.clone())), fake)
}

async fn admits(rules: &Rules, url: &str) -> Result<(), DeliveryFailure> {
    callbacks(rules.clone(), Fake::default()).0.admit(url).await
}

fn url(ip: &str) -> String {
    let ip: IpAddr = ip.parse().unwrap();
    format!("https://{}/", SocketAddr::new(ip, 443))
}

fn message(url: &str) -> Message<'_> {
    Message {
        url,
        content_type: "application/xml",
        headers: Vec::new(),
        body: String::new(),
        credentials: None,
        public_key: None,
    }
}

/// The first and last address of each range that is not public, and some between.
const BLOCKED: &[&str] = &[
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.1.2.3",
    "10.128.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.0.0.2",
    "127.1.2.3",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "161.26.0.0",
    "161.26.0.10",
    "161.26.255.255",
    "166.8.0.0",
    "166.11.255.255",
    "168.63.129.16",
    "172.16.0.0",
    "172.16.0.1",
    "172.20.1.1",
    "172.24.7.7",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.1",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.1",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.0.1",
    "192.168.1.254",
    "192.168.255.255",
    "198.18.0.0",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.7",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.9",
    "203.0.113.255",
    "224.0.0.0",
    "224.0.0.1",
    "230.1.1.1",
    "239.255.255.255",
    "240.0.0.0",
    "245.1.2.3",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::ffff",
    "::127.0.0.1",
    "::10.0.0.1",
    "fc00::",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::",
    "fe80::1",
    "fe81::1",
    "fe90::1",
    "fea0::1",
    "febf::1",
    "febf:ffff::1",
    "fec0::1",
    "feff::1",
    "ff00::",
    "ff02::1",
    "ff05::2",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001::",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:0:ffff::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "3fff::1",
    "3fff:fff::1",
    "100::1",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff::10.0.0.1",
    "64:ff9c::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "1::1",
    "1fff::1",
    "c000::1",
    "e000::1",
];

/// Public addresses, next to the borders of ranges that are not.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "161.25.255.255",
    "161.27.0.0",
    "166.7.255.255",
    "166.12.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700::1111",
    "2a00:1450::1",
    "3ffe:ffff::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "::8.8.8.8",
];

#[tokio::test]
async fn no_address_that_is_not_public_is_told_in_whatever_it_is_wrapped() {
    let rules = Rules { http: true, ..Rules::default() };
    let mut vectors: Vec<String> = BLOCKED.iter().map(|ip| (*ip).to_owned()).collect();
    for ip in BLOCKED {
        if let Ok(IpAddr::V4(v4)) = ip.parse() {
            let [a, b, c, d] = v4.octets();
            let (high, low) = (format!("{a:x}{b:02x}"), format!("{c:x}{d:02x}"));
            vectors.push(format!("::ffff:{ip}"));
            vectors.push(format!("::{ip}"));
            vectors.push(format!("64:ff9b::{ip}"));
            vectors.push(format!("64:ff9b:1::{ip}"));
            vectors.push(format!("2002:{high}:{low}::1"));
            vectors.push(format!("2001:0:{high}:{low}::1"));
        }
    }
    assert!(vectors.len() >= 350, "{}", vectors.len());
    for ip in &vectors {
        let (by_name, fake) = callbacks(rules.clone(), Fake::default());
        let name = Box::leak(ip.clone().into_boxed_str());
        fake.hosts.lock().unwrap().insert("example.com", vec![vec![name]]);
        assert_eq!(admits(&rules, &url(ip)).await, Err(DeliveryFailure::Blocked), "{ip}");
        for url in [url(ip), "https://example.com/".to_owned(), "http://example.com:8080/".to_owned()] {
            assert_eq!(by_name.admit(&url).await, Err(DeliveryFailure::Blocked), "{ip}");
            let sent = by_name.send(&message(&url), Timestamp::from_millis(0)).await;
            assert_eq!(sent.unwrap_err(), DeliveryFailure::Blocked, "{ip}");
        }
        assert_eq!(*fake.connected.lock().unwrap(), [], "{ip}");
    }
}

#[tokio::test]
async fn public_addresses_are_told() {
    for ip in PUBLIC {
        assert_eq!(admits(&Rules::default(), &url(ip)).await, Ok(()), "{ip}");
        let (by_name, fake) = callbacks(Rules::default(), Fake::default());
        fake.hosts.lock().unwrap().insert("example.com", vec![vec![ip]]);
        assert_eq!(by_name.admit("https://example.com/").await, Ok(()), "{ip}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_url_leads_around_the_guard() {
    let rules = Rules { http: true, ..Rules::default() };
    for url in [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://127.0.1/",
        "http://0/",
        "http://0.0.0.0:80/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "http://[::]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://localhost/",
        "http://localhost./",
        "http://LOCALHOST/",
        "http://LocalHost./",
        "http://a.localhost/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://ⓛocalhost/",
        "http://1⁲7.0.0.1/",
        "http://%6cocalhost/",
        "http://public@127.0.0.1/",
        "http://public:8.8.8.8@127.0.0.1/",
        "http://8.8.8.8@127.0.0.1/",
        "http://@8.8.8.8/",
        "http://:@8.8.8.8/",
        "http://user@8.8.8.8/",
        "http://user:password@8.8.8.8/",
        "http://127.0.0.1#@8.8.8.8/",
        "http://127.0.0.1?@8.8.8.8/",
        "http://8.8.8.8\\@127.0.0.1/",
        "http:\\\\8.8.8.8\\",
        "http://8.8.8.8\\a",
        "http://127.0.0.1\t/",
        "http://8.8.8.8/\ta",
        "http://8.8.\n8.8/",
        " http://8.8.8.8/",
        "http://8.8.8.8/ ",
        "http://8.8.8.8/a b",
        "http://8.8.8.8/\r\nX: y",
        "http://8.8.8.8/\0",
        "http:8.8.8.8",
        "http:/8.8.8.8/",
        "http:///8.8.8.8/",
        "//8.8.8.8/",
        "8.8.8.8",
        "https://",
        "https:///",
        "https://./",
        "https://:443/",
        "",
        "x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "file://8.8.8.8/",
        "ftp://8.8.8.8/",
        "gopher://8.8.8.8:70/_",
        "unix:/run/x.sock",
        "http+unix://x/",
        "data:text/plain,x",
        "ws://8.8.8.8/",
        "wss://8.8.8.8/",
        "jar:http://8.8.8.8/!/",
        "dict://8.8.8.8:11211/",
        "https://8.8.8.8:22/",
        "https://8.8.8.8:25/",
        "https://8.8.8.8:6379/",
        "https://8.8.8.8:5432/",
        "https://8.8.8.8:0/",
        "https://8.8.8.8:65536/",
        "https://8.8.8.8:9080/",
        "https://8.8.8.8:9443/",
        "http://8.8.8.8:81/",
        "https://256.256.256.256/",
        "https://8.8.8.8.8/",
        "https://1.2.3.4.5.6/",
        "https://example.com:x/",
    ] {
        let admitted = admits(&rules, url).await;
        assert!(admitted.is_err(), "{url:?}");
    }
    for good in [
        "https://8.8.8.8",
        "HTTPS://8.8.8.8/",
        "https://8.8.8.8:443/a/b?c=d&e=f#g",
        "https://8.8.8.8:8443/",
        "http://8.8.8.8/",
        "http://8.8.8.8:80/",
        "http://8.8.8.8:8080/path",
        "https://[2606:4700::1111]/",
        "https://134744072/",
        "https://8.8.8.8/a%20b",
        "https://8.8.8.8/@a",
        "https://8.8.8.8/?a=b@c",
    ] {
        assert_eq!(admits(&rules, good).await, Ok(()), "{good:?}");
    }
}

#[tokio::test]
async fn plain_http_and_other_ports_are_for_the_operator_to_allow() {
    let strict = Rules::default();
    for url in ["http://8.8.8.8/", "http://8.8.8.8:443/", "https://8.8.8.8:80/", "https://8.8.8.8:8080/"] {
        assert_eq!(admits(&strict, url).await, Err(DeliveryFailure::Blocked), "{url}");
    }
    let http = Rules { http: true, ..Rules::default() };
    assert_eq!(admits(&http, "http://8.8.8.8:8080/").await, Ok(()));
    let port = Rules { ports: vec![9443], ..Rules::default() };
    assert_eq!(admits(&port, "https://8.8.8.8:9443/").await, Ok(()));
    assert_eq!(admits(&port, "http://8.8.8.8:9443/").await, Err(DeliveryFailure::Blocked));
}

#[tokio::test]
async fn an_allowed_range_lets_its_own_addresses_through_and_no_other() {
    let rules = Rules {
        allow: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/16".parse().unwrap()],
        ..Rules::default()
    };
    for ip in ["10.1.0.0", "10.1.255.255", "fd00::1", "::ffff:10.1.0.1", "64:ff9b::10.1.2.3", "2002:a01:1::1"]
    {
        assert_eq!(admits(&rules, &url(ip)).await, Ok(()), "{ip}");
    }
    for ip in ["10.0.255.255", "10.2.0.0", "127.0.0.1", "fd01::1", "::1", "2002:a02:1::1", "2001:0:a01:1::1"]
    {
        assert_eq!(admits(&rules, &url(ip)).await, Err(DeliveryFailure::Blocked), "{ip}");
    }
    assert_eq!(
        admits(&rules, "https://10.1.0.1:5432/").await,
        Err(DeliveryFailure::Blocked),
        "the port still counts"
    );
    assert_eq!(admits(&rules, "http://10.1.0.1/").await, Err(DeliveryFailure::Blocked), "so does the scheme");
    let all_of_ipv4 = Rules { allow: vec!["0.0.0.0/0".parse().unwrap()], ..Rules::default() };
    for (ip, wanted) in
        [("127.0.0.1", Ok(())), ("::1", Err(DeliveryFailure::Blocked)), ("::", Err(DeliveryFailure::Blocked))]
    {
        assert_eq!(admits(&all_of_ipv4, &url(ip)).await, wanted, "{ip}");
    }
    let teredo =
        Rules { allow: vec!["2001::/32".parse().unwrap(), "::/0".parse().unwrap()], ..Rules::default() };
    assert_eq!(admits(&teredo, &url("2001:0:4136::1")).await, Err(DeliveryFailure::Blocked), "never");
}

#[tokio::test]
async fn the_emulator_tells_its_own_machine_and_nothing_else_beyond() {
    let rules = Rules { loopback: true, ..Rules::default() };
    for url in
        ["http://127.0.0.1:3000/a", "http://localhost:3000/", "https://[::1]:9/", "http://127.8.8.8:1/"]
    {
        assert_eq!(admits(&rules, url).await, Ok(()), "{url}");
    }
    for url in [
        "http://8.8.8.8:3000/",
        "http://8.8.8.8/",
        "http://10.0.0.1:3000/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/",
        "https://[fe80::1]/",
        "http://user@127.0.0.1:3000/",
        "http://0.0.0.0:3000/",
    ] {
        assert_eq!(admits(&rules, url).await, Err(DeliveryFailure::Blocked), "{url}");
    }
}

#[tokio::test]
async fn this_server_and_this_machine_are_not_told() {
    let own = Rules {
        own: Some("127.0.0.1:9080".parse().unwrap()),
        own_url: Some(("numbers.example.net".into(), 443)),
        loopback: true,
        ..Rules::default()
    };
    for url in ["http://127.0.0.1:9080/", "http://localhost:9080/", "http://[::ffff:127.0.0.1]:9080/"] {
        assert_eq!(admits(&own, url).await, Err(DeliveryFailure::Blocked), "{url}");
    }
    assert_eq!(admits(&own, "http://127.0.0.1:9081/").await, Ok(()));
    // A server that listens everywhere is reached by every address of its machine, including all of loopback.
    for everywhere in ["0.0.0.0:9080", "[::]:9080"] {
        let own = Rules {
            own: Some(everywhere.parse().unwrap()),
            allow: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            ports: vec![9080],
            http: true,
            ..own.clone()
        };
        for host in [
            "127.0.0.1",
            "127.0.0.2",
            "127.255.255.254",
            "[::ffff:127.0.0.2]",
            "[::1]",
            "0.0.0.0",
            "[::]",
            "[::ffff:0.0.0.0]",
            "192.0.2.7",
            "[::ffff:192.0.2.7]",
        ] {
            let ours = || Fake { ours: vec!["192.0.2.7"], ..Fake::default() };
            let url = |port| format!("http://{host}:{port}/");
            let (callbacks, _) = callbacks(own.clone(), ours());
            assert_eq!(
                callbacks.admit(&url(9080)).await,
                Err(DeliveryFailure::Blocked),
                "{everywhere}: {host}"
            );
        }
        assert_eq!(admits(&own, "http://127.0.0.2:8080/").await, Ok(()));
        assert_eq!(admits(&own, "http://192.0.2.8:9080/").await, Ok(()));
    }
    let fake = || hosts(&[("numbers.example.net", &[&["8.8.8.8"]]), ("example.com", &[&["8.8.4.4"]])]);
    for url in ["https://numbers.example.net/", "https://NUMBERS.example.net./a"] {
        let (callbacks, _) = callbacks(own.clone(), fake());
        assert_eq!(callbacks.admit(url).await, Err(DeliveryFailure::Blocked), "{url}");
    }
    // An address of this machine is refused, even if it is public, unless the operator allows it.
    let public = || Fake { ours: vec!["8.8.4.4"], ..fake() };
    let wide = Rules { own: Some("0.0.0.0:8443".parse().unwrap()), ..Rules::default() };
    let allow = Rules { allow: vec!["8.8.4.4/32".parse().unwrap()], ..wide.clone() };
    for (rules, url, wanted) in [
        (&wide, "https://example.com/", Err(DeliveryFailure::Blocked)),
        (&wide, "https://[::ffff:8.8.4.4]/", Err(DeliveryFailure::Blocked)),
        (&allow, "https://example.com/", Ok(())),
        (&allow, "https://example.com:8443/", Err(DeliveryFailure::Blocked)),
    ] {
        let (callbacks, _) = callbacks(rules.clone(), public());
        assert_eq!(callbacks.admit(url).await, wanted, "{url}");
    }
}

#[tokio::test]
async fn all_addresses_of_a_host_must_pass_and_the_connection_goes_to_them() {
    let fake = hosts(&[
        ("mixed.example.com", &[&["8.8.8.8", "10.0.0.1"]]),
        ("mixed6.example.com", &[&["2606:4700::1111", "::1"]]),
        ("good.example.com", &[&["8.8.8.8", "2606:4700::1111"]]),
        ("empty.example.com", &[&[]]),
        // The address is public when it is checked, and private if it were resolved again.
        ("rebinds.example.com", &[&["8.8.8.8"], &["127.0.0.1"]]),
    ]);
    let (callbacks, fake) = callbacks(Rules::default(), fake);
    let now = Timestamp::from_millis(0);
    for (host, wanted) in [
        ("mixed.example.com", DeliveryFailure::Blocked),
        ("mixed6.example.com", DeliveryFailure::Blocked),
        ("empty.example.com", DeliveryFailure::Unresolved),
        ("unknown.example.com", DeliveryFailure::Unresolved),
    ] {
        let url = format!("https://{host}/");
        assert_eq!(callbacks.admit(&url).await, Err(wanted), "{host}");
        assert_eq!(callbacks.send(&message(&url), now).await.unwrap_err(), wanted, "{host}");
    }
    assert_eq!(*fake.connected.lock().unwrap(), []);

    let sent = callbacks.send(&message("https://good.example.com/"), now).await;
    assert_eq!(sent.unwrap_err(), DeliveryFailure::Refused);
    let both: Vec<SocketAddr> =
        vec!["8.8.8.8:443".parse().unwrap(), "[2606:4700::1111]:443".parse().unwrap()];
    assert_eq!(std::mem::take(&mut *fake.connected.lock().unwrap()), both);

    let before = fake.resolved.load(Ordering::Relaxed);
    let sent = callbacks.send(&message("https://rebinds.example.com/"), now).await;
    assert_eq!(sent.unwrap_err(), DeliveryFailure::Refused);
    assert_eq!(fake.resolved.load(Ordering::Relaxed), before + 1, "asked once an attempt");
    assert_eq!(std::mem::take(&mut *fake.connected.lock().unwrap()), ["8.8.8.8:443".parse().unwrap()]);
    let sent = callbacks.send(&message("https://rebinds.example.com/"), now).await;
    assert_eq!(sent.unwrap_err(), DeliveryFailure::Blocked, "judged again at each attempt");
    assert_eq!(*fake.connected.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_takes_longer_than_fifteen_seconds() {
    let (callbacks, fake) = callbacks(Rules::default(), Fake { hangs: true, ..Fake::default() });
    for (url, wanted, seconds) in [
        ("https://example.com/", DeliveryFailure::Unresolved, 5),
        ("https://8.8.8.8/", DeliveryFailure::Timeout, 5),
    ] {
        let begun = tokio::time::Instant::now();
        let sent = callbacks.send(&message(url), Timestamp::from_millis(0)).await;
        assert_eq!(sent.unwrap_err(), wanted, "{url}");
        assert_eq!(begun.elapsed().as_secs(), seconds, "{url}");
    }
    assert_eq!(fake.connected.lock().unwrap().len(), 1);
    assert_eq!(callbacks.admit("https://example.com/").await, Err(DeliveryFailure::Unresolved));

    // A receiver that accepts the connection and the request, and never answers.
    struct Mute(tokio::net::TcpListener);
    #[async_trait]
    impl Network for Mute {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(vec!["8.8.8.8".parse().unwrap()])
        }
        async fn connect(&self, _: SocketAddr) -> io::Result<TcpStream> {
            TcpStream::connect(self.0.local_addr()?).await
        }
        fn is_ours(&self, _: IpAddr) -> bool {
            false
        }
    }
    let mute = Mute(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let rules = Rules { http: true, ..Rules::default() };
    let callbacks = Callbacks::new(rules, Reach(Arc::new(mute)));
    let begun = tokio::time::Instant::now();
    let sent = callbacks.send(&message("http://example.com/"), Timestamp::from_millis(0)).await;
    assert_eq!((sent.unwrap_err(), begun.elapsed().as_secs()), (DeliveryFailure::Timeout, 15));
}

#[test]
fn what_is_ours_is_told_by_the_system() {
    assert!(System.is_ours("127.0.0.1".parse().unwrap()));
    assert!(!System.is_ours("192.0.2.1".parse().unwrap()));
}
