//! Where errors point in files: an editor must be able to jump there.

use loods::config::check::{Checked, check};
use loods::config::manifest;

fn check_one(file: &str) -> Checked {
    check([("file.yaml", file.as_bytes())], manifest::KEY)
}

#[test]
fn article_has_one_error_at_its_place() {
    let file = include_str!("../../config/article/config.yaml");
    let checked = check_one(file);
    assert!(!checked.ok);
    assert_eq!(checked.texts.len(), 1);
    assert_eq!(checked.texts[0].errors.len(), 1, "{checked}");
    let error = &checked.texts[0].errors[0];
    let line = file.lines().nth(error.line as usize - 1).unwrap();
    assert_eq!(&line[error.column as usize - 1..], "10.x.x.1");
    expect_test::expect![[r#"
        error: peers[0].peer-address: `10.x.x.1` is not an IP address
          --> file.yaml:10:21
           |
        10 | - peer-address: 10.x.x.1
           |                 ^^^^^^^^
           = write an IPv4 or IPv6 address such as `192.0.2.1`

        file.yaml: ConfigMap metallb-system/config: bad: 1 error
    "#]]
    .assert_eq(&checked.to_string());
}

/// The text at the place of each error, or before it where a key is missing.
fn pointed(file: &str) -> Vec<&str> {
    let checked = check_one(file);
    let lines: Vec<_> = file.lines().collect();
    let errors = checked.texts.iter().flat_map(|text| &text.errors);
    let at = errors.map(|error| {
        let line = lines[error.line as usize - 1];
        let (start, _) = line.char_indices().nth(error.column as usize - 1).unwrap();
        &line[start..]
    });
    at.collect()
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata:\n";

#[test]
fn literal_blocks_keep_lines_and_columns() {
    for head in [
        "  config: |\n",
        "  config: |-\n",
        "  config: |+ # kept\n\n\n",
        "  'config':   |2\n",
    ] {
        let text = "    origin: wrong\n\n    # é\n    on-removed-pool: é # also\n";
        let file = format!("{HEAD}{head}{text}");
        assert_eq!(pointed(&file), ["wrong", "é # also"], "{file}");
    }
}

#[test]
fn a_block_may_begin_deeper_than_its_key() {
    let file = format!(
        "{HEAD}  other: |\n    origin: no\n  config: |\n        peers:\n        - my-asn: x\n"
    );
    assert_eq!(pointed(&file), ["my-asn: x", "my-asn: x", "x"]);
}

#[test]
fn crlf_files() {
    let file =
        format!("{HEAD}  config: |\n    origin: a\n    on-removed-pool: b\n").replace('\n', "\r\n");
    assert_eq!(pointed(&file), ["a", "b"]);
}

#[test]
fn quoted_texts_point_at_their_beginning_and_name_the_inner_place() {
    let file = format!("{HEAD}  config: \"peers: []\\norigin: wrong\\n\"\n");
    assert_eq!(pointed(&file), ["\"peers: []\\norigin: wrong\\n\""]);
    let error = &check_one(&file).texts[0].errors[0];
    assert!(
        error.problem.ends_with("(line 2, column 9 of the text)"),
        "{error}"
    );
}

#[test]
fn related_places_are_of_the_file_too() {
    let file = format!("{HEAD}  config: |\n    origin: igp\n    origin: igp\n");
    let checked = check_one(&file);
    let error = &checked.texts[0].errors[0];
    let related = error.related.as_ref().unwrap();
    assert_eq!((error.line, error.column), (7, 5));
    assert_eq!((related.line, related.column), (6, 5));
}

#[test]
fn broken_texts_point_into_the_file() {
    let file = format!("{HEAD}  config: |\n    peers:\n    - my-asn: 1\n       peer-asn: 2\n");
    let checked = check_one(&file);
    assert_eq!(checked.texts[0].errors[0].line, 8, "{checked}");
}

#[test]
fn bare_text() {
    assert_eq!(pointed("origin: wrong\n"), ["wrong"]);
    assert!(check_one("").ok);
}

#[test]
fn several_documents_and_lists() {
    let one = |name: &str, origin: &str| {
        format!(
            "kind: ConfigMap\nmetadata: {{name: {name}, namespace: lb}}\ndata:\n  config: |\n    origin: {origin}\n"
        )
    };
    let file = format!(
        "# first\n{}---\nkind: Service\nspec: {{}}\n---\n{}---\n",
        one("a", "igp"),
        one("b", "wrong")
    );
    let checked = check_one(&file);
    let objects: Vec<_> = checked
        .texts
        .iter()
        .map(|text| text.object.as_deref())
        .collect();
    assert_eq!(objects, [Some("lb/a"), Some("lb/b")]);
    assert_eq!(pointed(&file), ["wrong"]);

    let items: String = one("c", "wrong")
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    let list = format!("kind: List\nitems:\n-{}", &items[1..]);
    assert_eq!(pointed(&list), ["wrong"]);
}

#[test]
fn another_key() {
    let file = format!("{HEAD}  metallb.yaml: |\n    origin: wrong\n");
    let checked = check([("file.yaml", file.as_bytes())], "metallb.yaml");
    assert_eq!(checked.texts[0].errors.len(), 1, "{checked}");
    let missing = check_one(&file);
    assert!(!missing.ok);
    assert!(missing.to_string().contains("`metallb.yaml`"), "{missing}");
}

#[test]
fn manifests_without_a_text() {
    for file in [
        "kind: Service\n",
        "kind: ConfigMap\n",
        "kind: ConfigMap\ndata: {}\n",
        "kind: ConfigMap\ndata:\n  config:\n    peers: []\n",
        "kind: ConfigMap\ndata:\n  config: [a]\n",
        "kind: ConfigMap\n  data: x\n",
    ] {
        let checked = check_one(file);
        assert!(!checked.ok, "{file}");
        assert_eq!(checked.texts[0].errors.len(), 1, "{checked}");
    }
}
