//! Whatever the text is, reading it ends soon and never panics.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use loods::config::check::check;
use loods::config::{self, Errors, manifest};
use proptest::prelude::*;

/// Ten times what a slow machine needs, in a build without optimization.
const SOON: Duration = Duration::from_secs(20);

fn refuse(text: &str) -> Errors {
    let begin = Instant::now();
    let errors = config::parse(text).expect_err("this text is no configuration");
    assert!(begin.elapsed() < SOON, "took {:?}", begin.elapsed());
    assert!(!errors.findings.is_empty());
    assert!(errors.findings.len() <= 100);
    assert!(errors.render("config").len() < 200_000);
    errors
}

#[test]
fn alias_bomb() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        let uses = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(text, "a{i}: &a{i} [{uses}]").unwrap();
    }
    assert!(refuse(&text).to_string().contains("too many values"));
}

#[test]
fn merge_bomb() {
    let mut text = "a0: &a0 {k: v}\n".to_owned();
    for i in 1..60 {
        writeln!(
            text,
            "a{i}: &a{i} {{<<: [*a{0}, *a{0}, *a{0}], k{i}: v}}",
            i - 1
        )
        .unwrap();
    }
    refuse(&text);
}

#[test]
fn deep_nesting() {
    for open in ["[", "{a: ", "- ", "? ", "a:\n"] {
        refuse(&open.repeat(100_000 / open.len()));
    }
    let indented: String = (0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    refuse(&indented);
    let mut aliased = "a0: &a0 [x]\n".to_owned();
    for i in 1..200 {
        writeln!(aliased, "a{i}: &a{i} [*a{}]", i - 1).unwrap();
    }
    assert!(refuse(&aliased).to_string().contains("too deep"));
}

#[test]
fn megabytes() {
    let full = 1 << 20;
    let fill = |part: &str| part.repeat(full / part.len());
    for text in [
        fill("a"),
        fill("a: "),
        fill("\""),
        fill("- x\n"),
        fill("[]\n"),
        fill("*a "),
        fill("&a "),
        fill("# comment\nx: y\n"),
        fill("? "),
        fill("- - - - \n"),
        fill("!a "),
        format!("[{}]", fill("x,").split_at(full - 4).0),
        format!("{{{}}}", fill("x,").split_at(full - 4).0),
        format!("peers: [{}]", fill("{},").split_at(full - 20).0),
        format!("a: |\n{}", fill(" x\n").split_at(full - 20).0),
    ] {
        refuse(&text);
    }
    assert!(
        refuse(&"\n".repeat(full + 1))
            .to_string()
            .contains("over the limit")
    );
}

#[test]
fn a_large_good_configuration_is_read_soon() {
    let mut text = "address-pools:\n".to_owned();
    for i in 0..2_000 {
        writeln!(text, "- name: pool-{i}\n  protocol: bgp\n  addresses:").unwrap();
        for j in 0..20 {
            writeln!(text, "  - 10.{}.{}.{j}/32", i / 256, i % 256).unwrap();
        }
    }
    let begin = Instant::now();
    let parsed = config::parse(&text).unwrap();
    assert!(begin.elapsed() < SOON, "took {:?}", begin.elapsed());
    assert_eq!(parsed.config.pools.len(), 2_000);
}

#[test]
fn bytes_that_are_no_text() {
    for bytes in [
        &b"\xff\xfe\x00"[..],
        b"origin: igp\n# \xc3\x28\n",
        b"\0\0\0\0",
    ] {
        let checked = check([("file", bytes)], manifest::KEY);
        assert!(!checked.ok, "{checked}");
    }
    let checked = check([("file", &b"origin: igp\n# \xc3\x28\n"[..])], manifest::KEY);
    let error = &checked.texts[0].errors[0];
    assert_eq!((error.line, error.column), (2, 3));
}

/// Pieces that configurations are made of.
const PIECES: &[&str] = &[
    "peers:\n",
    "- ",
    "  ",
    "\n",
    ": ",
    "my-asn: 1\n",
    "  peer-asn: 2\n",
    "  peer-address: 192.0.2.1\n",
    "address-pools:\n",
    "- name: a\n",
    "  protocol: bgp\n",
    "  addresses: [192.0.2.0/24]\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: *a\n",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "!!str ",
    "!x ",
    "? ",
    "~",
    "hold-time: 9s\n",
    "  password: x\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "kind: ConfigMap\n",
    "data:\n  config: |\n    ",
    "bgp-communities:\n  a: 1:1\n",
    "  bgp-advertisements:\n  - aggregation-length: 24\n",
    "0x",
    "-",
    "\\",
];

fn total(text: &str) {
    let begin = Instant::now();
    for errors in [
        config::parse(text).err(),
        manifest::read(text, manifest::KEY).err(),
    ]
    .into_iter()
    .flatten()
    {
        assert!(!errors.findings.is_empty());
        assert!(
            errors
                .findings
                .is_sorted_by_key(|finding| (finding.line, finding.column))
        );
        for finding in &errors.findings {
            assert!(finding.line >= 1 && finding.column >= 1);
            assert!(
                finding.line as usize <= text.lines().count() + 1,
                "{finding}"
            );
            assert!(!finding.problem.is_empty() && !finding.mend.is_empty());
        }
    }
    let checked = check([("file", text.as_bytes())], manifest::KEY);
    assert_eq!(
        checked.ok,
        checked.texts.iter().all(|text| text.summary.is_some())
    );
    assert!(begin.elapsed() < SOON);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_text(text in any::<String>()) {
        total(&text);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        total(&String::from_utf8_lossy(&bytes));
        check([("file", &bytes[..])], manifest::KEY);
    }

    #[test]
    fn any_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)) {
        total(&pieces.concat());
    }

    #[test]
    fn any_damage(
        cut in any::<(proptest::sample::Index, proptest::sample::Index)>(),
        piece in proptest::sample::select(PIECES),
    ) {
        let text = include_str!("accept/every_key.yaml");
        let (start, end) = (cut.0.index(text.len()), cut.1.index(text.len()));
        let (start, end) = (start.min(end), start.max(end).min(start.min(end) + 20));
        total(&format!("{}{piece}{}", &text[..start], &text[end..]));
    }
}
