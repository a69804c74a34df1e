//! The layers of `src/`, kept.
//!
//! This reads the sources as text: it is a fence, not a proof. What must not
//! be named in a folder is not named there, an import goes only inward, and a
//! file stays small enough to be read. Comments and tests are left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that know no clock, no socket, no runtime and no API object.
const PURE: [&str; 6] = ["alloc", "bfd", "bgp", "config", "facts", "lb"];

/// What a pure folder may not name, and what it does instead.
const NOT_IN_PURE: [(&str, &str); 14] = [
    ("tokio", "answer with a value; the shell waits and sends"),
    ("futures", "answer with a value; the shell waits and sends"),
    ("kube", "take a fact from facts"),
    ("k8s_openapi", "take a fact from facts"),
    ("tracing", "answer with a value that the shell logs"),
    ("rand", "take the random number as an argument"),
    ("socket2", "answer with a value; the shell owns the socket"),
    ("libc", "answer with a value; the shell owns the system"),
    (
        "TcpStream",
        "answer with a value; the shell owns the socket",
    ),
    (
        "TcpListener",
        "answer with a value; the shell owns the socket",
    ),
    (
        "UdpSocket",
        "answer with a value; the shell owns the socket",
    ),
    ("Instant::now", "take `now` as an argument"),
    ("SystemTime", "take `now` as an argument"),
    ("thread", "be called by the task that owns the state"),
];

/// What each folder or file directly under `src/` may import of the others.
/// One that is not listed may not exist.
const ARROWS: [(&str, &[&str]); 17] = [
    ("bgp", &[]),
    ("bfd", &[]),
    ("config", &["bgp"]),
    ("facts", &["bgp"]),
    ("alloc", &["facts", "config", "bgp"]),
    ("lb", &["alloc", "facts", "config", "bgp"]),
    ("observe", &["lb", "alloc", "config", "bgp", "bfd"]),
    ("k8s", &["observe", "lb", "alloc", "facts", "config", "bgp"]),
    ("speaker", &["observe", "lb", "config", "bgp", "bfd"]),
    ("admin", &["observe", "lb", "config", "bgp"]),
    (
        "runtime",
        &[
            "k8s", "speaker", "admin", "observe", "lb", "alloc", "facts", "config", "bgp",
        ],
    ),
    (
        "demo",
        &[
            "page", "runtime", "k8s", "speaker", "admin", "observe", "lb", "alloc", "facts",
            "config", "bgp",
        ],
    ),
    ("page", &[]),
    ("storage", &["page", "k8s", "admin", "observe"]),
    (
        "cli",
        &[
            "runtime", "demo", "page", "storage", "k8s", "speaker", "admin", "observe", "lb",
            "alloc", "facts", "config", "bgp",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// The files that may say `unsafe`, one in each half: kernel interfaces without
/// a safe wrapper.
const UNSAFE: [&str; 2] = ["speaker/socket.rs", "storage/node/system.rs"];

/// Lines of code and comments in one file, tests apart.
const LONGEST: usize = 400;

/// Files that may be longer, each with its reason. Empty is how it should be.
const LONGER: [(&str, &str); 0] = [];

struct Source {
    /// Below `src/`, with slashes.
    path: String,
    /// The folder directly under `src/`, or the file's name without `.rs`.
    part: String,
    /// The lines before the tests, with comments and literals blanked out.
    code: Vec<String>,
}

/// Every source file that is not a test.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .iter()
        .filter_map(|file| Source::read(&root, file))
        .collect();
    assert!(
        sources.len() > 10,
        "found {} sources: looking in the wrong place?",
        sources.len()
    );
    sources
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of this repository") {
        let path = entry.expect("an entry of this repository").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(root: &Path, file: &Path) -> Option<Self> {
        let path = file
            .strip_prefix(root)
            .expect("found below it")
            .to_str()
            .expect("UTF-8");
        let is_test = |part: &str| {
            matches!(
                part.trim_end_matches(".rs"),
                "tests" | "fixture" | "simulation"
            )
        };
        if path.split('/').any(is_test) {
            return None;
        }
        Some(Self::of(path, &fs::read_to_string(file).expect("readable")))
    }

    fn of(path: &str, text: &str) -> Self {
        // Inline tests stand last in a file.
        let end = text.find("\n#[cfg(test)]\nmod tests {");
        let code = blank(&text[..end.map_or(text.len(), |at| at + 1)]);
        let first = path.split('/').next().unwrap_or(path);
        Self {
            path: path.to_owned(),
            part: first.trim_end_matches(".rs").to_owned(),
            code: code.lines().map(str::to_owned).collect(),
        }
    }

    /// Lines on which a name stands as a whole word.
    fn naming<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let lines = self.code.iter().enumerate();
        lines
            .filter(move |(_, line)| has_word(line, name))
            .map(|(at, _)| at + 1)
    }
}

/// A source text with comments, strings and character literals as blanks; line
/// ends stay.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal(rest);
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let kept = rest[..skipped]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' });
            out.extend(kept);
            rest = &rest[skipped..];
        }
    }
    out
}

/// How many octets of comment or literal stand at the beginning of a text.
fn literal(text: &str) -> usize {
    let until = |from: usize, end: &str| {
        let found = text[from..].find(end);
        found.map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    for hashes in ["\"", "#\"", "##\""] {
        if text
            .strip_prefix('r')
            .is_some_and(|rest| rest.starts_with(hashes))
        {
            let end: String = hashes.chars().rev().collect();
            return until(1 + hashes.len(), &end);
        }
    }
    let octets = text.as_bytes();
    match octets[0] {
        b'"' => {
            let mut at = 1;
            while at < octets.len() && octets[at] != b'"' {
                at += if octets[at] == b'\\' { 2 } else { 1 };
            }
            (at + 1).min(octets.len())
        }
        // 'x' and '\n' are literals, 'a alone is a lifetime.
        b'\'' if octets.get(1) == Some(&b'\\') => until(3, "'"),
        b'\'' if octets.get(2) == Some(&b'\'') => 3,
        _ => 0,
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_name) && !line[at + word.len()..].starts_with(part_of_name)
    })
}

/// The parts of this crate that a file names by `crate::` or, from the root's
/// children, `super::`.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = source.code.join("\n");
    let depth = source.path.matches('/').count();
    let is_root_child = depth == 0 || depth == 1 && source.path.ends_with("/mod.rs");
    let mut roots = vec!["crate::"];
    if is_root_child && source.part != "lib" && source.part != "main" {
        roots.push("super::");
    }
    if source.part == "main" {
        roots.push("loods::");
    }
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let rest = code[at + root.len()..].trim_start();
            found.extend(firsts(rest).into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The first names of a path: of `a::b` it is `a`, of `{a::b, c}` both `a` and `c`.
fn firsts(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let of_name = |c: &char| c.is_alphanumeric() || *c == '_';
        text.trim_start().chars().take_while(of_name).collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn pure_folders_name_no_clock_no_socket_no_runtime_and_no_api_object() {
    let mut faults = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| PURE.contains(&&*source.part))
    {
        for (name, instead) in NOT_IN_PURE {
            for line in source.naming(name) {
                faults.push(format!(
                    "src/{}:{line} names {name}: {instead}",
                    source.path
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn only_the_folder_k8s_names_kubernetes_crates() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.part != "k8s") {
        for name in ["kube", "k8s_openapi"] {
            for line in source.naming(name) {
                faults.push(format!(
                    "src/{}:{line} names {name}: only src/k8s does; translate there to a type of ours",
                    source.path
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn imports_point_inward() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into();
    let mut faults = Vec::new();
    for source in sources() {
        let Some(allowed) = arrows.get(&*source.part) else {
            faults.push(format!(
                "src/{} is in no layer: add it to ARROWS",
                source.path
            ));
            continue;
        };
        for (line, name) in imports(&source) {
            let known = arrows.contains_key(&*name);
            if known && name != source.part && !allowed.contains(&&*name) {
                faults.push(format!(
                    "src/{}:{line} imports {name}: {} may import {allowed:?}",
                    source.path, source.part
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn policy_knows_of_bgp_only_its_types() {
    let mut faults = Vec::new();
    let policy = ["alloc", "config", "k8s", "lb"];
    for source in sources()
        .iter()
        .filter(|source| policy.contains(&&*source.part))
    {
        for (at, line) in source.code.iter().enumerate() {
            let mut paths = line.match_indices("bgp::");
            if paths.any(|(at, path)| !line[at + path.len()..].starts_with("types")) {
                faults.push(format!(
                    "src/{}:{} reaches into bgp: what both sides say is in bgp::types",
                    source.path,
                    at + 1
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn one_file_of_each_half_has_unsafe_code() {
    let mut faults = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !UNSAFE.contains(&&*source.path))
    {
        for line in source.naming("unsafe") {
            faults.push(format!(
                "src/{}:{line} is unsafe: only {UNSAFE:?} may be",
                source.path
            ));
        }
    }
    report(&faults);
}

#[test]
fn a_file_has_one_subject_and_at_most_400_lines() {
    let mut faults = Vec::new();
    for source in sources() {
        let excused = LONGER.iter().any(|(path, _)| *path == source.path);
        if source.code.len() > LONGEST && !excused {
            faults.push(format!(
                "src/{} has {} lines before its tests: cut it by subject",
                source.path,
                source.code.len()
            ));
        }
    }
    report(&faults);
}

mod the_reader_itself {
    use super::*;

    #[test]
    fn leaves_comments_and_literals_out_and_counts_lines_right() {
        let text = "// tokio\nlet a = \"tokio \\\" tokio\"; /* tokio\n */ let b = '\"';\nfn c<'a>(d: &'a str) {}\nr#\"tokio\"#;\ntokio::spawn();\n";
        let source = Source::of("lb/a.rs", text);
        assert_eq!(source.naming("tokio").collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn takes_whole_words_only() {
        assert!(has_word("use kube::Api;", "kube"));
        assert!(has_word("a = Instant::now();", "Instant::now"));
        assert!(!has_word("use kubelet::x; let my_kube = 1;", "kube"));
    }

    #[test]
    fn finds_what_a_file_imports() {
        let names = |path: &str, text: &str| {
            let found = imports(&Source::of(path, text)).into_iter();
            found
                .map(|(line, name)| format!("{line} {name}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("lb/a.rs", "use crate::bgp::types;\n"), ["1 bgp"]);
        assert_eq!(
            names("lb/a.rs", "\nuse crate::{bgp::{x, y}, config::Z,\n  k8s};"),
            ["2 bgp", "2 config", "2 k8s"]
        );
        assert_eq!(names("lb/mod.rs", "use super::k8s::x;"), ["1 k8s"]);
        assert_eq!(names("lb/a.rs", "use super::k8s::x;"), [""; 0]);
        assert_eq!(names("main.rs", "loods::cli::run();"), ["1 cli"]);
        assert_eq!(
            names("runtime.rs", "fn f() { crate::speaker::g() }"),
            ["1 speaker"]
        );
    }
}
