//! What node and keeper say to each other: one connection, one question, one
//! answer. Each is a length of four octets, highest first, and that much JSON.
//! There is no question to unmount: whoever sees a mount can take it away, and
//! what is never upgraded should be able to do little.
//!
//! A keeper lives on while nodes are upgraded, so a newer node meets an older
//! keeper: fields that are not known are passed over, and a question that is
//! not known is answered with [`Kind::Unsupported`]. [`VERSION`] goes up when a
//! question is added; nothing of what is here is ever taken away or renamed.

use std::io;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::storage::node::source::Source;

/// Of the questions that this build knows.
pub const VERSION: u32 = 1;
/// Largest question or answer, in octets.
const LARGEST: u32 = 256 << 10;

/// What a node asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub enum Question {
    /// Who are you?
    Hello {},
    /// Mount this; answered when it is mounted.
    Mount {
        /// What.
        source: Source,
        /// Where: a directory that is there, with nothing mounted on it.
        target: PathBuf,
        /// Which host is asked first.
        turn: usize,
    },
    /// A question of a later version.
    #[serde(other)]
    Later,
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "camelCase")]
pub enum Answer {
    /// To `hello`.
    Keeper {
        /// The questions that it knows.
        version: u32,
        /// The build.
        build: String,
    },
    /// It is done.
    Done {},
    /// It is not done.
    Failed {
        /// What kind of failure.
        kind: Kind,
        /// In words, with the mend.
        message: String,
    },
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The question makes no sense: no repetition helps.
    Invalid,
    /// The mount program said no.
    Refused,
    /// The mount program was given up.
    TimedOut,
    /// This keeper is older than the question.
    Unsupported,
    /// Anything else.
    #[serde(other)]
    Internal,
}

/// Sends one question or answer.
pub async fn send(to: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(what)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|&length| length <= LARGEST);
    let length = length.ok_or_else(|| io::Error::other("what is to be sent is too large"))?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(&text).await?;
    to.flush().await
}

/// Receives one question or answer.
pub async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = from.read_u32().await?;
    if length > LARGEST {
        return Err(io::Error::other(format!(
            "{length} octets are announced: at most {LARGEST} are taken"
        )));
    }
    let mut text = Vec::new();
    let read = from.take(length.into()).read_to_end(&mut text).await?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_received() {
        let source = Source {
            hosts: vec!["h".into()],
            volume: "v".into(),
            options: Vec::new(),
            read_only: false,
        };
        let asked = Question::Mount {
            source,
            target: "/var/lib/kubelet/a".into(),
            turn: 3,
        };
        let mut wire = Vec::new();
        send(&mut wire, &asked).await.expect("a vector takes all");
        let told: Question = receive(&mut &wire[..]).await.expect("what was sent");
        assert_eq!(told, asked);
        for cut in 0..wire.len() {
            let received = receive::<Question>(&mut &wire[..cut]).await;
            assert!(received.is_err(), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_length_that_lies_costs_no_memory() {
        let told = receive::<Question>(&mut &u32::MAX.to_be_bytes()[..]).await;
        let error = told.expect_err("too much").to_string();
        assert!(error.contains("at most 262144"), "{error}");
    }

    /// The words of version 1, written down: no keeper may ever forget them.
    #[test]
    fn version_one_is_understood_for_ever() {
        let source = r#"{"hosts":["h"],"volume":"v","options":["noatime"],"read_only":true}"#;
        let questions = [
            r#"{"ask":"hello"}"#.to_owned(),
            r#"{"ask":"hello","new":"field"}"#.to_owned(),
            format!(r#"{{"ask":"mount","source":{source},"target":"/t","turn":0}}"#),
        ];
        for text in questions {
            let question: Question = serde_json::from_str(&text).expect(&text);
            assert_ne!(question, Question::Later);
        }
        let answers = [
            r#"{"tell":"keeper","version":1,"build":"0.1.0"}"#,
            r#"{"tell":"done"}"#,
            r#"{"tell":"failed","kind":"refused","message":"m"}"#,
            r#"{"tell":"failed","kind":"of a later version","message":"m"}"#,
        ];
        for text in answers {
            serde_json::from_str::<Answer>(text).expect(text);
        }
    }

    #[test]
    fn a_question_of_tomorrow_is_known_to_be_one() {
        let text = r#"{"ask":"teleport","target":"/t"}"#;
        let told: Question = serde_json::from_str(text).expect("read");
        assert_eq!(told, Question::Later);
    }
}
