//! Proxies in front of two nodes, with the configurations that lie beside the documents: haproxy and nginx themselves,
//! through a rolling restart under load, and with a file that is longer than a body may be.

#![expect(clippy::print_stdout, reason = "figures to read with --nocapture, and why tests are skipped")]

#[allow(dead_code, reason = "this file uses a part of it")]
mod fleet;
mod program;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use fleet::load::under_load_at;
use fleet::{Fleet, PASSWORD, basic, done, until};
use program::{Answer, Client, Said, command, run};
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name in the certificates of the configurations.
const HOST: &str = "numbers.example.net";
/// The addresses of the nodes. Each has one to itself, so nobody takes its port while it is started again.
const NODES: [&str; 2] = ["127.0.0.2", "127.0.0.3"];

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers at SIGTERM. At SIGKILL it could not.
        drop(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

/// Two nodes, and a proxy that runs a configuration of the documents.
struct Fronted {
    fleet: Fleet,
    /// Where clients connect. From there it goes over TLS to the proxy.
    address: SocketAddr,
    _proxy: Running,
}

/// Returns a configuration that lies beside the documents, with what stands in it replaced.
fn configured(name: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    let mut text = fs::read_to_string(path).expect("it is there");
    for (there, here) in replaced {
        assert!(text.contains(there), "{there:?} does not stand in {name}");
        text = text.replace(there, here);
    }
    text
}

/// What a proxy is told.
struct Told {
    /// Where it listens.
    at: SocketAddr,
    nodes: [String; 2],
    /// The file of its certificate and its key.
    both: String,
    /// The file of its key.
    key: String,
}

impl Fronted {
    /// Starts two nodes and a proxy. `configure` writes its configuration into a folder, and returns how it is started.
    /// `None` where a program is missing, which is said.
    fn start(program: &str, configure: impl FnOnce(&Path, &Told) -> Command) -> Option<Self> {
        if Command::new(program).arg("-v").output().is_err() {
            println!("skipped: {program} is not installed (on Debian and Ubuntu `apt install {program}`)");
            return None;
        }
        if TcpListener::bind((NODES[0], 0)).is_err() {
            println!("skipped: this system does not listen at {}", NODES[0]);
            return None;
        }
        let mut fleet = Fleet::without_nodes()?;
        for ip in NODES {
            fleet.add_at(ip);
        }
        fleet.subscribe();
        let create = ["admin", "user", "create", "operator", "--role", "operator", "--password-stdin"];
        done(&fleet.url, &create, PASSWORD.as_bytes());

        let folder = fleet.path("proxy");
        fs::create_dir(&folder).expect("room for a folder");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("room for a file");
            path.to_str().expect("it is UTF-8").to_owned()
        };
        let own = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
        let at = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let told = Told {
            at,
            nodes: [0, 1].map(|n| fleet.address(n).to_string()),
            both: write("both.pem", &format!("{certificate}{key}")),
            key: write("key.pem", &key),
        };
        let log = File::create(folder.join("log")).expect("room for a log");
        let errors = log.try_clone().expect("a second handle");
        let mut command = configure(&folder, &told);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let proxy = Running(command.spawn().expect("it was there"));
        until("the proxy listens", || TcpStream::connect(at).ok());
        Some(Self { fleet, address: over_tls(at, own.cert.der().clone()), _proxy: proxy })
    }

    fn client(&self) -> Client {
        Client::signed(self.address, &basic("operator", PASSWORD))
    }

    /// Ends each node and starts it again, twice, while clients send orders. None of their requests may fail. `back` waits
    /// until the proxy knows that a node is back.
    fn is_restarted(&mut self, back: impl Fn(&Fleet, usize)) {
        let address = self.address;
        let mut restarts = 0;
        let fleet = &mut self.fleet;
        let outcome = under_load_at(fleet, Some(address), |fleet, _| {
            for _ in 0..2 {
                for n in 0..fleet.len() {
                    fleet.terminate(n);
                    fleet.start(n);
                    back(fleet, n);
                    restarts += 1;
                }
            }
        });
        let failed = outcome.failed;
        outcome.is_clean("a node ended (SIGTERM) and started again behind a real proxy", restarts, None);
        assert_eq!(failed, 0, "requests failed");
    }

    /// Sends a file for an import that is longer than a body may be, and returns the answer.
    fn imports(&self) -> Answer {
        let line = "x".repeat(60_000); // it is bad, so nothing is written
        let file = format!("number,state,account\n{}", format!("{line}\n").repeat(30));
        let path = "/ops/v1/imports?kind=numbers&reason=a+test";
        self.client().send_typed("POST", path, "", "text/csv", &file).expect("an answer")
    }

    /// Rates a file of call records that is longer than a body may be.
    fn rates(&self) -> Said {
        let record = format!("5405514342,2026-01-01T00:00:00.000Z,60,{}\n", "x".repeat(1_000));
        let file = format!("number,time,seconds,more\n{}", record.repeat(RECORDS));
        let server = format!("http://{}", self.address);
        let mut command = command(&["rate", "--number", "number", "--time", "time", "--seconds", "seconds"]);
        command.args(["--server", &server]).env("ONHOOK_USER", "operator").env("ONHOOK_PASSWORD", PASSWORD);
        run(&mut command, file.as_bytes())
    }
}

/// Returns whether a node has answered orders since it was started.
fn has_taken_orders(fleet: &Fleet, n: usize) -> bool {
    let text = Client::of(fleet.address(n)).send("GET", "/metrics", "", "").expect("an answer").body;
    text.lines()
        .any(|line| line.starts_with("onhook_http_requests_total") && line.contains("method=\"POST\""))
}

/// Starts what passes plain connections on over TLS. It believes this certificate alone, and ends with the process.
fn over_tls(proxy: SocketAddr, certificate: CertificateDer<'static>) -> SocketAddr {
    let mut believed = RootCertStore::empty();
    believed.add(certificate).expect("a certificate");
    let config = ClientConfig::builder().with_root_certificates(believed).with_no_client_auth();
    let (connector, host) =
        (TlsConnector::from(Arc::new(config)), ServerName::try_from(HOST).expect("a name"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it is ours");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((mut client, _)) = listener.accept().await {
                let (connector, host) = (connector.clone(), host.clone());
                tokio::spawn(async move {
                    let stream = tokio::net::TcpStream::connect(proxy).await?;
                    let mut stream = connector.connect(host, stream).await?;
                    copy_bidirectional(&mut client, &mut stream).await
                });
            }
        });
    });
    address
}

/// Lines in a file of call records.
const RECORDS: usize = 2_000;

#[test]
fn haproxy_fails_no_request_while_nodes_are_restarted_and_passes_long_files() {
    let haproxy = Fronted::start("haproxy", |folder, proxy| {
        let text = configured(
            "haproxy.cfg",
            &[
                ("bind :443", &format!("bind {}", proxy.at)),
                ("/etc/haproxy/numbers.example.net.pem", &proxy.both),
                ("10.0.0.11:9080", &proxy.nodes[0]),
                ("10.0.0.12:9080", &proxy.nodes[1]),
            ],
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, text).expect("room for a file");
        // It wants two files for each of its connections.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec haproxy -f \"$0\""]).arg(file);
        command
    });
    let Some(mut haproxy) = haproxy else { return };
    // It passes nothing to a node that was away before it has asked for /readyz, each second.
    haproxy.is_restarted(|fleet, n| {
        until("the proxy passes requests to the node", || has_taken_orders(fleet, n).then_some(()));
    });
    let imported = haproxy.imports();
    assert!(imported.status == 202 && imported.body.contains("\"lines\":30"), "{imported:?}");
    let rated = haproxy.rates();
    assert_eq!(rated.answer.lines().count(), 1 + RECORDS, "{}", rated.remarks);
}

#[test]
fn nginx_fails_no_request_while_nodes_are_restarted_and_passes_an_import() {
    let nginx = Fronted::start("nginx", |folder, proxy| {
        let text = configured(
            "nginx.conf",
            &[
                ("listen 443", &format!("listen {}", proxy.at)),
                ("/etc/nginx/numbers.example.net.pem", &proxy.both),
                ("/etc/nginx/numbers.example.net.key", &proxy.key),
                ("10.0.0.11:9080", &proxy.nodes[0]),
                ("10.0.0.12:9080", &proxy.nodes[1]),
            ],
        );
        fs::write(folder.join("onhook.conf"), text).expect("room for a file");
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("{of}_temp_path {of};"));
        let around = format!(
            "daemon off; pid pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off; {}\ninclude onhook.conf;\n}}\n",
            temporary.join(" ")
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, around).expect("room for a file");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(file).args(["-e", "stderr"]);
        command
    });
    let Some(mut nginx) = nginx else { return };
    nginx.is_restarted(|_, _| {}); // it asks nothing, so a node is back when it listens
    let imported = nginx.imports();
    assert!(imported.status == 202 && imported.body.contains("\"lines\":30"), "{imported:?}");
    let rated = nginx.rates();
    assert!(rated.code == 2 && rated.remarks.contains("through haproxy"), "{rated:?}");
}
