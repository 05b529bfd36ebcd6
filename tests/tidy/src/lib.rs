//! What a reader of this repository relies on, tested: which way crates may depend, that registries list what is there,
//! that links lead somewhere, that deploy files name settings that exist.
//!
//! It reads files as text and depends on nothing, so it builds and runs in a second. It checks no style: formatters
//! and lints do that. A rule that cannot be tested does not belong here.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

fn root() -> PathBuf {
    // Tests run in the folder of their package; a path of the build would be that of another clone with the same target
    // folder.
    Path::new("../..").canonicalize().expect("the workspace is there")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Folders that hold nothing of ours, or nothing written by hand.
const SKIPPED: [&str; 7] = [".git", "node_modules", "target", "dist", "__pycache__", ".venv", "hotspan-data"];

/// All files under a folder of the repository, as paths relative to the root.
fn files(under: &str) -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
            match name.to_str() {
                Some(name) if is_folder && SKIPPED.contains(&name) => {}
                _ if is_folder => folders.push(path),
                _ => found.push(path.strip_prefix(&root).expect("below the root").to_owned()),
            }
        }
    }
    found.sort();
    found
}

fn with_extension(under: &str, extension: &str) -> Vec<PathBuf> {
    files(under).into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|s| s.to_str()).unwrap_or_default()
}

/// Fails with all that was found wrong, a line each.
fn nothing(wrong: Vec<String>, rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

/// `path` without `.` and `..`; `None` when it leaves the root.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// The crates of ours that a manifest names in `[dependencies]` and its sisters.
fn edges(manifest: &str, ours: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies") && !section.starts_with("workspace");
            if let Some((table, name)) = section.rsplit_once('.').filter(|(t, _)| t.ends_with("dependencies")) {
                let name = name.trim_start_matches("hotspan-");
                if !table.starts_with("workspace") && ours.contains(name) {
                    found.insert(name.to_owned());
                }
            }
            continue;
        }
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(line.len());
        let name = line[..end].trim_start_matches("hotspan-");
        if inside && ours.contains(name) {
            found.insert(name.to_owned());
        }
    }
    found
}

/// Those of the workspace.
fn manifests() -> impl Iterator<Item = PathBuf> {
    files("").into_iter().filter(|p| p.ends_with("Cargo.toml") && *p != Path::new("fuzz/Cargo.toml"))
}

/// The crates of ours that each crate knows, as ARCHITECTURE.md has it: in backticks `crate→other,another`, or a crate
/// that knows none.
fn edges_told() -> BTreeMap<String, BTreeSet<String>> {
    let document = read("ARCHITECTURE.md");
    let paragraph = document.split_once("Cargo edges, complete:").and_then(|(_, rest)| rest.split("\n\n").next());
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for code in paragraph.expect("ARCHITECTURE.md lists the edges").split('`').skip(1).step_by(2) {
        let (from, to) = code.split_once('→').unwrap_or((code, ""));
        let known = to.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        told.entry(from.to_owned()).or_default().extend(known);
    }
    told
}

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    let ours = BTreeSet::from(["model", "system", "wal", "collector", "storage", "query", "ui", "demo", "tidy"]);
    let mut told = edges_told();
    let mut wrong = Vec::new();
    for manifest in manifests() {
        let folder = manifest.parent().and_then(Path::to_str).unwrap_or_default();
        let name = match folder {
            "" => "root",
            "storage/wal" => "wal",
            other => other,
        };
        let found = edges(&read(&manifest), &ours);
        match told.remove(name) {
            None => wrong.push(format!("{name} is not named")),
            Some(told) if told != found => wrong.push(format!("{name} knows {found:?}, not {told:?}")),
            Some(_) => {}
        }
    }
    wrong.extend(told.keys().map(|name| format!("{name} is no crate")));
    nothing(wrong, "Cargo edges of ARCHITECTURE.md that differ from the manifests");
}

/// Names that a source gives to threads.
fn thread_names(source: &str) -> BTreeSet<String> {
    let calls = ["background::run(", ".name(", "thread_name("];
    let arguments = calls.iter().flat_map(|call| source.split(call).skip(1));
    let texts = arguments.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    texts.map(str::to_owned).collect()
}

#[test]
fn every_thread_of_the_server_is_described() {
    let crates = ["collector", "storage", "query", "ui/src", "system"].into_iter();
    let sources = crates.flat_map(|under| with_extension(under, "rs")).chain(["src/commands/serve.rs".into()]);
    let named: BTreeSet<String> = sources.flat_map(|path| thread_names(&read(path))).collect();
    assert!(named.contains("hotspan-wal") && named.contains("ingest"), "found only {named:?}");
    let document = read("ARCHITECTURE.md");
    let section = document.split_once("\n## Threads\n").and_then(|(_, rest)| rest.split("\n## ").next());
    let table = section.expect("ARCHITECTURE.md has a table of threads").split('`').skip(1).step_by(2);
    let told: BTreeSet<String> = table.map(str::to_owned).collect();
    let gone = told.iter().filter(|name| name.starts_with("hotspan-") && !named.contains(*name));
    let wrong = named.difference(&told).map(|name| format!("{name} is missing"));
    nothing(wrong.chain(gone.map(|name| format!("{name} is gone"))).collect(), "threads of ARCHITECTURE.md");
}

#[test]
fn unsafe_code_is_forbidden_but_in_one_file() {
    let free = manifests().filter(|manifest| !read(manifest).contains("[lints]\nworkspace = true"));
    assert_eq!(free.collect::<Vec<_>>(), [Path::new("system/Cargo.toml")], "lints of the workspace forbid it");
    let sources = files("system").into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    assert_eq!(sources.collect::<Vec<_>>(), [Path::new("system/src/lib.rs")]);
}

#[test]
fn every_analysis_is_registered() {
    let registry = read("query/src/analysis/mod.rs");
    let defined: Vec<_> = with_extension("query/src/analysis", "rs")
        .into_iter()
        .filter(|path| read(path).contains("pub const ANALYSIS"))
        .collect();
    assert!(defined.len() > 5, "found only {defined:?}");
    let missing = defined.iter().filter(|path| !registry.contains(&format!(" {}::ANALYSIS,", stem(path))));
    nothing(missing.map(|p| p.display().to_string()).collect(), "not in analysis::all()");
}

#[test]
fn every_command_is_registered() {
    let (modules, cli) = (read("src/commands/mod.rs"), read("src/cli.rs"));
    let mut wrong = Vec::new();
    for path in with_extension("src/commands", "rs") {
        let name = stem(&path);
        // A command may keep parts of itself in a folder of its name.
        let is_command = path.parent().is_some_and(|p| p.ends_with("commands")) && name != "mod";
        if is_command && !modules.contains(&format!("pub mod {name};")) {
            wrong.push(format!("{name} in src/commands/mod.rs"));
        }
        if is_command && !cli.contains(&format!("commands::{name}::")) {
            wrong.push(format!("{name} in src/cli.rs"));
        }
    }
    nothing(wrong, "commands not listed");
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent = with_extension("", "rs").into_iter().filter(|path| !read(path).starts_with("//!"));
    nothing(silent.map(|p| p.display().to_string()).collect(), "files that do not open with //!");
}

/// Quoted names of two words, as crash points have: `"flush.begun"`.
fn quoted_points(text: &str) -> BTreeSet<String> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let is_point = |name: &&str| name.split_once('.').is_some_and(|(area, step)| is_word(area) && is_word(step));
    text.split('"').skip(1).step_by(2).filter(is_point).map(str::to_owned).collect()
}

#[test]
fn every_crash_point_has_its_case_and_its_line() {
    let mut points = quoted_points(&read("storage/src/crash.rs"));
    for path in with_extension("storage/src", "rs") {
        let text = read(&path);
        points.extend(text.lines().filter(|l| l.contains("crash_point!(")).flat_map(quoted_points));
    }
    assert!(points.len() > 30, "found only {points:?}");
    let cases = read("tests/it/points/cases.rs");
    let cases: BTreeSet<String> = cases.lines().filter(|l| l.contains("case(\"")).flat_map(quoted_points).collect();
    let document = read("docs/reliability.md");
    let undocumented = points.iter().filter(|point| !document.contains(&format!("`{point}`")));
    let differing = points.symmetric_difference(&cases).map(|point| format!("{point} in tests/it/points/cases.rs"));
    let undocumented = undocumented.map(|point| format!("{point} in docs/reliability.md"));
    nothing(differing.chain(undocumented).collect(), "crash points that code, cases and document do not share");
}

/// Targets of `[text](target)` outside of code.
fn links(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        found.extend(targets.map(str::to_owned));
    }
    found
}

/// The anchor that a heading gets on code hosts: lower case, spaces to hyphens, punctuation away.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let anchor = |title: &str| -> String {
        let kept = title.trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    markdown.lines().filter(|l| l.starts_with('#')).map(|l| anchor(l.trim_start_matches('#'))).collect()
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in with_extension("", "md") {
        let text = read(&path);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { Some(path.clone()) } else { plain(&folder.join(file)) };
            let Some(target) = target.filter(|t| root().join(t).exists()) else {
                wrong.push(format!("{}: {link}", path.display()));
                continue;
            };
            let is_document = target.extension().is_some_and(|e| e == "md");
            if is_document && !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                wrong.push(format!("{}: {link} (no such heading)", path.display()));
            }
        }
    }
    nothing(wrong, "links to nowhere");
}

#[test]
fn every_decision_is_listed() {
    let records = with_extension("docs/adr", "md");
    let records: Vec<_> = records.iter().filter(|p| stem(p) != "README").collect();
    if records.is_empty() {
        return;
    }
    let list = read("docs/adr/README.md");
    let missing = records.iter().filter(|p| !list.contains(&format!("{}.md", stem(p))));
    nothing(missing.map(|p| p.display().to_string()).collect(), "not in docs/adr/README.md");
}

/// The module a TypeScript line imports, when it is a relative one.
fn imported(line: &str) -> Option<&str> {
    let quoted = ["from '", "from \"", "import '", "import \"", "import('", "import(\""];
    let rest = quoted.iter().find_map(|q| line.split_once(q)).map(|(_, rest)| rest)?;
    rest.split(['\'', '"']).next().filter(|name| name.starts_with('.'))
}

#[test]
fn the_page_s_pure_core_knows_nothing_above_it() {
    let core = Path::new("ui/web/src/lib");
    let sources =
        files("ui/web/src/lib").into_iter().filter(|p| p.extension().is_some_and(|e| e == "ts" || e == "tsx"));
    let mut wrong = Vec::new();
    for path in sources {
        for line in read(&path).lines() {
            let Some(module) = imported(line) else { continue };
            let target = path.parent().and_then(|folder| plain(&folder.join(module)));
            if !target.is_some_and(|t| t.starts_with(core)) {
                wrong.push(format!("{}: {module}", path.display()));
            }
        }
    }
    nothing(wrong, "ui/web/src/lib imports from outside of itself");
}

/// Names of environment variables of ours in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let names = text.match_indices("HOTSPAN_").map(|(at, _)| {
        let end = text[at..].find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        text[at..at + end.unwrap_or(text.len() - at)].trim_end_matches('_').to_owned()
    });
    names.filter(|name| name != "HOTSPAN").collect()
}

#[test]
fn deploy_files_name_settings_that_exist() {
    let known: BTreeSet<String> = with_extension("src", "rs").iter().flat_map(|path| variables(&read(path))).collect();
    assert!(known.contains("HOTSPAN_DATA") && known.contains("HOTSPAN_TOKEN"), "found only {known:?}");
    let mut wrong = Vec::new();
    // Scripts check the other files and have variables of their own.
    for path in files("deploy").into_iter().filter(|p| !p.extension().is_some_and(|e| e == "py" || e == "sh")) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        // `${env:NAME}` is how a Collector reads its own environment, which is not ours.
        let foreign = |name: &str| text.contains(&format!("${{env:{name}}}"));
        let unknown = variables(&text).into_iter().filter(|name| !known.contains(name) && !foreign(name));
        wrong.extend(unknown.map(|name| format!("{}: {name}", path.display())));
    }
    nothing(wrong, "variables that src/ does not know");
}

#[test]
fn no_file_is_named_after_nothing() {
    let empty = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    let mut wrong = Vec::new();
    for path in files("") {
        let is_source = path
            .extension()
            .is_some_and(|e| ["rs", "ts", "tsx", "mjs", "js", "py", "go", "java", "sh"].iter().any(|s| e == *s));
        let folder = path.parent().map(stem).unwrap_or_default();
        if is_source && (empty.contains(&stem(&path)) || empty.contains(&folder)) {
            wrong.push(path.display().to_string());
        }
    }
    nothing(wrong, "names that do not say what is inside");
}

/// The string literals of `const NAME: … = &[…];`.
fn listed<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let begin = source.split_once(&format!("const {name}: &[&str] = &[")).map(|(_, rest)| rest);
    let body = begin.and_then(|rest| rest.split_once("];")).map(|(body, _)| body);
    body.unwrap_or_else(|| panic!("no list {name}")).split('"').skip(1).step_by(2).collect()
}

#[test]
fn the_physical_columns_behind_sql_are_documented() {
    let (view, document) = (read("query/src/tables/view.rs"), read("docs/format/tables.md"));
    let mut wrong = Vec::new();
    for table in ["SPANS", "METRICS", "LOGS"] {
        let columns = listed(&view, table);
        assert!(columns.len() > 10, "{table} has only {columns:?}");
        // On disk a timestamp is an int64 under a longer name.
        let told = |column: &str| {
            document.contains(&format!("`{column}`")) || document.contains(&format!("`{column}_unix_nano`"))
        };
        wrong.extend(columns.into_iter().filter(|c| !told(c)).map(|c| format!("{}.{c}", table.to_lowercase())));
    }
    nothing(wrong, "docs/format/tables.md does not tell of these columns");
}

#[test]
fn the_malformed_exports_are_what_their_generator_writes() {
    let mut check = std::process::Command::new("python3");
    let told = check.args(["testdata/malformed/make.py", "--check"]).current_dir(root()).output();
    let told = told.expect("Python 3 is among what tools/setup.sh asks for");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}
