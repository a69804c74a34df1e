//! Asks this node's proxy whether it sends to pods of a Service on this node.
//!
//! Why and when is the matter of [`lb::proxy`](crate::lb::proxy). Here a
//! question is put by HTTP to the Service's health check port at the node's own
//! address, again and again until the answer is 200.
//!
//! Not every network plugin answers there, and a route must not wait for ever
//! for one that never will. Where nobody has answered yet, a question is given
//! up after three seconds, and from then on none is waited for until somebody does.
//! Whoever has answered once is waited for longer: it may be starting anew.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::bgp::types::Family;
use crate::facts::ServiceKey;
use crate::lb::proxy::Question;

/// Between two tries of one question.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one try may take.
const TRY: Duration = Duration::from_millis(500);
/// How long is waited where nobody has ever answered.
const UNHEARD: Duration = Duration::from_secs(3);
/// How long is waited for who has answered before.
const HEARD: Duration = Duration::from_secs(30);
/// Tries at the same moment: a starting node has some hundred Services.
const TOGETHER: usize = 32;
/// The status line is all that is read.
const LONGEST: u64 = 64;

/// The questions that are open.
pub(super) struct Prober {
    asked: BTreeMap<(ServiceKey, Family), Asked>,
    /// How many were asked: the number of the next.
    count: u64,
    known: Arc<Known>,
    answers: mpsc::Receiver<Answer>,
    answer: mpsc::Sender<Answer>,
}

/// Dropped, it is asked no more.
struct Asked {
    number: u64,
    task: AbortHandle,
}

struct Answer {
    of: (ServiceKey, Family),
    number: u64,
}

/// What all questions of a node share.
struct Known {
    who: Mutex<Who>,
    permits: Semaphore,
}

/// Whether anybody answers at health check ports of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Not known yet.
    New,
    /// Somebody has answered.
    Answers,
    /// Nobody does.
    Silent,
}

impl Who {
    /// What follows from one try, `waited` after the question was put: whether
    /// to go on asking.
    fn hear(&mut self, said: Said, waited: Duration) -> bool {
        match (said, *self) {
            (Said::Yes | Said::No, _) => *self = Who::Answers,
            (Said::Nothing, Who::Silent) => return false,
            (Said::Nothing, Who::New | Who::Answers) => {}
        }
        let patience = match self {
            Who::New => UNHEARD,
            Who::Answers | Who::Silent => HEARD,
        };
        let more = said != Said::Yes && waited < patience;
        if !more && said == Said::Nothing {
            *self = Who::Silent;
        }
        more
    }
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    Nothing,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Nothing is asked yet.
    pub fn new() -> Self {
        let (answer, answers) = mpsc::channel(TOGETHER);
        Self {
            asked: BTreeMap::new(),
            count: 0,
            known: Arc::new(Known {
                who: Mutex::new(Who::New),
                permits: Semaphore::new(TOGETHER),
            }),
            answers,
            answer,
        }
    }

    /// Asks, or asks no more. `node` are the node's own addresses.
    pub fn put(&mut self, question: Question, node: &[IpAddr]) {
        let of = (question.service, question.family);
        let Some(port) = question.port else {
            self.asked.remove(&of);
            return;
        };
        self.count += 1;
        let number = self.count;
        let address = node.iter().find(|ip| Family::of(**ip) == of.1).copied();
        let (known, answer) = (Arc::clone(&self.known), self.answer.clone());
        let asking = of.clone();
        let task = tokio::spawn(async move {
            if let Some(address) = address {
                ask(SocketAddr::new(address, port.get()), &asking.0, &known).await;
            }
            // Who asked may have ended.
            let _ = answer.send(Answer { of: asking, number }).await;
        });
        let task = task.abort_handle();
        self.asked.insert(of, Asked { number, task });
    }

    /// Waits for the next answer that is still wanted: the proxy sends there,
    /// or nobody can be expected to say so. May be dropped while it waits.
    pub async fn next(&mut self) -> (ServiceKey, Family) {
        loop {
            let Some(Answer { of, number }) = self.answers.recv().await else {
                // We hold a sender, so this is never so.
                return std::future::pending().await;
            };
            // A question that was put again since has an answer of its own.
            if self
                .asked
                .get(&of)
                .is_some_and(|asked| asked.number == number)
            {
                self.asked.remove(&of);
                return of;
            }
        }
    }
}

/// Asks until the answer is yes, or waiting is no use.
async fn ask(to: SocketAddr, service: &ServiceKey, known: &Known) {
    let start = Instant::now();
    loop {
        let said = match known.permits.acquire().await {
            Ok(_permit) => try_once(to).await,
            Err(_) => Said::Nothing,
        };
        let (before, more) = {
            let mut who = known.who.lock().unwrap_or_else(PoisonError::into_inner);
            (*who, who.hear(said, start.elapsed()))
        };
        if more {
            sleep(PAUSE).await;
            continue;
        }
        match said {
            Said::Nothing if before != Who::Silent => tracing::info!(
                %service,
                "nobody answers at health check node port {to}: routes of this node do not wait for its proxy"
            ),
            Said::No => tracing::warn!(
                %service,
                "announced, though the proxy of this node says at health check node port {to} that it sends to no pod here, and has for {} s",
                HEARD.as_secs()
            ),
            Said::Yes | Said::Nothing => {}
        }
        return;
    }
}

async fn try_once(to: SocketAddr) -> Said {
    let asked = timeout(TRY, async {
        let mut stream = TcpStream::connect(to).await?;
        let request = format!("GET /healthz HTTP/1.0\r\nHost: {to}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut line = Vec::new();
        stream.take(LONGEST).read_to_end(&mut line).await?;
        std::io::Result::Ok(line)
    });
    match asked.await {
        Ok(Ok(line)) => read(&line),
        Ok(Err(_)) | Err(_) => Said::Nothing,
    }
}

/// Reads a status line: `HTTP/1.0 200 OK`. What is no HTTP is nobody's answer.
fn read(answer: &[u8]) -> Said {
    let line = String::from_utf8_lossy(answer);
    let mut words = line.split(' ');
    match (words.next(), words.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => {
            if status == "200" {
                Said::Yes
            } else {
                Said::No
            }
        }
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;
    use tokio::net::TcpListener;

    const OK: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n{}";
    const NOT_YET: &[u8] = b"HTTP/1.0 503 Service Unavailable\r\n\r\n{}";

    #[test]
    fn only_200_is_yes_and_only_http_is_an_answer() {
        for (answer, said) in [
            (OK, Said::Yes),
            (b"HTTP/1.1 200 OK", Said::Yes),
            (NOT_YET, Said::No),
            (b"HTTP/1.1 2000", Said::No),
            (b"", Said::Nothing),
            (b"SSH-2.0-x 200 ", Said::Nothing),
            (b"\xff\xfe", Said::Nothing),
        ] {
            assert_eq!(read(answer), said, "{answer:?}");
        }
    }

    fn question(name: &str, port: Option<u16>) -> Question {
        Question {
            service: ServiceKey::new("default", name),
            family: Family::Ipv4,
            port: port.and_then(NonZeroU16::new),
        }
    }

    fn here() -> [IpAddr; 2] {
        ["::1", "127.0.0.1"].map(|ip| ip.parse().unwrap())
    }

    async fn next(prober: &mut Prober) -> String {
        let next = timeout(Duration::from_secs(30), prober.next()).await;
        next.expect("an answer comes").0.name().to_owned()
    }

    /// A proxy that gives these answers, one to each who asks, and then no more.
    async fn proxy(answers: Vec<&'static [u8]>) -> (u16, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 512];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            }
        });
        (port, serve)
    }

    #[tokio::test]
    async fn the_answer_comes_with_the_first_200() {
        let mut prober = Prober::new();
        let (port, served) = proxy(vec![NOT_YET, NOT_YET, OK]).await;
        prober.put(question("web", Some(port)), &here());
        assert_eq!(next(&mut prober).await, "web");
        // It had to ask three times for it.
        served.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_wanted_any_more_is_not_answered() {
        let mut prober = Prober::new();
        let (withdrawn, _first) = proxy(vec![OK]).await;
        let (again, _second) = proxy(vec![OK, OK]).await;
        prober.put(question("gone", Some(withdrawn)), &here());
        prober.put(question("gone", None), &here());
        // Of two questions about the same only the later counts.
        prober.put(question("twice", Some(again)), &here());
        prober.put(question("twice", Some(again)), &here());
        assert_eq!(next(&mut prober).await, "twice");
        let (sentinel, _third) = proxy(vec![OK]).await;
        prober.put(question("sentinel", Some(sentinel)), &here());
        assert_eq!(next(&mut prober).await, "sentinel");
    }

    #[tokio::test]
    async fn a_node_without_an_address_of_the_family_asks_nobody() {
        let mut prober = Prober::new();
        prober.put(question("web", Some(9)), &here()[..1]);
        assert_eq!(next(&mut prober).await, "web");
    }

    #[test]
    fn where_nobody_answers_only_the_first_waits() {
        let mut who = Who::New;
        assert!(who.hear(Said::Nothing, UNHEARD / 2));
        assert!(!who.hear(Said::Nothing, UNHEARD));
        assert!(!who.hear(Said::Nothing, Duration::ZERO));
        // Until somebody does.
        assert!(who.hear(Said::No, Duration::ZERO));
        assert!(who.hear(Said::Nothing, UNHEARD));
    }

    #[test]
    fn who_has_answered_is_waited_for_longer_and_not_for_ever() {
        let mut who = Who::New;
        assert!(who.hear(Said::No, UNHEARD));
        assert!(who.hear(Said::Nothing, UNHEARD * 2));
        assert!(!who.hear(Said::No, HEARD));
        assert_eq!(who, Who::Answers);
        assert!(!who.hear(Said::Nothing, HEARD));
        assert_eq!(who, Who::Silent);
        assert!(!who.hear(Said::Yes, Duration::ZERO));
        assert_eq!(who, Who::Answers);
    }

    #[tokio::test]
    async fn a_closed_port_is_given_up_at_once_where_nobody_answers() {
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        let mut prober = Prober::new();
        *prober.known.who.lock().unwrap() = Who::Silent;
        prober.put(question("web", Some(port)), &here());
        assert_eq!(next(&mut prober).await, "web");
    }
}
