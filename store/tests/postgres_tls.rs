//! TLS between a store and its database. Without PostgreSQL these tests pass, and say that they were skipped.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests say why they are skipped")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use onhook_cluster::{Binaries, Cluster, Settings};
use onhook_store::contract::users::Users;
use onhook_store::postgres::PostgresStore;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Makes an authority, and writes its certificate to a file.
fn authority(file: &Path) -> CertifiedIssuer<'static, KeyPair> {
    let mut of = CertificateParams::default();
    of.distinguished_name.push(DnType::CommonName, file.display().to_string());
    of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(of, KeyPair::generate().unwrap()).unwrap();
    fs::write(file, issuer.pem()).unwrap();
    issuer
}

/// Writes a file that the cluster's user owns, in the cluster's folder.
fn give(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let file = cluster.socket().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = fs::metadata(cluster.socket()).unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    file
}

async fn sql(url: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut last = String::new();
    for message in client.simple_query(sql).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            row.get(0).unwrap_or_default().clone_into(&mut last);
        }
    }
    Ok(last)
}

/// Lets the cluster speak TLS, with a certificate for `localhost` that the authority signed.
async fn speak_tls(cluster: &Cluster, issuer: &CertifiedIssuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let certificate = give(cluster, "server.crt", &certificate.pem());
    let key = give(cluster, "server.key", &key.serialize_pem());
    let plain = format!("{}?sslmode=disable", cluster.url());
    for (name, value) in [
        ("ssl_cert_file", certificate.to_str().unwrap()),
        ("ssl_key_file", key.to_str().unwrap()),
        ("ssl", "on"),
    ] {
        sql(&plain, &format!("ALTER SYSTEM SET {name} = '{value}'")).await.unwrap();
    }
    sql(&plain, "SELECT pg_reload_conf()").await.unwrap();
    let speaks = async {
        while sql(&plain, "SHOW ssl").await.unwrap() != "on" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), speaks).await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_believed_if_the_named_authority_signed_it_for_the_name_in_the_address() {
    let Some(binaries) = Binaries::find().inspect_err(|why| println!("skipped: {why:#}")).ok() else {
        return;
    };
    let cluster = Cluster::start(&binaries, Settings::quick()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    let issuer = authority(&ca);
    authority(&other);
    let at = |host: &str, parameters: &str| {
        format!("postgres://onhook@{host}:{}/onhook?{parameters}", cluster.port())
    };
    let full = |ca: &Path| format!("sslmode=verify-full&sslrootcert={}", ca.display());
    let open = async |url: String| PostgresStore::open(&url).await.map(drop).map_err(|why| why.to_string());

    let plain = open(at("localhost", &full(&ca))).await.unwrap_err();
    assert!(plain.contains("does not support TLS"), "{plain}");
    speak_tls(&cluster, &issuer).await;
    open(at("localhost", &full(&ca))).await.unwrap();
    open(at("localhost", &format!("sslmode=require&sslrootcert={}", ca.display()))).await.unwrap();
    for (host, parameters, why) in [
        ("127.0.0.1", full(&ca), "not valid for name"),
        ("localhost", full(&other), "UnknownIssuer"),
        ("localhost", "sslmode=require".to_owned(), "UnknownIssuer"),
    ] {
        let refused = open(at(host, &parameters)).await.unwrap_err();
        assert!(refused.contains(why), "{host} {parameters}: {refused}");
    }
    assert_given_up_is_cancelled(&at("localhost", &full(&ca)), &at("localhost", "sslmode=disable")).await;
}

/// Asserts that what is given up on a connection with TLS is cancelled. `plain` leads to the same database.
async fn assert_given_up_is_cancelled(url: &str, plain: &str) {
    let store = PostgresStore::open(url).await.unwrap();
    let (other, connection) = tokio_postgres::connect(plain, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    other.batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let wait = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let until = async |waits: bool| {
        while other.query(wait, &[]).await.unwrap().is_empty() == waits {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = store.users() => panic!("the table is locked"),
        () = until(true) => {}
    }
    tokio::time::timeout(Duration::from_secs(60), until(false)).await.unwrap();
}
