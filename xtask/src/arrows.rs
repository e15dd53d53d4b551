//! Does any crate use what the diagram forbids, or declare what it does not use?
//!
//! Cargo already refuses circles; these rules refuse the shortcuts that it would accept. They read what
//! the manifests declare, so a crate that only re-exports another is judged by its own row.
//!
//! Not here: licences, sources and duplicate versions of dependencies (`deny.toml`).

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Package};
use toml::Table;

use crate::workspace::Workspace;

const CORE: &str = "onhook-core";
const WIRE: &str = "onhook-wire";
const STORE: &str = "onhook-store";
const SERVER: &str = "onhook-server";
const CLI: &str = "onhook";
const CLUSTER: &str = "onhook-cluster";
const BENCH: &str = "onhook-bench";
const XTASK: &str = "xtask";

/// The members that a member may use. No row offers `xtask`, and only the benchmarks' row offers `onhook` itself.
#[rustfmt::skip]
const ARROWS: &[Arrow] = &[
    Arrow { member: CORE,    may_use: &[],                                        in_tests: &[],        reason: "the rules stand alone: whatever asks them depends on them" },
    Arrow { member: WIRE,    may_use: &[CORE],                                    in_tests: &[],        reason: "it turns XML and JSON into core's values and back, and knows no store" },
    Arrow { member: STORE,   may_use: &[CORE],                                    in_tests: &[CLUSTER], reason: "it keeps what core decided, and never sees how that is spelled for a client" },
    Arrow { member: SERVER,  may_use: &[CORE, WIRE, STORE],                       in_tests: &[CLUSTER], reason: "it joins the wire with the store, and is started by others" },
    Arrow { member: CLI,     may_use: &[CORE, WIRE, STORE, SERVER],               in_tests: &[CLUSTER], reason: "it is the binary: everything that ships, nothing that doesn't" },
    Arrow { member: CLUSTER, may_use: &[],                                        in_tests: &[],        reason: "it starts PostgreSQL for tests of any crate, so it knows none of them" },
    Arrow { member: BENCH,   may_use: &[CORE, WIRE, STORE, SERVER, CLI, CLUSTER], in_tests: &[],        reason: "it measures whatever ships; the chores don't" },
    Arrow { member: XTASK,   may_use: &[CLUSTER],                                 in_tests: &[],        reason: "the chores must build when what ships does not" },
];

/// Packages from outside that a member may not use, except in its tests.
const BANS: &[Ban] = &[
    Ban {
        members: &[CORE, WIRE],
        packages: &["axum", "hyper", "hyper-util", "reqwest", "rusqlite", "tokio", "tokio-postgres"],
        reason: "plain values in, plain values out: no input or output, nothing async, tests in seconds",
    },
    Ban { members: &[SERVER], packages: &["rusqlite", "tokio-postgres"], reason: "SQL lives in the store" },
    Ban {
        members: &[CORE, WIRE, STORE, SERVER],
        packages: &["anyhow"],
        reason: "a library's errors are types, so that its caller can tell them apart",
    },
];

struct Arrow {
    member: &'static str,
    may_use: &'static [&'static str],
    /// What its tests may use as well.
    in_tests: &'static [&'static str],
    reason: &'static str,
}

struct Ban {
    members: &'static [&'static str],
    packages: &'static [&'static str],
    reason: &'static str,
}

/// What a member's manifest declares.
struct Member {
    name: String,
    uses: Vec<Use>,
    manifest: Table,
    /// All of its Rust code.
    code: String,
}

struct Use {
    package: String,
    /// Only the member's tests, examples and benchmarks see it.
    in_tests_only: bool,
}

/// Checks every member.
///
/// # Errors
/// At least one rule is broken; the message has a line for each.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let members = members(workspace)?;
    let complaints = complaints(&members);
    if complaints.is_empty() {
        println!("{} crates, no forbidden arrow", members.len());
        return Ok(());
    }
    bail!("the workspace breaks its own rules:\n  {}", complaints.join("\n  "))
}

fn members(workspace: &Workspace) -> Result<Vec<Member>> {
    let read = |package: &Package| -> Result<Member> {
        let text = fs::read_to_string(&package.manifest_path)?;
        let uses = package.dependencies.iter().map(|dependency| Use {
            package: dependency.name.clone(),
            in_tests_only: dependency.kind == DependencyKind::Development,
        });
        let mut code = String::new();
        read_code(package.manifest_path.with_file_name("").as_std_path(), &mut code)?;
        Ok(Member { name: package.name.to_string(), uses: uses.collect(), manifest: text.parse()?, code })
    };
    let packages = workspace.metadata.workspace_packages();
    packages.into_iter().map(|p| read(p).with_context(|| p.manifest_path.to_string())).collect()
}

/// Adds what the Rust files of a folder say, and of those in it.
fn read_code(folder: &Path, code: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_code(&path, code)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Returns every broken rule, as a sentence with the rule's reason.
fn complaints(members: &[Member]) -> Vec<String> {
    let mut found = Vec::new();
    for row in ARROWS {
        if !members.iter().any(|member| member.name == row.member) {
            found.push(format!("there is no crate {}: take its row out of the table of arrows", row.member));
        }
    }
    for member in members {
        match ARROWS.iter().find(|row| row.member == member.name) {
            None => found.push(format!("{} has no row in the table of arrows", member.name)),
            Some(row) => found.extend(forbidden_arrows(member, row, members)),
        }
        found.extend(banned_packages(member));
        found.extend(own_ways(member));
        found.extend(unused_packages(member));
    }
    found
}

/// Returns the packages that a member declares, and that its code never names.
fn unused_packages(member: &Member) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: HashSet<&str> = member.code.split(|c| !is_word(c)).collect();
    let unused = member.uses.iter().filter(|used| !words.contains(used.package.replace('-', "_").as_str()));
    unused
        .map(|used| format!("{} declares {}, and its code never names it", member.name, used.package))
        .collect()
}

fn forbidden_arrows(member: &Member, row: &Arrow, members: &[Member]) -> Vec<String> {
    let is_member = |name: &str| members.iter().any(|other| other.name == name);
    let forbidden = member.uses.iter().filter(|used| {
        let name = used.package.as_str();
        let allowed = row.may_use.contains(&name) || used.in_tests_only && row.in_tests.contains(&name);
        is_member(name) && !allowed
    });
    forbidden.map(|used| format!("{} uses {}, but {}", member.name, used.package, row.reason)).collect()
}

fn banned_packages(member: &Member) -> Vec<String> {
    let mut found = Vec::new();
    for ban in BANS.iter().filter(|ban| ban.members.contains(&member.name.as_str())) {
        for used in member.uses.iter().filter(|used| !used.in_tests_only) {
            if ban.packages.contains(&used.package.as_str()) {
                found.push(format!("{} uses {}, but {}", member.name, used.package, ban.reason));
            }
        }
    }
    found
}

/// Returns the lints and versions that a member sets for itself.
fn own_ways(member: &Member) -> Vec<String> {
    let mut found = Vec::new();
    if !inherits(member.manifest.get("lints")) {
        found.push(format!("{} lacks `[lints] workspace = true`: one set of lints for all", member.name));
    }
    let for_targets = member.manifest.get("target").and_then(toml::Value::as_table);
    let for_targets = for_targets.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table);
    for table in std::iter::once(&member.manifest).chain(for_targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                if !inherits(Some(value)) {
                    let rule = "its version belongs to the workspace";
                    found.push(format!("{} names {name} for itself: {rule}", member.name));
                }
            }
        }
    }
    found
}

/// Returns whether a value says `workspace = true`.
fn inherits(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace that keeps every rule, each row of the table using all that it may.
    fn sound() -> Vec<Member> {
        ARROWS.iter().map(|row| member(row.member, row.may_use, "[lints]\nworkspace = true")).collect()
    }

    fn member(name: &str, packages: &[&str], manifest: &str) -> Member {
        let uses = packages.iter().map(|package| used(package)).collect();
        let manifest = manifest.parse().expect("the test's TOML is right");
        let code = "use onhook; use onhook_core::number; use onhook_wire::{onhook_store, onhook_server};
                    use {onhook_cluster, onhook_bench, xtask, anyhow, axum, hyper, hyper_util, reqwest, rusqlite, tokio,
                    tokio_postgres, serde};";
        Member { name: name.to_owned(), uses, manifest, code: code.to_owned() }
    }

    fn used(package: &str) -> Use {
        Use { package: package.to_owned(), in_tests_only: false }
    }

    /// The complaints about a sound workspace in which `name` uses `package` as well.
    fn with(name: &str, package: Use) -> Vec<String> {
        let mut members = sound();
        members.iter_mut().find(|member| member.name == name).expect("a member").uses.push(package);
        complaints(&members)
    }

    /// The complaints about a sound workspace whose core has this manifest.
    fn with_core(manifest: &str) -> Vec<String> {
        let mut members = sound();
        members[0] = member(CORE, &[], manifest);
        complaints(&members)
    }

    #[test]
    fn a_sound_workspace_has_no_complaints() {
        assert_eq!(complaints(&sound()), Vec::<String>::new());
    }

    #[test]
    fn every_arrow_that_the_table_leaves_out_is_forbidden() {
        for row in ARROWS {
            for other in ARROWS.iter().map(|other| other.member).filter(|other| *other != row.member) {
                for in_tests_only in [false, true] {
                    let found = with(row.member, Use { package: other.to_owned(), in_tests_only });
                    let in_tests = in_tests_only && row.in_tests.contains(&other);
                    let expected = if row.may_use.contains(&other) || in_tests {
                        vec![]
                    } else {
                        vec![format!("{} uses {other}, but {}", row.member, row.reason)]
                    };
                    assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn only_the_benchmarks_use_the_binary_and_nothing_that_ships_a_cluster() {
        let users = |name| {
            let rows = ARROWS.iter().filter(|row| row.may_use.contains(&name));
            rows.map(|row| row.member).collect::<Vec<_>>()
        };
        assert_eq!(users(XTASK), Vec::<&str>::new());
        assert_eq!(users(BENCH), Vec::<&str>::new());
        assert_eq!(users(CLI), [BENCH]);
        assert_eq!(users(CLUSTER), [BENCH, XTASK]);
    }

    #[test]
    fn a_banned_package_is_for_tests_only() {
        for ban in BANS {
            for member in ban.members {
                for package in ban.packages {
                    let complaint = format!("{member} uses {package}, but {}", ban.reason);
                    assert_eq!(with(member, used(package)), [complaint]);
                    let in_tests = Use { package: (*package).to_owned(), in_tests_only: true };
                    assert_eq!(with(member, in_tests), Vec::<String>::new());
                }
            }
        }
    }

    #[test]
    fn what_is_banned_from_one_crate_is_not_banned_from_the_next() {
        assert_eq!(with(STORE, used("rusqlite")), Vec::<String>::new());
        assert_eq!(with(SERVER, used("tokio")), Vec::<String>::new());
        assert_eq!(with(CORE, used("serde")), Vec::<String>::new());
    }

    #[test]
    fn a_crate_and_its_row_come_and_go_together() {
        let mut members = sound();
        members.push(member("onhook-extra", &[], "lints.workspace = true"));
        assert_eq!(complaints(&members), ["onhook-extra has no row in the table of arrows"]);
        let fewer = sound().split_off(1);
        assert_eq!(
            complaints(&fewer),
            ["there is no crate onhook-core: take its row out of the table of arrows"]
        );
    }

    #[test]
    fn lints_come_from_the_workspace() {
        let lacks = ["onhook-core lacks `[lints] workspace = true`: one set of lints for all"];
        assert_eq!(with_core(""), lacks);
        assert_eq!(with_core("[lints]\nworkspace = false"), lacks);
        assert_eq!(with_core("[lints.rust]\nunsafe_code = \"allow\""), lacks);
        assert_eq!(with_core("lints.workspace = true"), Vec::<String>::new());
    }

    #[test]
    fn what_is_declared_is_used() {
        assert_eq!(
            with(CORE, used("left-pad")),
            ["onhook-core declares left-pad, and its code never names it"]
        );
    }

    #[test]
    fn versions_come_from_the_workspace() {
        for own in [
            "[dependencies]\nserde = \"1\"",
            "[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }",
            "[dependencies.serde]\npath = \"../serde\"",
            "[dev-dependencies]\nserde = { workspace = false }",
            "[build-dependencies]\nserde = \"1\"",
            "[target.'cfg(unix)'.dependencies]\nserde = \"1\"",
        ] {
            assert_eq!(
                with_core(&format!("lints.workspace = true\n{own}")),
                ["onhook-core names serde for itself: its version belongs to the workspace"],
                "{own}"
            );
        }
        for inherited in [
            "[dependencies]\nserde.workspace = true",
            "[dependencies]\nserde = { workspace = true, features = [\"derive\"] }",
            "[target.'cfg(unix)'.dev-dependencies.serde]\nworkspace = true",
        ] {
            assert_eq!(with_core(&format!("lints.workspace = true\n{inherited}")), Vec::<String>::new());
        }
    }
}
