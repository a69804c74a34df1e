//! What administrators ask besides: operations under way, and the little of
//! Heketi's own workings that has a meaning here.

use serde_json::json;

use super::super::Manager;
use super::{Answer, Ask, Refusal, no_path};

pub(super) fn answer(manager: &Manager, ask: &Ask<'_>, parts: &[&str]) -> Result<Answer, Refusal> {
    match (ask.method, parts) {
        ("GET", ["operations"]) => {
            let running = manager.queue().running().count();
            let counts =
                json!({"total": running, "in_flight": running, "stale": 0, "failed": 0, "new": 0});
            Ok(Answer::json(200, &counts))
        }
        ("GET", ["operations", "pending"]) => {
            let queue = manager.queue();
            let entry = |(id, kind): (&str, &str)| json!({"id": id, "type_name": kind, "status": "", "sub_status": ""});
            let pending: Vec<_> = queue.running().map(entry).collect();
            Ok(Answer::json(200, &json!({"pendingoperations": pending})))
        }
        ("GET", ["admin"]) => Ok(Answer::json(200, &json!({"state": "normal"}))),
        ("GET", ["db", ..] | ["backup", "db"]) => Err((
            501,
            "there is no database: records lie with the volumes, in glusterd".into(),
        )),
        (_, ["blockvolumes", ..]) => Err((501, "block volumes are not made by this server".into())),
        _ => Err(no_path()),
    }
}
