//! One YAML file into objects.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

use crate::k8s::store::{Kind, Name, Refused, Store};

/// A larger file is refused, in octets.
const LARGEST: u64 = 16 << 20;

/// Whether a file's name says that it is for us.
pub(super) fn is_ours(file: &OsStr) -> bool {
    let hidden = file.as_encoded_bytes().starts_with(b".");
    let extension = Path::new(file).extension().and_then(OsStr::to_str);
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// What stands in a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Its text.
    pub text: String,
    /// Lists taken apart; of two objects of one name the later, as kubectl
    /// has it. Objects that Loods does not use are passed over.
    pub objects: BTreeMap<Name, Value>,
}

/// Reads a file; `None`: there is none. It is good as a whole or refused as a
/// whole: half of it might be what somebody is just writing.
///
/// # Errors
/// A sentence. It never quotes a ConfigMap, which may hold a password.
pub(super) fn file(path: &Path) -> Result<Option<Content>, String> {
    // A pipe of this name must hold up nobody until somebody writes to it.
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return if path.is_symlink() {
                Err("is a link that leads nowhere".to_owned())
            } else {
                Ok(None)
            };
        }
        Err(error) => return Err(error.to_string()),
    };
    if !file.metadata().is_ok_and(|about| about.is_file()) {
        return Err("is no regular file".to_owned());
    }
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
    let objects = named(objects(&text)?)?;
    Ok(Some(Content { text, objects }))
}

fn named(objects: Vec<Value>) -> Result<BTreeMap<Name, Value>, String> {
    let mut named = BTreeMap::new();
    for object in objects {
        match Store::check(&object) {
            Ok(name) => drop(named.insert(name, object)),
            Err(why @ Refused::Foreign { .. }) => match meant(&object) {
                Some(kind) => tracing::warn!(
                    name = object["metadata"]["name"].as_str().unwrap_or_default(),
                    "passed over: {why}; if it is meant for Loods, write apiVersion: {}",
                    kind.version()
                ),
                None => tracing::debug!("passed over: {why}"),
            },
            Err(why) => return Err(why.to_string()),
        }
    }
    Ok(named)
}

/// The kind that an object of another version may have been meant to be: an
/// EndpointSlice of v1beta1, say. Others have a kind Service of their own, too.
fn meant(object: &Value) -> Option<Kind> {
    let word = object["kind"].as_str()?;
    Kind::ALL.into_iter().find(|kind| kind.word() == word)
}

/// The objects of a text, lists taken apart.
///
/// # Errors
/// A sentence, with line and column, that does not quote the text.
pub fn objects(text: &str) -> Result<Vec<Value>, String> {
    let options = serde_yaml::options! {
        // As kubectl: the article's own manifest has `apiVersion` twice.
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let documents: Vec<Value> =
        serde_yaml::from_multiple_with_options(text, options).map_err(|error| {
            match error.location() {
                Some(at) => format!("is no YAML at line {}, column {}", at.line(), at.column()),
                None => "holds more than 1,024 documents or 250,000 values; make it several files"
                    .to_owned(),
            }
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
    fn an_object_of_another_version_is_recognized_by_its_kind() {
        let of = |kind: &str| meant(&serde_json::json!({"apiVersion": "v1beta1", "kind": kind}));
        assert_eq!(of("EndpointSlice"), Some(Kind::EndpointSlice));
        assert_eq!(of("Pod"), None);
        assert_eq!(meant(&Value::Null), None);
    }

    #[test]
    fn an_object_without_a_name_refuses_the_file_and_a_foreign_one_does_not() {
        let read = |text: &str| named(objects(text).expect("good YAML"));
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n";
        let pod = "apiVersion: v1\nkind: Pod\n";
        assert_eq!(read(&format!("{service}{pod}")).expect("good").len(), 1);
        for bad in [
            "apiVersion: v1\nkind: Service\n",
            "metadata: {name: a}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: no}\n",
        ] {
            read(&format!("{service}{bad}")).expect_err(bad);
        }
    }

    #[test]
    fn deep_nesting_and_many_documents_are_refused_and_nothing_more() {
        objects(&"[".repeat(100_000)).expect_err("too deep");
        let refused = objects(&"---\na: 1\n".repeat(5000)).expect_err("too many");
        assert!(!refused.contains("line 0"), "{refused}");
        let bomb = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            let before = format!("*a{}, ", n - 1).repeat(9);
            format!("{text}a{n}: &a{n} [{before}]\n")
        });
        objects(&bomb).expect_err("too much");
    }

    #[test]
    fn hidden_files_and_others_are_not_ours() {
        let ours = |name: &str| is_ours(OsStr::new(name));
        assert!(ours("a.yaml") && ours("b.yml") && ours("c.json"));
        assert!(!ours(".a.yaml.swp") && !ours(".a.yaml") && !ours("a.yaml~") && !ours("..data"));
    }
}
