//! One YAML file into objects.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::Value;

/// A larger file is refused, in octets.
const LARGEST: u64 = 16 << 20;

/// Whether a file's name says that it is for us.
pub(super) fn is_ours(file: &OsStr) -> bool {
    let hidden = file.as_encoded_bytes().starts_with(b".");
    let extension = Path::new(file).extension().and_then(OsStr::to_str);
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The objects of a file, lists taken apart; none of a file that is gone.
/// The error is a sentence; it never quotes the file, which may hold a password.
pub(super) fn file(path: &Path) -> Result<Vec<Value>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = String::new();
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("is larger than {LARGEST} octets"));
    }
    if text.is_empty() {
        return Err("is empty; delete the file to take its objects away".to_owned());
    }
    objects(&text)
}

fn objects(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_yaml::options! {
        // As kubectl: the article's own manifest has `apiVersion` twice.
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let documents: Vec<Value> =
        serde_yaml::from_multiple_with_options(text, options).map_err(|error| {
            let place = error.location();
            let (line, column) = place.map_or((0, 0), |at| (at.line(), at.column()));
            format!("is no YAML at line {line}, column {column}")
        })?;
    let mut objects = Vec::new();
    for document in documents {
        let is_list = document["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("List"));
        match document {
            Value::Null => {}
            Value::Object(mut list) if is_list => match list.remove("items") {
                Some(Value::Array(items)) => objects.extend(items),
                _ => return Err("holds a List without items".to_owned()),
            },
            Value::Object(_) => objects.push(document),
            _ => return Err("holds something that is no Kubernetes object".to_owned()),
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_become_objects() {
        let text =
            "a: 1\na: 2\n---\n# nothing\n---\nkind: ServiceList\nitems:\n- {b: 1}\n- {c: 1}\n";
        let objects = objects(text).expect("good YAML");
        let keys: Vec<String> = objects.iter().map(Value::to_string).collect();
        assert_eq!(keys, [r#"{"a":2}"#, r#"{"b":1}"#, r#"{"c":1}"#]);
    }

    #[test]
    fn an_error_has_a_place_and_quotes_nothing() {
        let error = objects("password: hush\n  more: [").expect_err("no YAML");
        assert!(
            error.contains("line 2") && !error.contains("hush"),
            "{error}"
        );
        assert!(objects("just words").is_err());
        assert!(objects("kind: List\n").is_err());
    }

    #[test]
    fn hidden_files_and_others_are_not_ours() {
        let ours = |name: &str| is_ours(OsStr::new(name));
        assert!(ours("a.yaml") && ours("b.yml") && ours("c.json"));
        assert!(!ours(".a.yaml.swp") && !ours(".a.yaml") && !ours("a.yaml~") && !ours("..data"));
    }
}
