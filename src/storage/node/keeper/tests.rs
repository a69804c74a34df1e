use super::*;
use crate::storage::node::source::Source;

fn keeper(root: &Path) -> Keeper {
    Keeper {
        program: Program {
            path: "/bin/false".into(),
            namespace: None,
            logs: root.join("logs"),
        },
        places: Places::below(root),
    }
}

fn source(volume: &str) -> Source {
    Source {
        hosts: vec!["h".into()],
        volume: volume.into(),
        options: Vec::new(),
        read_only: false,
    }
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("loods-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

#[tokio::test]
async fn every_word_is_checked_before_anything_runs() {
    let root = directory("keeper-words");
    let keeper = keeper(&root);
    let table = [
        (PathBuf::from("/etc"), "v", "is not below"),
        (root.join("../etc"), "v", "has . or .."),
        (root.join("a"), "v;w", "is neither NAME"),
    ];
    for (target, volume, why) in table {
        let question = Question::Mount {
            source: source(volume),
            target,
            turn: 0,
        };
        let Answer::Failed { kind, message } = keeper.answer(question).await else {
            panic!("{why}: not refused");
        };
        assert_eq!(kind, Kind::Invalid);
        assert!(message.contains(why), "{message}");
    }
    assert!(!root.join("logs").exists(), "the program was not run");
    std::fs::remove_dir_all(&root).expect("removed");
}

#[tokio::test]
async fn a_conversation_over_the_socket() {
    let root = directory("keeper-socket");
    let path = root.join("keeper.sock");
    let stop = CancellationToken::new();
    let socket = Socket::bind(&path).expect("a socket");
    let serving = tokio::spawn(keeper(&root).serve(socket, stop.clone()));

    let client = client::KeeperClient::new(&path);
    let hello = client.ask(&Question::Hello {}).await.expect("an answer");
    assert!(matches!(
        hello,
        Answer::Keeper {
            version: VERSION,
            ..
        }
    ));
    let asked = Question::Mount {
        source: source("v"),
        target: root.join("staging"),
        turn: 0,
    };
    let refused = client.ask(&asked).await.expect_err("/bin/false");
    assert!(
        matches!(&refused, client::KeeperError::Failed { kind: Kind::Refused, message } if message.contains("mounting h:/v failed")),
        "{refused:?}"
    );

    // A keeper that starts while the old one is there takes its place.
    let second = Socket::bind(&path).expect("a socket in its place");
    let serving_too = tokio::spawn(keeper(&root).serve(second, stop.clone()));
    client.ask(&Question::Hello {}).await.expect("an answer");
    stop.cancel();
    serving.await.expect("it ends");
    serving_too.await.expect("it ends");
    let gone = client.ask(&Question::Hello {}).await.expect_err("nobody");
    assert!(gone.to_string().contains("loods-storage-keeper"), "{gone}");
    std::fs::remove_dir_all(&root).expect("removed");
}
