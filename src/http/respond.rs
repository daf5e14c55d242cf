//! From a request to its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Body as _;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tracing::error;

use super::api::{self, JsonResponse};
use super::body::{self, Payload};
use super::events::Wanted;
use super::guard::HttpExchange;
use super::negotiate::{self, Telling};
use super::ready::{Readiness, readiness};
use super::routes::{Matched, Resource, Routes};
use super::stream::Streams;
use super::web_config::WebConfig;
use crate::exposition::{Scrapes, html, sse};
use crate::metrics::{HttpMetrics, OwnMetrics};
use crate::snapshot::{EventLog, SnapshotStore, World};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static(sse::CONTENT_TYPE);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Tells nginx and what behaves like it to pass an answer on as it comes.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The label of requests that no route has.
const OTHER: &str = "other";

/// What the server exposes.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The newest snapshots.
    pub store: Arc<SnapshotStore>,
    /// The newest events.
    pub events: EventLog,
    /// What this process counts.
    pub own: OwnMetrics,
}

/// Answers requests.
#[derive(Debug)]
pub(super) struct Responder {
    routes: Routes,
    store: Arc<SnapshotStore>,
    scrapes: Scrapes,
    streams: Streams,
    metrics: HttpMetrics,
    web_config: Option<WebConfig>,
}

impl Responder {
    pub(super) fn new(
        routes: Routes,
        sources: Sources,
        streams: Streams,
        web_config: Option<WebConfig>,
    ) -> Self {
        let Sources { store, own, .. } = sources;
        Self {
            web_config,
            routes,
            metrics: own.http().clone(),
            scrapes: Scrapes::new(Arc::clone(&store), own),
            streams,
            store,
        }
    }

    /// Renders what the next scrapes will ask for; see [`Scrapes::render_ahead`].
    pub(super) async fn render_ahead(&self) -> Infallible {
        self.scrapes.render_ahead().await
    }

    /// Returns the response to a request, and counts it. A response that is a stream is marked in `exchange`.
    pub(super) async fn respond<B>(
        &self,
        request: &Request<B>,
        exchange: &HttpExchange,
    ) -> Response<Payload> {
        let begun = Instant::now();
        let path = request.uri().path();
        let matched = self.routes.find(path);
        let label = matched.as_ref().map_or(OTHER, |matched| matched.path);
        let web = self.web_config.as_ref().map(WebConfig::current);
        let users = web.as_ref().and_then(|web| web.users.as_ref());
        let is_admitted = match users {
            Some(users) => users.admit(request.headers()).await,
            None => true,
        };
        let mut response = match &matched {
            _ if !is_admitted => unauthorized(),
            None => self.lost(path),
            Some(_) if !is_readonly(request.method()) => method_not_allowed(),
            Some(matched) => self.answer(matched, request, exchange).await,
        };
        // Set here, as a response to HEAD has no body that would show it.
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(web) = &web {
            headers.extend(web.headers.clone());
        }
        let code = response.status();
        let requests = &self.metrics.requests;
        requests.with_label_values(&[label, code.as_str()]).inc();
        let duration = self.metrics.duration.with_label_values(&[label]);
        duration.observe(begun.elapsed().as_secs_f64());
        response
    }

    async fn answer<B>(
        &self,
        matched: &Matched<'_>,
        request: &Request<B>,
        exchange: &HttpExchange,
    ) -> Response<Payload> {
        let now = Instant::now();
        let headers = request.headers();
        let query = request.uri().query().unwrap_or_default();
        match matched.resource {
            Resource::Metrics => self.metrics(headers).await,
            Resource::Healthz => plain(StatusCode::OK, TEXT, b"ok\n".to_vec()),
            Resource::Readyz => {
                let readiness = readiness(&self.store.load(), now);
                let status = match readiness {
                    Readiness::Ready => StatusCode::OK,
                    Readiness::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                plain(status, TEXT, format!("{readiness}\n").into_bytes())
            }
            Resource::Index => {
                let page = html::index(&self.store.load(), &self.routes.links(), now);
                plain(StatusCode::OK, HTML, page.into_bytes())
            }
            Resource::OpenApi => plain(StatusCode::OK, JSON, api::OPENAPI.to_vec()),
            Resource::Clusters => self.json(move |world| api::clusters(world, now)).await,
            Resource::Groups => {
                let query = query.to_owned();
                self.json(move |world| api::groups(world, &query, now))
                    .await
            }
            Resource::Group => {
                let (group, query) = (matched.rest.to_owned(), query.to_owned());
                self.json(move |world| api::group(world, &group, &query, now))
                    .await
            }
            Resource::Events => self.events(query, headers, exchange).await,
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Response<Payload> {
        let format = negotiate::format(headers);
        let encoding = negotiate::encoding(headers);
        let chunks = match self.scrapes.scrape(format, encoding).await {
            Ok(chunks) => chunks,
            Err(reason) => {
                error!(error = %reason, "rendering a scrape failed");
                return internal_error();
            }
        };
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let mut response = Response::new(body::streamed(stream::iter(chunks)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(format.content_type()),
        );
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if let Some(encoding) = encoding.as_str() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }

    async fn events(
        &self,
        query: &str,
        headers: &HeaderMap,
        exchange: &HttpExchange,
    ) -> Response<Payload> {
        let mut response = match Wanted::parse(query, &self.store.load()) {
            Err((status, body)) => plain(status, JSON, body),
            Ok(wanted) => match negotiate::telling(headers) {
                Telling::Stream => self.stream(wanted, headers, exchange),
                Telling::Once => {
                    let log = self.streams.log().clone();
                    self.json(move |_| wanted.answer(&log)).await
                }
            },
        };
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept"));
        response
    }

    fn stream(
        &self,
        wanted: Wanted,
        headers: &HeaderMap,
        exchange: &HttpExchange,
    ) -> Response<Payload> {
        let start = wanted.start(self.streams.log(), headers);
        let Some(stream) = self.streams.open(start, wanted.into_filter(), exchange) else {
            let error = "too many event streams are open".to_owned();
            let (status, body) = api::failure(StatusCode::SERVICE_UNAVAILABLE, error, None);
            let mut response = plain(status, JSON, body);
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            return response;
        };
        let mut response = Response::new(stream);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, EVENT_STREAM);
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
        response
    }

    /// Makes an answer of `/api` away from the async workers: a large cluster has many rows.
    async fn json(
        &self,
        answer: impl FnOnce(&World) -> JsonResponse + Send + 'static,
    ) -> Response<Payload> {
        let world = self.store.load();
        match tokio::task::spawn_blocking(move || answer(&world)).await {
            Ok((status, body)) => plain(status, JSON, body),
            Err(reason) => {
                error!(error = %reason, "rendering an answer of the API failed");
                internal_error()
            }
        }
    }

    fn lost(&self, path: &str) -> Response<Payload> {
        let text = format!("no route `{path}`; there are: {}\n", self.routes.list());
        plain(StatusCode::NOT_FOUND, TEXT, text.into_bytes())
    }
}

fn is_readonly(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn plain(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Response<Payload> {
    let mut response = Response::new(body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn method_not_allowed() -> Response<Payload> {
    let text = b"only GET and HEAD are served\n";
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, text.to_vec());
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

/// Does not say whether it was the user or the password.
fn unauthorized() -> Response<Payload> {
    let mut response = plain(StatusCode::UNAUTHORIZED, TEXT, b"Unauthorized\n".to_vec());
    let challenge = HeaderValue::from_static("Basic");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

fn internal_error() -> Response<Payload> {
    let text = b"internal error; the log says more\n";
    plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text.to_vec())
}
