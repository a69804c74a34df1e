//! Lists, page by page, each new and consistent: no resourceVersion is asked
//! for, so the answer is at least as new as the question.

use std::time::Duration;

use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{ApiError, Client, asked, malformed, unreadable};
use super::objects::Subject;

/// How long one page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// One page of a list. Objects stay text until they become facts.
pub(super) struct Page {
    body: Vec<u8>,
    asked: Box<str>,
}

/// The page's parts, borrowed from its body.
#[derive(Deserialize)]
pub(super) struct Parts<'a> {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// The API server writes null for none.
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(default)]
    pub(super) resource_version: String,
    #[serde(default, rename = "continue")]
    pub(super) next: String,
}

impl Page {
    /// Asks for the page after `token`; the first for "".
    pub(super) async fn fetch<S: Subject>(
        client: &Client,
        subject: &S,
        token: &str,
    ) -> Result<Self, ApiError> {
        let params = ListParams {
            field_selector: subject.field_selector(),
            limit: Some(subject.page()),
            continue_token: (!token.is_empty()).then(|| token.into()),
            ..ListParams::default()
        };
        Self::ask(client, subject, &params).await
    }

    async fn ask<S: Subject>(
        client: &Client,
        subject: &S,
        params: &ListParams,
    ) -> Result<Self, ApiError> {
        let request = Request::new(subject.path())
            .list(params)
            .map_err(malformed)?;
        let asked = asked(&request);
        Ok(Self {
            body: client.call(request, PAGE_LIMIT).await?,
            asked,
        })
    }

    pub(super) fn parts(&self) -> Result<Parts<'_>, ApiError> {
        serde_json::from_slice(&self.body).map_err(|cause| unreadable(&self.asked, &cause))
    }
}

/// The collection's current version, for the price of one object at most.
pub(super) async fn version<S: Subject>(client: &Client, subject: &S) -> Result<String, ApiError> {
    let params = ListParams {
        field_selector: subject.probe_selector(),
        limit: Some(1),
        ..ListParams::default()
    };
    let page = Page::ask(client, subject, &params).await?;
    Ok(page.parts()?.metadata.resource_version)
}

/// How many Nodes the cluster has, counted up to `most`: enough to know
/// whether Events per node are affordable.
pub async fn count_nodes(client: &Client, most: u32) -> Result<usize, ApiError> {
    let params = ListParams::default().limit(most);
    let request = Request::new("/api/v1/nodes")
        .list_metadata(&params)
        .map_err(malformed)?;
    let asked = asked(&request);
    let page = Page {
        body: client.call(request, PAGE_LIMIT).await?,
        asked,
    };
    Ok(page.parts()?.items.map_or(0, |items| items.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::fake::{Reply, server};
    use crate::k8s::objects::Services;

    #[tokio::test]
    async fn a_page_is_asked_for_anew_at_no_version() {
        let (client, asked) = server(vec![Reply::ok("{}"), Reply::ok("{}")]);
        for token in ["", "p2"] {
            Page::fetch(&client, &Services, token).await.unwrap();
        }
        let asked: Vec<String> = asked.all().into_iter().map(|(asked, _)| asked).collect();
        assert!(
            asked.iter().all(|asked| !asked.contains("resourceVersion")),
            "consistent: {asked:?}"
        );
        assert!(!asked[0].contains("continue"), "{asked:?}");
        assert!(asked[1].contains("continue=p2"), "{asked:?}");
    }

    #[tokio::test]
    async fn nodes_are_counted_up_to_the_limit() {
        let (client, asked) = server(vec![Reply::ok(
            r#"{"metadata":{"continue":"x"},"items":[{},{}]}"#,
        )]);
        assert_eq!(count_nodes(&client, 2).await, Ok(2));
        assert!(asked.all()[0].0.contains("limit=2"));
    }
}
