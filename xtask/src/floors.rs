//! Does each crate stand on its floors: no circle between its files, and no file that uses one above it?
//!
//! The floors are the lists in `docs/ARCHITECTURE.md` that begin with ```` ```floors CRATE ````: one file or
//! folder a line, from the ground up, each followed by its purpose. A file may use what stands in a line
//! before its own. A line that ends in `/` is a folder: its files may use one another, without a circle.
//!
//! A use is a path (`crate::…`, `super::…`, a child module), also inside a macro, also through a re-export. A call
//! of a method counts as a use of the file that holds it where an inherent `impl` stands in another file than
//! its type. Tests may use anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemUse, Type, UseTree, Visibility};

use crate::workspace::Workspace;

const PAGE: &str = "docs/ARCHITECTURE.md";
const FENCE: &str = "```floors ";

/// Checks every crate that the page has a list for.
///
/// # Errors
/// At least one file uses one above it, stands in a circle or in no list; the message has a line for each.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let page = workspace.root().join(PAGE);
    let page = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let lists = lists(&page);
    ensure!(!lists.is_empty(), "{PAGE} has no list of floors");
    let mut complaints = Vec::new();
    let mut files = 0;
    for (name, floors) in &lists {
        let sources = sources(&workspace.root().join(name).join("src"))?;
        files += sources.len();
        complaints.extend(judge(name, floors, &uses(&sources)?));
    }
    if complaints.is_empty() {
        println!("{} crates, {files} files, each on its floor", lists.len());
        return Ok(());
    }
    bail!("files use what stands above them (see {PAGE}):\n  {}", complaints.join("\n  "))
}

/// The lists of a page: the crate's folder, and its lines from the ground up.
fn lists(page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix(FENCE) else { continue };
        let rooms = lines.by_ref().take_while(|line| *line != "```");
        let rooms = rooms.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
        found.push((name.trim().to_owned(), rooms.collect()));
    }
    found
}

/// The Rust files below a folder, by their name as a module: `order/mod.rs` is `order`, `lib.rs` is the empty name.
fn sources(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).with_context(|| inside.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder)?.with_extension("").to_string_lossy().replace('\\', "/");
                let name =
                    name.strip_suffix("mod").map_or(name.as_str(), |folder| folder.trim_end_matches('/'));
                let name = if matches!(name, "lib" | "main") { "" } else { name };
                found.insert(name.to_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// The files that each file uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn uses(sources: &BTreeMap<String, String>) -> Result<Uses> {
    let parse = |(name, text): (&String, &String)| {
        let file = syn::parse_file(text).with_context(|| format!("{name}.rs"))?;
        Ok((name.clone(), file))
    };
    let files: BTreeMap<String, File> = sources.iter().map(parse).collect::<Result<_>>()?;
    let exports: BTreeMap<&str, HashMap<String, Vec<String>>> =
        files.iter().map(|(name, file)| (name.as_str(), exports(name, file))).collect();
    let scattered = scattered(&files);
    let mut found = Uses::new();
    for (name, file) in &files {
        let mut reader =
            Reader { file: name, children: children(file), paths: Vec::new(), methods: BTreeSet::new() };
        reader.visit_file(file);
        let mut used: BTreeSet<String> =
            reader.paths.iter().filter_map(|path| resolve(path, &files, &exports, 0)).collect();
        used.extend(reader.methods.iter().filter_map(|method| scattered.get(method).cloned()));
        used.remove(name);
        found.insert(name.clone(), used);
    }
    Ok(found)
}

/// Returns the modules that a file declares.
fn children(file: &File) -> BTreeSet<String> {
    let modules = file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
        _ => None,
    });
    modules.collect()
}

/// What a file passes on under a name of its own: the name, and the path that it stands for.
fn exports(name: &str, file: &File) -> HashMap<String, Vec<String>> {
    let children = children(file);
    let mut found = HashMap::new();
    for item in &file.items {
        if let Item::Use(ItemUse { vis, tree, .. }) = item
            && !matches!(vis, Visibility::Inherited)
        {
            let mut paths = Vec::new();
            flatten(tree, &mut Vec::new(), &mut paths);
            for (path, called) in paths {
                if let Some(path) = absolute(name, &children, &path) {
                    found.insert(called, path);
                }
            }
        }
    }
    found
}

/// Methods of inherent `impl`s that stand in another file than their type: the method and its file. A method that
/// stands in several files is left out, since the call does not say which one is meant.
fn scattered(files: &BTreeMap<String, File>) -> HashMap<String, String> {
    // Two files may each have a type of the same name.
    let mut types: HashMap<String, BTreeSet<&str>> = HashMap::new();
    for (name, file) in files {
        for item in &file.items {
            let ident = match item {
                Item::Struct(item) => &item.ident,
                Item::Enum(item) => &item.ident,
                _ => continue,
            };
            types.entry(ident.to_string()).or_default().insert(name);
        }
    }
    let (mut found, mut elsewhere) = (HashMap::new(), BTreeSet::new());
    for (name, file) in files {
        for item in &file.items {
            let Item::Impl(block) = item else { continue };
            let Type::Path(path) = &*block.self_ty else { continue };
            let of = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            let is_scattered =
                block.trait_.is_none() && types.get(&of).is_some_and(|files| !files.contains(name.as_str()));
            for member in &block.items {
                let syn::ImplItem::Fn(method) = member else { continue };
                let method = method.sig.ident.to_string();
                let others = if is_scattered {
                    found.insert(method.clone(), name.clone())
                } else {
                    Some(String::new())
                };
                if others.is_some_and(|other| other != *name) {
                    elsewhere.insert(method);
                }
            }
        }
    }
    found.retain(|method, _| !elsewhere.contains(method));
    found
}

/// Gathers the paths that a file names, outside of its tests.
struct Reader<'a> {
    file: &'a str,
    children: BTreeSet<String>,
    paths: Vec<Vec<String>>,
    methods: BTreeSet<String>,
}

impl Reader<'_> {
    fn add(&mut self, path: &[String]) {
        // `$crate::$name`: where that leads is known where the macro is used.
        if path != ["crate"] {
            self.paths.extend(absolute(self.file, &self.children, path));
        }
    }

    /// Paths in what a macro is given: `crate :: a :: b`, as tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 && !path.is_empty() {
                        self.add(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.add(&std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.add(&path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        for (path, _) in paths {
            self.add(&path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A single name is a local one, even where a module is called the same.
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.methods.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }
}

/// Returns true for an item that is compiled only in tests.
fn is_test(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.clone().into_iter().any(|token| token.to_string() == "test"))
    })
}

/// The paths of a `use`, each with the name that it gives.
fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
        UseTree::Name(name) => {
            let mut path = before.clone();
            if name.ident != "self" {
                path.push(name.ident.to_string());
            }
            let called = path.last().cloned().unwrap_or_default();
            found.push((path, called));
        }
        UseTree::Rename(rename) => {
            let mut path = before.clone();
            path.push(rename.ident.to_string());
            found.push((path, rename.rename.to_string()));
        }
        UseTree::Glob(_) => found.push((before.clone(), String::from("*"))),
    }
}

/// Returns a path from the crate's root. `None` if it leads out of the crate or begins with a local name.
fn absolute(file: &str, children: &BTreeSet<String>, path: &[String]) -> Option<Vec<String>> {
    let here = || file.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([here(), rest.to_vec()].concat()),
        "super" => {
            let mut at = here();
            at.pop()?;
            let mut rest = rest;
            while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
                at.pop()?;
                rest = after;
            }
            Some([at, rest.to_vec()].concat())
        }
        child if children.contains(child) => Some([here(), path.to_vec()].concat()),
        _ => None,
    }
}

/// The file that a path leads to: the longest beginning of it that is a module, and on through what that module
/// passes on from others.
fn resolve(
    path: &[String],
    files: &BTreeMap<String, File>,
    exports: &BTreeMap<&str, HashMap<String, Vec<String>>>,
    hops: usize,
) -> Option<String> {
    let end = (0..=path.len()).rev().find(|end| files.contains_key(&path[..*end].join("/")))?;
    let module = path[..end].join("/");
    let passed_on = path.get(end).and_then(|name| exports.get(module.as_str())?.get(name));
    match passed_on {
        Some(path) if hops < 8 => resolve(path, files, exports, hops + 1),
        _ => Some(module),
    }
}

/// Returns what is wrong: a file in no list, a line without a file, a use of what stands above, a circle.
fn judge(name: &str, floors: &[String], uses: &Uses) -> Vec<String> {
    let called =
        |file: &str| if file.is_empty() { format!("{name} (root)") } else { format!("{name}/{file}") };
    // The line of a file: its own, else that of the innermost folder that holds it.
    let floor = |file: &str| {
        let own = floors.iter().position(|line| line == file);
        own.or_else(|| {
            let folders = floors.iter().enumerate().filter(|(_, line)| {
                line.ends_with('/') && (file.starts_with(line.as_str()) || format!("{file}/") == **line)
            });
            folders.max_by_key(|(_, line)| line.len()).map(|(at, _)| at)
        })
    };
    let mut found = Vec::new();
    for (at, line) in floors.iter().enumerate() {
        if !uses.keys().any(|file| floor(file) == Some(at)) {
            found.push(format!("{name}: there is no {line}"));
        }
    }
    for (file, used) in uses.iter().filter(|(file, _)| !file.is_empty()) {
        let Some(at) = floor(file) else {
            found.push(format!("{} stands in no list", called(file)));
            continue;
        };
        for other in used.iter().filter(|other| !other.is_empty()) {
            if floor(other).is_some_and(|above| above > at) {
                found.push(format!("{} uses {}, which stands above it", called(file), called(other)));
            }
        }
        if used.contains("") {
            found.push(format!("{} uses what only the crate's root has", called(file)));
        }
    }
    found.extend(circles(uses).iter().map(|circle| {
        let names: Vec<String> = circle.iter().map(|file| called(file)).collect();
        format!("a circle: {}", names.join(" -> "))
    }));
    found
}

/// Returns a sentence for each group of files that reach one another, with one way around it.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in uses.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            let last = way.last().expect("a way has a beginning");
            for next in uses.get(last).into_iter().flatten() {
                if next == start {
                    found.push([way.clone(), vec![start.clone()]].concat());
                    ways.clear();
                    break;
                }
                if seen.insert(next.clone()) {
                    ways.push([way.clone(), vec![next.clone()]].concat());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The complaints about a crate of these files, on these floors.
    fn complaints(floors: &[&str], files: &[(&str, &str)]) -> Vec<String> {
        let files: BTreeMap<String, String> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let floors: Vec<String> = floors.iter().map(|line| (*line).to_owned()).collect();
        judge("core", &floors, &uses(&files).expect("the test's files are Rust"))
    }

    #[test]
    fn a_page_has_a_list_for_each_crate() {
        let page =
            "# A page\n\n```floors core\nids      the ground\norder/   orders\n```\n\n```\nnot this\n```\n";
        assert_eq!(lists(page), [("core".to_owned(), vec!["ids".to_owned(), "order/".to_owned()])]);
    }

    #[test]
    fn a_file_may_use_those_before_it_and_none_after_it() {
        let files = [("", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "pub struct B;")];
        assert_eq!(complaints(&["b", "a"], &files), Vec::<String>::new());
        assert_eq!(complaints(&["a", "b"], &files), ["core/a uses core/b, which stands above it"]);
    }

    #[test]
    fn a_use_is_seen_however_it_is_spelled() {
        for text in [
            "use crate::b::B;",
            "use crate::{b::{B as C}};",
            "use super::b;",
            "fn f() { crate::b::g(); }",
            "fn f(b: crate::b::B) {}",
            "fn f() { assert_eq!(1, crate::b::g(2)); }",
            "use crate::B;",
            "use crate::*; fn f() { super::b::g() }",
        ] {
            let files = [("", "mod a; mod b; pub use b::B;"), ("a", text), ("b", "pub struct B;")];
            let found = complaints(&["a", "b"], &files);
            assert!(
                found.contains(&"core/a uses core/b, which stands above it".to_owned()),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn a_circle_within_a_folder_is_reported() {
        let files = [
            ("", "mod a;"),
            ("a", "mod one; mod two;"),
            ("a/one", "use super::two::T;"),
            ("a/two", "fn f() { crate::a::one::g() }"),
        ];
        assert_eq!(complaints(&["a/"], &files), ["a circle: core/a/one -> core/a/two -> core/a/one"]);
        let (child, parent) = (("a/one", "use super::P;"), ("a", "mod one; fn f() { one::g() }"));
        assert_eq!(
            complaints(&["a/"], &[("", "mod a;"), parent, child]),
            ["a circle: core/a -> core/a/one -> core/a"]
        );
    }

    #[test]
    fn a_method_of_a_scattered_impl_is_a_use_of_its_file() {
        let files = [
            ("", "mod t; mod a; mod b;"),
            ("t", "pub struct T;"),
            ("a", "use crate::t::T; impl T { fn of_a(&self) { self.of_b() } }"),
            ("b", "use crate::t::T; impl T { fn of_b(&self) { self.of_a() } }"),
        ];
        assert_eq!(
            complaints(&["t", "a", "b"], &files),
            ["core/a uses core/b, which stands above it", "a circle: core/a -> core/b -> core/a"]
        );
    }

    #[test]
    fn two_files_may_each_have_a_type_of_the_same_name() {
        let files = [
            ("", "mod a; mod b;"),
            ("a", "pub struct T; impl T { fn of_a(&self) {} } fn f(other: Other) { other.of_b() }"),
            ("b", "pub struct T; impl T { fn of_b(&self) {} } fn f(other: Other) { other.of_a() }"),
        ];
        assert_eq!(complaints(&["a", "b"], &files), Vec::<String>::new());
    }

    #[test]
    fn tests_may_use_anything() {
        let files = [("", "mod a; mod b;"), ("a", "#[cfg(test)] mod tests { use crate::b::B; }"), ("b", "")];
        assert_eq!(complaints(&["a", "b"], &files), Vec::<String>::new());
    }

    #[test]
    fn files_and_lines_come_and_go_together() {
        let files = [("", "mod a;"), ("a", "")];
        assert_eq!(complaints(&[], &files), ["core/a stands in no list"]);
        assert_eq!(complaints(&["a", "b"], &files), ["core: there is no b"]);
    }
}
