//! Commands on a database that is empty, another program's, or a standby. Without PostgreSQL these tests pass, and say that
//! they were skipped.

#![expect(clippy::print_stdout, reason = "tests say why they are skipped")]

#[path = "fleet/sql.rs"]
#[allow(dead_code, reason = "this file uses a part of it")]
mod sql;

mod program;

use onhook_cluster::{Binaries, Cluster, Mode, Settings};
use program::{Folder, HEADER, Said, command, file, onhook, refused, run, why};
use sql::Sql;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--log", "off"];

/// Starts a cluster with these settings, or says why there is none.
fn cluster(settings: Settings) -> Option<Cluster> {
    let binaries = Binaries::find().inspect_err(|why| println!("skipped: {why:#}")).ok()?;
    Some(Cluster::start(&binaries, settings).expect("PostgreSQL starts"))
}

/// Runs a command on the data in a database.
fn on(url: &str, arguments: &[&str]) -> Said {
    onhook(&[arguments, why(arguments), &["--database-url", url]].concat())
}

/// Returns the names of the tables in a database.
fn tables(sql: &Sql) -> Vec<String> {
    sql.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", &[])
}

#[test]
fn a_database_without_data_is_refused_by_what_needs_some_and_gets_no_tables() {
    let Some(cluster) = cluster(Settings::quick()) else { return };
    let Some(folder) = Folder::on_disk() else { return };
    let (url, sql) = (cluster.url(), Sql::of(&cluster.url()));
    let remark =
        format!("onhook: there is no onhook data in the database onhook at 127.0.0.1:{}", cluster.port());
    let on_data = [
        &["check"][..],
        &["export"],
        &["explain", "5405514342"],
        &["admin", "user", "list"],
        &["admin", "site", "create", "--account", "7", "--name", "Site"],
    ];
    // A table that an earlier version left behind is no data, either.
    for left in [
        "",
        "CREATE TABLE schema_version (one boolean PRIMARY KEY CHECK (one), version bigint NOT NULL);
                      INSERT INTO schema_version VALUES (true, 0)",
    ] {
        sql.run(left);
        let before = tables(&sql);
        for arguments in on_data {
            refused(&on(&url, arguments), &format!("{remark}: is --database-url right?\n"));
        }
        let said = run(command(&["check"]).env("ONHOOK_DATABASE_URL", &url), b"");
        refused(&said, &format!("{remark}: is ONHOOK_DATABASE_URL right?\n"));
        let said = onhook(&["migrate", "--from", &url, "--to", &folder.data()]);
        refused(&said, &format!("{remark}: is --from right?\n"));
        let lines = file(&folder, "numbers.csv", &format!("{HEADER}\n5405550101,Available,,,,,VA,,,,\n"));
        let said = on(&url, &["import", "--dry-run", &lines]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(tables(&sql), before);
    }
    assert_eq!(on(&url, &["admin", "account", "create", "7", "--name", "Seven"]).code, 0);
    assert_eq!(on(&url, &["check", "--deep"]).code, 0);
}

#[test]
fn tables_of_another_program_are_named_and_left_alone() {
    let Some(cluster) = cluster(Settings::quick()) else { return };
    for (made, named) in [
        ("CREATE TABLE book (id bigint); CREATE TABLE number (id bigint)", "book, number"),
        ("CREATE TABLE schema_version (installed_rank int, version text)", "schema_version"),
    ] {
        let url = cluster.fresh_database().expect("a database");
        let sql = Sql::of(&url);
        sql.run(made);
        let before = tables(&sql);
        for arguments in [&SERVE[..], &["admin", "account", "create", "7", "--name", "Seven"]] {
            let remark = format!("has tables of another program: {named}. Nothing was made there.");
            refused(&on(&url, arguments), &remark);
        }
        assert_eq!(on(&url, &["check"]).code, 2);
        assert_eq!(tables(&sql), before);
    }
}

#[test]
fn a_database_that_cannot_hold_every_text_is_refused_with_how_to_make_one() {
    let Some(cluster) = cluster(Settings::quick()) else { return };
    for encoding in ["LATIN1", "SQL_ASCII"] {
        Sql::of(&cluster.url())
            .run(&format!("CREATE DATABASE {encoding} ENCODING '{encoding}' TEMPLATE template0"));
        let name = encoding.to_lowercase();
        let url = format!("{}{name}", cluster.url().trim_end_matches("onhook"));
        let port = cluster.port();
        let remark = format!(
            "the database {name} at 127.0.0.1:{port} has the encoding {encoding}, and onhook needs UTF8. Make one that has \
             it: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0\n"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let from = folder.path().to_str().expect("it is UTF-8");
        assert_eq!(
            onhook(&[
                "admin",
                "account",
                "create",
                "7",
                "--name",
                "A",
                "--reason",
                "a test",
                "--data-dir",
                from
            ])
            .code,
            0
        );
        refused(&on(&url, &SERVE), &remark);
        refused(&onhook(&["migrate", "--from", from, "--to", &url]), &remark);
        assert_eq!(tables(&Sql::of(&url)), [""; 0]);
    }
}

#[test]
fn a_standby_is_read_and_what_has_to_be_written_down_is_refused_there() {
    // A commit is answered when the standby shows it.
    let settings =
        Settings::quick().with("synchronous_standby_names", "b").with("synchronous_commit", "remote_apply");
    let Some(mut primary) = cluster(settings) else { return };
    let standby = primary.standby("b").expect("a standby");
    let (Some(folder), Some(moved)) = (Folder::on_disk().map(Folder::with_two_accounts), Folder::on_disk())
    else {
        return;
    };
    let lines =
        format!("{HEADER}\n5405550101,Available,,,,,VA,,,,\n5405550102,InService,9900000,1,1,,VA,,,,\n");
    folder.done(&["import", &file(&folder, "numbers.csv", &lines)]);
    assert_eq!(onhook(&["migrate", "--from", &folder.data(), "--to", &primary.url()]).code, 0);

    let reads = [
        &["check"][..],
        &["check", "--deep"],
        &["explain", "5405550102"],
        &["admin", "account", "list"],
        &["audit", "verify"],
    ];
    for arguments in reads {
        let (there, here) = (on(&primary.url(), arguments), on(&standby.url(), arguments));
        assert_eq!(here, there);
        assert_eq!(here.code, 0, "{here:?}");
    }
    let remark = format!(
        "onhook: --database-url: the database onhook at 127.0.0.1:{} cannot be used: this server takes no writes (a standby?)\n",
        standby.port()
    );
    for arguments in [
        &["export"][..],
        &["audit", "export"],
        &["admin", "account", "create", "8", "--name", "Eight"],
        &SERVE,
    ] {
        refused(&on(&standby.url(), arguments), &remark);
    }
    let said = onhook(&["migrate", "--from", &standby.url(), "--to", &moved.data()]);
    assert_eq!((said.code, said.remarks.as_str()), (0, ""), "{}", said.answer);

    // Of several servers the primary is read, and the standby if there is none.
    let both = standby.url().replace("127.0.0.1:", &format!("127.0.0.1:{},127.0.0.1:", primary.port()));
    assert_eq!(on(&both, &["export"]).code, 0);
    primary.stop(Mode::Fast).expect("stopped");
    let said = on(&both, &["check", "--deep"]);
    assert_eq!(said.code, 0, "{said:?}");
}
